"""The part of API Gateway's template language that the stack uses. Anything else is an error."""

import json
import re
from typing import Any
from urllib.parse import quote_plus

_SET = re.compile(r"#set\(\$([\w.]+) = ")
_URL_ENCODE = "$util.urlEncode("
_PATH = re.compile(r"\$input\.path\('\$\.([\w.]+)'\)")
_TEXT = re.compile(r'"([^"]*)"')
_NAME = re.compile(r"\$([A-Za-z][\w.]*)")


def render(template: str, names: dict[str, str]) -> str:
    """Render a template. It adds the variables that it sets to `names`, as within one request."""
    rendered, at = "", 0
    while at < len(template):
        if assignment := _SET.match(template, at):
            names[assignment[1]], at = _value(template, assignment.end(), names)
            at = _after(")", template, at)
        elif template[at] == "$":
            value, at = _value(template, at, names)
            rendered += value
        elif template[at] == "#":
            raise ValueError(f"unknown directive: {template[at:]}")
        else:
            rendered += template[at]
            at += 1
    return rendered


def _value(template: str, at: int, names: dict[str, str]) -> tuple[str, int]:
    if template.startswith(_URL_ENCODE, at):
        value, at = _value(template, at + len(_URL_ENCODE), names)
        return _url_encode(value), _after(")", template, at)
    if text := _TEXT.match(template, at):
        return render(text[1], names), text.end()
    if path := _PATH.match(template, at):
        found: Any = json.loads(names["input.body"])
        for step in path[1].split("."):
            found = found[step]
        return str(found), path.end()
    if name := _NAME.match(template, at):
        return names[name[1]], name.end()
    raise ValueError(f"unknown reference: {template[at:]}")


def _after(expected: str, template: str, at: int) -> int:
    if not template.startswith(expected, at):
        raise ValueError(f"{expected} expected: {template[at:]}")
    return at + len(expected)


def _url_encode(value: str) -> str:
    # java.net.URLEncoder keeps the asterisk and encodes the tilde
    return quote_plus(value, safe="*").replace("~", "%7E")

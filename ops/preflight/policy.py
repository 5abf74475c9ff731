"""Whether a resource policy lets a service of AWS do something.

It knows the elements that policies of topics and keys have. Where it meets another, it says so.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verdict(Enum):
    ALLOWED = auto()
    DENIED = auto()
    UNCLEAR = auto()


_OPERATORS: Final = {
    "stringequals": ("exact", True),
    "stringnotequals": ("exact", False),
    "stringlike": ("pattern", True),
    "stringnotlike": ("pattern", False),
    "arnequals": ("pattern", True),
    "arnnotequals": ("pattern", False),
    "arnlike": ("pattern", True),
    "arnnotlike": ("pattern", False),
    "bool": ("exact", True),
}
"""By the operator: how it compares, and whether it holds if a value is equal."""


def verdict(
    document: Mapping[str, Any], *, service: str, action: str, resource: str, context: Mapping[str, str]
) -> Verdict:
    """Say whether a policy allows an action.

    Args:
        service: The principal, such as `cloudwatch.amazonaws.com`.
        context: The known condition keys, in lower case.
    """
    allows: list[bool | None] = []
    denies: list[bool | None] = []
    for statement in _listed(document.get("Statement")):
        holds = _all(
            _principal(statement, service),
            _one_of(statement, "Action", action.lower(), lower=True),
            _one_of(statement, "Resource", resource, lower=False),
            *(
                _condition(operator, key, values, context)
                for operator, keys in statement.get("Condition", {}).items()
                for key, values in keys.items()
            ),
        )
        (allows if statement.get("Effect") == "Allow" else denies).append(holds)
    if True in denies or not {True, None} & {*allows}:
        return Verdict.DENIED
    return Verdict.ALLOWED if True in allows and None not in denies else Verdict.UNCLEAR


def _listed(value: Any) -> list[Any]:  # noqa: ANN401  # policies have one value or a list
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _all(*parts: bool | None) -> bool | None:
    """Return whether all are true, or None if that is not known."""
    if False in parts:
        return False
    return None if None in parts else True


def _principal(statement: Mapping[str, Any], service: str) -> bool | None:
    if "Principal" not in statement:
        return None  # NotPrincipal
    principal = statement["Principal"]
    if principal == "*":
        return True
    # The default policy of a topic has AWS: *, with a condition, and CloudWatch publishes by it
    return service in _listed(principal.get("Service")) or "*" in _listed(principal.get("AWS"))


def _one_of(statement: Mapping[str, Any], element: str, value: str, *, lower: bool) -> bool:
    patterns = _listed(statement.get(element)) or _listed(statement.get(f"Not{element}")) or ["*"]
    found = any(_like(value, pattern.lower() if lower else pattern) for pattern in patterns)
    return found is not (f"Not{element}" in statement)


def _condition(
    operator: str,
    key: str,
    values: Any,  # noqa: ANN401  # one value or a list
    context: Mapping[str, str],
) -> bool | None:
    compared, expected = _OPERATORS.get(operator.lower().removesuffix("ifexists"), ("", True))
    value = context.get(key.lower())
    if not compared or value is None:
        return None
    texts = [str(each).lower() if isinstance(each, bool) else str(each) for each in _listed(values)]
    found = value in texts if compared == "exact" else any(_like(value, text) for text in texts)
    return found is expected


def _like(value: str, pattern: str) -> bool:
    regex = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(regex, value, re.DOTALL) is not None

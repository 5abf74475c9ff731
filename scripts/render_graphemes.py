"""Write the Unicode data of the function: the ranges in `lambda_src/message_sender/graphemes.py`.

usage: python -m scripts.render_graphemes
Other data cuts texts in other places, which is a breaking change. So `make docs` does not run this.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Final

import regex

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULE: Final = Path(__file__).parents[1] / "lambda_src" / "message_sender" / "graphemes.py"

_EXTENDS: Final = r"\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}"
PROPERTIES: Final = {
    "_CONTROL": r"[\p{GCB=Control}\p{GCB=CR}\p{GCB=LF}]",
    "_PREPEND": r"\p{GCB=Prepend}",
    "_EXTEND": rf"(?!\p{{InCB=Linker}})[{_EXTENDS}]",
    "_LINKER": rf"(?=\p{{InCB=Linker}})[{_EXTENDS}]",
    "_FIRST_LINKER": rf"(?=\p{{InCB=Linker}})[^{_EXTENDS}]",
    "_CONSONANT": r"\p{InCB=Consonant}",
    "_PICTOGRAPHIC": r"\p{Extended_Pictographic}",
}
"""The properties of the characters in each constant."""
_WIDTH: Final = 96


def module(text: str) -> str:
    """Return the text of the module with its ranges written anew.

    Raises:
        ValueError: The module does not have a constant once.
    """
    for name, pattern in PROPERTIES.items():
        lines = wrap(" ".join(_ranges(pattern)), _WIDTH)
        value = f'("{lines[0]}",)'
        if len(lines) > 1:
            value = "".join(["(\n", *(f'    "{line}",\n' for line in lines), ")"])
        constant = re.compile(rf'^({name}: Final = )\((?:\n.*?^|"[^"]*",)\)$', re.MULTILINE | re.DOTALL)
        text, count = constant.subn(rf"\g<1>{value}", text)
        if count != 1:
            raise ValueError(f"{name} is {count} times in the module")
    return text


def _ranges(pattern: str) -> Iterator[str]:
    """Yield the code points that match, as ranges of hexadecimal numbers."""
    matches = regex.compile(pattern).match
    first = None
    for code_point in range(sys.maxunicode + 2):
        is_match = code_point <= sys.maxunicode and matches(chr(code_point)) is not None
        if is_match and first is None:
            first = code_point
        elif first is not None and not is_match:
            last = code_point - 1
            yield f"{first:X}" if first == last else f"{first:X}-{last:X}"
            first = None


if __name__ == "__main__":
    MODULE.write_text(module(MODULE.read_text(encoding="utf-8")), encoding="utf-8")

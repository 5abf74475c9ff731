"""Make text from elsewhere safe to print.

Standard library only: `make` uses this before anything is installed.
"""

import unicodedata
from typing import Final

_ORDINARY_FORMAT: Final = frozenset(
    "\u200b\u200c\u200d\u2060"  # joiners and word breaks: Persian, Khmer, Thai; emoji of several parts
    "\u061c\u200e\u200f"  # direction marks
    "\xad"  # soft hyphen
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # visible signs
)


def printable(text: str, *, lines: bool = False) -> str:
    r"""Escape characters that control a terminal, split a line or hide text, as in `\x9b` or `\u202e`.

    Use it for every text from a producer, a chat or a service. By Unicode's general categories, it escapes:

    - controls (Cc), and line and paragraph separators (Zl, Zp);
    - format characters (Cf): tags, the byte order mark, and the direction embeddings, overrides and isolates,
      which reorder the rest of the line. It keeps those that ordinary text needs: joiners, the soft hyphen,
      visible signs, and direction marks, which reorder no more than an ordinary character does;
    - surrogates (Cs), and private or unassigned code points (Co, Cn): terminals differ in how they show them.
      It keeps emoji that are newer than this Python.

    Ordinary characters and backslashes stay, so escaping twice changes nothing.

    Args:
        lines: Keep line feeds, for a text that is shown as several lines.
    """
    return "".join(
        character
        if character.isprintable()
        or character in _ORDINARY_FORMAT
        or "\U0001f300" <= character <= "\U0001faff"
        or unicodedata.category(character) == "Zs"
        or (lines and character == "\n")
        else character.encode("unicode_escape").decode()
        for character in text
    )

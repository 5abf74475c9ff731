"""Keep the documents easy to read: short sentences, one on each line, that begin with their subject.

The figures are those of the documents of stamina, httpx, procrastinate and dramatiq.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")])
GUIDES = [ROOT / "README.md", ROOT / "docs/tutorial.md", *sorted((ROOT / "docs/how-to").glob("*.md"))]
README_BYTES = 6 * 1024
DOCS_BYTES = 231_000
"""160 KiB for the stack, 58 for embedding it, other sources, long texts, sealed tokens and look-ups, 7 for
the practice of on-call work and the local Amazon Connect alone."""
CELL_CHARACTERS = 200
SENTENCE_WORDS = 40
"""No sentence is longer, commands and lists of names included."""

_CODE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_WORD = re.compile(r"[\w`'./$<>*-]*\w[\w`'./$<>*-]*")
# The full stop of "e.g." or "1." ends no sentence
_END = re.compile(r"(?<![0-9])(?<!\be\.g)(?<!\bi\.e)(?<!\bvs)(?<!\bet al)[.?!][)\"*_]* (?=[A-Z`\[*\"(])")
_RELATIVE = re.compile(
    r"^(What|Who|Whoever|Whatever|Whichever|Whom|Whose|Where|Wherever|Which|That which"
    r"|Those (who|that|which))\b(?!.*\?$)"
)
_INVERTED = re.compile(
    r"\b(of which|that of|those of|of (its|their|his) own|as it is|as they are|what is there)\b"
)


@dataclass(frozen=True)
class Line:
    """A line of a page as a reader sees it: without code blocks, link targets and list markers."""

    number: int
    text: str
    cell: bool

    @property
    def words(self) -> list[str]:
        return _WORD.findall(self.text)


def lines(page: Path) -> Iterator[Line]:
    """Yield the lines and the cells of a page, without headings, code and comments."""
    text = page.read_text(encoding="utf-8")
    for pattern in (_CODE, _COMMENT):
        text = pattern.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = re.sub(r"^\s*(> ?)*([-*] |\d+\. )?", "", _LINK.sub(r"\1", line)).strip()
        if stripped.startswith("|"):
            if not re.fullmatch(r"[|:\- ]+", stripped):
                yield from (
                    Line(number, cell.strip(), cell=True)
                    for cell in re.split(r"(?<!\\)\|", stripped.strip("|"))
                )
        elif stripped and not re.match(r"#+ ", stripped) and not stripped.startswith(("<", "[![")):
            yield Line(number, stripped, cell=False)


def sentences(found: Iterable[Line]) -> list[str]:
    """Return the sentences of lines and of cells with at least four words."""
    return [part for line in found if not line.cell or len(line.words) >= 4 for part in _END.split(line.text)]


def at(page: Path, line: Line) -> str:
    return f"{page.relative_to(ROOT)}:{line.number}: {line.text}"


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_a_line_is_one_sentence(page: Path) -> None:
    prose = [line for line in lines(page) if not line.cell]

    assert [at(page, line) for line in prose if _END.search(line.text)] == []
    assert [at(page, line) for line in prose if re.match(r"[a-z]", line.text)] == [], "continues a sentence"
    assert [at(page, line) for line in prose if len(line.words) > SENTENCE_WORDS] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_a_cell_is_one_idea(page: Path) -> None:
    cells = [line for line in lines(page) if line.cell]

    assert [at(page, cell) for cell in cells if len(cell.text) > CELL_CHARACTERS] == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_no_sentence_is_inverted(page: Path) -> None:
    assert [at(page, line) for line in lines(page) if _INVERTED.search(line.text)] == []


def test_hardly_a_sentence_begins_with_a_relative_clause() -> None:
    found = [sentence for page in PAGES for sentence in sentences(lines(page))]

    relative = [sentence for sentence in found if _RELATIVE.match(sentence)]

    assert len(found) > 1000
    assert len(relative) / len(found) <= 0.005, relative


@pytest.mark.parametrize("page", GUIDES, ids=ids)
def test_a_guide_addresses_its_reader(page: Path) -> None:
    words = [word.lower() for line in lines(page) for word in line.words]

    assert sum(word in {"you", "your", "yours", "yourself"} for word in words) >= len(words) / 100


def test_sentences_are_short() -> None:
    lengths = [len(line.words) for page in PAGES for line in lines(page) if not line.cell]

    assert median(lengths) <= 16


def test_documents_stay_small() -> None:
    assert (ROOT / "README.md").stat().st_size <= README_BYTES
    assert sum(page.stat().st_size for page in (ROOT / "docs").rglob("*.md")) <= DOCS_BYTES

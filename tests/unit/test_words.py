"""Keep private words out of code and documents: each has a standard term."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# The standard term: a pattern for the words that it replaced
TERMS = {
    "dead letter": r"(?<!dead)(?<!dead[ _-])(?<!ascii_)\b(?-i:[lL]etters?)(?=\b|_)(?!,? (and )?digits)",
    "redrive": r"\bput(ting|s)? back\b",
    "finalize": r"settle",
    "delete": r"discard",
    "queue reader": r"inbox",
    "report, log, on_...": r"(?<![a-z])(tell|tells|told|telling)(?![a-z])",
    "is redelivered": r"\b(come|comes|came|coming) back\b",
    "retries exhausted": r"\b(give|gives|given|gave|giving)[ _]up\b",
    "enqueue for retry": r"hand(ed|s|ing)?[ _-]over",
    "deferred": r"undelivered",
    "rate limiter, slot, fair share": r"(?<![a-z])(pacing|pacer|paced|paces)(?![a-z])",
    "worker pool, concurrent": r"side[ _-]by[ _-]side|patience",
    "attempt": r"\b(a|each|every|the|first|second|last|another|one|no) tr(y|ies)\b|(?<![a-z])tries(?![a-z])",
    "predecessor pending": r"held[ _]back|(?<![a-z])followers?(?![a-z])",
    "event source": r"\bways? in\b",
    "fault profile": r"weather",
    "fault, fault burst": r"(?<![a-z])strikes?(?![a-z])|storm|(?<![a-z])calm(?![a-z])",
    "baseline": r"(?<![a-z])peers?(?![a-z])",
    "process guard": r"lifeline",
    "fix": r"(?<![a-z])mend(s|ed)?(?![a-z])",
}
FOLDERS = [
    "benchmarks",
    "docs",
    "examples",
    "infra",
    "lambda_src",
    "ops",
    "sandbox",
    "scripts",
    "tests",
    ".github",
]
SUFFIXES = {"", ".json", ".jsonl", ".md", ".mjs", ".py", ".sh", ".toml", ".yml"}


def sources() -> list[Path]:
    """Return the files that people write. The changelog quotes old log messages."""
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*")]
    files += [
        ROOT / name
        for name in (
            "Makefile",
            "app.py",
            "cdk.json",
            "package.json",
            "pyproject.toml",
            "README.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
        )
    ]
    found = [file for file in files if file.suffix in SUFFIXES and file != Path(__file__) and file.is_file()]
    assert {file.relative_to(ROOT).parts[0] for file in found} >= set(FOLDERS)
    return found


@pytest.mark.parametrize("term", TERMS)
def test_the_standard_term_is_used(term: str) -> None:
    pattern = re.compile(TERMS[term], re.IGNORECASE)

    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in sources()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]

    assert found == []

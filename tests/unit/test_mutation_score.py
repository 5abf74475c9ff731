"""The mutation score: mutants by name and change, and what the report prints."""

from __future__ import annotations

import tomllib
from collections import Counter

import pytest

from scripts.mutants import ROOT, Mutant, Score, listed, mutant_of, report, without_properties

SETTINGS = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text())
FIRST = Mutant("retry.wait", "return a + b", "return a - b")
SECOND = Mutant("retry.wait", "return a + b", 'return a + "b"')


def score(*, survived: list[Mutant], equivalent: list[Mutant]) -> Score:
    return Score(mutants=12, survived=survived, equivalent=Counter(equivalent), seconds=1.0)


def test_a_module_without_properties_behaves_the_same() -> None:
    source = '''
class Box:
    """A box."""

    side = 2

    @property
    def area(self) -> int:
        """Its area."""
        return self.side**2

    @property
    def volume(self) -> int:
        return self.side * self.area

    @staticmethod
    def new() -> "Box":
        return Box()
'''
    namespace: dict[str, type] = {}

    exec(without_properties(source), namespace)  # noqa: S102  # the source is above

    box = namespace["Box"]()
    assert "@property" not in without_properties(source)
    assert (box.new().area, box.volume, box.read_volume()) == (4, 8, 8)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("message_sender.queues.x__copy__mutmut_12", "queues._copy"),
        ("message_sender.event_sources.sqs.xǁSqsSourceǁread__mutmut_3", "event_sources.sqs.SqsSource.read"),
        ("message_sender.delivery.xǁMessageSenderǁ__init____mutmut_1", "delivery.MessageSender.__init__"),
    ],
)
def test_a_mutant_is_known_by_its_function_and_its_change(name: str, function: str) -> None:
    diff = f"# {name}: survived\n--- a.py\n+++ a.py\n@@ -1,3 +1,2 @@\n x(\n-    1,\n-    2,\n+    1)\n y()"

    assert mutant_of(name, diff) == Mutant(function, "1,\n2,", "1)")


def test_the_score_is_the_part_of_the_other_mutants_that_was_killed() -> None:
    found = score(survived=[FIRST], equivalent=[SECOND, SECOND])

    assert (found.killed, found.value) == (9, 0.9)


def test_the_report_lists_survivors_as_the_settings_do() -> None:
    text = report({"retry": score(survived=[FIRST, SECOND], equivalent=[])}, known=[])

    table, entry = text.split("\n\n")
    assert table.splitlines()[-1] == "| retry | 12 | 10 | 2 | 0 | 83.3% | 1 |"
    assert listed(tomllib.loads(entry)) == {FIRST, SECOND}


@pytest.mark.parametrize(("module", "is_needless"), [("retry", True), ("queues", False)])
def test_the_report_names_entries_that_no_longer_apply(module: str, is_needless: bool) -> None:
    text = report({module: score(survived=[], equivalent=[SECOND])}, known=[FIRST, SECOND])

    assert (str(FIRST) in text) is is_needless
    assert str(SECOND) not in text


def test_each_listed_mutant_has_a_module_of_the_score_and_a_reason() -> None:
    modules = tuple(f"{module.replace('/', '.')}." for module in SETTINGS["tests"])

    for entry in SETTINGS["equivalent"]:
        assert entry["function"].startswith(modules)
        assert entry["reason"].endswith(".")
    assert len(listed(SETTINGS)) == sum(len(entry["after"]) for entry in SETTINGS["equivalent"])

"""Change the code in small ways, one at a time, and count the changes ("mutants") that no test notices.

usage: python -m scripts.mutants [MODULE ...]
`make mutants` runs it. tests/mutants.toml lists the modules, their tests, and mutants that are equivalent.

mutmut makes mutants of functions, in a copy of the repository. It skips functions with a decorator, so the
copy has `name = property(read_name)` in place of `@property`. It makes none of what a module or a class
defines outside of functions, such as a constant.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
LEAST_SCORE: Final = 0.9
_COPIES: Final = ROOT / ".sandbox" / "mutants"
_MUTMUT: Final = ROOT / ".sandbox" / "mutmut"
_PACKAGE: Final = "message_sender"
# The project's own versions of the packages that both have come first
_RUN: Final = "import sys; sys.path.append(sys.argv.pop(1)); from mutmut.__main__ import cli; cli()"
_SETTINGS: Final = """\
[mutmut]
source_paths =
    {package}
only_mutate =
    {module}
pytest_add_cli_args =
    -p
    no:cacheprovider
    -o
    pythonpath=.
    --hypothesis-profile=mutants
pytest_add_cli_args_test_selection =
    {tests}
track_dependencies = false
use_git_change_detection = false
use_setproctitle = false
"""
_KILLED: Final = frozenset({1, 3, 24, -24, 36, 152, 255})
"""The exit codes by which mutmut reports a test that failed, and tests that would not end."""


class Mutant(NamedTuple):
    """A change of one function.

    Attributes:
        function: For example `retry.TimeBudget.note_failure`.
        before: The lines that it changes.
        after: The lines in their place, empty if it removes them.
    """

    function: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Score:
    """What the tests of a module noticed."""

    mutants: int
    survived: Sequence[Mutant]
    equivalent: Counter[Mutant]
    seconds: float

    @property
    def killed(self) -> int:
        return self.mutants - self.equivalent.total() - len(self.survived)

    @property
    def value(self) -> float:
        return self.killed / (self.mutants - self.equivalent.total())


def without_properties(source: str) -> str:
    """Return a module whose properties are made by a statement after an undecorated function."""
    lines = source.split("\n")
    properties = [
        function
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef)
        for function in node.body
        if isinstance(function, ast.FunctionDef)
        and [ast.unparse(decorator) for decorator in function.decorator_list] == ["property"]
    ]
    for function in reversed(properties):
        name, first, end = function.name, function.lineno - 1, function.end_lineno
        lines[end:end] = [f"    {name} = property(read_{name})"]
        lines[first] = lines[first].replace(f"def {name}(", f"def read_{name}(", 1)
        del lines[function.decorator_list[0].lineno - 1]
    return "\n".join(lines)


def mutant_of(name: str, diff: str) -> Mutant:
    """Return the mutant that mutmut gave this name and shows as this diff."""
    module, _, mangled = name.partition("__mutmut_")[0].rpartition(".")
    function = mangled.removeprefix("x_") if mangled.startswith("x_") else mangled[2:].replace("ǁ", ".")
    changed = [line for line in diff.splitlines() if not line.startswith(("#", "---", "+++", "@@"))]
    before, after = (
        "\n".join(line[1:].strip() for line in changed if line.startswith(sign)) for sign in ("-", "+")
    )
    return Mutant(f"{module}.{function}".removeprefix(f"{_PACKAGE}."), before, after)


def score_of(module: str, tests: Sequence[str], known: Collection[Mutant]) -> Score:
    """Run the tests of a module against its mutants.

    Args:
        module: For example `event_sources/sqs`.
        known: The equivalent mutants.
    """
    start = time.monotonic()
    path = Path(_PACKAGE, f"{module}.py")
    copy = _COPIES / module.replace("/", ".")
    _make_copy(copy, path)
    copy.joinpath("setup.cfg").write_text(
        _SETTINGS.format(package=_PACKAGE, module=path, tests="\n    ".join(tests))
    )
    _mutmut(copy, "run", "--max-children=1")
    codes: dict[str, int] = json.loads(copy.joinpath("mutants", f"{path}.meta").read_text())[
        "exit_code_by_key"
    ]
    alive = Counter(
        mutant_of(name, _mutmut(copy, "show", name)) for name, code in codes.items() if code not in _KILLED
    )
    return Score(
        mutants=len(codes),
        survived=sorted(mutant for mutant in alive.elements() if mutant not in known),
        equivalent=Counter({mutant: number for mutant, number in alive.items() if mutant in known}),
        seconds=time.monotonic() - start,
    )


def _make_copy(copy: Path, mutated: Path) -> None:
    """Copy the repository for mutmut: the package at the top, all other files where mutmut runs the tests."""
    shutil.rmtree(copy, ignore_errors=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    source = Path("lambda_src", _PACKAGE)
    for file in map(Path, filter(None, files.split("\0"))):
        if not ROOT.joinpath(file).is_file():
            continue
        is_source = file.is_relative_to(source)
        target = copy / file.relative_to("lambda_src") if is_source else copy / "mutants" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, target)
    module = copy / mutated
    module.write_text(without_properties(module.read_text()))
    # Tests also read files of the package by their paths
    copy.joinpath("mutants", source).symlink_to(copy / "mutants" / _PACKAGE)


def _mutmut(copy: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", _RUN, str(_MUTMUT), *arguments]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"mutmut {arguments[0]} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout


def listed(settings: Mapping[str, Any]) -> set[Mutant]:
    """Return the equivalent mutants of tests/mutants.toml."""
    return {
        Mutant(entry["function"], entry["before"], after)
        for entry in settings["equivalent"]
        for after in entry["after"]
    }


def report(scores: Mapping[str, Score], known: Collection[Mutant]) -> str:
    """Return a table, the mutants that survived as tests/mutants.toml lists them, and needless entries."""
    lines = [
        "| Module | Mutants | Killed | Survived | Equivalent | Score | Seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for module, score in scores.items():
        cells = (module, score.mutants, score.killed, len(score.survived), score.equivalent.total())
        lines.append(f"| {' | '.join(map(str, cells))} | {score.value:.1%} | {score.seconds:.0f} |")
    survived = [mutant for score in scores.values() for mutant in score.survived]
    for (function, before), mutants in groupby(survived, key=lambda mutant: mutant[:2]):
        after = "".join(f"    {json.dumps(mutant.after)},\n" for mutant in mutants)
        entry = {"function": function, "before": before, "reason": ""}
        lines.append("\n[[equivalent]]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in entry.items()]
        lines.append(f"after = [\n{after}]")
    prefixes = tuple(f"{module.replace('/', '.')}." for module in scores)
    found = {mutant for score in scores.values() for mutant in score.equivalent}
    needless = sorted(
        mutant for mutant in known if mutant.function.startswith(prefixes) and mutant not in found
    )
    lines += [f"\nListed as equivalent, but killed or gone: {mutant}" for mutant in needless]
    return "\n".join([*lines, ""])


def main(only: Sequence[str]) -> int:
    settings: dict[str, Any] = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text())
    known = listed(settings)
    scores = {
        module: score_of(module, tests, known)
        for module, tests in settings["tests"].items()
        if not only or module in only
    }
    sys.stdout.write(report(scores, known))
    return 0 if all(score.value >= LEAST_SCORE for score in scores.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

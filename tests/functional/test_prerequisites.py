"""What a computer lacks is named, each with the line that installs it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/check-prerequisites.sh"

PYTHON = 'case "$*" in --version) echo "Python 3.12.1";; *print*) echo python3.12;; esac'
OLD_PYTHON = 'case "$*" in --version) echo "Python 3.9.2";; *) exit 1;; esac'
PYTHON_WITHOUT_VENV = f'case "$*" in *ensurepip*) exit 1;; esac; {PYTHON}'
NODE = 'case "$*" in --version) echo v22.1.0;; esac'
OLD_NODE = 'case "$*" in --version) echo v18.19.0;; *) exit 1;; esac'
LINUX = "echo Linux"
MACOS = "echo Darwin"

COMPLETE = {"python3": PYTHON, "node": NODE, "npm": ":", "make": ":", "uname": LINUX, "apt-get": ":"}


def check(folder: Path, **programs: str | None) -> subprocess.CompletedProcess[str]:
    """Run the script on a computer that has these programs and no others."""
    names = {name.replace("_", "-"): script for name, script in programs.items()}
    for name, script in (COMPLETE | names).items():
        if script is not None:
            program = folder / name
            program.write_text(f"#!{shutil.which('sh')}\n{script}\n")
            program.chmod(0o755)
    return subprocess.run(
        [shutil.which("sh") or "sh", str(SCRIPT)],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_computer_that_has_everything_hears_nothing(tmp_path: Path) -> None:
    done = check(tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("programs", "missing", "line"),
    [
        (
            {"python3": None},
            "Python 3.11 or later (found: no working python3)",
            "apt-get install -y python3.11",
        ),
        (
            {"python3": OLD_PYTHON},
            "Python 3.11 or later (found: Python 3.9.2)",
            "apt-get install -y python3.11",
        ),
        ({"python3": PYTHON_WITHOUT_VENV}, "venv for python3", "sudo apt-get install -y python3.12-venv"),
        ({"node": None}, "Node.js 20 or later, better 22 or 24 (found: no working node)", "nodesource"),
        ({"node": OLD_NODE}, "Node.js 20 or later, better 22 or 24 (found: v18.19.0)", "nodesource"),
        ({"npm": None}, "npm", "sudo apt-get install -y npm"),
        ({"make": None}, "make", "sudo apt-get install -y make"),
        ({"python3": None, "uname": MACOS}, "Python 3.11 or later", "brew install python@3.13"),
        ({"python3": PYTHON_WITHOUT_VENV, "uname": MACOS}, "venv", "brew reinstall python@3.12"),
        ({"node": OLD_NODE, "uname": MACOS}, "Node.js 20 or later", "brew install node@24"),
        ({"npm": None, "uname": MACOS}, "npm", "brew install node@24"),
        ({"make": None, "uname": MACOS}, "make", "xcode-select --install"),
        ({"node": None, "apt_get": None}, "Node.js 20 or later", "https://nodejs.org/"),
    ],
)
def test_what_is_missing_is_named_with_the_line_that_installs_it(
    tmp_path: Path, programs: dict[str, str | None], missing: str, line: str
) -> None:
    done = check(tmp_path, **programs)

    assert done.returncode == 1
    assert f"\n  {missing}" in done.stderr
    assert line in done.stderr


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    done = check(tmp_path, python3=OLD_PYTHON, node=OLD_NODE)

    assert "Python 3.11" in done.stderr
    assert "Node.js 20" in done.stderr


def test_another_python_that_is_there_is_advised(tmp_path: Path) -> None:
    done = check(tmp_path, python3=OLD_PYTHON, **{"python3.12": PYTHON})

    assert "make demo PYTHON=python3.12" in done.stderr
    assert "install" not in done.stderr

"""A program of the sandbox as its user runs it, in temporary folders."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Program:
    """A module that runs with a new folder, home and temporary folder."""

    def __init__(self, module: str, folder: Path) -> None:
        self.module = module
        self.folder = folder / "program"
        self.home = folder / "home"
        self.home.mkdir()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", self.module, "--folder", str(self.folder), *arguments],
            cwd=ROOT,
            env={**os.environ, "HOME": str(self.home), "TMPDIR": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=240)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def left_behind(self) -> list[str]:
        """Every process with the program's folder in its command or environment. Its children have both.

        Empty on systems without /proc.
        """
        if sys.platform != "linux":
            return []
        return [
            command
            for process in Path("/proc").iterdir()
            if process.name.isdecimal()
            and str(self.folder) in (command := _text(process / "cmdline")) + _text(process / "environ")
        ]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ProcessLookupError):
        return ""

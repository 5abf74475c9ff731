"""The picture of the dashboard, from a short run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.e2e.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("stack")]


def test_picture_shows_the_run_and_no_process_is_left(tmp_path: Path) -> None:
    program = Program("sandbox.dashboard", tmp_path)
    output = tmp_path / "picture.svg"

    done = program.run("--seconds", "10", "--output", str(output))

    assert (done.returncode, done.stderr) == (0, "")
    picture = ET.parse(output).getroot()  # noqa: S314  # the picture was just drawn
    legend = ["".join(element.itertext()) for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    styles = [element.get("style", "") for element in picture.iter("{http://www.w3.org/2000/svg}path")]
    assert "SENT" in legend
    assert any("stroke: #2ca02c" in style for style in styles), "the line of SENT"
    assert not re.search(r"[A-Za-z0-9+/]{100}", output.read_text(encoding="utf-8")), "this looks like a token"
    assert program.left_behind == []

"""The dashboard's picture, from a short run of its traffic."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.e2e.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("stack")]


def test_picture_has_the_figures_of_a_run_and_nothing_is_left_behind(tmp_path: Path) -> None:
    program = Program("sandbox.dashboard", tmp_path)
    output = tmp_path / "picture.svg"

    done = program.run("--seconds", "25", "--output", str(output))

    assert (done.returncode, done.stderr) == (0, "")
    picture = ET.parse(output).getroot()  # noqa: S314  # made right here
    legend = ["".join(element.itertext()) for element in picture.iter("{http://www.w3.org/2000/svg}text")]
    drawn = {element.get("stroke") for element in picture.iter() if element.get("class") == "line"}
    assert "SENT" in legend
    assert "#2ca02c" in drawn, "the line of SENT"
    assert not re.search(r"[A-Za-z0-9+/]{100}", output.read_text(encoding="utf-8")), "this looks like a token"
    assert program.left_behind == []

"""Draws the pictures of the console for the documents: `make screenshots`. Not a test that CI runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.programs import ROOT

if TYPE_CHECKING:
    from tests.console.conftest import Browser

pytestmark = pytest.mark.timeout(600)

IMAGES = ROOT / "docs/images"


def test_draw_an_outage_halfway(browser: Browser) -> None:
    browser.visit(
        "picture",
        path=str(IMAGES / "console-outage.png"),
        scenario="outage",
        variant="log",
        halfway=24,
        height=820,
    )
    browser.visit("finish")


def test_draw_the_end_of_an_outage(browser: Browser) -> None:
    browser.visit("picture", path=str(IMAGES / "console.png"), scenario="outage", variant="log", height=820)

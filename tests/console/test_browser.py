"""The console in Chromium, as its reader sees and uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.producer import EventSource, MessageRequest, Producer
from sandbox.console.scenarios import SCENARIOS
from sandbox.emulator import SESSION

if TYPE_CHECKING:
    from tests.console.conftest import Browser, RunningConsole

pytestmark = pytest.mark.timeout(600)

HOSTILE = {
    "<img src=x onerror='window.owned = 1'>": "<img src=x onerror='window.owned = 1'>",
    "</script><script>window.owned = 1</script>": "</script><script>window.owned = 1</script>",
    "\x1b[31mred\x1b[0m": r"\x1b[31mred\x1b[0m",
    "evil \u202egpj.exe": r"evil \u202egpj.exe",
    "مرحبا <b>بالعالم</b>": "مرحبا <b>بالعالم</b>",
}


def test_message_by_each_event_source_is_in_the_chat(browser: Browser, console: RunningConsole) -> None:
    sources = browser.visit("sends")

    assert sources == console.ask("introduce")["sources"] == list(EventSource)


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in {"fails", "all"}])
def test_function_loses_nothing_in_a_scenario(browser: Browser, name: str) -> None:
    score = browser.visit("scenario", name=name, variant=None)["function"]

    assert score["sent"] == SCENARIOS[name].messages
    assert (score["lost"], score["twice"], score["late"], score["waiting"]) == (0, 0, 0, 0)
    assert (score["explained"] > 0) == (name in {"ends", "expires"})


def test_function_and_plain_loop_get_the_same_messages_and_faults(browser: Browser) -> None:
    scores = browser.visit("scenario", name="all", variant="log")

    assert scores["function"]["sent"] == scores["loop"]["sent"] == SCENARIOS["all"].messages
    assert [scores["function"][name] for name in ("lost", "twice", "late", "waiting")] == [0, 0, 0, 0]
    assert scores["loop"]["lost"] + scores["loop"]["twice"] + scores["loop"]["late"] > 0


def test_life_of_a_message_ends_with_its_result(browser: Browser) -> None:
    steps = browser.visit("life")

    assert steps[0] == "Accepted"
    assert steps[-2:] == ["SENT", "Result event received"]
    assert any(step.startswith("Attempt 1: ") for step in steps)


def test_dead_letter_is_redriven_from_the_page(browser: Browser) -> None:
    row = browser.visit("redrives")

    assert "redrive" in row
    assert "ServiceUnavailable" in row


def test_keyboard_is_enough(browser: Browser) -> None:
    assert browser.visit("keyboard") == "switch-outage"  # which keeps the focus when it changes


def test_page_fits_into_360_pixels(browser: Browser) -> None:
    assert browser.visit("narrow") == {"width": 360, "outside": []}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, scheme: str) -> None:
    assert browser.visit("axe", scheme=scheme) == []


def test_hostile_texts_are_shown_as_text(browser: Browser) -> None:
    seen = browser.visit("hostile", texts=[*HOSTILE], shown=[*HOSTILE.values()])

    assert seen == {
        "title": "Console · connect-message-sender",
        "owned": None,
        "images": 0,
        "scripts": 1,
        "marked": 0,
    }


def test_message_from_elsewhere_is_shown_with_its_hostile_id(
    browser: Browser, console: RunningConsole
) -> None:
    stack, token = console.stack, "<b>id</b>"
    chat = stack.participant.open_chat()
    producer = Producer(stack.outputs, session=SESSION, endpoint_url=stack.emulator.url)

    producer.send(
        MessageRequest(
            connection_token=chat.connection_token,
            contact_id=chat.contact_id,
            content="From elsewhere",
            client_token=token,
        ),
        through=EventSource.QUEUE,
    )

    assert browser.visit("stranger", text="From elsewhere", token=token) == 0

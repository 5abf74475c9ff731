"""The console in Chromium, as its reader sees and uses it."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from infra.producer import EventSource, MessageRequest, Producer
from sandbox.console.scenarios import SCENARIOS
from sandbox.emulator import SESSION

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.console.conftest import Browser, RunningConsole

pytestmark = pytest.mark.timeout(600)

HOSTILE = {
    "<img src=x onerror='window.owned = 1'>": "<img src=x onerror='window.owned = 1'>",
    "</script><script>window.owned = 1</script>": "</script><script>window.owned = 1</script>",
    "\x1b[31mred\x1b[0m": r"\x1b[31mred\x1b[0m",
    "evil \u202egpj.exe": r"evil \u202egpj.exe",
    "مرحبا <b>بالعالم</b>": "مرحبا <b>بالعالم</b>",
}


REFUSED = "<b onmouseover='window.owned = 1'>refused</b>"

TROUBLE = {
    "outage": r"Attempt \d+: 503 ServiceUnavailable",
    "throttle": r"Attempt \d+: 429 Throttled",
    "lost": r"Attempt \d+:  ConnectionFailed",
    "slow": r"Attempt \d+:  ConnectionFailed",
    "kill": r"Received \w+( times)? without a log line",
    "ends": r"REJECTED: AccessDenied",
    "expires": r"REJECTED: AccessDenied",
    "burst": r"Attempt \d+: 429 Throttled",
    "fails": r"FAILED: ServiceUnavailable",
    "all": r"Attempt \d+: 503 ServiceUnavailable",
}
"""What the life of at least one message shows in each scenario: the fault was there."""

End = dict[str, Any]


@pytest.fixture(scope="module")
def play(browser: Browser) -> Callable[[str], End]:
    """Run a scenario from the page, once for all tests. Return what the page shows at its end."""

    @cache
    def play(name: str) -> End:
        end: End = browser.visit("scenario", name=name, variant="log" if name == "all" else None)
        return end

    return play


def assert_zero(end: End, name: str) -> None:
    score = end["score"]["function"]
    assert end["phase"] == f"{SCENARIOS[name].title} · Over"
    assert score["sent"] == SCENARIOS[name].messages == score["shown"] + score["explained"]
    assert [score[count] for count in ("waiting", "lost", "twice", "late")] == [0, 0, 0, 0]
    assert any(re.match(TROUBLE[name], step) for life in end["lives"] for step in life)


def test_message_by_each_event_source_is_in_the_chat(browser: Browser, console: RunningConsole) -> None:
    reported = browser.visit("sends")

    assert list(reported) == console.ask("introduce")["sources"] == list(EventSource)
    for source in EventSource:
        assert reported[source] in source.reported_as


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in {"fails", "all"}])
def test_function_loses_nothing_in_a_scenario(play: Callable[[str], End], name: str) -> None:
    end = play(name)

    assert_zero(end, name)
    assert (end["score"]["function"]["explained"] > 0) == (name in {"ends", "expires"})


def test_function_and_plain_loop_get_the_same_messages_and_faults(play: Callable[[str], End]) -> None:
    end = play("all")

    assert_zero(end, "all")
    loop = end["score"]["loop"]
    assert loop["sent"] == SCENARIOS["all"].messages
    assert loop["lost"] + loop["twice"] + loop["late"] > 0


def test_life_of_a_message_ends_with_its_result(play: Callable[[str], End]) -> None:
    for steps in play("throttle")["lives"]:
        assert steps[0] == "Accepted"
        assert steps[-2:] == ["SENT", "Result event received"]
        assert any(step.startswith("Attempt 1: ") for step in steps)


def test_dead_letter_is_redriven_from_the_page(browser: Browser) -> None:
    seen = browser.visit("redrives")

    assert_zero(seen["end"], "fails")
    assert seen["end"]["score"]["function"]["explained"] == 1
    assert "redrive" in seen["row"]
    assert "ServiceUnavailable" in seen["row"]
    assert (seen["violations"], seen["beyond"]) == ([], [])
    assert (seen["after"]["shown"], seen["after"]["explained"], seen["after"]["lost"]) == (1, 0, 0)
    redriven = seen["steps"].index("Redriven by the console")
    assert any(step.endswith(": accepted") for step in seen["steps"][redriven:])


def test_keyboard_is_enough(browser: Browser) -> None:
    seen = browser.visit("keyboard")

    assert seen["kept"] == "switch-outage"  # which keeps the focus when it changes
    assert seen["phase"] == f"{SCENARIOS['throttle'].title} · Stopped"


def test_page_fits_into_360_pixels(browser: Browser) -> None:
    for seen in browser.visit("narrow"):
        assert seen == {"width": 360, "beyond": [], "sideways": []}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(browser: Browser, scheme: str) -> None:
    assert browser.visit("axe", scheme=scheme) == []


def test_hostile_texts_are_shown_as_text(browser: Browser) -> None:
    seen = browser.visit("hostile", texts=[*HOSTILE], shown=[*HOSTILE.values()], refused=REFUSED)

    assert seen == {
        "direction": "rtl",  # of the last text
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


def test_scenario_keeps_your_chats_until_they_end(browser: Browser) -> None:
    seen = browser.visit("keeps")

    assert seen["kept"] == [False, True]
    assert seen["inSight"]
    assert len(seen["names"]) == len(set(seen["names"]))
    assert set(seen["offered"]) <= set(seen["names"])


def test_chat_from_elsewhere_can_be_ended(browser: Browser, console: RunningConsole) -> None:
    chat = console.stack.participant.open_chat()

    seen = browser.visit("ends", chat=chat.contact_id)

    assert "from elsewhere" in seen["text"]
    assert chat.contact_id[:8] in seen["text"]
    assert seen["buttons"] == 0


def test_chat_shows_that_its_token_has_expired(browser: Browser) -> None:
    assert browser.visit("expires") == ["End"]


def test_header_says_that_the_function_does_not_start_until_it_does(
    browser: Browser, console: RunningConsole
) -> None:
    error = {
        "errorMessage": "Unable to import module 'message_sender.handler': No module named 'x'",
        "errorType": "Runtime.ImportModuleError",
        "stackTrace": [],
    }
    name = console.stack.outputs.function_name

    with (console.folder / "emulator.log").open("a", encoding="utf-8") as log:
        log.write(
            f"10:16:39 ERROR [lambda] provided-runtime execution error for {name}: init error: {error}\n"
        )
    [text, link] = browser.visit("broken")

    assert text.startswith("The function does not start: Runtime.ImportModuleError, ")
    assert link == "#log"


def test_link_starts_a_scenario_once(browser: Browser) -> None:
    seen = browser.visit("link", hash="#throttle&variant=fail")

    phase = f"{SCENARIOS['throttle'].title} · Stopped"
    assert seen == {"phase": phase, "variant": "fail", "hash": "", "reloaded": phase}

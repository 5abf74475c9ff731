"""A thousand malformed events, and the violations that the search must find."""

from __future__ import annotations

import sys
from random import Random
from unittest.mock import patch

import pytest

from tests.simulation.malformed_events import changed, fuzz


def test_each_malformed_event_ends_in_an_outcome_or_a_documented_error(seed: int) -> None:
    fuzzed = fuzz(seed, events=1000)

    assert fuzzed.violations == []
    assert fuzzed.endings.keys() >= {"answered", "InvalidRequestError", "UnsupportedEventError"}
    assert fuzzed.endings.total() == fuzzed.events == 1000


def test_a_defect_is_a_violation() -> None:
    def broken(_: object) -> str:
        raise KeyError

    with patch("message_sender.application.detect", broken):
        fuzzed = fuzz(1, events=1)

    assert fuzzed.violations == ["a defect: KeyError, event 0", "unhandled: KeyError"]


@pytest.mark.filterwarnings("ignore")  # such a function has no metrics, and Powertools warns about that
def test_a_forgotten_record_is_a_violation() -> None:
    with patch("message_sender.event_sources.sqs.SqsSource.handle", lambda *_: {"batchItemFailures": []}):
        fuzzed = fuzz(1, events=200)

    assert any(violation.startswith("0 failures and 0 results of") for violation in fuzzed.violations)


def test_a_secret_in_a_log_line_is_a_violation() -> None:
    def talkative(*_: object) -> str:
        sys.stdout.write("confidential-1")
        return "direct"

    with patch("message_sender.application.detect", talkative):
        fuzzed = fuzz(1, events=1)

    assert any(violation.startswith("a secret in") for violation in fuzzed.violations)


def test_a_change_does_not_modify_the_original() -> None:
    original = {"a": [1, {"b": "c"}], "d": "e"}

    for number in range(200):
        changed(original, Random(number))

    assert original == {"a": [1, {"b": "c"}], "d": "e"}


@pytest.mark.parametrize("name", ["Content", "ConnectionToken", "body"])
def test_a_field_with_a_secret_never_gets_the_name_of_an_id(name: str) -> None:
    """The id would appear in a result, by the caller's mistake."""
    events = [changed({name: "confidential-1"}, Random(number)) for number in range(2_000)]

    renamed = [event for event in events if isinstance(event, dict) and name not in event and event]
    assert renamed
    assert not any("ClientToken" in event or "id" in event for event in renamed)

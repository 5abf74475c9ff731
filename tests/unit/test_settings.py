"""The environment variables of the function."""

from __future__ import annotations

from datetime import timedelta

import pytest

from message_sender.settings import Settings

ENVIRON = {
    "AWS_REGION": "eu-central-1",
    "EVENT_BUS_NAME": "bus",
    "MESSAGE_QUEUE_URL": "https://sqs/messages.fifo",
    "DEAD_LETTER_QUEUE_URL": "https://sqs/dead-letter.fifo",
    "REJECTED_QUEUE_URL": "https://sqs/rejected",
    "UNPUBLISHED_RESULTS_QUEUE_URL": "https://sqs/unpublished",
}


def test_the_defaults_are_those_of_the_specification() -> None:
    settings = Settings.from_environ(ENVIRON)

    assert settings.content_limits == "specification"
    assert settings.participant_url == "https://participant.connect.eu-central-1.amazonaws.com"
    assert settings.tracing


def test_the_chat_may_live_in_another_region() -> None:
    settings = Settings.from_environ(ENVIRON | {"CONNECT_REGION": "us-west-2"})

    assert settings.participant_url == "https://participant.connect.us-west-2.amazonaws.com"
    assert settings.eventbridge_url == "https://events.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("name", ENVIRON)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named(name: str, value: str | None) -> None:
    environ = {key: item for key, item in (ENVIRON | {name: value}).items() if item is not None}

    with pytest.raises(ValueError, match=name):
        Settings.from_environ(environ)


def test_an_unknown_content_limit_is_refused_with_what_is_known() -> None:
    with pytest.raises(ValueError, match="CONTENT_LIMITS must be one of specification, service"):
        Settings.from_environ(ENVIRON | {"CONTENT_LIMITS": "none"})


def test_the_retry_window_is_ten_minutes_unless_set() -> None:
    assert Settings.from_environ(ENVIRON).retry_window == timedelta(minutes=10)
    assert Settings.from_environ(ENVIRON | {"RETRY_WINDOW_MINUTES": "3"}).retry_window == timedelta(minutes=3)


@pytest.mark.parametrize("name", ["RETRY_WINDOW_MINUTES", "SEND_QUOTA_PER_SECOND", "MAXIMUM_CONCURRENCY"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "ten", "³"])
def test_a_number_of_no_sense_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number, at least 1"):
        Settings.from_environ(ENVIRON | {name: value})


def test_the_quota_is_the_service_s_own_unless_set() -> None:
    settings = Settings.from_environ(ENVIRON)
    raised = Settings.from_environ(ENVIRON | {"SEND_QUOTA_PER_SECOND": "50", "MAXIMUM_CONCURRENCY": "20"})

    assert (settings.send_quota, settings.maximum_concurrency) == (10, 10)
    assert (raised.send_quota, raised.maximum_concurrency) == (50, 20)


@pytest.mark.parametrize("value", ["true", "TRUE", "1"])
def test_tracing_is_off_where_powertools_says_so(value: str) -> None:
    assert not Settings.from_environ(ENVIRON | {"POWERTOOLS_TRACE_DISABLED": value}).tracing

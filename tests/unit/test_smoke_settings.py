"""The variables of `make smoke`."""

from __future__ import annotations

import pytest

from infra.producer import EventSource
from ops.smoke.settings import GivenChat, NewChat, Settings, SettingsError

NEW_CHAT = {"CONNECT_INSTANCE": "instance-1", "CONTACT_FLOW": "flow-1"}


def test_a_chat_is_started_in_the_stack_of_stage_dev_unless_told_otherwise() -> None:
    settings = Settings.from_environ(NEW_CHAT)

    assert settings == Settings(
        stack_name="ConnectMessageSender-dev",
        chat=NewChat(instance_id="instance-1", contact_flow_id="flow-1"),
        connect_region=None,
        sources=None,
        api_url=None,
        long=False,
    )


def test_every_variable_counts() -> None:
    settings = Settings.from_environ(
        {
            "CONNECTION_TOKEN": "secret",
            "CONNECT_REGION": "eu-west-2",
            "STAGE": "prod",
            "SOURCES": "api-sync, queue,queue",
            "API_URL": "https://api.example.com",
            "LONG": "1",
        }
    )

    assert settings == Settings(
        stack_name="ConnectMessageSender-prod",
        chat=GivenChat(connection_token="secret"),
        connect_region="eu-west-2",
        sources=(EventSource.API_SYNC, EventSource.QUEUE),
        api_url="https://api.example.com",
        long=True,
    )
    assert "secret" not in repr(settings)


@pytest.mark.parametrize("stage", ["feature/abc", "a" * 46, "-a", "$(touch x)", "a b", "٣"])
def test_a_stage_that_no_stack_can_have_is_refused(stage: str) -> None:
    with pytest.raises(SettingsError, match=r"^STAGE is .+; the name of a stage has 1 to 45 letters"):
        Settings.from_environ(NEW_CHAT | {"STAGE": stage})


def test_an_empty_variable_is_none() -> None:
    variables = dict.fromkeys(["CONNECTION_TOKEN", "CONNECT_REGION", "STAGE", "SOURCES", "LONG"], "")

    assert Settings.from_environ(NEW_CHAT | variables) == Settings.from_environ(NEW_CHAT)


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({}, "no CONNECT_INSTANCE and CONTACT_FLOW"),
        ({"CONNECT_INSTANCE": "instance-1"}, "no CONTACT_FLOW"),
        ({"CONTACT_FLOW": "flow-1"}, "no CONNECT_INSTANCE"),
        (NEW_CHAT | {"CONNECTION_TOKEN": "secret"}, "unset CONNECTION_TOKEN"),
        (NEW_CHAT | {"SOURCES": "fax"}, "make smoke SOURCES=queue,event,direct,workflow,api,api-sync"),
    ],
)
def test_what_is_missing_or_wrong_is_told(variables: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as raised:
        Settings.from_environ(variables)

    assert "secret" not in str(raised.value)

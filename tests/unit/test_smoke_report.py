"""The output of the smoke test: nothing that a service answers can steer the terminal."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from infra.producer import EventSource
from infra.results import parse_result
from ops.aws import CannotRunError
from ops.report import Report
from ops.smoke.chat import Answer, Experiment, NewChat, open_chat
from ops.smoke.run import Run, Sending
from tests.support.result_events import result_detail

if TYPE_CHECKING:
    from types_boto3_connect import ConnectClient
    from types_boto3_connectparticipant import ConnectParticipantClient

HOSTILE = "[red]\x1b[2J\x9b\u202e\u2028\r\n"
SHOWN = r"[red]\x1b[2J\x9b\u202e\u2028\r\n"


def test_answers_of_a_service_are_escaped_and_are_not_markup() -> None:
    stream = io.StringIO()
    detail = result_detail("REJECTED", EventSource="api_gateway")
    detail["Error"]["Reason"] = f"reason {HOSTILE}"
    sending = Sending(source=EventSource.API_SYNC, client_token="t", text="Hello", outcome=f"answer{HOSTILE}")
    run = Run(
        contact_id=f"contact{HOSTILE}",
        chat_ended_by=None,
        not_watched=f"PutRule: {HOSTILE}",
        sendings=[sending],
        results={"t": parse_result(detail)},
        experiments=[Experiment("a text", "text", [Answer(None, f"400 {HOSTILE}")])],
        transcript=["Hello"],
    )

    Report(stream).smoke_test(run)

    shown = stream.getvalue()
    assert not set(shown.replace("\n", "")) & set(HOSTILE) - set("[red]2J")
    for label in ("contact", "PutRule: ", "answer", "reason ", "400 "):
        assert f"{label}{SHOWN}" in " ".join(shown.split())  # however the table wraps it


def test_the_words_of_a_refusal_are_escaped() -> None:
    def start_chat_contact(**_: object) -> None:
        error: Any = {
            "Error": {"Code": HOSTILE, "Message": HOSTILE},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        }
        raise ClientError(error, "StartChatContact")

    opening = open_chat(
        NewChat(instance_id="i", contact_flow_id="f"),
        run_id="r",
        connect=cast("ConnectClient", SimpleNamespace(start_chat_contact=start_chat_contact)),
        participant=cast("ConnectParticipantClient", None),
    )

    with pytest.raises(CannotRunError) as raised, opening:
        pass

    assert str(raised.value) == f"StartChatContact: 400 {SHOWN}: {SHOWN}"

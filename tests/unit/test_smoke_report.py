"""The output of the smoke test."""

from __future__ import annotations

import io
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.smoke.chat import ChatError, open_chat
from ops.smoke.observations import Observation
from ops.smoke.report import Report
from ops.smoke.results import Result
from ops.smoke.run import Delivery, Run
from ops.smoke.settings import NewChat
from ops.smoke.sources import Answer, Source

HOSTILE = "[red]\x1b[2J\x9b\u202e\u2028\r\n"
SHOWN = r"[red]\x1b[2J\x9b\u202e\u2028\r\n"


def test_what_a_service_answers_is_escaped_and_no_markup() -> None:
    stream = io.StringIO()
    delivery = Delivery(
        source=Source.API_SYNC,
        answer=Answer(outcome=f"answer{HOSTILE}"),
        result=Result(client_token="t", outcome=f"outcome{HOSTILE}", code=None, reason=None),
        times_shown=1,
        problems=(f"FAILED {HOSTILE}", "another"),
    )
    run = Run(
        contact_id=f"contact{HOSTILE}",
        chat_ended_by=None,
        not_watched=f"PutRule: {HOSTILE}",
        deliveries=(delivery,),
        observations=(Observation("a text", f"400 {HOSTILE}"),),
    )

    Report(stream).run(run)

    shown = stream.getvalue()
    assert not set(shown.replace("\n", "")) & set(HOSTILE) - set("[red]2J")
    for label in ("contact", "PutRule: ", "answer", "outcome", "FAILED ", "400 "):
        assert f"{label}{SHOWN}" in shown


def test_the_words_of_a_refusal_are_escaped() -> None:
    class Connect:
        def start_chat_contact(self, **_: object) -> None:
            error: Any = {
                "Error": {"Code": HOSTILE, "Message": HOSTILE},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(error, "StartChatContact")

    wanted = NewChat(instance_id="i", contact_flow_id="f")

    with (
        pytest.raises(ChatError) as raised,
        open_chat(wanted, run_id="r", connect=Connect(), participant=None),
    ):
        pass

    assert str(raised.value) == f"StartChatContact: 400 {SHOWN}: {SHOWN}"

"""The units of metrics, and the form of log lines."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from hypothesis import given
from hypothesis import strategies as st

from message_sender.delivery import Delivery
from message_sender.observability import Telemetry, log_line
from message_sender.request import parse_request
from message_sender.result import Origin
from tests.support.fakes import SENT, START
from tests.support.lambda_events import request

if TYPE_CHECKING:
    import pytest


def test_latencies_are_in_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(namespace="test", service="test")
    telemetry = Telemetry(logger=Logger(service="telemetry-test"), metrics=metrics, tracer=None)
    delivery = Delivery(
        parsed=parse_request(json.dumps(request()), client_token="t"),
        outcome=SENT,
        completed_at=START + timedelta(seconds=1.5),
        attempts=1,
        send_seconds=0.25,
    )
    origin = Origin(event_source="sqs", source_id="s", accepted_at=START)

    telemetry.on_outcome(delivery.result(SENT, origin), delivery)
    metrics.flush_metrics()
    metrics.clear_metrics()

    [emitted] = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert emitted["SendLatency"] == [250.0]
    assert emitted["EndToEndLatency"] == [1500.0]
    units = {metric["Name"]: metric["Unit"] for metric in emitted["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {
        "MessagesSent": "Count",
        "SendAttempts": "Count",
        "EndToEndLatency": "Milliseconds",
        "SendLatency": "Milliseconds",
    }


@given(st.text(st.characters(codec=None), max_size=50))
def test_a_log_line_keeps_any_text_on_one_line(text: str) -> None:
    line = log_line({"client_token": text, "other": object})

    assert line.splitlines() == [line]
    line.encode()
    assert json.loads(line)["client_token"] == re.sub("[\ud800-\udfff]", "\ufffd", text)

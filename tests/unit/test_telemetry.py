"""The units of metrics, and the form of log lines."""

from __future__ import annotations

import io
import json
import re
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics
from hypothesis import given
from hypothesis import strategies as st

from message_sender.delivery import Delivery
from message_sender.errors import InternalError, InvalidRequestError
from message_sender.observability import LogFormatter, Telemetry, log_line
from message_sender.request import parse_request
from message_sender.result import Deferred, Origin, Rejected
from tests.support.fakes import SENT, START
from tests.support.lambda_events import request


def delivery(text: str = json.dumps(request())) -> Delivery:
    parsed = parse_request(text, client_token="t")
    rejected = Rejected(parsed.request) if isinstance(parsed.request, InvalidRequestError) else None
    return Delivery(
        parsed=parsed,
        outcome=rejected or SENT,
        completed_at=START + timedelta(seconds=1.5),
        attempts=0 if rejected else 1,
        send_seconds=None if rejected else 0.25,
    )


ORIGIN = Origin(event_source="sqs", source_id="s", accepted_at=START)


def emitted_by(*deliveries: Delivery, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Return the metrics that an invocation with these outcomes prints, as log lines."""
    metrics = Metrics(namespace="test", service="test")
    telemetry = Telemetry(logger=Logger(service="telemetry-test"), metrics=metrics, tracer=None)
    with telemetry.invocation():
        for each in deliveries:
            assert not isinstance(each.outcome, Deferred)
            telemetry.on_outcome(each.result(each.outcome, ORIGIN), each)
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]


def test_latencies_are_in_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    [emitted] = emitted_by(delivery(), capsys=capsys)

    assert emitted["SendLatency"] == [250.0]
    assert emitted["EndToEndLatency"] == [1500.0]
    units = {metric["Name"]: metric["Unit"] for metric in emitted["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    assert units == {
        "MessagesSent": "Count",
        "SendAttempts": "Count",
        "EndToEndLatency": "Milliseconds",
        "SendLatency": "Milliseconds",
    }


@pytest.mark.parametrize("messages", [1, 2, 99, 100, 101, 250])
def test_every_message_is_a_value_of_each_metric(messages: int, capsys: pytest.CaptureFixture[str]) -> None:
    lines = emitted_by(*[delivery()] * messages, *[delivery("junk")] * messages, capsys=capsys)

    found: dict[tuple[str, ...], list[float]] = defaultdict(list)
    for line in lines:
        [directive] = line["_aws"]["CloudWatchMetrics"]
        for metric in directive["Metrics"]:
            values = line[metric["Name"]]
            assert len(values) <= 100
            found[(metric["Name"], *directive["Dimensions"][0])] += values
    assert found == {
        ("MessagesSent", "service"): [1.0] * messages,
        ("MessagesRejected", "service"): [1.0] * messages,
        ("MessagesRejected", "service", "Code"): [1.0] * messages,
        ("SendAttempts", "service"): [1.0] * messages,
        ("SendLatency", "service"): [250.0] * messages,
        ("EndToEndLatency", "service"): [1500.0] * 2 * messages,
    }
    assert {line.get("Code", "InvalidRequest") for line in lines} == {"InvalidRequest"}


def test_no_value_is_counted_in_two_invocations(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(namespace="test", service="test")
    telemetry = Telemetry(logger=Logger(service="telemetry-test"), metrics=metrics, tracer=None)
    printed = []
    for outcomes in (3, 1):
        with suppress(InternalError), telemetry.invocation():
            for _ in range(outcomes):
                telemetry.on_outcome(delivery().result(SENT, ORIGIN), delivery())
            raise ValueError  # metrics survive a defect
        lines = capsys.readouterr().out.splitlines()
        printed += [json.loads(line) for line in lines if "_aws" in line]

    assert [line["MessagesSent"] for line in printed] == [[1.0] * 3, [1.0]]
    assert [line["UnhandledErrors"] for line in printed] == [[1.0], [1.0]]


@pytest.mark.parametrize("trace_id", [None, "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"])
def test_a_log_line_is_the_one_that_powertools_formats(
    monkeypatch: pytest.MonkeyPatch, trace_id: str | None
) -> None:
    if trace_id is not None:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", trace_id)
    lines = []
    for number, own in enumerate(
        ({"json_serializer": log_line}, {"logger_formatter": LogFormatter()}), start=1
    ):
        stream = io.StringIO()
        logger = Logger(service=f"formatter-{trace_id}-{number}", stream=stream, **own)  # type: ignore[arg-type]  # both
        logger.append_keys(cold_start=True, function_name="f")
        for message, keys in (
            ("Message ended", {"client_token": "t\x7f", "http_status": None, "attempts": [{"code": None}]}),
            ("Message deferred", {"code": "Throttled", "reason": "a\u2028b"}),
            (["not a text"], {}),
        ):
            logger.warning(message, **keys)
        logger.info("%s of %s", 1, 2)
        try:
            int("text")
        except ValueError:
            logger.exception("Failed")
        lines.append(
            [
                re.sub(r'"timestamp":"[^"]*"|"service":"[^"]*"', "-", line)
                for line in stream.getvalue().splitlines()
            ]
        )

    assert lines[0] == lines[1]
    assert len(lines[0]) == 5


@given(st.text(st.characters(codec=None), max_size=50))
def test_a_log_line_keeps_any_text_on_one_line(text: str) -> None:
    line = log_line({"client_token": text, "other": object})

    assert line.splitlines() == [line]
    line.encode()
    assert json.loads(line)["client_token"] == re.sub("[\ud800-\udfff]", "\ufffd", text)

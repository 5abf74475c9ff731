"""The measurements of a run, under the names and statistics of CloudWatch."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.dashboard.recording import Recording, lines, metric

SENT = metric("stack", "MessagesSent", service="sender")


@pytest.fixture
def recording() -> Recording:
    return Recording(own_namespace="stack")


def line_of_log(at: float, values: dict[str, Any], *dimension_sets: list[str]) -> str:
    directive = {
        "Namespace": "stack",
        "Dimensions": list(dimension_sets),
        "Metrics": [{"Name": name} for name in values],
    }
    emf = {"_aws": {"Timestamp": at * 1000, "CloudWatchMetrics": [directive]}}
    return json.dumps({**emf, "service": "sender", "EventSource": "sqs", **values})


def graph(*metrics: list[Any]) -> dict[str, Any]:
    return {"title": "A graph", "metrics": list(metrics)}


def test_log_line_counts_for_each_of_its_dimension_sets(recording: Recording) -> None:
    recording.add_log_line(
        line_of_log(100, {"MessagesSent": [1.0, 1.0]}, ["service"], ["service", "EventSource"])
    )

    by_source = metric("stack", "MessagesSent", service="sender", EventSource="sqs")
    assert recording.statistic(SENT, "Sum", period=10) == {10: 2.0}
    assert recording.statistic(by_source, "Sum", period=10) == {10: 2.0}


def test_other_log_line_is_ignored(recording: Recording) -> None:
    recording.add_log_line('{"message": "Message ended"}')
    recording.add_log_line("END RequestId: 1")

    assert recording.seen == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sum", 110.0),
        ("SampleCount", 5.0),
        ("Average", 22.0),
        ("Minimum", 1.0),
        ("Maximum", 100.0),
        ("p50", 3.0),
        ("p95", 100.0),
        ("PR(:7)", 80.0),
    ],
)
def test_period_has_the_statistics_of_cloudwatch(recording: Recording, name: str, value: float) -> None:
    for each in (2.0, 100.0, 3.0, 1.0, 4.0):
        recording.add(SENT, 20, each)
    recording.add(SENT, 30, 7.0)

    of_seven = {"SampleCount": 1.0, "PR(:7)": 100.0}.get(name, 7.0)
    assert recording.statistic(SENT, name, period=10) == {2: value, 3: of_seven}


def test_only_sums_are_scaled_to_a_minute(recording: Recording) -> None:
    recording.add(SENT, 20, 4.0)

    of_a_graph = lines(
        recording,
        graph(
            ["stack", "MessagesSent", "service", "sender", {"stat": "Sum", "label": "sum"}],
            ["stack", "MessagesSent", "service", "sender", {"stat": "Maximum", "label": "most"}],
        ),
        period=10,
    )

    assert [(line.label, line.values) for line in of_a_graph] == [("sum", {2: 24.0}), ("most", {2: 4.0})]


def test_rate_is_per_second_and_hides_its_metric(recording: Recording) -> None:
    recording.add(SENT, 20, 40.0)

    [line] = lines(
        recording,
        graph(
            [{"expression": "sent / PERIOD(sent)", "label": "a second", "color": "#123456"}],
            ["stack", "MessagesSent", "service", "sender", {"stat": "Sum", "id": "sent", "visible": False}],
        ),
        period=10,
    )

    assert (line.label, line.color, line.values) == ("a second", "#123456", {2: 4.0})


def test_line_of_another_expression_has_no_values(recording: Recording) -> None:
    [line] = lines(recording, graph([{"expression": "a + b", "label": "sum"}]), period=10)

    assert (line.label, line.values, line.is_known) == ("sum", {}, False)


def test_metric_without_data_points_is_known_if_it_can_be_measured(recording: Recording) -> None:
    recording.add(metric("AWS/SQS", "Depth", QueueName="q"), 20, 0.0)

    of_a_graph = lines(
        recording,
        graph(
            ["stack", "MessagesFailed", "service", "sender", {"label": "of the function"}],
            ["stack", "Timeouts", {"label": "of Lambda's own log lines"}],
            ["AWS/SQS", "Depth", "QueueName", "q", {"label": "sampled"}],
            ["AWS/SQS", "Depth", "QueueName", "other", {"label": "of another queue"}],
        ),
        period=10,
    )

    assert [(line.label, line.is_known) for line in of_a_graph] == [
        ("of the function", True),
        ("of Lambda's own log lines", False),
        ("sampled", True),
        ("of another queue", False),
    ]


def test_incomplete_periods_at_both_ends_are_left_out(recording: Recording) -> None:
    for at in (25, 35, 45, 55):
        recording.add(SENT, at)

    assert recording.whole_periods(10) == (3, 4)


def test_rest_of_a_percentage_is_a_line(recording: Recording) -> None:
    for each in (2.0, 100.0, 3.0, 1.0):
        recording.add(SENT, 20, each)

    [late] = lines(
        recording,
        graph(
            [{"expression": "100 - in_time_5", "label": "late"}],
            [
                *("stack", "MessagesSent", "service", "sender"),
                {"stat": "PR(:3)", "id": "in_time_5", "visible": False},
            ],
        ),
        period=10,
    )

    assert (late.label, late.values, late.is_known) == ("late", {2: 25.0}, True)

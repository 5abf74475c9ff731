"""The alarms and the dashboard, and that everything they look at is there to be seen."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from message_sender.application import create_handler
from message_sender.clock import SystemClock
from message_sender.errors import UnsupportedEventError
from sandbox.participant_service.faults import Processing, ResetBeforeAcceptance, Status
from sandbox.participant_service.server import running_participant_service
from sandbox.participant_service.transcript import ProcessingStatus
from tests.functional.conftest import Function, function_environ
from tests.infra.iam import resolve
from tests.infra.template import (
    API_STAGE,
    BUS,
    DEAD_LETTER,
    EVENTS_DEAD_LETTER,
    EVERYTHING,
    FUNCTION,
    LOGS,
    MESSAGES,
    REJECTED,
    REQUESTS,
    STATE_MACHINE,
    UNPUBLISHED_RESULTS,
    WORKFLOW_LOGS,
    Template,
    arn,
    properties,
    ref,
)
from tests.support.aws_endpoint import running_aws_endpoint
from tests.support.lambda_events import api_request, bus_event, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime


DOCS = Path(__file__).parents[2] / "docs"
PICTURE = DOCS / "images/dashboard.svg"
QUOTA = DOCS / "benchmarks/quota.md"
NAMESPACE = "ConnectMessageSender-dev"

# What nobody has to do anything about
NOT_ALARMED = {"Errors", "MessagesSent", "MessagesRetried", "4XXError"}

# Metrics of AWS and their dimensions, as each service documents them: a metric of SQS is described at
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# and so on: lambda/latest/dg/monitoring-metrics-types.html, eventbridge/latest/userguide/eb-monitoring.html,
# apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html,
# step-functions/latest/dg/procedure-cw-metrics.html
OF_AWS: Mapping[str, tuple[set[str], set[str]]] = {
    "AWS/SQS": (
        {"QueueName"},
        {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfMessagesReceived",
        },
    ),
    "AWS/Lambda": (
        {"FunctionName"},
        {"Invocations", "Throttles", "ConcurrentExecutions", "DestinationDeliveryFailures"},
    ),
    "AWS/Events": ({"EventBusName", "RuleName"}, {"FailedInvocations", "InvocationsFailedToBeSentToDlq"}),
    "AWS/ApiGateway": ({"ApiName", "Stage"}, {"Count", "4XXError", "5XXError"}),
    "AWS/States": ({"StateMachineArn"}, {"ExecutionsSucceeded", "ExecutionsFailed"}),
}


def alarms(template: Template) -> dict[str, Any]:
    """Return the alarms by their names, without the stack's."""
    found = [alarm["Properties"] for alarm in template.of_type("AWS::CloudWatch::Alarm").values()]
    return {alarm["AlarmName"].partition("-")[2].partition("-")[2]: alarm for alarm in found}


def metrics_of(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what an alarm looks at, one metric or those of an expression."""
    if "Metrics" not in alarm:
        return [{**alarm, "Dimensions": alarm.get("Dimensions", [])}]
    stats = [metric["MetricStat"] for metric in alarm["Metrics"] if "MetricStat" in metric]
    return [stat["Metric"] | {"Period": stat["Period"], "Statistic": stat["Stat"]} for stat in stats]


def dashboard(template: Template) -> dict[str, Any]:
    """Return the dashboard's body, `{Ref}` standing for what a reference yields."""
    [resource] = template.of_type("AWS::CloudWatch::Dashboard").values()
    [_, parts] = resource["Properties"]["DashboardBody"]["Fn::Join"]
    body: dict[str, Any] = json.loads(
        "".join(part if isinstance(part, str) else json.dumps(part).replace('"', "'") for part in parts)
    )
    return body


def graphs(template: Template) -> dict[str, dict[str, Any]]:
    widgets = [
        widget["properties"] for widget in dashboard(template)["widgets"] if widget["type"] == "metric"
    ]
    return {widget["title"]: widget for widget in widgets}


def metrics_on_dashboard(template: Template) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield namespace, name and dimensions of each."""
    for graph in graphs(template).values():
        for metric in graph["metrics"]:
            namespace, name, *dimensions = [part for part in metric if not isinstance(part, dict)] or [
                None
            ] * 2
            if namespace is not None:
                yield namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True))


def simulated(title: str) -> list[dict[str, Any]]:
    """Return the rows of a table of `make quota`, the throttled part of the calls in percent."""
    section = QUOTA.read_text(encoding="utf-8").partition(f"# {title}\n")[2].partition("\n#")[0]
    lines = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    head, *rows = lines
    table = [dict(zip(head, row, strict=True)) for row in rows]
    return [row | {"throttled": float(row["throttled"].rstrip("%"))} for row in table]


# What is looked at is there


class NoWaitClock(SystemClock):
    """The machine's clock, which a sleep puts forward instead of waiting."""

    def __init__(self) -> None:
        self._slept = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._slept)

    def monotonic(self) -> float:
        return super().monotonic() + self._slept

    def sleep(self, seconds: float) -> None:
        self._slept += seconds


@pytest.fixture(scope="module")
def emitted() -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Run the handler through every outcome. Return name and dimensions of each metric that it emits."""
    output = io.StringIO()
    with (
        running_participant_service() as participant,
        running_aws_endpoint() as aws,
        contextlib.redirect_stdout(output),
    ):
        environ = function_environ(participant.url, aws.url)
        function = Function(participant, aws, create_handler(environ, clock=NoWaitClock()))
        _run_through_everything(function)
    return set(_metrics(output.getvalue()))


def _run_through_everything(function: Function) -> None:
    chat, faults = function.start_chat(), function.participant.faults
    function.batch(record(chat.request()))
    function(chat.request(ClientToken="direct"))
    function(bus_event(chat.request()))
    function(api_request(chat.request(ClientToken="api")))

    function.batch(
        record("junk"),
        record(chat.request(ConnectionToken="unknown")),
        record(chat.request(ExpiresAt="2020-01-01T00:00:00Z")),
    )
    for rejecting in (Status(status=400), Status(status=404), Processing(status=ProcessingStatus.REJECTED)):
        faults.add(rejecting)
        function.batch(record(chat.request()))

    for failing in (Status(status=429), Status(status=503), ResetBeforeAcceptance()):
        faults.add(failing, times=None)
        function.batch(record(chat.request(), group="new"), record(chat.request(), group="old", age=3600))
        faults.clear()

    function.aws.failures = {"SendTaskSuccess": [500] * 2}
    function.batch(record(chat.request(TaskToken="task")))
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}
    function.batch(record(chat.request()))
    with pytest.raises(UnsupportedEventError):
        function({})


def _metrics(output: str) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    for line in output.splitlines():
        emf = json.loads(line)
        for directive in emf.get("_aws", {}).get("CloudWatchMetrics", []):
            for metric, names in itertools.product(directive["Metrics"], directive["Dimensions"]):
                yield metric["Name"], tuple(sorted((name, emf[name]) for name in names))


def own_metrics(template: Template) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Return name and dimensions of each metric in the stack's own namespace that something looks at."""
    alarmed = [
        (metric["MetricName"], [(item["Name"], item["Value"]) for item in metric["Dimensions"]])
        for alarm in alarms(template).values()
        for metric in metrics_of(alarm)
        if metric["Namespace"] == NAMESPACE
    ]
    shown = [
        (name, list(dimensions.items()))
        for namespace, name, dimensions in metrics_on_dashboard(template)
        if namespace == NAMESPACE
    ]
    return {(name, tuple(sorted(dimensions))) for name, dimensions in alarmed + shown}


def test_the_function_emits_every_metric_that_alarms_and_dashboard_look_at(
    dev: Template, emitted: set[tuple[str, tuple[tuple[str, str], ...]]]
) -> None:
    of_the_log = {("TimeoutsAndCrashes", ()), ("WorkflowTimeouts", ())}

    assert own_metrics(dev) - emitted - of_the_log == set()


def test_every_metric_of_the_function_is_looked_at(
    dev: Template, emitted: set[tuple[str, tuple[tuple[str, str], ...]]]
) -> None:
    looked_at = {name for name, _ in own_metrics(dev)}

    assert {name for name, _ in emitted} <= looked_at


def test_function_puts_its_metrics_into_the_namespace_of_the_stack(template: Template) -> None:
    namespace = properties(template, FUNCTION)["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"]

    shown = {namespace for namespace, _, _ in metrics_on_dashboard(template)}

    assert shown == {namespace, *OF_AWS}


def test_metrics_of_aws_are_among_those_that_it_documents(dev: Template) -> None:
    shown = [(namespace, name, set(dimensions)) for namespace, name, dimensions in metrics_on_dashboard(dev)]
    alarmed = [
        (metric["Namespace"], metric["MetricName"], {item["Name"] for item in metric["Dimensions"]})
        for alarm in alarms(dev).values()
        for metric in metrics_of(alarm)
    ]

    for namespace, name, dimensions in shown + alarmed:
        if namespace != NAMESPACE:
            documented_dimensions, documented_names = OF_AWS[namespace]
            assert name in documented_names
            assert dimensions == documented_dimensions


@pytest.mark.parametrize(
    ("alarm", "dimensions"),
    [
        ("DeadLetters", {"QueueName": {"Fn::GetAtt": [DEAD_LETTER, "QueueName"]}}),
        ("DeadEvents", {"QueueName": {"Fn::GetAtt": [EVENTS_DEAD_LETTER, "QueueName"]}}),
        ("UnpublishedResults", {"QueueName": {"Fn::GetAtt": [UNPUBLISHED_RESULTS, "QueueName"]}}),
        ("OldMessages", {"QueueName": {"Fn::GetAtt": [MESSAGES, "QueueName"]}}),
        ("WorkflowFailures", {"StateMachineArn": ref(STATE_MACHINE)}),
        ("ApiServerErrors", {"ApiName": "ConnectMessageSender-dev", "Stage": ref(API_STAGE)}),
        ("FailedEventsLost", {"FunctionName": ref(FUNCTION)}),
        (
            "EventsLost",
            {
                "EventBusName": ref(BUS),
                # The third part of `...:rule/bus/rule`
                "RuleName": {"Fn::Select": [2, {"Fn::Split": ["/", {"Fn::GetAtt": [REQUESTS, "Arn"]}]}]},
            },
        ),
    ],
)
def test_alarm_looks_at_its_own_resource(dev: Template, alarm: str, dimensions: dict[str, Any]) -> None:
    looked_at = {item["Name"]: item["Value"] for item in alarms(dev)[alarm]["Dimensions"]}

    assert looked_at == dimensions


# Each alarm means something


def test_the_alarms_are_those_that_runbooks_know(template: Template) -> None:
    assert alarms(template).keys() == {
        *("DeadLetters", "DeadEvents", "UnpublishedResults"),
        *("OldMessages", "QueueNotDelivering", "MessagesFailed", "SustainedThrottling"),
        *("InvalidRequests", "ServiceValidations", "AccessDeniedShare"),
        *("UnhandledErrors", "TimeoutsAndCrashes", "ResultPublishFailures", "TaskCallbackFailures"),
        *("ApiServerErrors", "WorkflowFailures", "WorkflowTimeouts"),
        *("EventDeliveryFailures", "EventsLost", "FailedEventsLost"),
    }


def test_stages_of_one_account_have_alarms_of_their_own(dev: Template, prod: Template) -> None:
    names = {
        alarm["Properties"]["AlarmName"]
        for stage in (dev, prod)
        for alarm in stage.of_type("AWS::CloudWatch::Alarm").values()
    }

    assert len(names) == 2 * len(alarms(dev))


def test_every_alarm_says_what_it_means_and_what_to_do_first(template: Template) -> None:
    for alarm in alarms(template).values():
        assert re.fullmatch(r"[A-Z].+\. First: [a-z].+[.?]", alarm["AlarmDescription"])
        assert len(alarm["AlarmDescription"]) <= 1024  # CloudWatch refuses more


def test_what_sends_no_data_is_no_trouble(template: Template) -> None:
    assert {alarm["TreatMissingData"] for alarm in alarms(template).values()} == {"notBreaching"}


def test_what_is_nobodys_work_is_not_alarmed(template: Template) -> None:
    alarmed = {metric["MetricName"] for alarm in alarms(template).values() for metric in metrics_of(alarm)}
    rejected = [
        (alarm["Threshold"], alarm.get("Metrics"))
        for alarm in alarms(template).values()
        if any(metric["MetricName"] == "MessagesRejected" for metric in metrics_of(alarm))
    ]

    assert not alarmed & NOT_ALARMED
    assert len(rejected) == 3
    assert all(threshold > 1 for threshold, _ in rejected)
    assert all(
        item["Name"] != "QueueName" or item["Value"] != {"Fn::GetAtt": [REJECTED, "QueueName"]}
        for alarm in alarms(template).values()
        for metric in metrics_of(alarm)
        for item in metric["Dimensions"]
    )


AT_ONCE = [
    *("DeadLetters", "DeadEvents", "UnpublishedResults", "MessagesFailed", "UnhandledErrors"),
    *("TimeoutsAndCrashes", "ResultPublishFailures", "TaskCallbackFailures", "WorkflowTimeouts"),
    *("EventDeliveryFailures", "EventsLost", "FailedEventsLost"),
]


@pytest.mark.parametrize("name", AT_ONCE)
def test_one_is_enough_and_a_burst_is_told_once(dev: Template, name: str) -> None:
    alarm = alarms(dev)[name]

    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
    assert (alarm["Period"], alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (60, 1, 5)
    assert alarm["Statistic"] in {"Sum", "Maximum"}


@pytest.mark.parametrize("name", ["InvalidRequests", "ServiceValidations", "WorkflowFailures"])
def test_several_in_a_quarter_of_an_hour_are_no_accident(dev: Template, name: str) -> None:
    alarm = alarms(dev)[name]

    assert (alarm["Threshold"], alarm["Period"], alarm["EvaluationPeriods"]) == (5, 900, 1)
    assert alarm["Statistic"] == "Sum"


def test_old_messages_are_told_while_half_of_the_retry_window_is_left(changed: Template) -> None:
    alarm = alarms(changed)["OldMessages"]

    assert alarm["Threshold"] == 15 * 60
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (3, 3)


def test_a_queue_that_nobody_takes_from_is_told_after_five_minutes(dev: Template) -> None:
    alarm = alarms(dev)["QueueNotDelivering"]

    assert alarm["Metrics"][0]["Expression"] == "IF(visible > 0 AND received < 1, 1, 0)"
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (5, 5)
    assert {
        (metric["MetricName"], metric["Statistic"], metric["Period"]) for metric in metrics_of(alarm)
    } == {
        ("ApproximateNumberOfMessagesVisible", "Minimum", 60),
        ("NumberOfMessagesReceived", "Sum", 60),
    }


def test_the_share_of_access_denied_is_of_enough_messages_and_the_threshold_is_an_option(
    changed: Template,
) -> None:
    alarm = alarms(changed)["AccessDeniedShare"]

    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (35, "GreaterThanThreshold")
    assert alarm["Metrics"][0]["Expression"] == "IF(ended >= 10, 100 * denied / ended, 0)"
    assert {
        (metric["MetricName"], metric["Statistic"], metric["Period"]) for metric in metrics_of(alarm)
    } == {
        ("MessagesRejected", "Sum", 900),
        ("EndToEndLatency", "SampleCount", 900),
    }


def test_throttling_is_told_when_it_lasts(dev: Template) -> None:
    alarm = alarms(dev)["SustainedThrottling"]

    assert alarm["Metrics"][0]["Expression"] == "100 * throttles / attempts"
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (10, 15)


def test_throttling_is_told_although_instances_pace_themselves(dev: Template) -> None:
    three_times, nine_tenths = (
        [row["throttled"] for row in simulated(title) if row.get("sender", "ours") == "ours"]
        for title in ("Three times the quota, for ever", "Nine tenths of the quota")
    )
    threshold = alarms(dev)["SustainedThrottling"]["Threshold"]

    overloaded = [share for share in three_times if share >= 0.5]  # else there are too few instances

    assert overloaded
    assert all(share > 2 * threshold for share in overloaded)
    assert all(share < threshold for share in nine_tenths)


def test_server_errors_of_the_api_are_told_as_a_share_that_lasts(dev: Template) -> None:
    alarm = alarms(dev)["ApiServerErrors"]

    assert (alarm["Statistic"], alarm["Threshold"], alarm["Period"]) == ("Average", 0.01, 300)
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (3, 6)


def test_timeouts_and_crashes_are_counted_in_the_log_of_the_function(dev: Template) -> None:
    metric_filter = metric_filters(dev)["TimeoutsAndCrashes"]

    # Lambda writes such lines as JSON only in that format, and at WARN where the status is no success
    logging = properties(dev, FUNCTION)["LoggingConfig"]
    assert logging["LogFormat"] == "JSON"
    assert logging.get("SystemLogLevel", "INFO") in {"DEBUG", "INFO", "WARN"}
    assert metric_filter == {
        "LogGroupName": ref(LOGS),
        "FilterPattern": '{ ($.type = "platform.report") && '
        '(($.record.status = "timeout") || ($.record.errorType = "Runtime.*")) }',
        "MetricTransformations": [
            {"MetricNamespace": NAMESPACE, "MetricName": "TimeoutsAndCrashes", "MetricValue": "1"}
        ],
    }


def test_an_execution_whose_task_timed_out_is_counted_in_the_log_of_the_state_machine(dev: Template) -> None:
    # Not by ExecutionsTimedOut: a task's own timeout ends its execution as FAILED
    state_machine = properties(dev, STATE_MACHINE)
    definition = json.loads(resolve(state_machine["DefinitionString"]))
    logging = state_machine["LoggingConfiguration"]

    assert definition["States"]["SendToQueue"]["TimeoutSeconds"] < definition["TimeoutSeconds"]
    assert (logging["Level"], logging["Destinations"]) == (
        "ALL",
        [{"CloudWatchLogsLogGroup": {"LogGroupArn": arn(WORKFLOW_LOGS)}}],
    )
    assert metric_filters(dev)["WorkflowTimeouts"] == {
        "LogGroupName": ref(WORKFLOW_LOGS),
        "FilterPattern": '{ ($.type = "TaskTimedOut") || ($.type = "ExecutionTimedOut") }',
        "MetricTransformations": [
            {"MetricNamespace": NAMESPACE, "MetricName": "WorkflowTimeouts", "MetricValue": "1"}
        ],
    }


def metric_filters(template: Template) -> dict[str, Any]:
    """Return the metric filters by the metric that each counts in."""
    filters = [found["Properties"] for found in template.of_type("AWS::Logs::MetricFilter").values()]
    return {found["MetricTransformations"][0]["MetricName"]: found for found in filters}


def test_every_alarm_and_its_end_are_told_to_the_topic(changed: Template) -> None:
    topic = EVERYTHING["alarm_topic_arn"]

    actions = [(alarm["AlarmActions"], alarm["OKActions"]) for alarm in alarms(changed).values()]

    assert actions == [([topic], [topic])] * len(alarms(changed))


def test_without_a_topic_no_alarm_has_an_action(dev: Template) -> None:
    assert not [alarm for alarm in alarms(dev).values() if "AlarmActions" in alarm]


# The dashboard


def test_dashboard_has_the_name_of_the_stack_and_shows_every_alarm(template: Template) -> None:
    [resource] = template.of_type("AWS::CloudWatch::Dashboard").values()
    [shown] = [widget["properties"] for widget in dashboard(template)["widgets"] if widget["type"] == "alarm"]

    name = resource["Properties"]["DashboardName"]

    assert name in {"ConnectMessageSender-dev", "ConnectMessageSender-prod"}
    assert len(set(shown["alarms"])) == len(alarms(template))


def test_dashboard_says_how_to_read_it(template: Template) -> None:
    [text] = [widget["properties"] for widget in dashboard(template)["widgets"] if widget["type"] == "text"]

    for question in ("delivering", "How fast", "Rejected", "Stuck", "waits", "Quota"):
        assert question in text["markdown"]


def test_every_question_has_a_graph(dev: Template) -> None:
    questions = [title.partition("?")[0] for title in graphs(dev) if "?" in title]

    assert questions == [
        "Is it delivering",
        "How fast",
        "How fast does Amazon Connect answer",
        "What is rejected or failed, and why",
        "What is stuck",
        "What waits",
        "What does the quota allow",
        "By which way in",
        "What is broken",
    ]


def test_widgets_neither_overlap_nor_leave_a_gap(dev: Template) -> None:
    cells = [
        (x, y)
        for widget in dashboard(dev)["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]

    assert len(cells) == len(set(cells)) == 24 * (max(y for _, y in cells) + 1)


def test_lines_of_the_dashboard_follow_from_the_options(changed: Template) -> None:
    lines = {
        annotation["label"]: annotation["value"]
        for graph in graphs(changed).values()
        for annotation in graph.get("annotations", {}).get("horizontal", [])
    }

    assert lines == {"quota": 51, "half of the retry window": 900}


def test_the_picture_shows_every_widget_and_line_of_the_dashboard(dev: Template) -> None:
    picture = ET.parse(PICTURE).getroot()  # noqa: S314  # made by this project
    shown = "\n".join("".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text"))
    lines = [
        metric[-1]["label"]
        for graph in graphs(dev).values()
        for metric in graph["metrics"]
        if metric[-1].get("visible") is not False
    ]

    missing = [text for text in [*graphs(dev), *lines, *alarms(dev)] if text not in shown]

    assert missing == [], "run `make picture`"


def test_calls_are_shown_a_second_as_the_quota_is(dev: Template) -> None:
    [quota] = [graph for title, graph in graphs(dev).items() if title.startswith("What does the quota allow")]

    expressions = [metric[0]["expression"] for metric in quota["metrics"] if isinstance(metric[0], dict)]

    assert expressions == ["sendattempts / PERIOD(sendattempts)", "throttles / PERIOD(throttles)"]

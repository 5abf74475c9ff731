"""Alarms and dashboard, and whether every metric that they use exists."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest

from benchmarks.quota.study import Scenario, simulate
from message_sender.application import create_handler
from message_sender.errors import UnsupportedEventError
from message_sender.result import EventSource
from sandbox.participant_service.faults import BadBody, Processing, ResetBeforeAcceptance, Status
from sandbox.participant_service.server import running_participant_service
from sandbox.participant_service.transcript import ProcessingStatus
from tests.functional.conftest import Function, SkippingClock, function_environ
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
    alarms,
    arn,
    dashboard,
    graphs,
    metrics_of,
    properties,
    ref,
)
from tests.support.aws_endpoint import running_aws_endpoint
from tests.support.lambda_events import api_request, bus_event, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


DOCS = Path(__file__).parents[2] / "docs"
NAMESPACE = "ConnectMessageSender-dev"

# Metrics of normal operation
NOT_ALARMED = {"Errors", "MessagesSent", "MessagesRetried", "4XXError"}

# Metrics of AWS and their dimensions. The services document them, SQS for instance at
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


def metrics_on_dashboard(template: Template) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Yield namespace, name and dimensions of each metric."""
    for graph in graphs(template).values():
        for metric in graph["metrics"]:
            namespace, name, *dimensions = [part for part in metric if not isinstance(part, dict)] or [
                None
            ] * 2
            if namespace is not None:
                yield namespace, name, dict(zip(dimensions[::2], dimensions[1::2], strict=True))


# Every metric exists


@pytest.fixture(scope="module")
def emitted() -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """Run the handler through every outcome. Return name and dimensions of each emitted metric."""
    output = io.StringIO()
    with (
        running_participant_service() as participant,
        running_aws_endpoint() as aws,
        contextlib.redirect_stdout(output),
    ):
        environ = function_environ(participant.url, aws.url)
        clock = SkippingClock()
        function = Function(participant, aws, create_handler(environ, clock=clock), clock)
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

    faults.add(BadBody(body='{"Id": "not an id"}'))
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
    """Return name and dimensions of each metric in the stack's own namespace that alarms or dashboard use."""
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


def test_function_emits_every_metric_that_alarms_and_dashboard_use(
    dev: Template, emitted: set[tuple[str, tuple[tuple[str, str], ...]]]
) -> None:
    of_the_log = {("TimeoutsAndCrashes", ()), ("WorkflowTimeouts", ())}

    assert own_metrics(dev) - emitted - of_the_log == set()


def test_alarms_and_dashboard_use_every_metric_of_the_function_but_one(
    dev: Template, emitted: set[tuple[str, tuple[tuple[str, str], ...]]]
) -> None:
    looked_at = {name for name, _ in own_metrics(dev)}

    # docs/runbook.md explains the only one without an alarm and a graph
    assert {name for name, _ in emitted} - looked_at == {"MalformedAnswers"}


def test_dashboard_uses_the_namespace_of_the_function(template: Template) -> None:
    namespace = properties(template, FUNCTION)["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"]

    shown = {namespace for namespace, _, _ in metrics_on_dashboard(template)}

    assert shown == {namespace, *OF_AWS}


def test_aws_documents_every_other_metric(dev: Template) -> None:
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
def test_alarm_uses_the_metric_of_its_resource(dev: Template, alarm: str, dimensions: dict[str, Any]) -> None:
    looked_at = {item["Name"]: item["Value"] for item in alarms(dev)[alarm]["Dimensions"]}

    assert looked_at == dimensions


# When alarms go off, and what they say

ONE = (">=", 1, 60, 1, 5)
SEVERAL = (">=", 5, 900, 1, 1)

# Comparison, threshold, period in seconds, datapoints, periods. Runbooks and pagers know the names.
CONDITIONS = {
    "DeadLetters": ONE,
    "DeadEvents": ONE,
    "UnpublishedResults": ONE,
    "OldMessages": (">=", 300, 60, 3, 3),
    "QueueNotDelivering": (">=", 1, 60, 5, 5),
    "MessagesFailed": ONE,
    "SustainedThrottling": (">", 1, 60, 10, 15),
    "InvalidRequests": SEVERAL,
    "ServiceValidations": SEVERAL,
    "AccessDeniedShare": (">", 50, 900, 1, 1),
    "UnhandledErrors": ONE,
    "TimeoutsAndCrashes": ONE,
    "ResultPublishFailures": ONE,
    "TaskCallbackFailures": ONE,
    "ApiServerErrors": (">", 0.01, 300, 3, 6),
    "WorkflowFailures": SEVERAL,
    "WorkflowTimeouts": ONE,
    "EventDeliveryFailures": ONE,
    "EventsLost": ONE,
    "FailedEventsLost": ONE,
}
SYMBOLS = {"GreaterThanOrEqualToThreshold": ">=", "GreaterThanThreshold": ">"}


def test_each_alarm_goes_off_at_its_threshold(dev: Template) -> None:
    conditions = {
        name: (
            SYMBOLS[alarm["ComparisonOperator"]],
            alarm["Threshold"],
            *{metric["Period"] for metric in metrics_of(alarm)},
            alarm["DatapointsToAlarm"],
            alarm["EvaluationPeriods"],
        )
        for name, alarm in alarms(dev).items()
    }

    assert conditions == CONDITIONS


def test_alarms_of_single_events_miss_none(dev: Template) -> None:
    statistics = {
        alarm["Statistic"] for name, alarm in alarms(dev).items() if CONDITIONS[name] in (ONE, SEVERAL)
    }

    assert statistics == {"Sum", "Maximum"}


def test_stages_of_one_account_have_their_own_alarms(dev: Template, prod: Template) -> None:
    names = {
        alarm["Properties"]["AlarmName"]
        for stage in (dev, prod)
        for alarm in stage.of_type("AWS::CloudWatch::Alarm").values()
    }

    assert len(names) == 2 * len(CONDITIONS)


@pytest.mark.parametrize("name", CONDITIONS)
def test_alarm_says_what_happened_and_what_to_do_first_in_under_60_words(
    template: Template, name: str
) -> None:
    description = alarms(template)[name]["AlarmDescription"]

    assert re.fullmatch(rf"[A-Z].+\. First: [a-z].+\. Runbook: docs/runbook\.md#{name.lower()}", description)
    assert len(description.split()) < 60
    assert "`" not in description
    assert len(description) <= 1024  # the limit of CloudWatch


def test_missing_data_is_not_a_breach(template: Template) -> None:
    assert {alarm["TreatMissingData"] for alarm in alarms(template).values()} == {"notBreaching"}


def test_normal_operation_raises_no_alarm(template: Template) -> None:
    looked_at = [(name, metric) for name, alarm in alarms(template).items() for metric in metrics_of(alarm)]
    of_rejected_messages = {name for name, metric in looked_at if metric["MetricName"] == "MessagesRejected"}
    rejected_queue = {"Name": "QueueName", "Value": {"Fn::GetAtt": [REJECTED, "QueueName"]}}

    assert not {metric["MetricName"] for _, metric in looked_at} & NOT_ALARMED
    assert of_rejected_messages == {"InvalidRequests", "ServiceValidations", "AccessDeniedShare"}
    assert not [name for name, metric in looked_at if rejected_queue in metric["Dimensions"]]


@pytest.mark.parametrize(
    ("name", "expression", "statistics"),
    [
        (
            "QueueNotDelivering",
            "IF(visible > 0 AND received < 1, 1, 0)",
            {"ApproximateNumberOfMessagesVisible": "Minimum", "NumberOfMessagesReceived": "Sum"},
        ),
        (
            "AccessDeniedShare",
            "IF(ended >= 10, 100 * denied / ended, 0)",
            {"MessagesRejected": "Sum", "EndToEndLatency": "SampleCount"},
        ),
        (
            "SustainedThrottling",
            "100 * throttles / attempts",
            {"SendMessageThrottles": "Sum", "SendAttempts": "Sum"},
        ),
    ],
)
def test_alarm_computes_its_value_from_metrics(
    dev: Template, name: str, expression: str, statistics: dict[str, str]
) -> None:
    alarm = alarms(dev)[name]

    assert alarm["Metrics"][0]["Expression"] == expression
    assert {metric["MetricName"]: metric["Statistic"] for metric in metrics_of(alarm)} == statistics


def test_server_errors_of_the_api_are_a_share_of_its_requests(dev: Template) -> None:
    assert alarms(dev)["ApiServerErrors"]["Statistic"] == "Average"


def test_thresholds_follow_from_the_options(changed: Template) -> None:
    thresholds = {name: alarms(changed)[name]["Threshold"] for name in ("OldMessages", "AccessDeniedShare")}

    assert thresholds == {"OldMessages": 15 * 60, "AccessDeniedShare": 35}


@pytest.mark.parametrize(("load", "goes_off"), [(0.9, False), (3.0, True)])
def test_throttling_alarm_goes_off_above_the_quota_and_not_below(
    dev: Template, load: float, goes_off: bool
) -> None:
    alarm = alarms(dev)["SustainedThrottling"]
    minutes = range(100, 100 + alarm["EvaluationPeriods"] * 60, 60)
    scenario = Scenario(
        name="alarm", instances=10, quota=10, load=load, seconds=minutes[-1] + 60, warm_up=100, chats=300
    )

    run = simulate(scenario, "ours")

    breaching = 0
    for start in minutes:
        throttled, accepted = (
            sum(calls[second] for second in range(start, start + 60))
            for calls in (run.throttled, run.accepted)
        )
        breaching += 100 * throttled / (throttled + accepted) > alarm["Threshold"]
    assert (breaching >= alarm["DatapointsToAlarm"]) is goes_off


def test_stack_counts_timeouts_and_crashes_in_the_log_of_the_function(dev: Template) -> None:
    metric_filter = metric_filters(dev)["TimeoutsAndCrashes"]

    # Lambda writes these lines as JSON only in that format, and at WARN for failures
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


def test_stack_counts_timeouts_of_tasks_and_executions_in_the_log_of_the_state_machine(dev: Template) -> None:
    # ExecutionsTimedOut does not count them: when a task times out, its execution ends as FAILED
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
    """Return the metric filters by their metric."""
    filters = [found["Properties"] for found in template.of_type("AWS::Logs::MetricFilter").values()]
    return {found["MetricTransformations"][0]["MetricName"]: found for found in filters}


def test_topic_is_notified_when_an_alarm_starts_and_ends(changed: Template) -> None:
    topic = EVERYTHING["alarm_topic_arn"]

    actions = [(alarm["AlarmActions"], alarm["OKActions"]) for alarm in alarms(changed).values()]

    assert actions == [([topic], [topic])] * len(alarms(changed))


def test_alarms_have_no_action_without_a_topic(dev: Template) -> None:
    assert not [alarm for alarm in alarms(dev).values() if "AlarmActions" in alarm]


# The dashboard


def test_dashboard_has_the_name_of_the_stack_and_shows_every_alarm(template: Template) -> None:
    [resource] = template.of_type("AWS::CloudWatch::Dashboard").values()
    [shown] = [widget["properties"] for widget in dashboard(template)["widgets"] if widget["type"] == "alarm"]

    name = resource["Properties"]["DashboardName"]

    assert name in {"ConnectMessageSender-dev", "ConnectMessageSender-prod"}
    assert len(set(shown["alarms"])) == len(alarms(template))


def test_dashboard_says_how_to_read_it(template: Template) -> None:
    text, *_ = [widget["properties"] for widget in dashboard(template)["widgets"] if widget["type"] == "text"]

    for question in ("delivering", "How fast", "Rejected", "Stuck", "Waiting", "Quota"):
        assert question in text["markdown"]


def test_dashboard_shows_each_event_source_of_the_function(dev: Template) -> None:
    [graph] = [graph for title, graph in graphs(dev).items() if title.startswith("From which event source?")]

    assert tuple(metric[-1]["label"] for metric in graph["metrics"]) == get_args(EventSource)


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


def test_dashboard_shows_calls_a_second_like_the_quota(dev: Template) -> None:
    [quota] = [graph for title, graph in graphs(dev).items() if title.startswith("Within the quota?")]

    expressions = [metric[0]["expression"] for metric in quota["metrics"] if isinstance(metric[0], dict)]

    assert expressions == [
        "sendattempts / PERIOD(sendattempts)",
        "sendmessagethrottles / PERIOD(sendmessagethrottles)",
    ]

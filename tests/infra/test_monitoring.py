"""Alarms and dashboard, and whether every metric that they use exists."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import re
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, get_args
from unittest.mock import patch

import pytest

from benchmarks.quota.study import Scenario, simulate
from infra import log_queries
from infra.log_queries import FIELDS, IDS, QUERIES
from infra.monitoring.alarms import BURN_RATES
from message_sender.application import create_handler
from message_sender.errors import UnsupportedEventError
from message_sender.result import EventSource
from sandbox.participant_service.faults import BadBody, Processing, ResetBeforeAcceptance, Status
from sandbox.participant_service.server import running_participant_service
from sandbox.participant_service.transcript import ProcessingStatus
from tests.functional.conftest import Function, SkippingClock, function_environ
from tests.infra.event_pattern import matches
from tests.infra.iam import resolve
from tests.infra.template import (
    ACCESS_LOG,
    API_STAGE,
    BUS,
    DEAD_LETTER,
    EVENTS_DEAD_LETTER,
    EVERYTHING,
    FUNCTION,
    KEY,
    LOGS,
    MESSAGES,
    OUTCOME_RULE,
    REJECTED,
    REQUESTS,
    RESULTS_FUNCTION,
    STATE_MACHINE,
    TOKEN_KEY,
    UNPUBLISHED_RESULTS,
    WORKFLOW_LOGS,
    Synthesize,
    Template,
    alarms,
    arn,
    composite_alarms,
    dashboard,
    graphs,
    metrics_of,
    properties,
    ref,
)
from tests.support.aws_endpoint import running_aws_endpoint
from tests.support.kms import TOKEN_KEY_ARN
from tests.support.lambda_events import api_request, bus_event, record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


KEY_RULE = "MonitoringMetricsKeyLosses9C45AF60"
RUNBOOK = Path(__file__).parents[2] / "docs" / "runbook.md"
NAMESPACE = "ConnectMessageSender-dev"

# Metrics of normal operation
NOT_ALARMED = {"Errors", "MessagesSent", "MessagesRetried", "4XXError"}

# Metrics of AWS and their dimensions. The services document them, SQS for instance at
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# and so on: lambda/latest/dg/monitoring-metrics-types.html, eventbridge/latest/userguide/eb-monitoring.html,
# apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html,
# step-functions/latest/dg/procedure-cw-metrics.html
# AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html
_OF_AWS: Sequence[tuple[str, set[str], set[str]]] = (
    (
        "AWS/SQS",
        {"QueueName"},
        {
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfMessagesReceived",
        },
    ),
    (
        "AWS/Lambda",
        {"FunctionName"},
        {
            *("Invocations", "Throttles", "ConcurrentExecutions", "DestinationDeliveryFailures"),
            *("AsyncEventAge", "AsyncEventsDropped"),
        },
    ),
    (
        "AWS/Events",
        {"EventBusName", "RuleName"},
        {"FailedInvocations", "InvocationsFailedToBeSentToDlq"},
    ),
    ("AWS/Events", {"RuleName"}, {"TriggeredRules"}),  # of the default event bus
    ("AWS/Logs", {"DataProtectionOperation", "LogGroupName"}, {"LogEventsWithFindings"}),
    ("AWS/ApiGateway", {"ApiName", "Stage"}, {"Count", "4XXError", "5XXError"}),
    ("AWS/States", {"StateMachineArn"}, {"ExecutionsSucceeded", "ExecutionsFailed"}),
)
OF_AWS = {
    (namespace, name, frozenset(dimensions)) for namespace, dimensions, names in _OF_AWS for name in names
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
        environ = function_environ(participant.url, aws.url, TOKEN_KEY_ARN=TOKEN_KEY_ARN)
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
        function.batch(
            record(chat.request(), group="new"),
            record(chat.request(), group="old", age=3600, receive_count=3),
        )
        faults.clear()

    sealed = chat.request(ConnectionToken="sealed:QUJD", ContactId=chat.contact_id)
    function.batch(record(sealed))
    function.aws.failures = {"Decrypt": ["DisabledException"]}
    function.batch(record(sealed, age=3600))

    function.aws.failures = {"SendTaskSuccess": [500] * 2}
    function.batch(record(chat.request(TaskToken="task")))
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}
    function.batch(record(chat.request()))
    with pytest.raises(UnsupportedEventError):
        function({})
    faults.add(Status(status=500))
    with patch("message_sender.delivery.delay_before_retry", side_effect=KeyError):
        function.batch(record(chat.request()))


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
    of_a_log = {(name, ()) for name in metric_filters(dev)}

    assert own_metrics(dev) - emitted - of_a_log == set()


def test_alarms_and_dashboard_use_every_metric_of_the_function_but_two(
    dev: Template, emitted: set[tuple[str, tuple[tuple[str, str], ...]]]
) -> None:
    looked_at = {name for name, _ in own_metrics(dev)}

    # Neither needs an operator: a field of a result is null, or a caller got an error
    assert {name for name, _ in emitted} - looked_at == {"MalformedAnswers", "UnsupportedEvents"}


def test_dashboard_uses_the_namespace_of_the_function(template: Template) -> None:
    namespace = properties(template, FUNCTION)["Environment"]["Variables"]["POWERTOOLS_METRICS_NAMESPACE"]

    shown = {namespace for namespace, _, _ in metrics_on_dashboard(template)}

    assert shown == {namespace, *(of_aws for of_aws, _, _ in OF_AWS)}


def test_aws_documents_every_other_metric(dev: Template) -> None:
    shown = [(namespace, name, set(dimensions)) for namespace, name, dimensions in metrics_on_dashboard(dev)]
    alarmed = [
        (metric["Namespace"], metric["MetricName"], {item["Name"] for item in metric["Dimensions"]})
        for alarm in alarms(dev).values()
        for metric in metrics_of(alarm)
    ]

    used = {(namespace, name, frozenset(dimensions)) for namespace, name, dimensions in shown + alarmed}
    assert {metric for metric in used if metric[0] != NAMESPACE} - OF_AWS == set()


@pytest.mark.parametrize(
    ("alarm", "dimensions"),
    [
        ("DeadLetters", {"QueueName": {"Fn::GetAtt": [DEAD_LETTER, "QueueName"]}}),
        ("DeadEvents", {"QueueName": {"Fn::GetAtt": [EVENTS_DEAD_LETTER, "QueueName"]}}),
        ("OldMessages", {"QueueName": {"Fn::GetAtt": [MESSAGES, "QueueName"]}}),
        ("WorkflowFailures", {"StateMachineArn": ref(STATE_MACHINE)}),
        ("ApiServerErrors", {"ApiName": "ConnectMessageSender-dev", "Stage": ref(API_STAGE)}),
        ("FailedEventsLost", {"FunctionName": ref(FUNCTION)}),
        ("FunctionThrottles", {"FunctionName": ref(FUNCTION)}),
        ("OldEvents", {"FunctionName": ref(FUNCTION)}),
        ("DroppedEvents", {"FunctionName": ref(FUNCTION)}),
        ("InvocationSurge", {"FunctionName": ref(FUNCTION)}),
        ("SecretsInLog", {"DataProtectionOperation": "Audit", "LogGroupName": ref(LOGS)}),
        ("KeyLosses", {"RuleName": ref(KEY_RULE)}),
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
    "UnpublishedResults": (">=", 1, 300, 12, 12),
    "OldMessages": (">=", 300, 60, 3, 3),
    "QueueNotDelivering": (">=", 1, 60, 5, 5),
    "MessagesFailed": ONE,
    "SustainedThrottling": (">", 2, 60, 10, 15),
    "InvocationSurge": (">", 1200, 60, 10, 15),
    "FunctionThrottles": (">=", 1, 60, 3, 5),
    "OldEvents": (">=", 300_000, 60, 1, 5),
    "DroppedEvents": ONE,
    "InvalidRequests": SEVERAL,
    "ServiceValidations": SEVERAL,
    "AccessDeniedShare": (">", 50, 900, 1, 1),
    "UnhandledErrors": ONE,
    "TimeoutsAndCrashes": ONE,
    "ResultPublishFailures": ONE,
    "TaskCallbackFailures": ONE,
    "ApiServerErrors": (">", 0.01, 300, 3, 6),
    "ApiRefusals": (">", 10, 900, 1, 1),
    "ApiThrottles": (">", 5, 300, 3, 6),
    "WorkflowFailures": SEVERAL,
    "WorkflowTimeouts": ONE,
    "EventDeliveryFailures": ONE,
    "EventsLost": ONE,
    "FailedEventsLost": ONE,
    "KeyLosses": (">=", 1, 300, 1, 288),
    "SecretsInLog": ONE,
}
# Without an action of their own. 14.4 and 6 times the error budget of 0.5 %
WINDOWS = {
    "ErrorBudgetFastBurn-60m": (">=", 7.2, 3600, 1, 1),
    "ErrorBudgetFastBurn-5m": (">=", 7.2, 300, 1, 1),
    "ErrorBudgetSlowBurn-360m": (">=", 3, 21600, 1, 1),
    "ErrorBudgetSlowBurn-30m": (">=", 3, 1800, 1, 1),
}
# With the option `outcome_lookup`
OF_THE_LOOKUP = {"OutcomesNotStored": ONE}
BURNS = {"ErrorBudgetFastBurn", "ErrorBudgetSlowBurn"}
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

    assert conditions == CONDITIONS | WINDOWS


def test_alarms_of_single_events_miss_none(dev: Template) -> None:
    statistics = {
        alarm["Statistic"] for name, alarm in alarms(dev).items() if CONDITIONS.get(name) in (ONE, SEVERAL)
    }

    assert statistics == {"Sum", "Maximum"}


def test_stages_of_one_account_have_their_own_alarms(dev: Template, prod: Template) -> None:
    names = {
        alarm["Properties"]["AlarmName"]
        for stage in (dev, prod)
        for alarm in (
            *stage.of_type("AWS::CloudWatch::Alarm").values(),
            *stage.of_type("AWS::CloudWatch::CompositeAlarm").values(),
        )
    }

    assert len(names) == 2 * len({*CONDITIONS, *WINDOWS, *BURNS})


# They wake somebody: until somebody acts, messages do not reach their chats or are lost
URGENT = {
    *("ErrorBudgetFastBurn", "OldMessages", "QueueNotDelivering", "FunctionThrottles", "OldEvents"),
    *("AccessDeniedShare", "ApiServerErrors", "EventDeliveryFailures", "EventsLost", "FailedEventsLost"),
    "KeyLosses",
}


@pytest.mark.parametrize("name", [*CONDITIONS, *sorted(BURNS)])
def test_alarm_says_what_happened_and_what_to_do_first_in_under_60_words(
    template: Template, name: str
) -> None:
    description = (alarms(template) | composite_alarms(template))[name]["AlarmDescription"]

    urgent = r"Urgent\. " if name in URGENT else "(?!Urgent)"
    assert re.fullmatch(
        rf"{urgent}[A-Z].+\. First: [a-z].+\. Runbook: docs/runbook\.md#{name.lower()}", description
    )
    assert len(description.split()) < 60
    assert "`" not in description
    assert len(description) <= 1024  # the limit of CloudWatch


def test_filter_of_the_runbook_selects_the_urgent_alarms(template: Template) -> None:
    [text] = re.findall(r"`(\{\"AlarmDescription\".*?)`", RUNBOOK.read_text(encoding="utf-8"))
    [condition] = json.loads(text)["AlarmDescription"]

    selected = {
        name
        for name, alarm in (alarms(template) | composite_alarms(template)).items()
        if alarm["AlarmDescription"].startswith(condition["prefix"])
    }

    assert selected == URGENT


def test_runbook_marks_the_urgent_alarms() -> None:
    text = RUNBOOK.read_text(encoding="utf-8")
    [others] = re.findall(r"^(`.*) are urgent, too\.$", text, re.MULTILINE)

    marked = re.findall(r"^\| `(\w+)` \| yes \|", text, re.MULTILINE)

    assert sorted([*marked, *re.findall(r"`(\w+)`", others)]) == sorted(URGENT)


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
            "UnpublishedResults",
            "visible + in_flight",
            {
                "ApproximateNumberOfMessagesVisible": "Maximum",
                "ApproximateNumberOfMessagesNotVisible": "Maximum",
            },
        ),
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
        (
            "ApiRefusals",
            "IF(requests >= 20, 100 * refused / requests, 0)",
            {"ApiRefusals": "Sum", "Count": "Sum"},
        ),
        (
            "ApiThrottles",
            "IF(requests >= 20, 100 * throttled / requests, 0)",
            {"ApiThrottles": "Sum", "Count": "Sum"},
        ),
    ],
)
def test_alarm_computes_its_value_from_metrics(
    dev: Template, name: str, expression: str, statistics: dict[str, str]
) -> None:
    alarm = alarms(dev)[name]

    assert alarm["Metrics"][0]["Expression"] == expression
    assert {metric["MetricName"]: metric["Statistic"] for metric in metrics_of(alarm)} == statistics


def test_alarm_of_unpublished_results_looks_at_their_queue(dev: Template) -> None:
    queue = [{"Name": "QueueName", "Value": {"Fn::GetAtt": [UNPUBLISHED_RESULTS, "QueueName"]}}]

    assert [each["Dimensions"] for each in metrics_of(alarms(dev)["UnpublishedResults"])] == [queue, queue]


def test_alarm_of_outcomes_counts_those_that_the_rule_or_lambda_dropped(
    changed: Template, dev: Template
) -> None:
    alarm = alarms(changed)["OutcomesNotStored"]

    condition = (SYMBOLS[alarm["ComparisonOperator"]], alarm["Threshold"])
    of_time = {metric["Period"] for metric in metrics_of(alarm)}
    assert (*condition, *of_time, alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == ONE
    assert alarm["Metrics"][0]["Expression"] == "refused + dropped"
    assert {each["MetricName"]: each["Dimensions"] for each in metrics_of(alarm)} == {
        "FailedInvocations": [
            {"Name": "EventBusName", "Value": ref(BUS)},
            {
                "Name": "RuleName",
                "Value": {"Fn::Select": [2, {"Fn::Split": ["/", {"Fn::GetAtt": [OUTCOME_RULE, "Arn"]}]}]},
            },
        ],
        "AsyncEventsDropped": [{"Name": "FunctionName", "Value": ref(RESULTS_FUNCTION)}],
    }
    assert "OutcomesNotStored" not in alarms(dev)


@pytest.mark.parametrize(("stage", "keys"), [("dev", [KEY]), ("changed", [KEY, TOKEN_KEY])])
def test_alarm_of_key_losses_covers_every_key(
    request: pytest.FixtureRequest, stage: str, keys: list[str]
) -> None:
    template: Template = request.getfixturevalue(stage)

    detail = properties(template, KEY_RULE)["EventPattern"]["detail"]

    assert detail["requestParameters"] == {"keyId": [id_ for key in keys for id_ in (ref(key), arn(key))]}


def test_server_errors_of_the_api_are_a_share_of_its_requests(dev: Template) -> None:
    assert alarms(dev)["ApiServerErrors"]["Statistic"] == "Average"


def test_thresholds_follow_from_the_options(changed: Template) -> None:
    thresholds = {
        name: alarm["Threshold"] for name, alarm in alarms(changed).items() if name not in OF_EVERY_STAGE
    }

    assert thresholds == {
        "OldMessages": 15 * 60,
        "OldEvents": 15 * 60_000,
        "AccessDeniedShare": 35,
        "InvocationSurge": 2 * 60 * 51,
        # 14.4 and 6 times the budget of 1.5 %
        "ErrorBudgetFastBurn-60m": 21.6,
        "ErrorBudgetFastBurn-5m": 21.6,
        "ErrorBudgetSlowBurn-360m": 9,
        "ErrorBudgetSlowBurn-30m": 9,
    }


OF_EVERY_STAGE = (CONDITIONS | OF_THE_LOOKUP).keys() - {
    "OldMessages",
    "OldEvents",
    "AccessDeniedShare",
    "InvocationSurge",
}


@pytest.mark.parametrize(("load", "goes_off"), [(0.9, False), (1.1, True), (3.0, True)])
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

    notifying = {
        name
        for name, alarm in (alarms(changed) | composite_alarms(changed)).items()
        if (alarm.get("AlarmActions"), alarm.get("OKActions")) == ([topic], [topic])
    }

    assert notifying == {*CONDITIONS, *OF_THE_LOOKUP, *BURNS}


@pytest.mark.parametrize("topic", [None, "none"])
def test_alarms_have_no_action_without_a_topic(synthesize: Synthesize, topic: str | None) -> None:
    template = synthesize("dev", alarm_topic_arn=topic)

    every = alarms(template) | composite_alarms(template)

    assert every.keys() == {*CONDITIONS, *WINDOWS, *BURNS}
    assert not [alarm for alarm in every.values() if "AlarmActions" in alarm]


# The dashboard


def test_dashboard_has_the_name_of_the_stack_and_shows_every_alarm(template: Template) -> None:
    [resource] = template.of_type("AWS::CloudWatch::Dashboard").values()
    [shown] = [widget["properties"] for widget in dashboard(template)["widgets"] if widget["type"] == "alarm"]

    name = resource["Properties"]["DashboardName"]

    assert name in {"ConnectMessageSender-dev", "ConnectMessageSender-prod"}
    assert len(set(shown["alarms"])) == len({*CONDITIONS, *BURNS})
    assert not [alarm for alarm in shown["alarms"] if re.search(r"Burn(5|30|60|360)[0-9A-F]{8}", alarm)]


def test_dashboard_says_how_to_read_it(template: Template) -> None:
    text, *_ = [widget["properties"] for widget in dashboard(template)["widgets"] if widget["type"] == "text"]

    for question in ("objective", "delivering", "How fast", "Rejected", "Stuck", "Waiting", "Quota"):
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

    assert lines == {
        "quota": 51,
        "half of the retry window": 900,
        "error budget": 1.5,
        "14.4 x budget": 21.6,
        "6 x budget": 9,
    }


def test_dashboard_shows_calls_a_second_like_the_quota(dev: Template) -> None:
    [quota] = [graph for title, graph in graphs(dev).items() if title.startswith("Within the quota?")]

    expressions = [metric[0]["expression"] for metric in quota["metrics"] if isinstance(metric[0], dict)]

    assert expressions == [
        "sendattempts / PERIOD(sendattempts)",
        "sendmessagethrottles / PERIOD(sendmessagethrottles)",
    ]


# The service level objective


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, "PR(:60000)"),
        ({"slo_seconds": 30}, "PR(:30000)"),
        # After the retry window, a message has failed
        ({"slo_seconds": 3600, "retry_window_minutes": 10}, "PR(:600000)"),
    ],
)
def test_message_is_late_after_the_seconds_of_the_objective(
    synthesize: Synthesize, options: dict[str, int], limit: str
) -> None:
    template = synthesize("dev", **options)

    statistics = {metric["Statistic"] for name in WINDOWS for metric in metrics_of(alarms(template)[name])}

    assert statistics == {limit, "SampleCount"}


def test_objective_that_the_budget_cannot_reach_needs_all_messages_to_be_late(synthesize: Synthesize) -> None:
    found = alarms(synthesize("dev", slo_percent=90))

    assert found["ErrorBudgetFastBurn-60m"]["Threshold"] == 100
    assert found["ErrorBudgetSlowBurn-360m"]["Threshold"] == 60


class Objective:
    """The alarms on the service level objective, as CloudWatch evaluates them each minute."""

    def __init__(self, template: Template) -> None:
        self._alarms = alarms(template)
        names = {
            logical_id: alarm["Properties"]["AlarmName"].partition("-")[2].partition("-")[2]
            for logical_id, alarm in template.of_type("AWS::CloudWatch::Alarm").items()
        }
        self._windows: dict[str, list[str]] = {}
        for name, alarm in composite_alarms(template).items():
            [_, parts] = alarm["AlarmRule"]["Fn::Join"]
            rule = "".join(part if isinstance(part, str) else names[part["Fn::GetAtt"][0]] for part in parts)
            assert re.fullmatch(r'\(ALARM\("[^"]+"\) AND ALARM\("[^"]+"\)\)', rule)
            self._windows[name] = re.findall(r'"([^"]+)"', rule)

    def minutes_on(self, minutes: Sequence[Sequence[float]]) -> dict[str, list[int]]:
        """Return the minutes in which each composite alarm is on.

        Args:
            minutes: The milliseconds from acceptance to outcome of the messages that ended in each minute.
        """
        breaching = {name: self._breaching(self._alarms[name], minutes) for name in WINDOWS}
        return {
            name: [
                number for number in range(len(minutes)) if all(breaching[each][number] for each in windows)
            ]
            for name, windows in self._windows.items()
        }

    @staticmethod
    def _breaching(alarm: Mapping[str, Any], minutes: Sequence[Sequence[float]]) -> list[bool]:
        [expression] = [metric["Expression"] for metric in alarm["Metrics"] if "Expression" in metric]
        series = {
            metric["Id"]: _statistics(metric["MetricStat"], minutes)
            for metric in alarm["Metrics"]
            if "MetricStat" in metric
        }
        assert (alarm["EvaluationPeriods"], alarm["ComparisonOperator"], alarm["TreatMissingData"]) == (
            *(1, "GreaterThanOrEqualToThreshold", "notBreaching"),
        )
        code = compile(expression.replace("IF(", "choose("), "expression", "eval")
        found = []
        for number in range(len(minutes)):
            values = {name: values[number] for name, values in series.items()}
            is_missing = None in values.values()
            found.append(
                not is_missing
                and eval(code, {"choose": lambda condition, a, b: a if condition else b}, values)  # noqa: S307  # our own template
                >= alarm["Threshold"]
            )
        return found


def _statistics(of: Mapping[str, Any], minutes: Sequence[Sequence[float]]) -> list[float | None]:
    """Return a statistic of the sliding period that ends with each minute. None if it has no data."""
    length = of["Period"] // 60
    limit = re.fullmatch(r"PR\(:(\d+)\)", of["Stat"])
    counts = list(accumulate((len(minute) for minute in minutes), initial=0))
    below = list(
        accumulate(
            (sum(value <= float(limit[1]) for value in minute) if limit else 0 for minute in minutes),
            initial=0,
        )
    )
    found: list[float | None] = []
    for end in range(1, len(minutes) + 1):
        start = max(0, end - length)
        count = counts[end] - counts[start]
        if of["Stat"] == "SampleCount":
            found.append(count or None)
        else:
            found.append(100 * (below[end] - below[start]) / count if count else None)
    return found


IN_TIME, LATE = 200.0, 61_000.0


def day(*, messages: int, late: float, hours: int = 24) -> list[list[float]]:
    """Return minutes with this many messages, of which a random part is late."""
    random = Random(20261128)  # the same seed must give the same day
    return [[LATE if random.random() < late else IN_TIME for _ in range(messages)] for _ in range(hours * 60)]


def test_normal_day_uses_no_budget_too_fast(dev: Template) -> None:
    minutes = day(messages=60, late=0.001)
    for number in (600, 601, 900, 1200):  # a retry after a short fault
        minutes[number] = [LATE] * 30 + [IN_TIME] * 30

    assert Objective(dev).minutes_on(minutes) == {"ErrorBudgetFastBurn": [], "ErrorBudgetSlowBurn": []}


def test_outage_of_ten_minutes_is_a_fast_burn_until_its_messages_have_ended(dev: Template) -> None:
    # The function's own code, with an Amazon Connect that accepts nothing from minute 5 to 15
    run = simulate(
        Scenario(
            name="outage",
            instances=2,
            quota=10,
            load=0.3,
            seconds=2100,
            chats=300,
            new_quotas=((300, 0.001), (900, 10)),
        ),
        "ours",
    )
    minutes = day(messages=180, late=0, hours=6)
    before = len(minutes)
    minutes += [
        [1000 * wait for at, wait in run.waits if minute <= at / 60 < minute + 1] for minute in range(35)
    ]
    last_late = max(number for number, minute in enumerate(minutes) if max(minute, default=0) > LATE)

    on = Objective(dev).minutes_on(minutes)

    # No message ends during the outage, and the first late ones do so in minute 15
    assert on["ErrorBudgetFastBurn"][0] == before + 16
    assert on["ErrorBudgetFastBurn"][-1] <= last_late + 5
    assert max(on["ErrorBudgetSlowBurn"], default=0) <= last_late + 30


def test_slow_burn_is_found_within_six_hours(dev: Template) -> None:
    minutes = day(messages=60, late=0, hours=6) + day(messages=60, late=0.04, hours=8)

    on = Objective(dev).minutes_on(minutes)

    assert on["ErrorBudgetFastBurn"] == []
    assert on["ErrorBudgetSlowBurn"]
    assert 6 * 60 < on["ErrorBudgetSlowBurn"][0] < 12 * 60


def test_few_late_messages_of_a_quiet_day_are_no_burn(dev: Template) -> None:
    # One message in an hour and a half, and each of them is late
    minutes = [[LATE] if number % 90 == 0 else [] for number in range(24 * 60)]

    assert Objective(dev).minutes_on(minutes) == {"ErrorBudgetFastBurn": [], "ErrorBudgetSlowBurn": []}


def test_five_late_messages_of_a_quiet_hour_are_a_burn(dev: Template) -> None:
    minutes = [[LATE] if 60 <= number < 65 else [] for number in range(120)]

    on = Objective(dev).minutes_on(minutes)

    assert on["ErrorBudgetFastBurn"][0] == 64
    assert {alarm.name for alarm in BURN_RATES} == on.keys()


# The key, the API's log, the saved queries


def test_calls_that_take_the_key_away_are_counted_on_the_default_bus(dev: Template) -> None:
    rule = properties(dev, KEY_RULE)
    pattern = resolve(rule["EventPattern"])
    key_id, key_arn = (resolve(part) for part in (ref(KEY), arn(KEY)))

    def call(name: str, key: str, **detail: object) -> dict[str, Any]:
        return {
            "source": "aws.kms",
            "detail-type": "AWS API Call via CloudTrail",
            "detail": {
                "eventSource": "kms.amazonaws.com",
                "eventName": name,
                "requestParameters": {"keyId": key},
                **detail,
            },
        }

    assert "EventBusName" not in rule
    assert rule["State"] == "ENABLED"
    assert "Targets" not in rule
    assert matches(pattern, call("DisableKey", key_arn))
    assert matches(pattern, call("ScheduleKeyDeletion", key_id, pendingWindowInDays=7))
    assert not matches(pattern, call("EnableKey", key_id))
    assert not matches(pattern, call("DisableKey", "another"))
    assert not matches(pattern, call("DisableKey", key_id, errorCode="AccessDenied"))


def test_stack_counts_refused_and_throttled_requests_in_the_access_log(dev: Template) -> None:
    refused, throttled = (metric_filters(dev)[name] for name in ("ApiRefusals", "ApiThrottles"))

    formatted = resolve(properties(dev, API_STAGE)["AccessLogSetting"]["Format"])
    assert {*re.findall(r"\$\.(\w+)", refused["FilterPattern"])} <= json.loads(formatted).keys()
    assert refused["FilterPattern"] == (
        '{ ($.status = "4*") && ($.errorType != "-") && ($.errorType != "MISSING_AUTHENTICATION_TOKEN") && '
        '($.errorType != "WAF_FILTERED") && ($.errorType != "THROTTLED") }'
    )
    assert throttled["FilterPattern"] == '{ $.status = "429" }'
    assert refused["LogGroupName"] == throttled["LogGroupName"] == ref(ACCESS_LOG)


def test_saved_queries_search_their_log_and_are_in_the_folder_of_the_stack(dev: Template) -> None:
    saved = [found["Properties"] for found in dev.of_type("AWS::Logs::QueryDefinition").values()]

    found = {query["Name"]: (query["LogGroupNames"], query["QueryString"]) for query in saved}

    groups = {
        log_queries.FUNCTION: LOGS,
        log_queries.API: ACCESS_LOG,
        log_queries.STATE_MACHINE: WORKFLOW_LOGS,
    }
    assert found == {
        f"ConnectMessageSender-dev/{query.name}": (
            [ref(groups[query.log])],
            query.text.replace(" | ", "\n| "),
        )
        for query in QUERIES
    }
    assert all(log_id.startswith(name) for name, log_id in groups.items())


def test_query_for_one_message_is_the_search_of_the_runbook() -> None:
    runbook = RUNBOOK.read_text(encoding="utf-8")
    fields = ", ".join(re.findall(r'^FIELDS="(?:\$FIELDS, )?(.*)"$', runbook, re.MULTILINE))
    [condition] = re.findall(r"^search \"(.*'\$ID'.*)\"$", runbook, re.MULTILINE)
    [template] = re.findall(r'--query-string "(.*)"\)$', runbook, re.MULTILINE)

    text = template.replace("${2:-$FIELDS}", fields).replace("$1", condition).replace("$ID", "ID")

    [query] = [query for query in QUERIES if query.name == "One message"]
    assert text == query.text
    assert {*IDS} < {*FIELDS}


def test_queries_of_the_api_use_fields_of_its_log(dev: Template) -> None:
    formatted = resolve(properties(dev, API_STAGE)["AccessLogSetting"]["Format"])

    [query] = [query for query in QUERIES if query.log == log_queries.API]

    [by] = re.findall(r" by ([\w, ]+)", query.text)
    assert {*by.strip().split(", ")} <= json.loads(formatted).keys()

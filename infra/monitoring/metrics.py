"""The metrics of alarms and dashboard: the function's own, and those of AWS for the other parts."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from ..gates import acknowledge
from ..options import Options
from ..parts import Parts
from ..sender_function import SERVICE

MINUTE = cdk.Duration.minutes(1)
"""The period of all metrics. All services here send theirs every minute."""

# Lambda's own log lines of an invocation without an answer: it timed out, or its process died, as with
# `Runtime.OutOfMemory` and `Runtime.ExitError`. The function can count neither.
# https://docs.aws.amazon.com/lambda/latest/dg/telemetry-schema-reference.html#platform-report
_TIMEOUT_OR_CRASH = (
    '{ ($.type = "platform.report") && '
    '(($.record.status = "timeout") || ($.record.errorType = "Runtime.*")) }'
)

# The log lines of an execution that ends without an answer. The metric ExecutionsTimedOut counts only
# timeouts of the execution itself: an execution whose task timed out counts as failed.
# https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
_TASK_OR_EXECUTION_TIMED_OUT = '{ ($.type = "TaskTimedOut") || ($.type = "ExecutionTimedOut") }'

# The requests that API Gateway itself refused: for those that the function answered, errorType is a dash. It
# leaves out requests without any signature, which anyone on the Internet can send, and requests that the web
# ACL or the throttling of the API refused, as it should.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
_REFUSED = (
    '{ ($.status = "4*") && ($.errorType != "-") && ($.errorType != "MISSING_AUTHENTICATION_TOKEN") && '
    '($.errorType != "WAF_FILTERED") && ($.errorType != "THROTTLED") }'
)

# By API Gateway, or by the function because Amazon Connect throttled it
_TOO_MANY_REQUESTS = '{ $.status = "429" }'


class OwnMetric(NamedTuple):
    """A metric in the namespace of the stack's name.

    Attributes:
        dimensions: Beside `service`. Each metric is counted with each of these, and without any.
    """

    meaning: str
    unit: str = "Count"
    dimensions: tuple[str, ...] = ("EventSource",)


OWN_METRICS: Final[Mapping[str, OwnMetric]] = {
    "MessagesSent": OwnMetric("Messages with the outcome SENT."),
    "MessagesRejected": OwnMetric("Messages with the outcome REJECTED.", dimensions=("EventSource", "Code")),
    "MessagesFailed": OwnMetric("Messages with the outcome FAILED.", dimensions=("EventSource", "Code")),
    "MessagesRetried": OwnMetric(
        "Messages without an outcome in this invocation: they are retried, by the queue or by the caller."
    ),
    "EndToEndLatency": OwnMetric("Time from the acceptance of a message to its outcome.", "Milliseconds"),
    "SendLatency": OwnMetric("Duration of the last SendMessage call of a message.", "Milliseconds"),
    "SendAttempts": OwnMetric("SendMessage calls."),
    "SendMessageThrottles": OwnMetric(
        "SendMessage calls that Amazon Connect throttled. Lambda's own metric `Throttles` counts invocations."
    ),
    "MalformedAnswers": OwnMetric(
        "Accepted messages with an id, a time or a status that is not in its documented form."
    ),
    "ResultPublishFailures": OwnMetric("Results that are neither on the event bus nor in a queue."),
    "TaskCallbackFailures": OwnMetric("Step Functions tasks that the function could not complete."),
    "UnhandledErrors": OwnMetric("Defects of the function."),
    "UnsupportedEvents": OwnMetric("Invocations with an event of an unknown shape."),
    "TimeoutsAndCrashes": OwnMetric(
        "Invocations that timed out or whose process died, from the function's log.", dimensions=()
    ),
    "WorkflowTimeouts": OwnMetric(
        "Tasks and executions of the state machine that timed out, from its log.", dimensions=()
    ),
    "ApiRefusals": OwnMetric(
        "Signed requests that API Gateway refused with a 4XX error, from the access log.", dimensions=()
    ),
    "ApiThrottles": OwnMetric("Requests that the API answered with 429, from its log.", dimensions=()),
}
"""The function's metrics, and those that the stack counts in logs. `docs/reference/stack.md` shows them."""


class ServiceMetrics(Construct):
    """Gives alarms and dashboard their metrics, and counts log lines and events for some of them."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        parts: Parts,
        options: Options,
    ) -> None:
        super().__init__(scope, construct_id)
        sender, workflow, api, lookup = parts.sender, parts.workflow, parts.api, parts.lookup
        self.queues = parts.queues
        self._namespace = name  # the same as in the function's environment
        self._function = sender.function
        self._requests = parts.requests
        self._bus = parts.routing.bus
        self._function_log = sender.log_group

        self.timeouts_and_crashes = self._of_log("TimeoutsAndCrashes", sender.log_group, _TIMEOUT_OR_CRASH)
        # A part that is left out has no metrics. Its alarms and graphs are left out, too.
        if workflow is not None:
            self._state_machine = workflow.state_machine
            self.workflow_timeouts = self._of_log(
                "WorkflowTimeouts", workflow.log_group, _TASK_OR_EXECUTION_TIMED_OUT
            )
        if api is not None:
            self._api_stage = api.api.deployment_stage
            self.api_refusals = self._of_log("ApiRefusals", api.access_log, _REFUSED)
            self.api_throttles = self._of_log("ApiThrottles", api.access_log, _TOO_MANY_REQUESTS)
        if lookup is not None:
            self.outcomes_not_stored = cloudwatch.MathExpression(
                expression="refused + dropped",
                using_metrics={
                    "refused": self._of_rule(lookup.rule, "FailedInvocations"),
                    "dropped": parts.results.function.metric(
                        "AsyncEventsDropped", statistic="Sum", period=MINUTE
                    ),
                },
                label="Outcomes not stored",
                period=MINUTE,
            )
        keys = [parts.key, parts.token_key] if parts.token_key else [parts.key]
        self.key_losses = self._of_calls("KeyLosses", keys, "DisableKey", "ScheduleKeyDeletion")

        # A message fails at its first attempt after the retry window, so it never fails in time
        self.objective_seconds = min(options.slo_seconds, options.retry_window_minutes * 60)

    def _of_log(self, name: str, log_group: logs.ILogGroup, pattern: str) -> cloudwatch.Metric:
        """Create a metric that counts lines of a log."""
        logs.MetricFilter(
            self,
            name,
            log_group=log_group,
            filter_pattern=logs.FilterPattern.literal(pattern),
            metric_namespace=self._namespace,
            metric_name=name,
        )
        return cloudwatch.Metric(namespace=self._namespace, metric_name=name, statistic="Sum", period=MINUTE)

    def _of_calls(self, name: str, keys: Sequence[kms.IKey], *calls: str) -> cloudwatch.Metric:
        """Create a metric that counts calls that changed one of the keys.

        CloudTrail sends them to the default event bus of an account that has a trail for management events:
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
        A metric that names only the rule is of the default event bus:
        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
        """
        rule = events.Rule(
            self,
            name,
            description="Counts calls that take the key away. An alarm uses its metric, so it has no target",
            event_pattern=events.EventPattern(
                source=["aws.kms"],
                detail_type=["AWS API Call via CloudTrail"],
                detail={
                    "eventSource": ["kms.amazonaws.com"],
                    "eventName": [*calls],
                    # As the caller gave it. Both calls accept the id and the ARN, and no alias.
                    "requestParameters": {
                        "keyId": [id_ for key in keys for id_ in (key.key_id, key.key_arn)]
                    },
                    "errorCode": events.Match.does_not_exist(),
                },
            ),
        )
        acknowledge(rule, "Serverless-EventBusDLQ", because="It has no target to which a delivery could fail")
        return cloudwatch.Metric(
            namespace="AWS/Events",
            metric_name="TriggeredRules",
            dimensions_map={"RuleName": rule.rule_name},
            statistic="Sum",
            period=MINUTE,
        )

    def late(
        self, period: cdk.Duration, *, fewest: int = 0, label: str | None = None
    ) -> cloudwatch.MathExpression:
        """Return the percentage of messages that ended too late for the objective, or failed.

        PR, the percentile rank, is the percentage of values up to a limit:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html

        Args:
            fewest: With fewer late messages, the percentage counts as 0.
        """
        in_time = f"in_time_{period.to_minutes()}"  # an id of a graph has one period
        late = f"100 - {in_time}"
        statistics = {in_time: f"PR(:{self.objective_seconds * 1000})"}
        if fewest:
            statistics["ended"] = "SampleCount"
            # Half a message less, because percentages are rounded
            late = f"IF(ended * ({late}) >= {100 * fewest - 50}, {late}, 0)"
        using: dict[str, cloudwatch.IMetric] = {
            name: self.own("EndToEndLatency", statistic=statistic).with_(period=period)
            for name, statistic in statistics.items()
        }
        return cloudwatch.MathExpression(expression=late, using_metrics=using, label=label, period=period)

    @property
    def log_findings(self) -> cloudwatch.Metric:
        """The log lines of the function in which the data protection policy found a secret.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html
        """
        return cloudwatch.Metric(
            namespace="AWS/Logs",
            metric_name="LogEventsWithFindings",
            dimensions_map={
                "DataProtectionOperation": "Audit",
                "LogGroupName": self._function_log.log_group_name,
            },
            statistic="Sum",
            period=MINUTE,
        )

    def own(
        self,
        name: str,
        *,
        statistic: str = "Sum",
        event_source: str | None = None,
        code: str | None = None,
        label: str | None = None,
    ) -> cloudwatch.Metric:
        """Return a metric of the function: for all event sources, for one, or by error code."""
        dimensions = {"service": SERVICE}
        if event_source is not None:
            dimensions["EventSource"] = event_source
        if code is not None:
            dimensions["Code"] = code
        return cloudwatch.Metric(
            namespace=self._namespace,
            metric_name=name,
            dimensions_map=dimensions,
            statistic=statistic,
            period=MINUTE,
            label=label,
        )

    def queue(
        self, queue: sqs.IQueue, name: str, *, statistic: str = "Maximum", label: str | None = None
    ) -> cloudwatch.Metric:
        return queue.metric(name, statistic=statistic, period=MINUTE, label=label)

    def function(self, name: str, *, statistic: str = "Sum", label: str | None = None) -> cloudwatch.Metric:
        return self._function.metric(name, statistic=statistic, period=MINUTE, label=label)

    def api(self, name: str, *, statistic: str = "Sum", label: str | None = None) -> cloudwatch.Metric:
        return self._api_stage.metric(name, statistic=statistic, period=MINUTE, label=label)

    def state_machine(self, name: str, *, label: str | None = None) -> cloudwatch.Metric:
        return self._state_machine.metric(name, statistic="Sum", period=MINUTE, label=label)

    def requests(self, name: str, *, label: str | None = None) -> cloudwatch.Metric:
        """Return a metric of the rule that invokes the function with requests."""
        return self._of_rule(self._requests, name, label=label)

    def _of_rule(self, rule: events.Rule, name: str, *, label: str | None = None) -> cloudwatch.Metric:
        # From the ARN: for a rule on a custom bus, CloudFormation returns `bus|rule` as the name
        rule_name = cdk.Fn.select(2, cdk.Fn.split("/", rule.rule_arn))
        return cloudwatch.Metric(
            namespace="AWS/Events",
            metric_name=name,
            dimensions_map={"EventBusName": self._bus.event_bus_name, "RuleName": rule_name},
            statistic="Sum",
            period=MINUTE,
            label=label,
        )

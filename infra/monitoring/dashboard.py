"""The dashboard: each graph answers one question.

To add a graph, add it here.
"""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from ..contract import EVENT_SOURCES
from ..options import Options
from ..send_workflow import REJECTED_ERRORS, RETRYABLE_ERRORS
from .alarms import BURN_RATES
from .metrics import MINUTE, ServiceMetrics

_FULL, _THIRD, _HEIGHT = 24, 8, 6

_GREEN, _ORANGE, _RED, _BLUE, _PURPLE, _GREY = (
    *("#2ca02c", "#ff7f0e", "#d62728", "#1f77b4", "#9467bd", "#7f7f7f"),
)

_HOW_TO_READ = """\
**Within the objective?** At a burn line, the error budget is used up too fast. \
**Is it delivering?** Green follows your traffic. Orange is retried automatically. Red has failed. \
**How fast?** The time from acceptance to outcome, and Amazon Connect's part of it. \
**Rejected**: the code says whether the producer or the chat is the cause. \
**Stuck**: at the line, half of the retry window is over. \
**Waiting**: only the messages queue empties itself. The other queues need you. \
**Quota**: these are averages over a minute, so they can hide a short burst above the line. \
The description of each alarm says what happened and what to do first."""


class Dashboard(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        metrics: ServiceMetrics,
        alarms: Sequence[cloudwatch.IAlarm],
        options: Options,
    ) -> None:
        super().__init__(scope, construct_id)
        self._metrics = metrics
        parts = [self._function(options)]
        if options.http_api:
            parts.append(self._api())
        if options.workflow:
            parts.append(self._workflow())
        self.dashboard = cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=name,
            default_interval=cdk.Duration.hours(3),
            period_override=cloudwatch.PeriodOverride.INHERIT,
            widgets=[
                [cloudwatch.TextWidget(markdown=f"# {name}\n{_HOW_TO_READ}", width=_FULL, height=3)],
                [cloudwatch.AlarmStatusWidget(title="Alarms", alarms=[*alarms], width=_FULL, height=3)],
                [self._objective(options)],
                [self._delivering(), self._fast(), self._answering()],
                [self._rejected(), self._stuck(options), self._waiting()],
                [self._quota(options), self._event_sources(), self._failures()],
                parts,
            ],
        )

    def _objective(self, options: Options) -> cloudwatch.GraphWidget:
        late = self._metrics.late
        seconds = self._metrics.objective_seconds
        return _graph(
            f"Within the objective? Messages that fail or take over {seconds} s, percent",
            late(cdk.Duration.minutes(5), label="of five minutes").with_(color=_GREY),
            late(cdk.Duration.hours(1), label="of an hour").with_(color=_ORANGE),
            late(cdk.Duration.hours(6), label="of six hours").with_(color=_RED),
            lines=[
                cloudwatch.HorizontalAnnotation(
                    value=round(100 - options.slo_percent, 4), label="error budget", color=_GREEN
                ),
                *(
                    cloudwatch.HorizontalAnnotation(
                        value=alarm.threshold(options), label=f"{alarm.rate:g} x budget", color=color
                    )
                    for alarm, color in zip(BURN_RATES, (_ORANGE, _RED), strict=True)
                ),
            ],
            width=_FULL,
        )

    def _delivering(self) -> cloudwatch.GraphWidget:
        own = self._metrics.own
        return _graph(
            "Is it delivering? Messages a minute, by outcome",
            own("MessagesSent", label="SENT").with_(color=_GREEN),
            own("MessagesRetried", label="retried later").with_(color=_ORANGE),
            own("MessagesRejected", label="REJECTED").with_(color=_PURPLE),
            own("MessagesFailed", label="FAILED").with_(color=_RED),
        )

    def _fast(self) -> cloudwatch.GraphWidget:
        return _graph(
            "How fast? From acceptance to outcome, ms",
            *self._percentiles("EndToEndLatency"),
        )

    def _answering(self) -> cloudwatch.GraphWidget:
        return _graph(
            "How fast does Amazon Connect answer? ms",
            *self._percentiles("SendLatency"),
        )

    def _percentiles(self, name: str) -> list[cloudwatch.Metric]:
        colors = {"p50": _GREEN, "p95": _ORANGE, "p99": _RED}
        return [
            self._metrics.own(name, statistic=percentile, label=percentile).with_(color=color)
            for percentile, color in colors.items()
        ]

    def _rejected(self) -> cloudwatch.GraphWidget:
        rejected = [error.removesuffix("Error") for error in REJECTED_ERRORS]
        # A message only fails after an attempt, so DeadlineExceeded is never its code
        failed = [
            error.removesuffix("Error") for error in RETRYABLE_ERRORS if error != "DeadlineExceededError"
        ]
        return _graph(
            "Rejected or failed, and why? Messages a minute",
            *(self._metrics.own("MessagesRejected", code=code, label=code) for code in rejected),
            *(self._metrics.own("MessagesFailed", code=code, label=f"FAILED {code}") for code in failed),
        )

    def _stuck(self, options: Options) -> cloudwatch.GraphWidget:
        return _graph(
            "Is anything stuck? Oldest message in the queue, seconds",
            self._metrics.queue(
                self._metrics.queues.messages, "ApproximateAgeOfOldestMessage", label="oldest message"
            ).with_(color=_BLUE),
            lines=[
                cloudwatch.HorizontalAnnotation(
                    value=options.retry_window_minutes * 60 / 2,
                    label="half of the retry window",
                    color=_ORANGE,
                )
            ],
        )

    def _waiting(self) -> cloudwatch.GraphWidget:
        queues, queue = self._metrics.queues, self._metrics.queue
        visible = "ApproximateNumberOfMessagesVisible"
        return _graph(
            "Is anything waiting? Messages in each queue",
            queue(queues.messages, visible, label="messages").with_(color=_BLUE),
            queue(
                queues.messages,
                "ApproximateNumberOfMessagesNotVisible",
                label="messages, in flight or backing off",
            ).with_(color=_GREY),
            queue(queues.rejected, visible, label="rejected").with_(color=_PURPLE),
            queue(queues.dead_letter, visible, label="dead letters").with_(color=_RED),
            queue(queues.events_dead_letter, visible, label="dead-lettered events").with_(color=_ORANGE),
            queue(queues.unpublished_results, visible, label="unpublished results").with_(color=_GREEN),
        )

    def _quota(self, options: Options) -> cloudwatch.GraphWidget:
        def a_second(name: str, *, label: str, color: str) -> cloudwatch.MathExpression:
            return cloudwatch.MathExpression(
                expression=f"{name.lower()} / PERIOD({name.lower()})",
                using_metrics={name.lower(): self._metrics.own(name)},
                label=label,
                color=color,
                period=MINUTE,
            )

        return _graph(
            "Within the quota? SendMessage calls a second",
            a_second("SendAttempts", label="calls", color=_BLUE),
            a_second("SendMessageThrottles", label="throttled", color=_RED),
            lines=[
                cloudwatch.HorizontalAnnotation(
                    value=options.send_quota_per_second, label="quota", color=_ORANGE
                )
            ],
        )

    def _event_sources(self) -> cloudwatch.GraphWidget:
        return _graph(
            "From which event source? Messages sent a minute",
            *(
                self._metrics.own("MessagesSent", event_source=source, label=source)
                for source in EVENT_SOURCES
            ),
        )

    def _failures(self) -> cloudwatch.GraphWidget:
        own = self._metrics.own
        return _graph(
            "Is anything broken? Each line has an alarm",
            own("UnhandledErrors", label="unhandled errors"),
            self._metrics.timeouts_and_crashes.with_(label="timeouts and crashes"),
            own("ResultPublishFailures", label="results not published"),
            own("TaskCallbackFailures", label="tasks not completed"),
            self._metrics.requests("FailedInvocations", label="events not delivered"),
            self._metrics.requests("InvocationsFailedToBeSentToDlq", label="events lost"),
            self._metrics.function("DestinationDeliveryFailures", label="failed events lost"),
            self._metrics.function("AsyncEventsDropped", label="events dropped"),
            self._metrics.log_findings.with_(label="secrets in the log"),
            self._metrics.key_losses.with_(label="key disabled or to be deleted"),
        )

    def _function(self, options: Options) -> cloudwatch.GraphWidget:
        function = self._metrics.function
        return _graph(
            f"Function: invocations a minute (at most {options.maximum_concurrency} at once for the queue)",
            function("Invocations", label="invocations").with_(color=_BLUE),
            function("Throttles", label="throttled: no concurrency left").with_(color=_RED),
            function("ConcurrentExecutions", statistic="Maximum", label="at once").with_(color=_GREY),
        )

    def _api(self) -> cloudwatch.GraphWidget:
        api = self._metrics.api
        return _graph(
            "API: requests a minute",
            api("Count", label="requests").with_(color=_BLUE),
            api("4XXError", label="4XX").with_(color=_ORANGE),
            api("5XXError", label="5XX").with_(color=_RED),
            self._metrics.api_refusals.with_(label="refused by the API", color=_PURPLE),
            self._metrics.api_throttles.with_(label="429", color=_GREY),
        )

    def _workflow(self) -> cloudwatch.GraphWidget:
        state_machine = self._metrics.state_machine
        return _graph(
            "State machine: executions a minute",
            state_machine("ExecutionsSucceeded", label="succeeded").with_(color=_GREEN),
            state_machine("ExecutionsFailed", label="failed, also when REJECTED").with_(color=_RED),
            self._metrics.workflow_timeouts.with_(label="timed out", color=_ORANGE),
        )


def _graph(
    title: str,
    *metrics: cloudwatch.IMetric,
    lines: Sequence[cloudwatch.HorizontalAnnotation] = (),
    width: int = _THIRD,
) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(
        title=title,
        left=[*metrics],
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        left_annotations=[*lines],
        width=width,
        height=_HEIGHT,
    )

"""The alarms. Each one needs an operator.

The definitions below are the only source of the alarms: the stack, the texts of the alarms and the runbook in
`docs/runbook.md` come from them. To add an alarm, add a definition and run `make docs`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.monitoring.metrics import MINUTE, ServiceMetrics
from infra.options import StageOptions

_VISIBLE: Final = "ApproximateNumberOfMessagesVisible"

_DAY: Final = 24 * 60
"""In minutes."""

_FIVE_MINUTES: Final = cdk.Duration.minutes(5)
_QUARTER_HOUR: Final = cdk.Duration.minutes(15)

_FEWEST_FOR_A_SHARE: Final = 10
_FEWEST_REQUESTS_FOR_A_SHARE: Final = 20
_FEWEST_LATE: Final = 5

_COMPARISONS: Final = {
    False: cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
    True: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
}

_SEND_AGAIN: Final = (
    "Compare them with the template (`make synth`), and restore them by hand. Deploying the same template "
    "does not undo a manual change. Then have the producer send every message again that has no result. "
    "Each message must keep its `ClientToken`, so that no chat shows it twice."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The texts of an alarm: in its description, and in its section of the runbook."""

    name: str
    """Pagers know the alarm by it. Also the anchor in the runbook, in lower case."""
    measures: str
    happened: str
    impact: str
    """The consequence for chats."""
    first: str
    """The first step. It follows "First:"."""
    then: str
    """The further steps, in Markdown. Only the runbook has them, and it defines `search` and `out`."""
    why: str = ""
    """The reason for the threshold, in Markdown. Only the runbook has it."""

    @property
    def description(self) -> str:
        text = f"{self.happened} {self.impact} First: {self.first}".replace("`", "")
        return f"{text} Runbook: docs/runbook.md#{self.name.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm(Text):
    """An alarm on one metric or expression.

    A missing data point is never a breach: metrics of errors have no data while there are none, and SQS sends
    none for a queue that has long been empty.
    """

    metric: Callable[[ServiceMetrics], cloudwatch.Metric | cloudwatch.MathExpression]
    threshold: float | Callable[[StageOptions], float] = 1
    threshold_text: str = "at least 1"
    above: bool = False
    """Go off above the threshold only, not at it."""
    period: int = 1
    """In minutes."""
    datapoints: int = 1
    periods: int = 1

    @property
    def condition(self) -> str:
        """The condition in words, such as "at least 1 in one of the last 5 minutes"."""
        minutes = "minutes" if self.period == 1 else f"periods of {self.period} minutes"
        if self.periods == 1:
            when = f"{self.period} minutes"
        elif self.datapoints == 1 and self.period * self.periods == _DAY:
            when = "the last 24 hours"
        elif self.datapoints == self.periods:
            when = f"each of the last {self.periods} {minutes}"
        else:
            when = (
                f"{'one' if self.datapoints == 1 else self.datapoints} of the last {self.periods} {minutes}"
            )
        return f"{self.threshold_text} in {when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRate(Text):
    """An alarm on the service level objective: the error budget is used up too fast.

    It goes off while two windows are above the same rate: the long one shows that enough of the budget is
    used up, the short one that it still happens. Windows and rates are from "The Site Reliability Workbook":
    https://sre.google/workbook/alerting-on-slos/ (6: multiwindow, multi-burn-rate alerts).

    CloudWatch evaluates an alarm on expressions of one period. So there is an alarm without action for each
    window, and a composite alarm. Their windows slide:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html
    """

    rate: float
    """How many times as fast as the budget allows."""
    long: int
    """In minutes, like `short`."""
    short: int

    def threshold(self, options: StageOptions) -> float:
        """Return the percentage of late messages. If even that of all messages is lower, all must be late."""
        return min(100.0, round(self.rate * (100 - options.slo_percent), 4))

    @property
    def condition(self) -> str:
        return (
            f"at least {self.rate:g} times the error budget (100 % - `slo_percent`) "
            f"in the last {_words(self.long)} and in the last {_words(self.short)}"
        )


def _words(minutes: int) -> str:
    if minutes == 60:  # noqa: PLR2004  # minutes of an hour
        return "hour"
    return f"{minutes // 60} hours" if minutes % 60 == 0 else f"{minutes} minutes"


def _one(
    name: str,
    metric: Callable[[ServiceMetrics], cloudwatch.Metric],
    *,
    measures: str,
    happened: str,
    impact: str,
    first: str,
    then: str,
    why: str = "",
) -> Alarm:
    """Define an alarm on the first minute with one. It ends after five minutes without: once for a burst."""
    return Alarm(
        name=name,
        metric=metric,
        measures=measures,
        happened=happened,
        impact=impact,
        first=first,
        then=then,
        why=why,
        periods=5,
    )


_LATE: Final = "share of messages that end later than after `slo_seconds`, or as FAILED"

ALARMS: Final[tuple[Alarm | BurnRate, ...]] = (
    BurnRate(
        name="ErrorBudgetFastBurn",
        measures=_LATE,
        rate=14.4,
        long=60,
        short=5,
        happened="Far more messages are late or fail than the service level objective allows.",
        impact="At this rate, an hour uses 2 % of the error budget of 30 days.",
        first="look on the dashboard whether calls to Amazon Connect are throttled, fail or are slow.",
        then=(
            "Find the cause by the alarm that is on, too:\n\n"
            "- [`SustainedThrottling`](#sustainedthrottling): more is sent than the quota allows.\n"
            "- [`MessagesFailed`](#messagesfailed): Amazon Connect fails.\n"
            "- [`OldMessages`](#oldmessages) or [`QueueNotDelivering`](#queuenotdelivering): messages wait.\n"
            "- [`FunctionThrottles`](#functionthrottles): the function has no concurrency.\n"
            "- None of them: run the saved query `Slowest messages`, and look for one chat or one event "
            "source.\n\n"
            "Only messages with an outcome count. "
            "So this alarm follows the others: messages that an outage delays end when it is over."
        ),
        why=(
            "This is the fast rate of [The Site Reliability Workbook](https://sre.google/workbook/"
            "alerting-on-slos/). "
            "With `slo_percent` at 99.5, it is 7.2 % of the messages. "
            f"Fewer than {_FEWEST_LATE} late messages in an hour never count, so that quiet hours raise no "
            "alarm."
        ),
    ),
    BurnRate(
        name="ErrorBudgetSlowBurn",
        measures=_LATE,
        rate=6,
        long=360,
        short=30,
        happened="For hours, more messages are late or fail than the service level objective allows.",
        impact="At this rate, six hours use 5 % of the error budget of 30 days.",
        first="look on the dashboard since when p99 of the time to the outcome has been high.",
        then=(
            "Run the saved queries `Slowest messages` and `Rejected and failed by reason` for the last six "
            "hours:\n\n"
            "- One event source or a few chats: find its producer.\n"
            "- Many `attempts`: the calls are throttled or fail. Compare the calls with the quota.\n"
            "- One attempt, and late: the messages waited. Compare the invocations with "
            "`maximum_concurrency`.\n"
            "- Since a release: [roll back](how-to/deploy.md#roll-back).\n\n"
            "If the objective does not fit your chats, change `slo_percent` or `slo_seconds`."
        ),
        why=(
            "This is the slow rate of the same book: a problem that is too small for "
            "[`ErrorBudgetFastBurn`](#errorbudgetfastburn), but stays. "
            "With `slo_percent` at 99.5, it is 3 % of the messages."
        ),
    ),
    _one(
        "DeadLetters",
        lambda metrics: metrics.queue(metrics.queues.dead_letter, _VISIBLE),
        measures="messages in the dead-letter queue",
        happened="Messages are in the dead-letter queue.",
        impact=(
            "They did not reach their chats in time: their retries were exhausted, or the function died on "
            "them each time."
        ),
        first="run `.venv/bin/python -m ops redrive --stage $STAGE`, which shows the code of each message.",
        then=(
            "Fix the cause that the code names:\n\n"
            "- `Throttled`: [raise the quota](how-to/raise-the-quota.md).\n"
            "- `ServiceUnavailable` or `ConnectionFailed`: check the status of Amazon Connect, and that the "
            "VPC allows outbound traffic.\n"
            "- `MovedBySQS`: continue with [`TimeoutsAndCrashes`](#timeoutsandcrashes) and "
            "[`UnhandledErrors`](#unhandlederrors).\n\n"
            "When the cause is fixed, [redrive](how-to/redrive.md) the messages that someone still waits "
            "for. "
            "Finalize the others, then delete all dead letters that have their result. "
            "The alarm cannot go off again while one dead letter remains. "
            "The command keeps messages that it cannot read: delete these in the SQS console."
        ),
    ),
    _one(
        "DeadEvents",
        lambda metrics: metrics.queue(metrics.queues.events_dead_letter, _VISIBLE),
        measures="requests in the events dead-letter queue",
        happened="Requests from the event bus are in the events dead-letter queue.",
        impact=(
            "Their messages did not reach their chats: EventBridge could not deliver them, or the function "
            "failed on them."
        ),
        first=(
            "run `.venv/bin/python -m ops redrive events --stage $STAGE`, which shows the code of each "
            "request."
        ),
        then=(
            "Fix the cause that the code names:\n\n"
            "- `RetriesExhausted`: the function failed three times, and its log says why: [find the "
            "message](#find-one-message).\n"
            "- `EventAgeExceeded`: the function had no concurrency, or failed until the retry window was "
            "over.\n"
            "- Any other code, such as `NO_PERMISSIONS`, comes from EventBridge: continue with "
            "[`EventDeliveryFailures`](#eventdeliveryfailures).\n\n"
            "When the cause is fixed, [redrive](how-to/redrive.md) the queue `events`. "
            "Finalize the rest, which moves it to the dead-letter queue or the rejected queue. "
            "You cannot delete here: no request in this queue has a result yet."
        ),
    ),
    _one(
        "UnpublishedResults",
        lambda metrics: metrics.queue(metrics.queues.unpublished_results, _VISIBLE),
        measures="results in the unpublished-results queue",
        happened="The event bus did not accept results.",
        impact=(
            "Their messages have an outcome, so no chat is affected. Consumers do not know the outcome yet."
        ),
        first="check the status of EventBridge, and the function's permission events:PutEvents.",
        then=(
            "Check the event bus and the key. When the cause is fixed, "
            "[republish](how-to/redrive.md#republish-results) the results."
        ),
    ),
    Alarm(
        name="OldMessages",
        metric=lambda metrics: metrics.queue(metrics.queues.messages, "ApproximateAgeOfOldestMessage"),
        measures="age of the oldest message in the messages queue",
        happened="A message has waited for more than half of the retry window.",
        impact="Its chat is late. When the window ends, the message fails.",
        first="look on the dashboard for throttled calls, for slow or failing calls, or for no invocations.",
        then=(
            "Act on the cause:\n\n"
            "- Throttled calls: [raise the quota](how-to/raise-the-quota.md).\n"
            "- `maximum_concurrency` invocations at once, and no throttled calls: raise this option.\n"
            "- Failing calls: check the status of Amazon Connect.\n"
            "- No invocations: continue with [`QueueNotDelivering`](#queuenotdelivering).\n"
            "- A single chat: [find the message](#find-one-message).\n\n"
            "SQS "
            "[documents](https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/"
            "sqs-available-cloudwatch-metrics.html) "
            "that this metric ignores messages that were received three times. "
            "It does not document whether this holds for FIFO queues. "
            "If it does, [`MessagesFailed`](#messagesfailed) is the first alarm for a message whose attempts "
            "all fail."
        ),
        why=(
            "Half of the window is left to act. It takes three minutes in a row, because the next retry may "
            "end the wait."
        ),
        threshold=lambda options: options.retry_window_minutes * 60 / 2,
        threshold_text="at least half of `retry_window_minutes`",
        datapoints=3,
        periods=3,
    ),
    Alarm(
        name="QueueNotDelivering",
        metric=lambda metrics: cloudwatch.MathExpression(
            expression="IF(visible > 0 AND received < 1, 1, 0)",
            using_metrics={
                "visible": metrics.queue(metrics.queues.messages, _VISIBLE, statistic="Minimum"),
                "received": metrics.queue(
                    metrics.queues.messages, "NumberOfMessagesReceived", statistic="Sum"
                ),
            },
            label="Messages visible and none received",
            period=MINUTE,
        ),
        measures="minutes in which messages are visible and none is received",
        happened="Messages are in the queue and nothing receives them.",
        impact="Messages by the queue, by POST /messages and by the state machine do not reach their chats.",
        first="check State and LastProcessingResult of the event source mapping.",
        then=(
            "Run the last command of [What is wrong now](#what-is-wrong-now):\n\n"
            "- `Disabled`: someone has [paused](how-to/pause-and-resume.md) the queue.\n"
            "- An error: check the permissions of the function's role for the queue and the key.\n"
            "- No error: check whether the account has concurrency left, and that `reserved_concurrency` "
            "is not 0."
        ),
        why=(
            "While the first message of a chat backs off, the later ones can be visible. "
            "This takes at most a minute, the time that Amazon Connect asks for, or three minutes if the "
            "function died."
        ),
        datapoints=5,
        periods=5,
    ),
    _one(
        "MessagesFailed",
        lambda metrics: metrics.own("MessagesFailed"),
        measures="messages that end as FAILED",
        happened="A message failed: it could not be sent within the retry window.",
        impact="Its chat does not show it, unless the result says MaybeDelivered.",
        first="look at its code on the dashboard or in the log.",
        then=(
            "Run `search \"outcome = 'FAILED'\"` to see each message with its code and reason. "
            "Continue as for [`DeadLetters`](#deadletters): a copy of the message is in that queue."
        ),
    ),
    Alarm(
        name="SustainedThrottling",
        metric=lambda metrics: cloudwatch.MathExpression(
            expression="100 * throttles / attempts",
            using_metrics={
                "throttles": metrics.own("SendMessageThrottles"),
                "attempts": metrics.own("SendAttempts"),
            },
            label="Throttled calls, percent",
            period=MINUTE,
        ),
        measures="share of SendMessage calls that are throttled",
        happened="Amazon Connect has throttled calls for ten minutes.",
        impact="There is more to send than the quota allows, so messages reach their chats late.",
        first="compare the calls a second on the dashboard with the quota.",
        then=(
            "Act on the difference:\n\n"
            "- Calls below the quota: agents or other back ends use the quota too.\n"
            "- Calls at the quota: [raise the quota](how-to/raise-the-quota.md), and have bulk producers "
            "wait until then."
        ),
        why=(
            "With more to send than the quota allows, the rate limiter keeps about 3 % of the calls "
            "throttled ([simulation](explanation/benchmarks.md)). "
            "Below nine tenths of it, at most 2 % are, but single minutes have more: up to 6 of 15 in the "
            "simulation. "
            "From the quota on, it is 11 or more of 15. "
            "Backoff makes gaps, so the minutes need not be in a row."
        ),
        threshold=2,
        threshold_text="more than 2 %",
        above=True,
        datapoints=10,
        periods=15,
    ),
    Alarm(
        name="InvocationSurge",
        metric=lambda metrics: metrics.function("Invocations"),
        measures="invocations of the function",
        happened="The function is invoked more often than the quota can be of use for.",
        impact="Other messages reach their chats late, and the invocations cost money.",
        first="look on the dashboard by which event source the invocations come.",
        then=(
            'Run `FROM=1`, then `search "message like /Message/" "event_source, contact_id, outcome, code"`:'
            "\n\n"
            "- One `contact_id`: its producer repeats a message. Stop the producer.\n"
            "- Many `REJECTED`: a producer sends what can never be sent. Stop it.\n"
            "- `eventbridge`: check that no rule of yours turns a result into a request again.\n"
            "- `direct` or `api_gateway`: a caller repeats its calls without a pause.\n\n"
            "To stop all of them at once, [pause](how-to/pause-and-resume.md)."
        ),
        why=(
            "The quota allows 60 x `send_quota_per_second` messages a minute. "
            "Up to the quota, each has about one invocation ([simulation](explanation/benchmarks.md)). "
            "Twice as many, for ten minutes, come from a loop or a runaway producer. "
            "At 10 a second, these 1,200 invocations a minute cost about 80 dollars a month for Lambda and "
            "65 for logs."
        ),
        threshold=lambda options: 2 * 60 * options.send_quota_per_second,
        threshold_text="more than 120 x `send_quota_per_second` a minute",
        above=True,
        datapoints=10,
        periods=15,
    ),
    Alarm(
        name="FunctionThrottles",
        metric=lambda metrics: metrics.function("Throttles"),
        measures="invocations that Lambda refused because no concurrency is left",
        happened="Lambda has no concurrency left for the function.",
        impact="Events and queued messages are late, and callers that wait get an error.",
        first="compare the invocations at once on the dashboard with reserved_concurrency.",
        then=(
            "Run `aws lambda get-account-settings --query AccountLimit`:\n\n"
            "- The function has reached `reserved_concurrency`: raise this option.\n"
            "- It has not, or has none reserved: other functions use the account's concurrency. "
            "Reserve some for this one, or raise the quota of the account.\n"
            "- `reserved_concurrency` is 0: someone has [paused](how-to/pause-and-resume.md) the function.\n"
            "\n"
            "The queue and Lambda retry by themselves. "
            "Callers of `POST /messages/sync` and direct callers must send again with the same `ClientToken`."
        ),
        why="One refused invocation is retried and harms nobody. Three minutes with some are a lack.",
        datapoints=3,
        periods=5,
    ),
    Alarm(
        name="OldEvents",
        metric=lambda metrics: metrics.function("AsyncEventAge", statistic="Maximum"),
        measures="age of a request from the event bus when the function gets it, in milliseconds",
        happened="A request from the event bus has waited for more than half of the retry window.",
        impact="Its message is late. When the window ends, the request is dead-lettered.",
        first="check on the dashboard whether invocations of the function are throttled or fail.",
        then=(
            "Act on the cause:\n\n"
            "- Throttled invocations: continue with [`FunctionThrottles`](#functionthrottles).\n"
            "- Failing invocations: continue with [`UnhandledErrors`](#unhandlederrors) and "
            "[`TimeoutsAndCrashes`](#timeoutsandcrashes).\n"
            "- Neither: check the status of Lambda and EventBridge."
        ),
        why=(
            "Half of the window is left to act. "
            "Lambda retries an event after one and after two more minutes, so two failures alone make it "
            "three minutes old."
        ),
        threshold=lambda options: options.retry_window_minutes * 60_000 / 2,
        threshold_text="at least half of `retry_window_minutes`",
        periods=5,
    ),
    _one(
        "DroppedEvents",
        lambda metrics: metrics.function("AsyncEventsDropped"),
        measures="requests from the event bus that Lambda dropped",
        happened="Lambda dropped a request from the event bus without a successful invocation.",
        impact="Its message did not reach its chat. The request is in the events dead-letter queue.",
        first=(
            "run `.venv/bin/python -m ops redrive events --stage $STAGE`, which shows the code of each "
            "request."
        ),
        then=(
            "Continue with [`DeadEvents`](#deadevents). "
            "If the request is not in that queue, continue with [`FailedEventsLost`](#failedeventslost)."
        ),
    ),
    Alarm(
        name="InvalidRequests",
        metric=lambda metrics: metrics.own("MessagesRejected", code="InvalidRequest"),
        measures="messages that end as `InvalidRequest`",
        happened="A producer sends requests that break the contract.",
        impact="Their messages are rejected and reach no chat.",
        first="find code InvalidRequest in the log: the reason names field and rule.",
        then=(
            "Run `search \"code = 'InvalidRequest'\"`. "
            "`event_source` and `contact_id` identify the producer: roll it back. "
            "The rejected queue has copies of the messages that came by queue or event bus."
        ),
        why="One invalid request is an accident. Five come from a broken producer.",
        threshold=5,
        threshold_text="at least 5",
        period=15,
    ),
    Alarm(
        name="ServiceValidations",
        metric=lambda metrics: metrics.own("MessagesRejected", code="ServiceValidation"),
        measures="messages that end as `ServiceValidation`",
        happened="Amazon Connect refuses the messages of a producer as invalid.",
        impact="They are rejected and reach no chat.",
        first=(
            "find code ServiceValidation in the log. Most often the chat does not support the content type."
        ),
        then=(
            "Run `search \"code = 'ServiceValidation'\"` and read the reason. "
            "Fix the producer, or start the chats with that content type in "
            "`SupportedMessagingContentTypes`. "
            "The channel must support it, too. "
            "Then [redrive](how-to/redrive.md) the copies: `.venv/bin/python -m ops redrive rejected --stage "
            "$STAGE --code ServiceValidation`."
        ),
        why="One invalid message is an accident. Five come from a broken producer.",
        threshold=5,
        threshold_text="at least 5",
        period=15,
    ),
    Alarm(
        name="AccessDeniedShare",
        metric=lambda metrics: cloudwatch.MathExpression(
            expression=f"IF(ended >= {_FEWEST_FOR_A_SHARE}, 100 * denied / ended, 0)",
            using_metrics={
                "denied": metrics.own("MessagesRejected", code="AccessDenied").with_(period=_QUARTER_HOUR),
                # One value for each message that ends, whatever its outcome
                "ended": metrics.own("EndToEndLatency", statistic="SampleCount").with_(period=_QUARTER_HOUR),
            },
            label="AccessDenied, percent of the messages that ended",
            period=_QUARTER_HOUR,
        ),
        measures=f"share of `AccessDenied` among at least {_FEWEST_FOR_A_SHARE} messages that end",
        happened="Amazon Connect refuses the connection tokens of unusually many messages.",
        impact=(
            "These messages are rejected. A few always are, because their chats have ended. This many "
            "suggests bad tokens."
        ),
        first=(
            "check whether one producer sends tokens older than a day, ParticipantTokens, or of another "
            "Region."
        ),
        then=(
            "Run `search \"code = 'AccessDenied'\"` to find the chats. "
            "Have the producer create a new connection for one of them (CreateParticipantConnection). "
            "If that works, its tokens were bad. "
            "If it fails, the chats have ended, and `access_denied_percent` may be too low for you. "
            "For chats in another Region, set `connect_region`."
        ),
        why="Chats that have ended are normal. A share of fewer messages means nothing.",
        threshold=lambda options: options.access_denied_percent,
        threshold_text="more than `access_denied_percent`",
        above=True,
        period=15,
    ),
    _one(
        "UnhandledErrors",
        lambda metrics: metrics.own("UnhandledErrors"),
        measures="unexpected errors of the function",
        happened="The function has a defect, or received an event of an unknown shape.",
        impact=(
            "The message is redelivered and may become a dead letter. A caller that waits gets an error "
            "instead."
        ),
        first="find `Unhandled error` in the log: error_type and stack show the place.",
        then=(
            "Run `search \"message = 'Unhandled error'\" @message`. "
            "If the errors began with a release, [roll back](how-to/deploy.md#roll-back). "
            "SQS and Lambda retry the messages by themselves. "
            "[Redrive](how-to/redrive.md) the messages that are in a dead-letter queue."
        ),
    ),
    _one(
        "TimeoutsAndCrashes",
        lambda metrics: metrics.timeouts_and_crashes,
        measures="invocations that end without an answer",
        happened="An invocation timed out, or its process died.",
        impact="Its messages are redelivered after up to three minutes, so their chats are late.",
        first="find platform.report in the log and compare maxMemoryUsedMB with the option memory_size_mb.",
        then=(
            "Run `search \"type = 'platform.report' and record.status != 'success'\" @message`. "
            "Raise `memory_size_mb` if the memory was used up. "
            "If the timeouts began with a release, [roll back](how-to/deploy.md#roll-back)."
        ),
        why="The function cannot count these invocations, so the stack counts Lambda's own log lines.",
    ),
    _one(
        "ResultPublishFailures",
        lambda metrics: metrics.own("ResultPublishFailures"),
        measures="results that are stored nowhere",
        happened="Neither the event bus nor the unpublished-results queue accepted a result.",
        impact=(
            "A message by queue or event bus is processed again, and its result is published then. For a "
            "synchronous call, only the caller and the log have the outcome."
        ),
        first="check the status of EventBridge and SQS, the key, and the function's permissions.",
        then=(
            "Restore the key or the policy that was disabled or changed. "
            "There is nothing to redrive. "
            "The results of direct invocations and of POST /messages/sync stay unpublished: "
            "run `search \"message = 'Result not published'\"`, then [find each message](#find-one-message) "
            "by its `correlation_id`."
        ),
    ),
    _one(
        "TaskCallbackFailures",
        lambda metrics: metrics.own("TaskCallbackFailures"),
        measures="Step Functions tasks that the function could not complete",
        happened="The function could not complete a Step Functions task.",
        impact=(
            "The message has its outcome and its result is published. The execution waits until its timeout."
        ),
        first="find `Task not answered` in the log: failure names the error.",
        then=(
            "Run `search \"message = 'Task not answered'\" @message`, and act on `failure`:\n\n"
            "- `AccessDeniedException`: add the state machine to `task_state_machine_arns`.\n"
            "- `KmsAccessDeniedException`: allow the function's role to use the key of the state machine.\n"
            "- `InvalidToken`: the producer sent something else as `TaskToken`, or the token of another "
            "Region."
        ),
    ),
    Alarm(
        name="ApiServerErrors",
        metric=lambda metrics: metrics.api("5XXError", statistic="Average"),
        measures="share of the API's requests that end with 5XX",
        happened="Requests to the HTTP API end with 5XX errors.",
        impact="Producers cannot send messages by the API, or do not get the outcome.",
        first="look at resourcePath and integrationStatus in the access log.",
        then=(
            'Run `search "status like /^5/" "resourcePath, status, integrationStatus, errorType" '
            "MessageApi`.\n\n"
            "- `/messages`: check SQS, the key and the API's role.\n"
            "- `/messages/sync`: check the function, and Amazon Connect behind it.\n\n"
            "Callers can repeat a request with the same `ClientToken`. "
            "Producers that cannot wait can use the queue."
        ),
        why="Callers retry for ten minutes. Three of six periods also detect failures of rare requests.",
        threshold=0.01,
        threshold_text="more than 1 %",
        above=True,
        period=5,
        datapoints=3,
        periods=6,
    ),
    Alarm(
        name="ApiRefusals",
        metric=lambda metrics: cloudwatch.MathExpression(
            expression=f"IF(requests >= {_FEWEST_REQUESTS_FOR_A_SHARE}, 100 * refused / requests, 0)",
            using_metrics={
                "refused": metrics.api_refusals.with_(period=_QUARTER_HOUR),
                "requests": metrics.api("Count").with_(period=_QUARTER_HOUR),
            },
            label="Refused requests, percent",
            period=_QUARTER_HOUR,
        ),
        measures=(
            f"share of signed requests that the API refuses, among at least {_FEWEST_REQUESTS_FOR_A_SHARE}"
        ),
        happened="The HTTP API refuses the requests of a producer.",
        impact="Their messages are not accepted and reach no chat.",
        first="run the saved query Refused requests: errorType and caller show the cause.",
        then=(
            'Run `search "status like /^4/" "resourcePath, status, errorType, caller" MessageApi`:\n\n'
            "- `ACCESS_DENIED`: the caller's policy or `producer_principals` does not allow the route, or "
            "its address is not in `api_source_cidrs`.\n"
            "- `INVALID_SIGNATURE`, `EXPIRED_TOKEN`: the caller's credentials or clock are wrong.\n"
            "- `BAD_REQUEST_BODY`, `UNSUPPORTED_MEDIA_TYPE`, `REQUEST_TOO_LARGE`: the caller breaks the "
            "contract. Roll it back.\n\n"
            "Requests that the function rejected are not counted here: see "
            "[`InvalidRequests`](#invalidrequests) and [`AccessDeniedShare`](#accessdeniedshare)."
        ),
        why=(
            "A producer that works is refused in less than 1 % of its requests. "
            "One in ten means that one producer fails completely, or all of them in part. "
            "Requests without a signature do not count: anyone can send them."
        ),
        threshold=10,
        threshold_text="more than 10 %",
        above=True,
        period=15,
    ),
    Alarm(
        name="ApiThrottles",
        metric=lambda metrics: cloudwatch.MathExpression(
            expression=f"IF(requests >= {_FEWEST_REQUESTS_FOR_A_SHARE}, 100 * throttled / requests, 0)",
            using_metrics={
                "throttled": metrics.api_throttles.with_(period=_FIVE_MINUTES),
                "requests": metrics.api("Count").with_(period=_FIVE_MINUTES),
            },
            label="Requests answered with 429, percent",
            period=_FIVE_MINUTES,
        ),
        measures=(
            f"share of the API's requests that end with 429, among at least {_FEWEST_REQUESTS_FOR_A_SHARE}"
        ),
        happened="The HTTP API asks many callers to slow down.",
        impact="These messages were not accepted. They are late, or lost if their producer does not retry.",
        first="run the saved query Refused requests: errorType says whether API Gateway throttles.",
        then=(
            'Run `search "status = \'429\'" "resourcePath, errorType, caller" MessageApi`:\n\n'
            "- `THROTTLED` at `/messages/sync`: more than `send_quota_per_second` requests. "
            "Have the caller use `POST /messages` or the queue.\n"
            "- `THROTTLED` at `/messages`: more than 100 requests a second. Find the `caller`.\n"
            "- No `errorType`: Amazon Connect throttles. Continue with "
            "[`SustainedThrottling`](#sustainedthrottling)."
        ),
        why=(
            "A short burst above the limit is normal, and callers retry it. "
            "One in twenty for a quarter of an hour is more than bursts."
        ),
        threshold=5,
        threshold_text="more than 5 %",
        above=True,
        period=5,
        datapoints=3,
        periods=6,
    ),
    Alarm(
        name="WorkflowFailures",
        metric=lambda metrics: metrics.state_machine("ExecutionsFailed"),
        measures="executions of the state machine that fail",
        happened="Several executions of the state machine failed.",
        impact="Their messages were rejected, or their retries were exhausted.",
        first="look at the error names of the failed executions.",
        then=(
            "List the latest failed executions and their errors:\n\n```sh\n"
            'for execution in $(aws stepfunctions list-executions --state-machine-arn "$(out '
            'StateMachineArn)" --status-filter FAILED \\\n'
            "    --max-results 10 --output text --query 'executions[].executionArn'); do\n"
            '    aws stepfunctions describe-execution --execution-arn "$execution" --output text --query '
            "'[stopDate,error,name]'\n"
            "done\n```\n\n"
            "This needs `states:ListExecutions`, `states:DescribeExecution`, and `kms:Decrypt` for the key. "
            "Without `--query`, the output contains the connection token.\n\n"
            "- `AccessDeniedError`: continue with [`AccessDeniedShare`](#accessdeniedshare).\n"
            "- `InvalidRequestError`: continue with [`InvalidRequests`](#invalidrequests).\n"
            "- `ThrottledError` and other errors after retries: continue with "
            "[`MessagesFailed`](#messagesfailed)."
        ),
        why="One execution fails with each rejected message, which is normal.",
        threshold=5,
        threshold_text="at least 5",
        period=15,
    ),
    _one(
        "WorkflowTimeouts",
        lambda metrics: metrics.workflow_timeouts,
        measures="executions of the state machine that time out",
        happened=(
            "An execution of the state machine ended without an outcome: the task of its message timed out."
        ),
        impact="The message may be in its chat, or may still be sent.",
        first="find the result event of its ClientToken, which is the outcome.",
        then=(
            'Run `search "type like /TimedOut/" "type, execution_arn" SendWorkflow` to see the execution. '
            "Its input has the ClientToken: [find the message](#find-one-message). "
            "Then check [`TaskCallbackFailures`](#taskcallbackfailures), throttling, and whether the queue "
            "is [paused](how-to/pause-and-resume.md)."
        ),
        why=(
            "The stack counts log lines of the state machine, because AWS counts a task that timed out as a "
            "failed execution. "
            "With the default retry window, the task waits 16 minutes and the execution 50."
        ),
    ),
    _one(
        "EventDeliveryFailures",
        lambda metrics: metrics.requests("FailedInvocations"),
        measures="requests that EventBridge could not deliver",
        happened="EventBridge could not deliver a request to the function.",
        impact="Its message did not reach its chat. The request is in the events dead-letter queue.",
        first=(
            "run `.venv/bin/python -m ops redrive events --stage $STAGE`: the code is the ERROR_CODE of "
            "EventBridge."
        ),
        then=(
            "Check that the rule `Requests` may invoke the function's alias, and restore this permission. "
            "Then [redrive](how-to/redrive.md) the queue `events`."
        ),
    ),
    _one(
        "EventsLost",
        lambda metrics: metrics.requests("InvocationsFailedToBeSentToDlq"),
        measures="requests that EventBridge lost",
        happened=(
            "A request from the event bus is lost: neither the function nor the events dead-letter queue "
            "received it."
        ),
        impact="Its message will never reach its chat.",
        first="check the policies of that queue and of the key for events.amazonaws.com.",
        then=_SEND_AGAIN,
    ),
    _one(
        "FailedEventsLost",
        lambda metrics: metrics.function("DestinationDeliveryFailures"),
        measures="requests that Lambda lost",
        happened=(
            "A request that the function failed on is lost: Lambda could not put it into the events "
            "dead-letter queue."
        ),
        impact="Its message will never reach its chat.",
        first="check the function's permissions for that queue and for the key.",
        then=_SEND_AGAIN,
    ),
    Alarm(
        name="KeyLosses",
        metric=lambda metrics: metrics.key_losses,
        measures="calls that disable the key or schedule its deletion",
        happened="Someone disabled the stack's KMS key, or scheduled its deletion.",
        impact=(
            "Without the key, no message is accepted or delivered. A deleted key makes all queued messages "
            "and logs unreadable."
        ),
        first="enable the key again, or cancel its deletion.",
        then=(
            "Only a key administrator can do this:\n\n```sh\n"
            'aws kms describe-key --key-id "$(out DataKeyArn)" --output text '
            "--query 'KeyMetadata.[KeyState,DeletionDate]'\n"
            "```\n\n"
            "- `PendingDeletion`: `aws kms cancel-key-deletion`, then `aws kms enable-key`.\n"
            "- `Disabled`: `aws kms enable-key`.\n"
            "- `Enabled`: someone has repaired it already.\n\n"
            "CloudTrail shows who did it: look for `DisableKey` or `ScheduleKeyDeletion`. "
            "Then check [`DeadLetters`](#deadletters), [`DeadEvents`](#deadevents) and "
            "[`EventsLost`](#eventslost).\n\n"
            "The alarm is for these two calls, and not for the state of the key. "
            "It needs a trail in CloudTrail that logs management events in this Region: without one, "
            "EventBridge does not get the calls."
        ),
        why="It stays on for a day, because there is no event when the key is whole again.",
        period=5,
        periods=_DAY // 5,
    ),
    _one(
        "SecretsInLog",
        lambda metrics: metrics.log_findings,
        measures="lines of the function's log with a secret, which CloudWatch masked",
        happened="The function logged something that looks like a connection token or another secret.",
        impact="No chat is affected. CloudWatch masks it, but whoever may unmask logs can read it.",
        first="find the masked line: its keys show the place in the code.",
        then=(
            'Run `search "@message like /[*]{20}/" @message`. '
            "The function never logs a token on purpose, so this is a defect: report it with the names of "
            "the keys, and without their values.\n\n"
            "- A token: [end its chat](#a-connection-token-leaked), or wait until it has expired.\n"
            "- An e-mail address: it is part of an id that a producer chose, such as a `ClientToken`. "
            "Have the producer use another.\n\n"
            "If the errors began with a release, [roll back](how-to/deploy.md#roll-back)."
        ),
    ),
)
"""Not alarmed: a single rejected message, which its producer knows about, and Lambda's `Errors`, which counts
each rejected direct call."""

BURN_RATES: Final = tuple(alarm for alarm in ALARMS if isinstance(alarm, BurnRate))


class Alarms(Construct):
    """Every alarm of the stack. Each publishes to the topic of the options, if there is one.

    Attributes:
        all: Those that need an operator: without the windows of the burn rates.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, metrics: ServiceMetrics, options: StageOptions
    ) -> None:
        super().__init__(scope, construct_id)
        self._metrics = metrics
        self._options = options
        self._prefix = cdk.Stack.of(self).stack_name
        arn = options.alarm_topic
        topic = None if arn is None else sns.Topic.from_topic_arn(self, "Topic", arn)
        self.all = [
            self._burn_rate(alarm) if isinstance(alarm, BurnRate) else self._alarm(alarm) for alarm in ALARMS
        ]
        if topic is not None:
            action = cloudwatch_actions.SnsAction(topic)
            for alarm in self.all:
                alarm.add_alarm_action(action)
                alarm.add_ok_action(action)

    def _alarm(self, alarm: Alarm) -> cloudwatch.AlarmBase:
        threshold = alarm.threshold
        return cloudwatch.Alarm(
            self,
            alarm.name,
            alarm_name=f"{self._prefix}-{alarm.name}",
            alarm_description=alarm.description,
            metric=alarm.metric(self._metrics).with_(period=cdk.Duration.minutes(alarm.period)),
            comparison_operator=_COMPARISONS[alarm.above],
            threshold=threshold(self._options) if callable(threshold) else threshold,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.datapoints,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )

    def _burn_rate(self, alarm: BurnRate) -> cloudwatch.AlarmBase:
        # A few late messages are a large share of a quiet window. The long window must have more of them.
        windows = [
            cloudwatch.Alarm(
                self,
                f"{alarm.name}{minutes}",
                alarm_name=f"{self._prefix}-{alarm.name}-{minutes}m",
                alarm_description=f"A part of {alarm.name}: the last {_words(minutes)}. It has no action.",
                metric=self._metrics.late(cdk.Duration.minutes(minutes), fewest=fewest),
                comparison_operator=_COMPARISONS[False],
                threshold=alarm.threshold(self._options),
                evaluation_periods=1,
                datapoints_to_alarm=1,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
            for minutes, fewest in ((alarm.long, _FEWEST_LATE), (alarm.short, 0))
        ]
        is_on = [cloudwatch.AlarmRule.from_alarm(window, cloudwatch.AlarmState.ALARM) for window in windows]
        return cloudwatch.CompositeAlarm(
            self,
            alarm.name,
            composite_alarm_name=f"{self._prefix}-{alarm.name}",
            alarm_description=alarm.description,
            alarm_rule=cloudwatch.AlarmRule.all_of(*is_on),
        )

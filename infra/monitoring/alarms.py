"""The alarms. Each one needs an operator.

The definitions below are the only source of the alarms: the stack, the texts of the alarms and the runbook in
`docs/runbook.md` come from them. To add an alarm, add a definition and run `make docs`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from ..options import Options
from .metrics import MINUTE, ServiceMetrics

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

URGENT: Final = "Urgent. "
"""The first word of the description of an urgent alarm. Subscriptions to the topic filter by it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """The texts of an alarm: in its description, and in its section of the runbook."""

    name: str
    """Pagers know the alarm by it. Also the anchor in the runbook, in lower case."""
    urgent: bool
    """Wake somebody: messages do not reach their chats, or are lost, until somebody acts."""
    happened: str
    impact: str
    """The consequence for chats."""
    first: str
    """The first step. It follows "First:"."""
    then: str
    """The further steps, in Markdown. Only the runbook has them, and it defines `search` and `out`."""
    why: str = ""
    """The reason for the threshold, in Markdown. Only the runbook has it."""
    part: Literal["http_api", "workflow", "outcome_lookup"] | None = None
    """The option without which there is no such alarm."""

    @property
    def description(self) -> str:
        text = f"{self.happened} {self.impact} First: {self.first}".replace("`", "")
        return f"{URGENT if self.urgent else ''}{text} Runbook: docs/runbook.md#{self.name.lower()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm(Text):
    """An alarm on one metric or expression.

    A missing data point is never a breach: metrics of errors have no data while there are none, and SQS sends
    none for a queue that has long been empty.
    """

    metric: Callable[[ServiceMetrics], cloudwatch.Metric | cloudwatch.MathExpression]
    threshold: float | Callable[[Options], float] = 1
    threshold_text: str = ""
    """For the runbook. Empty if the alarm goes off at the first one of a kind."""
    above: bool = False
    """Go off above the threshold only, not at it."""
    period: int = 1
    """In minutes."""
    datapoints: int = 1
    periods: int = 1

    @property
    def condition(self) -> str:
        """The condition in words. Empty if it is that of most alarms."""
        if not self.threshold_text:
            return ""
        minutes = "minutes" if self.period == 1 else f"periods of {self.period} minutes"
        if self.periods == 1:
            when = f"{self.period} minutes"
        elif self.datapoints == 1 and self.period * self.periods == _DAY:
            when = "24 hours"
        elif self.datapoints == self.periods:
            when = f"each of {self.periods} {minutes}"
        else:
            when = f"{'one' if self.datapoints == 1 else self.datapoints} of {self.periods} {minutes}"
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

    def threshold(self, options: Options) -> float:
        """Return the percentage of late messages. If even that of all messages is lower, all must be late."""
        return min(100.0, round(self.rate * (100 - options.slo_percent), 4))

    @property
    def condition(self) -> str:
        return (
            f"{self.rate:g} times the error budget in the last {_words(self.long)} and {_words(self.short)}"
        )


def _words(minutes: int) -> str:
    if minutes == 60:  # noqa: PLR2004  # minutes of an hour
        return "hour"
    return f"{minutes // 60} hours" if minutes % 60 == 0 else f"{minutes} minutes"


def _one(
    name: str,
    metric: Callable[[ServiceMetrics], cloudwatch.Metric | cloudwatch.MathExpression],
    *,
    urgent: bool = False,
    happened: str,
    impact: str,
    first: str,
    then: str,
    why: str = "",
    part: Literal["http_api", "workflow", "outcome_lookup"] | None = None,
) -> Alarm:
    """Define an alarm on the first minute with one. It ends after five minutes without: once for a burst."""
    return Alarm(
        name=name,
        urgent=urgent,
        metric=metric,
        happened=happened,
        impact=impact,
        first=first,
        then=then,
        why=why,
        part=part,
        periods=5,
    )


ALARMS: Final[tuple[Alarm | BurnRate, ...]] = (
    BurnRate(
        name="ErrorBudgetFastBurn",
        urgent=True,
        rate=14.4,
        long=60,
        short=5,
        happened="Far more messages are late or fail than the service level objective allows.",
        impact="At this rate, an hour uses 2 % of the error budget of 30 days.",
        first="look on the dashboard whether calls to Amazon Connect are throttled, fail or are slow.",
        then=(
            "Continue with another alarm that is on: in an outage, this one follows the others. "
            "If there is none, look for one chat or event source in the saved query `Slowest messages`. "
            f"Fewer than {_FEWEST_LATE} late messages in an hour do not count."
        ),
    ),
    BurnRate(
        name="ErrorBudgetSlowBurn",
        urgent=False,
        rate=6,
        long=360,
        short=30,
        happened="For hours, more messages are late or fail than the service level objective allows.",
        impact="At this rate, the error budget of 30 days lasts for five days.",
        first="look on the dashboard since when p99 of the time to the outcome has been high.",
        then=(
            "Run the saved query `Slowest messages` for six hours:\n\n"
            "- Many `attempts`: calls are throttled or fail.\n"
            "- One attempt: messages wait. Compare the invocations at once with `maximum_concurrency`.\n"
            "- Since a release: roll back."
        ),
    ),
    _one(
        "DeadLetters",
        lambda metrics: metrics.queue(metrics.queues.dead_letter, _VISIBLE),
        happened="Messages are in the dead-letter queue.",
        impact="Their retries were exhausted, or the function never finished them.",
        first="run `.venv/bin/python -m ops redrive --stage $STAGE`, which shows their codes.",
        then=(
            "- `MovedBySQS`: the function never finished it. "
            "Check `TimeoutsAndCrashes`, `UnhandledErrors`, `FunctionThrottles`, and the log for "
            "`Copy not made` and `Result not published`.\n"
            "- Any other: see [its section](reference/errors.md#all-codes).\n\n"
            "Then redrive the messages that somebody still waits for, finalize the others, and delete "
            "those with a result. "
            "In the SQS console, delete those that the command cannot read. "
            "The alarm cannot go off again while any dead letter remains."
        ),
    ),
    _one(
        "DeadEvents",
        lambda metrics: metrics.queue(metrics.queues.events_dead_letter, _VISIBLE),
        happened="Requests are in the events dead-letter queue.",
        impact="Their messages did not reach their chats.",
        first="run `.venv/bin/python -m ops redrive events --stage $STAGE`, which shows their codes.",
        then=(
            "- `RetriesExhausted`: the function failed three times, and its log says why.\n"
            "- `EventAgeExceeded`: it had no concurrency, or failed until the retry window was over.\n"
            "- Any other: continue with [`EventDeliveryFailures`](#eventdeliveryfailures).\n\n"
            "Then redrive the queue `events`. "
            "Finalizing the rest moves it to the dead-letter or rejected queue."
        ),
    ),
    # The queue is a standard one: SQS leaves messages that were received three times out of its age metric. A
    # result that was just refused is published within minutes.
    Alarm(
        name="UnpublishedResults",
        urgent=False,
        metric=lambda metrics: cloudwatch.MathExpression(
            expression="visible + in_flight",
            using_metrics={
                "visible": metrics.queue(metrics.queues.unpublished_results, _VISIBLE).with_(
                    period=_FIVE_MINUTES
                ),
                "in_flight": metrics.queue(
                    metrics.queues.unpublished_results, "ApproximateNumberOfMessagesNotVisible"
                ).with_(period=_FIVE_MINUTES),
            },
            label="Results in the queue",
            period=_FIVE_MINUTES,
        ),
        happened="For an hour, results have been in the unpublished-results queue.",
        impact="Consumers do not know these outcomes yet. No chat is affected.",
        first="check the status of EventBridge, and run `search \"level != 'INFO'\" @message Results`.",
        then=(
            "Check the key, the permission `events:PutEvents`, and the event source mapping of `Results`. "
            "It publishes the results as soon as the bus accepts them. "
            "Delete a message that is not a result of this stack in the SQS console."
        ),
        threshold_text="a result in the queue",
        period=5,
        datapoints=12,
        periods=12,
    ),
    _one(
        "OutcomesNotStored",
        lambda metrics: metrics.outcomes_not_stored,
        part="outcome_lookup",
        happened="Outcomes are missing in the table for look-ups.",
        impact="GET /messages/{id} answers 404 for their messages. No chat and no result event is affected.",
        first="run `search \"level = 'ERROR'\" @message Results`, which shows the error of DynamoDB.",
        then=(
            "Check the status of DynamoDB, the table and the key. "
            "The result events and the log of the sender have these outcomes: "
            "[search](#find-one-message) for an id."
        ),
    ),
    # SQS documents that it leaves out messages that were received three times, and not whether it does so for
    # FIFO queues: AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html.
    # Three minutes in a row, because the next retry may end the wait.
    Alarm(
        name="OldMessages",
        urgent=True,
        metric=lambda metrics: metrics.queue(metrics.queues.messages, "ApproximateAgeOfOldestMessage"),
        happened="A message has waited for more than half of the retry window.",
        impact="Its chat is late. After the window, the message fails at its next unsuccessful attempt.",
        first="look on the dashboard for throttled, slow or failing calls, or for no invocations.",
        then=(
            "- Throttled calls: raise the quota.\n"
            "- As many invocations at once as `maximum_concurrency`: raise this option.\n"
            "- Failing calls: check the status of Amazon Connect.\n"
            "- No invocations: continue with [`QueueNotDelivering`](#queuenotdelivering).\n"
            "- A single chat: search for its `ContactId`.\n\n"
            "If SQS ignores messages that it delivered three times, `MessagesFailed` goes off first."
        ),
        threshold=lambda options: options.retry_window_minutes * 60 / 2,
        threshold_text="half of `retry_window_minutes`",
        datapoints=3,
        periods=3,
    ),
    Alarm(
        name="QueueNotDelivering",
        urgent=True,
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
        threshold_text="a message visible and none received",
        happened="Messages are in the queue and nothing receives them.",
        impact="Messages by the queue, POST /messages and the state machine reach no chat.",
        first="check State and LastProcessingResult of the event source mapping.",
        then=(
            "- `Disabled`: somebody has paused the queue.\n"
            "- An error: check the function's permissions for the queue and the key.\n"
            "- No error: continue with [`FunctionThrottles`](#functionthrottles)."
        ),
        why=(
            "Messages behind one that backs off can be visible for a minute, or for three if the function "
            "died."
        ),
        datapoints=5,
        periods=5,
    ),
    _one(
        "MessagesFailed",
        lambda metrics: metrics.own("MessagesFailed"),
        happened="A message could not be sent within the retry window.",
        impact="Its chat does not show it, unless the result says MaybeDelivered.",
        first=("run `search \"outcome = 'FAILED'\"` for its code."),
        then=("Continue as for [`DeadLetters`](#deadletters): that queue has a copy."),
    ),
    Alarm(
        name="SustainedThrottling",
        urgent=False,
        metric=lambda metrics: cloudwatch.MathExpression(
            expression="100 * throttles / attempts",
            using_metrics={
                "throttles": metrics.own("SendMessageThrottles"),
                "attempts": metrics.own("SendAttempts"),
            },
            label="Throttled calls, percent",
            period=MINUTE,
        ),
        happened="Amazon Connect has throttled calls for ten minutes.",
        impact="There is about as much to send as the quota allows, or more, so messages are late.",
        first="compare the calls a second on the dashboard with the quota.",
        then=(
            "If they are below it, agents or other back ends use the quota too. "
            "If they are at it, raise the quota: until then, bulk producers must wait."
        ),
        # Minutes need not be in a row, because backoff makes gaps
        why=(
            "At the quota, at least 11 of 15 simulated minutes are above 2 %, and at nine tenths of it at "
            "most 6."
        ),
        threshold=2,
        threshold_text="more than 2 % of the SendMessage calls",
        above=True,
        datapoints=10,
        periods=15,
    ),
    # Twice the messages that the quota allows, each with about one invocation: a loop, or a runaway producer.
    # At 10 a second, these 1,200 a minute cost about 80 dollars a month for Lambda and 65 for logs.
    Alarm(
        name="InvocationSurge",
        urgent=False,
        metric=lambda metrics: metrics.function("Invocations"),
        happened="The function is invoked far more often than the quota allows messages.",
        impact="Other messages are late, and the invocations cost money.",
        first=('run `FROM=1 search "message like /Message/" "event_source, contact_id, outcome, code"`.'),
        then=(
            "- One `contact_id`, or many `REJECTED`: stop the producer.\n"
            "- `eventbridge`: check that no rule of yours turns a result into a request.\n"
            "- `direct` or `api_gateway`: a caller repeats without a pause.\n\n"
            "To stop all at once, pause."
        ),
        threshold=lambda options: 2 * 60 * options.send_quota_per_second,
        threshold_text="more than 120 x `send_quota_per_second` invocations a minute",
        above=True,
        datapoints=10,
        periods=15,
    ),
    Alarm(
        name="FunctionThrottles",
        urgent=True,
        metric=lambda metrics: metrics.function("Throttles"),
        threshold_text="1 refused invocation",
        happened="Lambda has no concurrency left for the function.",
        impact="Events and queued messages are late, and callers that wait get an error.",
        first="compare the invocations at once on the dashboard with reserved_concurrency.",
        then=(
            "Run `aws lambda get-account-settings --query AccountLimit`:\n\n"
            "- `reserved_concurrency` is 0: somebody has paused the function.\n"
            "- The function has reached it: raise this option.\n"
            "- Otherwise other functions use the account's concurrency: reserve some, or raise its quota.\n\n"
            "Only callers that wait must send again, with the same `ClientToken`."
        ),
        datapoints=3,
        periods=5,
    ),
    # Lambda retries an event after one and after two more minutes: two failures make it three minutes old
    Alarm(
        name="OldEvents",
        urgent=True,
        metric=lambda metrics: metrics.function("AsyncEventAge", statistic="Maximum"),
        happened="A request from the event bus has waited for more than half of the retry window.",
        impact="Its message is late. After the window, the request is dead-lettered.",
        first="check on the dashboard whether invocations of the function are throttled or fail.",
        then=(
            "Continue with `FunctionThrottles`, `UnhandledErrors` or `TimeoutsAndCrashes`. "
            "If none is on, check the status of Lambda and EventBridge."
        ),
        threshold=lambda options: options.retry_window_minutes * 60_000 / 2,
        threshold_text="half of `retry_window_minutes`",
        periods=5,
    ),
    _one(
        "DroppedEvents",
        lambda metrics: metrics.function("AsyncEventsDropped"),
        happened="Lambda dropped a request without a successful invocation.",
        impact="Its message did not reach its chat.",
        first="look for the request in the events dead-letter queue.",
        then=(
            "Continue as for [`DeadEvents`](#deadevents), or as for [`FailedEventsLost`](#failedeventslost) "
            "if it is not there."
        ),
    ),
    Alarm(
        name="InvalidRequests",
        urgent=False,
        metric=lambda metrics: metrics.own("MessagesRejected", code="InvalidRequest"),
        happened="A producer sends requests that break the contract.",
        impact="Their messages are rejected and reach no chat.",
        first=("run `search \"code = 'InvalidRequest'\"`: the reason names field and rule."),
        then=("`event_source` and `contact_id` identify the producer, which must be rolled back."),
        threshold=5,
        threshold_text="5 messages",
        period=15,
    ),
    Alarm(
        name="ServiceValidations",
        urgent=False,
        metric=lambda metrics: metrics.own("MessagesRejected", code="ServiceValidation"),
        happened="Amazon Connect refuses the messages of a producer as invalid.",
        impact="They are rejected and reach no chat.",
        first=(
            "run `search \"code = 'ServiceValidation'\"`: most often the chat does not support the content "
            "type."
        ),
        then=(
            "Fix [the cause](reference/errors.md#servicevalidation), then redrive the copies in the rejected "
            "queue."
        ),
        threshold=5,
        threshold_text="5 messages",
        period=15,
    ),
    Alarm(
        name="AccessDeniedShare",
        urgent=True,
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
        happened="Amazon Connect refuses the connection tokens of unusually many messages.",
        impact="These messages are rejected. So many suggest bad tokens, and not only chats that have ended.",
        first=("run `search \"code = 'AccessDenied'\"` to find the chats and their producers."),
        then=(
            "See [the causes](reference/errors.md#accessdenied), such as old tokens or another Region. "
            "If the chats have ended, `access_denied_percent` may be too low for you."
        ),
        threshold=lambda options: options.access_denied_percent,
        threshold_text=f"more than `access_denied_percent` of at least {_FEWEST_FOR_A_SHARE} messages",
        above=True,
        period=15,
    ),
    _one(
        "UnhandledErrors",
        lambda metrics: metrics.own("UnhandledErrors"),
        happened="The function has a defect.",
        impact="Its message is redelivered and may become a dead letter. A caller that waits gets an error.",
        first=("run `search \"message = 'Unhandled error'\" @message`: error_type and stack show the place."),
        then=(
            "If it finds nothing, the defect is in the function `Results`: add `Results` to the command. "
            "If a release caused the errors, roll back, which does not change `Results`. "
            "Then redrive dead letters."
        ),
    ),
    _one(
        "TimeoutsAndCrashes",
        # The function cannot count these invocations, so the metric counts Lambda's own log lines
        lambda metrics: metrics.timeouts_and_crashes,
        happened="An invocation timed out, or its process died.",
        impact="Its messages are redelivered after up to three minutes, and are late.",
        first=(
            "run `search \"type = 'platform.report' and record.status != 'success'\" @message`, and compare "
            "maxMemoryUsedMB with memory_size_mb."
        ),
        then="Raise that option if the memory was used up. If a release caused the timeouts, roll back.",
    ),
    _one(
        "ResultPublishFailures",
        lambda metrics: metrics.own("ResultPublishFailures"),
        happened="Neither the event bus nor the unpublished-results queue accepted a result.",
        impact=(
            "Queued messages and events are processed again. "
            "For a synchronous call, only the caller and the log have the outcome."
        ),
        first="check the status of EventBridge and SQS, the key, and the function's permissions.",
        then=(
            "Restore what was changed: there is nothing to redrive. "
            "For synchronous calls, run `search \"message = 'Result not published'\"`, then search for each "
            "`correlation_id`."
        ),
    ),
    _one(
        "TaskCallbackFailures",
        lambda metrics: metrics.own("TaskCallbackFailures"),
        happened="The function could not complete a Step Functions task.",
        impact="Its result is published, but the execution waits until its timeout.",
        first=("run `search \"message = 'Task not answered'\" @message`: failure names the error."),
        then=(
            "- `AccessDeniedException`: add the state machine to `task_state_machine_arns`.\n"
            "- `KmsAccessDeniedException`: let the function's role use the key of the state machine.\n"
            "- `InvalidToken`: the `TaskToken` is not valid, or is of another Region."
        ),
    ),
    # The state machine and good callers retry for ten minutes, so it waits for 15
    Alarm(
        name="ApiServerErrors",
        part="http_api",
        urgent=True,
        metric=lambda metrics: metrics.api("5XXError", statistic="Average"),
        happened="Requests to the API end with 5XX errors.",
        impact="Producers cannot send messages by the API, or do not get the outcome.",
        first=(
            'run `search "status like /^5/" "resourcePath, status, integrationStatus, errorType" MessageApi`.'
        ),
        then=(
            "- `/messages`: check SQS, the key and the API's role.\n"
            "- `/messages/sync`: check the function, and Amazon Connect behind it.\n\n"
            "Callers can repeat a request with the same `ClientToken`, or use the queue."
        ),
        threshold=0.01,
        threshold_text="more than 1 % of the requests",
        above=True,
        period=5,
        datapoints=3,
        periods=6,
    ),
    # A producer that works is refused in less than 1 % of its requests. One in ten means that one producer
    # fails completely, or all of them in part.
    Alarm(
        name="ApiRefusals",
        part="http_api",
        urgent=False,
        metric=lambda metrics: cloudwatch.MathExpression(
            expression=f"IF(requests >= {_FEWEST_REQUESTS_FOR_A_SHARE}, 100 * refused / requests, 0)",
            using_metrics={
                "refused": metrics.api_refusals.with_(period=_QUARTER_HOUR),
                "requests": metrics.api("Count").with_(period=_QUARTER_HOUR),
            },
            label="Refused requests, percent",
            period=_QUARTER_HOUR,
        ),
        happened="The API refuses the requests of a producer.",
        impact="Their messages are not accepted and reach no chat.",
        first=('run `search "status like /^4/" "resourcePath, status, errorType, caller" MessageApi`.'),
        then=(
            "- `ACCESS_DENIED`: check the caller's policy, `producer_principals` and `api_source_cidrs`.\n"
            "- `INVALID_SIGNATURE`, `EXPIRED_TOKEN`: check the caller's credentials and clock.\n"
            "- Any other: the caller breaks the contract and must be rolled back."
        ),
        threshold=10,
        threshold_text=f"more than 10 % of at least {_FEWEST_REQUESTS_FOR_A_SHARE} requests",
        above=True,
        period=15,
    ),
    # A short burst above the limit is normal, and callers retry it
    Alarm(
        name="ApiThrottles",
        part="http_api",
        urgent=False,
        metric=lambda metrics: cloudwatch.MathExpression(
            expression=f"IF(requests >= {_FEWEST_REQUESTS_FOR_A_SHARE}, 100 * throttled / requests, 0)",
            using_metrics={
                "throttled": metrics.api_throttles.with_(period=_FIVE_MINUTES),
                "requests": metrics.api("Count").with_(period=_FIVE_MINUTES),
            },
            label="Requests answered with 429, percent",
            period=_FIVE_MINUTES,
        ),
        happened="The API asks many callers to slow down.",
        impact="Their messages are not accepted, and are lost if the callers do not retry.",
        first=("run the saved query Refused requests."),
        then=(
            "- `THROTTLED` at `/messages/sync`: callers exceed `send_quota_per_second`, and can use "
            "`/messages`.\n"
            "- `THROTTLED` at `/messages`: a `caller` exceeds 100 requests a second.\n"
            "- No `errorType`: continue with [`SustainedThrottling`](#sustainedthrottling)."
        ),
        threshold=5,
        threshold_text=f"more than 5 % of at least {_FEWEST_REQUESTS_FOR_A_SHARE} requests",
        above=True,
        period=5,
        datapoints=3,
        periods=6,
    ),
    # One execution fails with each rejected message, which is normal
    Alarm(
        name="WorkflowFailures",
        part="workflow",
        urgent=False,
        metric=lambda metrics: metrics.state_machine("ExecutionsFailed"),
        happened="Several executions of the state machine failed.",
        impact="Their messages were rejected, or their retries were exhausted.",
        first=('run `search "type like /Failed/" "type, execution_arn" SendWorkflow`.'),
        then=(
            "Run `aws stepfunctions describe-execution --query error --execution-arn ARN` with an ARN that "
            "it shows. "
            "It needs `states:DescribeExecution`, and `kms:Decrypt` for the key. "
            "Without `--query`, it prints the connection token. "
            "Then see [the error](reference/errors.md#all-codes)."
        ),
        threshold=5,
        threshold_text="5 executions",
        period=15,
    ),
    _one(
        "WorkflowTimeouts",
        # AWS counts a task that timed out as a failed execution, so the metric counts log lines
        lambda metrics: metrics.workflow_timeouts,
        part="workflow",
        happened="The task of a message timed out, and its execution ended without an outcome.",
        impact="The message may be in its chat, or may still be sent.",
        first="find the result event with the ClientToken: it has the outcome.",
        then=(
            'Run `search "type like /TimedOut/" "type, execution_arn" SendWorkflow`: the input of the '
            "execution has the ClientToken. "
            "Check throttling, [`TaskCallbackFailures`](#taskcallbackfailures), and whether the queue is "
            "paused."
        ),
    ),
    _one(
        "EventDeliveryFailures",
        lambda metrics: metrics.requests("FailedInvocations"),
        urgent=True,
        happened="EventBridge could not deliver a request to the function.",
        impact="Its message did not reach its chat.",
        first=(
            "run `.venv/bin/python -m ops redrive events --stage $STAGE`: the code is the ERROR_CODE of "
            "EventBridge."
        ),
        then=(
            "Check that the rule `Requests` may invoke the function's alias. Then redrive the queue `events`."
        ),
    ),
    _one(
        "EventsLost",
        lambda metrics: metrics.requests("InvocationsFailedToBeSentToDlq"),
        urgent=True,
        happened="A request is lost: neither the function nor the events dead-letter queue received it.",
        impact="Its message will never reach its chat.",
        first="check the policies of that queue and of the key for events.amazonaws.com.",
        then=(
            "Compare them with the template (`make synth`), and restore them by hand: deploying it again "
            "does not. "
            "Then have the producer send every message without a result again, with the same `ClientToken`."
        ),
    ),
    _one(
        "FailedEventsLost",
        lambda metrics: metrics.function("DestinationDeliveryFailures"),
        urgent=True,
        happened=(
            "The function failed on a request, and Lambda could not put it into the events dead-letter queue."
        ),
        impact="Its message will never reach its chat.",
        first="check the function's permissions for that queue and for the key.",
        then="Continue as for [`EventsLost`](#eventslost).",
    ),
    Alarm(
        name="KeyLosses",
        urgent=True,
        metric=lambda metrics: metrics.key_losses,
        threshold_text="1 call",
        happened="Somebody disabled a KMS key of the sender, or scheduled its deletion.",
        impact=(
            "The queues and new instances of the function stop, or sealed tokens are refused. A deleted key "
            "makes messages, logs and sealed tokens unreadable."
        ),
        first="enable the key again, or cancel its deletion.",
        then=(
            'An administrator of the key runs `aws kms cancel-key-deletion --key-id "$(out DataKeyArn)"` if '
            "it is to be deleted, and then `aws kms enable-key` with the same id (or `TokenKeyArn`). "
            "CloudTrail shows who made the call, and for which key. "
            "Check `DeadLetters`, `DeadEvents` and `EventsLost`. "
            "The alarm needs a trail of management events in this Region, and stays on for a day."
        ),
        period=5,
        periods=_DAY // 5,
    ),
    _one(
        "SecretsInLog",
        lambda metrics: metrics.log_findings,
        happened="The function logged something that looks like a secret.",
        impact="CloudWatch masks it, but everyone who may unmask logs can read it.",
        first=('run `search "@message like /[*]{20}/" @message`: the keys show the place in the code.'),
        then=(
            "- A token: [end its chat](#a-connection-token-leaked). "
            "Report the defect with the names of the keys only. "
            "Roll back if a release caused it.\n"
            "- An e-mail address: a producer must change its ids, such as `ClientToken`."
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
        self, scope: Construct, construct_id: str, *, name: str, metrics: ServiceMetrics, options: Options
    ) -> None:
        super().__init__(scope, construct_id)
        self._metrics = metrics
        self._options = options
        self._prefix = name
        arn = options.alarm_topic
        topic = None if arn is None else sns.Topic.from_topic_arn(self, "Topic", arn)
        self.all = [
            self._burn_rate(alarm) if isinstance(alarm, BurnRate) else self._alarm(alarm)
            for alarm in ALARMS
            if alarm.part is None or getattr(options, alarm.part)
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

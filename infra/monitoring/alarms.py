"""The alarms. Each means that a person has something to do, and its description says what comes first."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.monitoring.metrics import MINUTE, ServiceMetrics
from infra.options import StageOptions

_FIVE_MINUTES = cdk.Duration.minutes(5)
_QUARTER_HOUR = cdk.Duration.minutes(15)

# Rejected messages, failed executions: one is the chat's matter, some in a quarter of an hour are no accident
_SEVERAL = 5

# Messages that end in a quarter of an hour: a share of fewer says nothing
_ENOUGH_FOR_A_SHARE = 10

# Percent of the calls. While there is more to send than the quota allows, instances that pace themselves have
# some 3 percent throttled, however much more it is; below the quota less than 1: docs/benchmarks/quota.md
_THROTTLED_SHARE = 1

# Percent of the requests: API Gateway's own failures, and what the function answers for Amazon Connect's
_API_ERROR_SHARE = 1


class Alarms(Construct):
    """Every alarm of the stack, told to the topic of the options if there is one.

    A missing data point is never a breach: what counts trouble sends nothing while there is none, and SQS
    sends nothing of a queue that has long been empty. Not alarmed: a single rejected message, which is the
    chat's matter and told to the producer; Lambda's `Errors`, where each rejected direct call counts.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, metrics: ServiceMetrics, options: StageOptions
    ) -> None:
        super().__init__(scope, construct_id)
        self.all: list[cloudwatch.Alarm] = []
        self._topic = (
            None
            if options.alarm_topic_arn is None
            else sns.Topic.from_topic_arn(self, "Topic", options.alarm_topic_arn)
        )
        self._waiting_messages(metrics)
        self._delivery(metrics, options)
        self._refusals(metrics, options)
        self._function(metrics)
        self._event_sources(metrics)

    def _waiting_messages(self, metrics: ServiceMetrics) -> None:
        queues, visible = metrics.queues, "ApproximateNumberOfMessagesVisible"
        self._at_once(
            "DeadLetters",
            metrics.queue(queues.dead_letter, visible),
            means=(
                "Messages wait in the dead-letter queue: given up after the retry window, or the function "
                "died on them each time."
            ),
            first="python -m ops redrive shows the Code of each. Fix the cause; then add --apply.",
        )
        self._at_once(
            "DeadEvents",
            metrics.queue(queues.events_dead_letter, visible),
            means=(
                "Requests from the bus wait in the events dead-letter queue: EventBridge could not hand "
                "them over, or the function failed on them."
            ),
            first="python -m ops redrive events shows why. Fix it; then add --apply.",
        )
        self._at_once(
            "UnpublishedResults",
            metrics.queue(queues.unpublished_results, visible),
            means=(
                "Results wait that the event bus did not take: their messages are dealt with, but nobody "
                "was told."
            ),
            first=(
                "look at the state of EventBridge and at the function's right to PutEvents; then python -m "
                "ops republish --apply."
            ),
        )

    def _delivery(self, metrics: ServiceMetrics, options: StageOptions) -> None:
        messages = metrics.queues.messages
        self._alarm(
            "OldMessages",
            metrics.queue(messages, "ApproximateAgeOfOldestMessage"),
            means=(
                "A message has waited for more than half of the retry window of "
                f"{options.retry_window_minutes} minutes, at whose end it is given up."
            ),
            first=(
                "look at the dashboard for throttles, failing calls, or a function that is not invoked; "
                "raise the quota or maximum_concurrency, or wait for Amazon Connect."
            ),
            # In time to act. Three minutes in a row: the age only grows, and one retry may end it
            threshold=options.retry_window_minutes * 60 / 2,
            periods=3,
        )
        self._alarm(
            "QueueNotDelivering",
            cloudwatch.MathExpression(
                expression="IF(visible > 0 AND received < 1, 1, 0)",
                using_metrics={
                    "visible": metrics.queue(
                        messages, "ApproximateNumberOfMessagesVisible", statistic="Minimum"
                    ),
                    "received": metrics.queue(messages, "NumberOfMessagesReceived", statistic="Sum"),
                },
                label="Messages there, and none received",
                period=MINUTE,
            ),
            means="Messages are in the queue and nobody takes them.",
            first=(
                "look at the event source mapping: is it enabled, and what does its last processing result "
                "say (right to the queue or its key, no concurrency left)?"
            ),
            # A chat's followers can be seen while its head waits, which is a minute at most, or what the
            # service asks for; and three minutes if the function died
            periods=5,
        )
        self._at_once(
            "MessagesFailed",
            metrics.own("MessagesFailed"),
            means="A message could not be sent within the retry window and was given up (Message Failed).",
            first=(
                "look at its Code on the dashboard and in the log: the quota, or trouble of Amazon Connect. "
                "When that is over, python -m ops redrive --apply."
            ),
        )
        self._alarm(
            "SustainedThrottling",
            cloudwatch.MathExpression(
                expression="100 * throttles / attempts",
                using_metrics={
                    "throttles": metrics.own("Throttles"),
                    "attempts": metrics.own("SendAttempts"),
                },
                label="Throttled calls, percent",
                period=MINUTE,
            ),
            means=(
                f"More than {_THROTTLED_SHARE} percent of the SendMessage calls have been throttled for ten "
                "minutes: there is more to send than the quota allows, and messages are late."
            ),
            first=(
                "compare the dashboard's calls a second with the quota. Have the quota raised or lower "
                "maximum_concurrency; look for other users of the quota."
            ),
            # Ten minutes that need not be in a row: the function's backoff makes gaps
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=_THROTTLED_SHARE,
            datapoints=10,
            periods=15,
        )

    def _refusals(self, metrics: ServiceMetrics, options: StageOptions) -> None:
        self._alarm(
            "InvalidRequests",
            metrics.own("MessagesRejected", code="InvalidRequest").with_(period=_QUARTER_HOUR),
            means="A producer is broken: its requests break the contract.",
            first=(
                "look in the log for code InvalidRequest: the reason names field and rule, beside event "
                "source and ContactId. The rejected queue has the copies of what came by queue or bus."
            ),
            threshold=_SEVERAL,
        )
        self._alarm(
            "ServiceValidations",
            metrics.own("MessagesRejected", code="ServiceValidation").with_(period=_QUARTER_HOUR),
            means="A producer is broken: Amazon Connect finds its messages invalid.",
            first=(
                "look in the log for code ServiceValidation. Most often it is a content type that is not in "
                "SupportedMessagingContentTypes of the chat, or that its channel does not take."
            ),
            threshold=_SEVERAL,
        )
        self._alarm(
            "AccessDeniedShare",
            cloudwatch.MathExpression(
                expression=f"IF(ended >= {_ENOUGH_FOR_A_SHARE}, 100 * denied / ended, 0)",
                using_metrics={
                    "denied": metrics.own("MessagesRejected", code="AccessDenied").with_(
                        period=_QUARTER_HOUR
                    ),
                    # One value for each message that ends, whatever its outcome
                    "ended": metrics.own("EndToEndLatency", statistic="SampleCount").with_(
                        period=_QUARTER_HOUR
                    ),
                },
                label="AccessDenied, percent of the messages that ended",
                period=_QUARTER_HOUR,
            ),
            means=(
                f"More than {options.access_denied_percent} percent of the messages of a quarter of an hour "
                "were refused with 403. Some always are, for chats that have ended; this many means bad "
                "tokens: older than a day, ParticipantTokens, or of another Region."
            ),
            first=(
                "take a ContactId from the log and try to make a new connection for it; compare "
                "connect_region with the Region of the instance."
            ),
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=options.access_denied_percent,
        )

    def _function(self, metrics: ServiceMetrics) -> None:
        self._at_once(
            "UnhandledErrors",
            metrics.own("UnhandledErrors"),
            means=(
                "A defect of the function, or an event of a shape that it does not know. The message comes "
                "back or is a dead letter, unless its caller waits."
            ),
            first=(
                "look in the log for Unhandled error, which has type and place; roll back if this began "
                "with a release."
            ),
        )
        self._at_once(
            "TimeoutsAndCrashes",
            metrics.timeouts_and_crashes,
            means=(
                "An invocation ended without an answer: time was up, or its process died (memory). Its "
                "messages come back."
            ),
            first=(
                "look in the log for platform.report with another status than success; compare its "
                "maxMemoryUsedMB with memory_size_mb."
            ),
        )
        self._at_once(
            "ResultPublishFailures",
            metrics.own("ResultPublishFailures"),
            means=(
                "A result is safe nowhere: neither the bus nor the queue of unpublished results took it. "
                "Messages by queue or bus come back, and their results with them; of others only the caller "
                "knows."
            ),
            first="look at EventBridge, SQS, the key, and the function's rights.",
        )
        self._at_once(
            "TaskCallbackFailures",
            metrics.own("TaskCallbackFailures"),
            means=(
                "A Step Functions task was not answered: its execution waits until its own timeout. The "
                "message is dealt with and its result published."
            ),
            first=(
                "look in the log for Task not answered; then at the function's right to SendTaskSuccess and "
                "SendTaskFailure, and to the key of the state machine."
            ),
        )

    def _event_sources(self, metrics: ServiceMetrics) -> None:
        self._alarm(
            "ApiServerErrors",
            metrics.api("5XXError", statistic="Average").with_(period=_FIVE_MINUTES),
            means=(
                f"More than {_API_ERROR_SHARE} percent of the API's requests have ended with a 5XX for a "
                "while."
            ),
            first=(
                "look in the access log for route and integrationStatus. POST /messages: SQS, the key, the "
                "API's role. POST /messages/sync: the function, or Amazon Connect behind it."
            ),
            # Three of six: what passes in ten minutes is the caller's to retry, and a caller who comes seldom
            # is heard, too
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=_API_ERROR_SHARE / 100,
            datapoints=3,
            periods=6,
        )
        self._alarm(
            "WorkflowFailures",
            metrics.state_machine("ExecutionsFailed").with_(period=_QUARTER_HOUR),
            means=(
                "Executions of the state machine fail. One does when its message is REJECTED, which is not "
                "alarmed; several in a quarter of an hour mean a producer with bad requests, or retries "
                "that have run out."
            ),
            first="look at the error names of the failed executions.",
            threshold=_SEVERAL,
        )
        self._at_once(
            "WorkflowTimeouts",
            metrics.workflow_timeouts,
            means=(
                "An execution of the state machine ended without an outcome: the task of its message was not "
                "answered in time. The message may have been sent, or may still be."
            ),
            first=(
                "look for the result of its ClientToken, which is the outcome; then at TaskCallbackFailures, "
                "throttling, a paused queue."
            ),
        )
        self._at_once(
            "EventDeliveryFailures",
            metrics.requests("FailedInvocations"),
            means=(
                "EventBridge has given up handing a request to the function. The request lies in the events "
                "dead-letter queue."
            ),
            first="look at the attribute ERROR_CODE there, and at the function's permission for the rule.",
        )
        self._at_once(
            "EventsLost",
            metrics.requests("InvocationsFailedToBeSentToDlq"),
            means=(
                "A request from the bus is lost: neither the function nor the events dead-letter queue got "
                "it."
            ),
            first=(
                "look at the policies of that queue and of the key for events.amazonaws.com; have the "
                "producer send again."
            ),
        )
        self._at_once(
            "FailedEventsLost",
            metrics.function("DestinationDeliveryFailures"),
            means=(
                "A request that the function failed on is lost: Lambda could not put it into the events "
                "dead-letter queue."
            ),
            first="look at the function's right to that queue and to the key; have the producer send again.",
        )

    def _at_once(self, name: str, metric: cloudwatch.IMetric, *, means: str, first: str) -> None:
        """Alarm on the first minute with one; over again after five without, so that a burst is told once."""
        self._alarm(name, metric, means=means, first=first, datapoints=1, periods=5)

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        *,
        means: str,
        first: str,
        comparison: cloudwatch.ComparisonOperator = (
            cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        ),
        threshold: float = 1,
        datapoints: int | None = None,
        periods: int = 1,
    ) -> None:
        """Make an alarm.

        Args:
            means: What has happened.
            first: What to do first, and where that leads.
            datapoints: How many of the last `periods` it takes; all of them unless said otherwise.
        """
        alarm = cloudwatch.Alarm(
            self,
            name,
            # Runbooks and pagers know it by this
            alarm_name=f"{cdk.Stack.of(self).stack_name}-{name}",
            alarm_description=f"{means} First: {first}",
            metric=metric,
            comparison_operator=comparison,
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=datapoints or periods,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if self._topic is not None:
            action = cloudwatch_actions.SnsAction(self._topic)
            alarm.add_alarm_action(action)
            alarm.add_ok_action(action)
        self.all.append(alarm)

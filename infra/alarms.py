"""The alarms. Each means that a person has something to do, and its description says what comes first."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as cloudwatch_actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.metrics import MINUTE, ServiceMetrics
from infra.options import StageOptions

_FIVE_MINUTES = cdk.Duration.minutes(5)
_QUARTER_HOUR = cdk.Duration.minutes(15)

# Rejected messages, failed executions: one is the chat's matter, some in a quarter of an hour are no accident
_SEVERAL = 5

# Messages that end in a quarter of an hour: a share of fewer says nothing
_ENOUGH_FOR_A_SHARE = 10

# Percent of the calls. The function's own retries cope with less, and with any burst.
_THROTTLED_SHARE = 10

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
            "Messages wait in the dead-letter queue: given up after the retry window, or the function died "
            "on them each time. Look at the attribute Code of one; mend the cause; then make redrive.",
        )
        self._at_once(
            "DeadEvents",
            metrics.queue(queues.events_dead_letter, visible),
            "Requests from the bus wait in the events dead-letter queue: EventBridge could not hand them "
            "over, or the function failed on them. Look at one for the error; mend the cause; then make "
            "redrive.",
        )
        self._at_once(
            "UnpublishedResults",
            metrics.queue(queues.unpublished_results, visible),
            "Results wait that the event bus did not take: their messages are dealt with, but nobody was "
            "told. Look at the state of EventBridge and at the function's right to PutEvents; then make "
            "republish.",
        )

    def _delivery(self, metrics: ServiceMetrics, options: StageOptions) -> None:
        messages = metrics.queues.messages
        self._alarm(
            "OldMessages",
            metrics.queue(messages, "ApproximateAgeOfOldestMessage"),
            f"A message has waited for more than half of the retry window of {options.retry_window_minutes} "
            "minutes, at whose end it is given up. Look at the dashboard: throttles, failing calls, or a "
            "function that is not invoked; raise the quota or maximum_concurrency, or wait for Amazon "
            "Connect.",
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
            "Messages are in the queue and nobody takes them. Look at the event source mapping: is it "
            "enabled, and what does its last processing result say (right to the queue or its key, no "
            "concurrency left)?",
            # A chat's followers can be seen while its head waits, which is a minute at most, or what the
            # service asks for; and three minutes if the function died
            periods=5,
        )
        self._at_once(
            "MessagesFailed",
            metrics.own("MessagesFailed"),
            "A message could not be sent within the retry window and was given up (Message Failed). Look "
            "at the Code on the dashboard and in the log: quota, or trouble of Amazon Connect. When that "
            "is over: make redrive.",
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
            f"More than {_THROTTLED_SHARE} percent of the SendMessage calls have been throttled for ten "
            "minutes: messages are late. Compare the dashboard's calls a second with the quota; raise the "
            "quota of Amazon Connect or lower maximum_concurrency; look for other users of the quota.",
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
            "A producer is broken: its requests break the contract. The log has field and rule (code "
            "InvalidRequest) beside the event source and the ContactId; the rejected queue has the copies.",
            threshold=_SEVERAL,
        )
        self._alarm(
            "ServiceValidations",
            metrics.own("MessagesRejected", code="ServiceValidation").with_(period=_QUARTER_HOUR),
            "A producer is broken: Amazon Connect finds its messages invalid. Most often a content type "
            "that is not in SupportedMessagingContentTypes of the chat, or that its channel does not take.",
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
            f"More than {options.access_denied_percent} percent of the messages of a quarter of an hour "
            "were refused with 403. Some always are, for chats that have ended; this many means that "
            "tokens are bad: older than a day, ParticipantTokens, or of another Region (connect_region). "
            "Try to make a new connection for one.",
            comparison=cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
            threshold=options.access_denied_percent,
        )

    def _function(self, metrics: ServiceMetrics) -> None:
        self._at_once(
            "UnhandledErrors",
            metrics.own("UnhandledErrors"),
            "A defect of the function, or an event of a shape that it does not know. The log line "
            "Unhandled error has type and place. Its message comes back or is a dead letter; roll back if "
            "this began with a release.",
        )
        self._at_once(
            "TimeoutsAndCrashes",
            metrics.timeouts_and_crashes,
            "An invocation ended without an answer: time was up, or its process died (memory). Its "
            "messages come back. Look in the log for platform.report with that requestId; compare "
            "maxMemoryUsedMB with memory_size_mb.",
        )
        self._at_once(
            "ResultPublishFailures",
            metrics.own("ResultPublishFailures"),
            "A result is safe nowhere: neither the bus nor the queue of unpublished results took it. On "
            "the queue and the bus its message comes back, and its result with it; elsewhere only the "
            "caller knows. Look at EventBridge, SQS, the key, and the function's rights.",
        )
        self._at_once(
            "TaskCallbackFailures",
            metrics.own("TaskCallbackFailures"),
            "A Step Functions task was not answered: its execution waits until its own timeout. Its "
            "message is dealt with, and the result published. Look at the function's right to "
            "SendTaskSuccess and SendTaskFailure, and at the key of the state machine.",
        )

    def _event_sources(self, metrics: ServiceMetrics) -> None:
        self._alarm(
            "ApiServerErrors",
            metrics.api("5XXError", statistic="Average").with_(period=_FIVE_MINUTES),
            f"More than {_API_ERROR_SHARE} percent of the API's requests have ended with a 5XX for a while. "
            "The access log has route and integrationStatus: POST /messages means SQS, the key or the "
            "API's role; POST /messages/sync the function, or Amazon Connect behind it (Code on the "
            "dashboard).",
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
            "Executions of the state machine fail. One does when its message is REJECTED, which is not "
            "alarmed; several in a quarter of an hour mean a producer with bad requests, or retries that "
            "have run out. Look at the error names of the failed executions.",
            threshold=_SEVERAL,
        )
        self._at_once(
            "WorkflowTimeouts",
            metrics.state_machine("ExecutionsTimedOut"),
            "An execution of the state machine ran out of time, with its retries: its message may have "
            "been sent. Look at its history for the last error, and at the alarms of function and quota.",
        )
        self._at_once(
            "EventDeliveryFailures",
            metrics.requests("FailedInvocations"),
            "EventBridge has given up to hand a request to the function. It lies in the events dead-letter "
            "queue. Look at the attribute ERROR_CODE there, and at the function's permission for the rule.",
        )
        self._at_once(
            "EventsLost",
            metrics.requests("InvocationsFailedToBeSentToDlq"),
            "A request from the bus is lost: neither the function nor the events dead-letter queue got it. "
            "Look at the policies of that queue and of the key for events.amazonaws.com; have its producer "
            "send again.",
        )
        self._at_once(
            "FailedEventsLost",
            metrics.function("DestinationDeliveryFailures"),
            "A request that the function failed on is lost: Lambda could not put it into the events "
            "dead-letter queue. Look at the function's right to that queue and to the key; have its "
            "producer send again.",
        )

    def _at_once(self, name: str, metric: cloudwatch.IMetric, description: str) -> None:
        """Alarm on the first minute with one; over again after five without, so that a burst is told once."""
        self._alarm(name, metric, description, datapoints=1, periods=5)

    def _alarm(  # noqa: PLR0913  # what an alarm is made of, all named
        self,
        name: str,
        metric: cloudwatch.IMetric,
        description: str,
        *,
        comparison: cloudwatch.ComparisonOperator = (
            cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
        ),
        threshold: float = 1,
        datapoints: int | None = None,
        periods: int = 1,
    ) -> None:
        """Make an alarm: `datapoints` of the last `periods`, all of them unless said otherwise."""
        alarm = cloudwatch.Alarm(
            self,
            name,
            # Runbooks and pagers know it by this
            alarm_name=f"{cdk.Stack.of(self).stack_name}-{name}",
            alarm_description=description,
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

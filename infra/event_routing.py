"""The event bus. Requests can come in by it, and results go out by it."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .contract import REQUEST_DETAIL_TYPE, RESULT_SOURCE
from .message_queues import MessageQueues
from .options import Options
from .sender_function import SenderFunction

# The maximum of EventBridge. The event's age ends the retries before.
_DELIVERY_RETRIES = 185

# After one and two minutes, when the function raises an error: the default of Lambda
_INVOCATION_RETRIES = 2


class EventRouting(Construct):
    """The bus, and the rule that invokes the function with the requests on it.

    EventBridge encrypts the events under a key that AWS owns. Lambda keeps the same events in its
    asynchronous queue, always under a key of AWS, so the stack's key on the bus would protect nothing more.
    EventBridge could then send an event to a dead-letter queue as ciphertext, under another id:
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption-event-bus-dlq-decrypt.html
    """

    def __init__(self, scope: Construct, construct_id: str, *, queues: MessageQueues) -> None:
        super().__init__(scope, construct_id)
        self._dead_letters = queues.events_dead_letter

        self.bus = events.EventBus(self, "Bus")

    def route_requests(self, *, to: SenderFunction, options: Options) -> events.Rule:
        """Create the rule that invokes the function with the requests on the bus.

        EventBridge passes an event to Lambda, and Lambda invokes the function. Both stop retrying when the
        retry window ends: a stale chat message is worse than none. EventBridge then moves an event that it
        could not pass on to the events dead-letter queue. Lambda moves one that the function failed on.
        """
        alias = to.alias
        retry_window = cdk.Duration.minutes(options.retry_window_minutes)
        rule = events.Rule(
            self,
            "Requests",
            description="Invokes the function with requests to send a message",
            event_bus=self.bus,
            event_pattern=events.EventPattern(
                detail_type=[REQUEST_DETAIL_TYPE],
                # A result can never be taken for a request
                source=events.Match.anything_but(RESULT_SOURCE),
            ),
            targets=[
                targets.LambdaFunction(
                    alias,
                    dead_letter_queue=self._dead_letters,
                    max_event_age=retry_window,
                    retry_attempts=_DELIVERY_RETRIES,
                )
            ],
        )
        # The alias's own method would grant the function more than SendMessage
        invocation = lambda_.CfnEventInvokeConfig(
            self,
            "Invocation",
            function_name=alias.lambda_.function_name,
            qualifier=alias.alias_name,
            maximum_event_age_in_seconds=retry_window.to_seconds(),
            maximum_retry_attempts=_INVOCATION_RETRIES,
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(
                    destination=self._dead_letters.queue_arn
                )
            ),
        )
        invocation.node.add_dependency(alias)
        return rule

"""The queue of unpublished results: a batch of records in, a partial batch response out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_sender.deadlines import end_of_invocation
from message_sender.publisher import put_events
from message_sender.result_reader import KeptResult, in_calls, read_kept_result

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.aws.client import AwsClient
    from message_sender.clock import Clock
    from message_sender.observability import Telemetry


class UnpublishedResults:
    """Publishes the results that EventBridge did not accept at first, in no order."""

    def __init__(self, *, events: AwsClient, event_bus_name: str, telemetry: Telemetry, clock: Clock) -> None:
        self._events = events
        self._event_bus_name = event_bus_name
        self._telemetry = telemetry
        self._clock = clock

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Publish a batch. The response names the records that stay in the queue.

        These are results that the bus does not accept now, and messages that are not results of this stack.
        """
        until = end_of_invocation(context, self._clock)
        results: list[KeptResult] = []
        failed: list[str] = []
        for record in event["Records"]:
            message_id = record["messageId"]
            result = read_kept_result(
                record["body"], message_id=message_id, event_bus_names=[self._event_bus_name]
            )
            if result is None:
                self._telemetry.on_not_a_result(message_id)
                failed.append(message_id)
            else:
                results.append(result)
        for call in in_calls(results):
            errors = put_events([result.entry for result in call], events=self._events, until=until)
            for result, error in zip(call, errors, strict=True):
                self._telemetry.on_republished(result, error)
                if error is not None:
                    failed.append(result.message_id)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

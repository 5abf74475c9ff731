"""Receive result events for a while: a temporary queue, and a rule on the stack's bus that fills it.

with ResultWatcher(sqs=sqs, events=events, event_bus_name=outputs.event_bus_name, name="my-test") as watcher:
    producer.send(request, through=EventSource.QUEUE)
    results = watcher.collect({request.client_token}, timeout=30)
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any, Final, Self

from botocore.exceptions import BotoCoreError, ClientError

from .contract import RESULT_DETAIL_TYPES, RESULT_SOURCE
from .results import MessageResult, Outcome, parse_result

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import TracebackType

    from types_boto3_events import EventBridgeClient
    from types_boto3_sqs import SQSClient

_LONGEST_NAME: Final = 64
"""Characters of a rule's name. Source: EventBridge API reference, "PutRule". A queue's name can be longer."""

_PROBE: Final = "Result Watcher Probe"
_PROBE_SOURCE: Final = f"{RESULT_SOURCE}.result-watcher"
_PROBE_SECONDS: Final = 30.0
_LONG_POLL_SECONDS: Final = 1
_RETENTION_SECONDS: Final = 3600
_DOES_NOT_EXIST: Final = {
    "ResourceNotFoundException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "QueueDoesNotExist",
}

_log: Final = logging.getLogger(__name__)


class NotWatchedError(Exception):
    """The results cannot be watched. The text says why, and holds nothing of a message."""


class ResultWatcher:
    """Collects the results of messages. EventBridge delivers each at least once, in any order.

    Args:
        name: Names the rule and the queue; cut at its front to 64 characters.
        contact_id: Watch the results of this chat only. None watches all.
        on_left_behind: Gets an AWS CLI command for everything that `close` could not delete. By default it is
            logged as a warning.
        clock: Seconds that never go backwards.

    Attributes:
        received: Every result so far, repeats included.
    """

    def __init__(
        self,
        *,
        sqs: SQSClient,
        events: EventBridgeClient,
        event_bus_name: str,
        name: str,
        contact_id: str | None = None,
        on_left_behind: Callable[[str], None] = lambda command: _log.warning("Not deleted. Run: %s", command),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sqs = sqs
        self._events = events
        self._bus = event_bus_name
        self._name = name[-_LONGEST_NAME:].lstrip("-_")
        self._contact_id = contact_id
        self._on_left_behind = on_left_behind
        self._clock = clock
        self._queue_url = ""
        # Set before the call that creates, so that a signal in between leaves nothing behind
        self._has_queue = False
        self._has_rule = False
        self._is_working = False
        self.received: list[MessageResult] = []

    def __enter__(self) -> Self:
        try:
            self.open()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Create the queue and the rule, and wait until events arrive. Call `close` even if this fails.

        Raises:
            NotWatchedError: A call was refused, or no event arrives within 30 seconds.
        """
        try:
            self._create()
            self._probe()
        except ClientError as error:
            raise NotWatchedError(f"{error.operation_name}: {error.response['Error']['Code']}") from None
        except BotoCoreError as error:
            raise NotWatchedError(type(error).__name__) from None

    def receive(self) -> Sequence[MessageResult]:
        """Wait for at most a second, and return the results that have arrived since the last call."""
        events = self._receive_events()
        self._is_working = self._is_working or any(event["detail-type"] == _PROBE for event in events)
        results = [parse_result(event) for event in events if event["detail-type"] in RESULT_DETAIL_TYPES]
        self.received += results
        return results

    def collect(self, client_tokens: Collection[str], *, timeout: float) -> Mapping[str, MessageResult]:
        """Wait for the result of each message. Return those that arrived within the timeout, in seconds.

        If two results of a message contradict each other, SENT counts.
        """
        results: dict[str, MessageResult] = {}
        deadline = self._clock() + timeout
        new: Sequence[MessageResult] = tuple(self.received)
        while True:
            for result in new:
                token = result.client_token or ""
                if token in client_tokens and (
                    token not in results or results[token].outcome is not Outcome.SENT
                ):
                    results[token] = result
            if results.keys() == set(client_tokens) or self._clock() >= deadline:
                return results
            new = self.receive()

    def wait_for(self, is_wanted: Callable[[MessageResult], bool], *, timeout: float = 20.0) -> MessageResult:
        """Return the first result that is wanted, of those received before or from now on.

        Raises:
            TimeoutError: None arrived within the timeout, in seconds.
        """
        deadline = self._clock() + timeout
        new: Sequence[MessageResult] = tuple(self.received)
        while not (wanted := list(filter(is_wanted, new))):
            if self._clock() > deadline:
                raise TimeoutError(f"No such result arrived within {timeout:g} seconds")
            new = self.receive()
        return wanted[0]

    def close(self) -> None:
        """Delete the rule and the queue. Calls that fail do not raise, see `on_left_behind`."""
        bus, name = self._bus, self._name
        if self._has_rule:
            self._delete(
                lambda: self._events.remove_targets(Rule=name, EventBusName=bus, Ids=[name]),
                lambda: self._events.delete_rule(Name=name, EventBusName=bus),
                command=f"aws events remove-targets --event-bus-name {bus} --rule {name} --ids {name}; "
                f"aws events delete-rule --event-bus-name {bus} --name {name}",
            )
        if self._has_queue:
            self._delete(
                lambda: self._sqs.delete_queue(
                    QueueUrl=self._queue_url or self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
                ),
                command=f'aws sqs delete-queue --queue-url "$(aws sqs get-queue-url --queue-name {name} '
                '--query QueueUrl --output text)"',
            )
        self._has_rule = self._has_queue = False

    def _delete(self, *calls: Callable[[], object], command: str) -> None:
        try:
            for call in calls:
                call()
        except ClientError as error:
            if error.response["Error"]["Code"] not in _DOES_NOT_EXIST:
                self._on_left_behind(command)
        except BotoCoreError:
            self._on_left_behind(command)

    def _create(self) -> None:
        self._has_queue = True
        try:
            self._queue_url = self._sqs.create_queue(
                QueueName=self._name, Attributes={"MessageRetentionPeriod": str(_RETENTION_SECONDS)}
            )["QueueUrl"]
        except ClientError:
            self._has_queue = False
            raise
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])
        queue_arn = attributes["Attributes"]["QueueArn"]
        self._has_rule = True
        try:
            rule_arn = self._events.put_rule(
                Name=self._name,
                EventBusName=self._bus,
                Description="Temporary: collects results for a test. You can delete it.",
                EventPattern=json.dumps(self._pattern()),
            )["RuleArn"]
        except ClientError:
            self._has_rule = False
            raise
        self._sqs.set_queue_attributes(
            QueueUrl=self._queue_url, Attributes={"Policy": _policy(queue_arn, rule_arn)}
        )
        answer = self._events.put_targets(
            Rule=self._name, EventBusName=self._bus, Targets=[{"Id": self._name, "Arn": queue_arn}]
        )
        if answer["FailedEntryCount"]:
            raise NotWatchedError(f"PutTargets: {answer['FailedEntries'][0]['ErrorCode']}")

    def _pattern(self) -> dict[str, Any]:
        """Match results and the probe, and no request: its token would be in the queue."""
        pattern: dict[str, Any] = {
            "source": [RESULT_SOURCE, _PROBE_SOURCE],
            "detail-type": [*RESULT_DETAIL_TYPES, _PROBE],
        }
        return (
            pattern if self._contact_id is None else {**pattern, "detail": {"ContactId": [self._contact_id]}}
        )

    def _probe(self) -> None:
        """Put events on the bus until one arrives: a new rule may take a while to work."""
        deadline = self._clock() + _PROBE_SECONDS
        while self._clock() < deadline:
            self._events.put_events(
                Entries=[
                    {
                        "EventBusName": self._bus,
                        "Source": _PROBE_SOURCE,
                        "DetailType": _PROBE,
                        "Detail": json.dumps({"ContactId": self._contact_id}),
                    }
                ]
            )
            self.receive()
            if self._is_working:
                return
        raise NotWatchedError(f"no event arrived by the temporary rule within {_PROBE_SECONDS:g} seconds")

    def _receive_events(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=_LONG_POLL_SECONDS
        )
        messages = answer.get("Messages", [])
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]


def _policy(queue_arn: str, rule_arn: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
                }
            ],
        }
    )

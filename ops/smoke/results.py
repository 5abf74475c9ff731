"""The result events of one chat: a rule on the stack's bus and a queue behind it, while the test runs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ops.smoke.sources import EVENT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

_RESULT_SOURCE = "connect-message-sender"
_RESULTS = ("Message Sent", "Message Rejected", "Message Failed")
_PROBE = "Smoke Probe"
_PROBE_SECONDS = 30.0
_WAIT_SECONDS = 1
_RETENTION_SECONDS = 3600
_NOT_THERE = {"ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}


class NotWatchedError(Exception):
    """The results cannot be watched. The text says why."""


@dataclass(frozen=True, slots=True)
class Result:
    client_token: str
    outcome: str
    code: str | None
    reason: str | None


class ResultWatch:
    """Receives the results of one chat.

    Args:
        name: of the rule and of the queue.
        bus: the name of the stack's bus.
        contact_id: the chat's.
    """

    def __init__(self, *, sqs: Any, events: Any, name: str, bus: str, contact_id: str) -> None:  # noqa: ANN401  # boto3 has no types
        self._sqs = sqs
        self._events = events
        self._name = name
        self._bus = bus
        self._contact_id = contact_id
        self._queue_url = ""
        # From just before they are made, so that a signal in between leaves nothing behind
        self._has_queue = False
        self._has_rule = False

    def open(self) -> None:
        """Make the queue and the rule, and wait until events come through.

        Raises:
            NotWatchedError: A call was refused, or nothing comes through.
        """
        try:
            self._make()
            self._probe()
        except ClientError as error:
            raise NotWatchedError(f"{error.operation_name}: {error.response['Error']['Code']}") from None
        except BotoCoreError as error:
            raise NotWatchedError(type(error).__name__) from None

    def receive(self) -> list[Result]:
        """Return the results that have come, after a second at most."""
        return [
            Result(
                client_token=detail["ClientToken"] or "",
                outcome=detail["Outcome"],
                code=(detail["Error"] or {}).get("Code"),
                reason=(detail["Error"] or {}).get("Reason"),
            )
            for event in self._received()
            if event["detail-type"] in _RESULTS and (detail := event["detail"])
        ]

    def remove(self, *, left_behind: Callable[[str], None]) -> None:
        """Remove what was made.

        Args:
            left_behind: gets the command that removes what could not be removed here.
        """
        bus, name = self._bus, self._name
        if self._has_rule:
            _remove(
                lambda: self._events.remove_targets(Rule=name, EventBusName=bus, Ids=[name]),
                lambda: self._events.delete_rule(Name=name, EventBusName=bus),
                otherwise=lambda: left_behind(
                    f"aws events remove-targets --event-bus-name {bus} --rule {name} --ids {name}; "
                    f"aws events delete-rule --event-bus-name {bus} --name {name}"
                ),
            )
        if self._has_queue:
            _remove(
                lambda: self._sqs.delete_queue(
                    QueueUrl=self._queue_url or self._sqs.get_queue_url(QueueName=name)["QueueUrl"]
                ),
                otherwise=lambda: left_behind(
                    f'aws sqs delete-queue --queue-url "$(aws sqs get-queue-url --queue-name {name} '
                    '--query QueueUrl --output text)"'
                ),
            )

    def _make(self) -> None:
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
                Description="Of a smoke test. May be deleted.",
                EventPattern=json.dumps(_pattern(self._contact_id)),
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

    def _probe(self) -> None:
        """Put events through the rule until one comes: a new rule may take a while to work."""
        entry = {
            "EventBusName": self._bus,
            "Source": EVENT_SOURCE,
            "DetailType": _PROBE,
            "Detail": json.dumps({"ContactId": self._contact_id}),
        }
        deadline = time.monotonic() + _PROBE_SECONDS
        while time.monotonic() < deadline:
            self._events.put_events(Entries=[entry])
            if any(event["detail-type"] == _PROBE for event in self._received()):
                return
        raise NotWatchedError(f"no event came through the temporary rule within {_PROBE_SECONDS:g} seconds")

    def _received(self) -> list[dict[str, Any]]:
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=_WAIT_SECONDS
        )
        messages = answer.get("Messages", [])
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]


def _remove(*calls: Callable[[], object], otherwise: Callable[[], None]) -> None:
    try:
        for call in calls:
            call()
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_THERE:
            otherwise()
    except BotoCoreError:
        otherwise()


def _pattern(contact_id: str) -> dict[str, Any]:
    """Match what `ResultWatch` waits for, and no request, which would take its token into the queue."""
    return {
        "source": [_RESULT_SOURCE, EVENT_SOURCE],
        "detail-type": [*_RESULTS, _PROBE],
        "detail": {"ContactId": [contact_id]},
    }


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

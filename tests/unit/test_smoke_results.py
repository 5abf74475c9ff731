"""The temporary rule and queue of `make smoke`: what is left of them, whatever is refused."""

# ruff: noqa: N803  # the names of parameters are those of AWS

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from ops.smoke.results import NotWatchedError, Result, ResultWatch

NAME = "ConnectMessageSender-dev-smoke-1"
BUS = "results-bus"
CONTACT = "5f0d5b9e"


class Account:
    """An account of one bus, as SQS's and EventBridge's clients show it. It delivers at once.

    Attributes:
        denied: calls that the credentials do not permit.
        rules: event patterns by rule.
    """

    def __init__(self, *denied: str) -> None:
        self.denied = set(denied)
        self.queues: dict[str, list[dict[str, Any]]] = {}
        self.policies: dict[str, Any] = {}
        self.rules: dict[str, Any] = {}
        self.targets: dict[str, str] = {}

    def create_queue(self, *, QueueName: str, Attributes: dict[str, str]) -> dict[str, str]:
        self._permit("CreateQueue")
        assert Attributes
        self.queues[QueueName] = []
        return {"QueueUrl": QueueName}

    def get_queue_attributes(self, *, QueueUrl: str, AttributeNames: list[str]) -> dict[str, Any]:
        self._permit("GetQueueAttributes")
        return {"Attributes": dict.fromkeys(AttributeNames, f"arn:{QueueUrl}")}

    def set_queue_attributes(self, *, QueueUrl: str, Attributes: dict[str, str]) -> None:
        self._permit("SetQueueAttributes")
        self.policies[QueueUrl] = json.loads(Attributes["Policy"])

    def receive_message(self, *, QueueUrl: str, **_: object) -> dict[str, Any]:
        self._permit("ReceiveMessage")
        return {
            "Messages": [
                {"Body": json.dumps(event), "ReceiptHandle": str(place)}
                for place, event in enumerate(self.queues[QueueUrl])
            ]
        }

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:
        assert ReceiptHandle
        self.queues[QueueUrl].pop(0)

    def delete_queue(self, *, QueueUrl: str) -> None:
        self._permit("DeleteQueue")
        del self.queues[QueueUrl]

    def put_rule(self, *, Name: str, EventPattern: str, **_: object) -> dict[str, str]:
        self._permit("PutRule")
        self.rules[Name] = json.loads(EventPattern)
        return {"RuleArn": f"arn:{Name}"}

    def put_targets(self, *, Rule: str, Targets: list[dict[str, str]], **_: object) -> dict[str, Any]:
        self._permit("PutTargets")
        self.targets[Rule] = Targets[0]["Arn"]
        return {"FailedEntryCount": 0}

    def put_events(self, *, Entries: list[dict[str, str]]) -> None:
        self._permit("PutEvents")
        for entry in Entries:
            self.publish(entry["Source"], entry["DetailType"], **json.loads(entry["Detail"]))

    def remove_targets(self, *, Rule: str, **_: object) -> None:
        self._permit("RemoveTargets")
        self.targets.pop(Rule, None)

    def delete_rule(self, *, Name: str, **_: object) -> None:
        self._permit("DeleteRule")
        del self.rules[Name]

    def publish(self, source: str, detail_type: str, **detail: Any) -> None:  # noqa: ANN401  # JSON
        event = {"source": source, "detail-type": detail_type, "detail": detail}
        for name, pattern in self.rules.items():
            matches = source in pattern["source"] and detail_type in pattern["detail-type"]
            if matches and detail["ContactId"] in pattern["detail"]["ContactId"]:
                self.queues[self.targets[name].removeprefix("arn:")].append(event)

    def _permit(self, operation: str) -> None:
        if operation in self.denied:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, operation)


def watch(account: Account) -> ResultWatch:
    return ResultWatch(sqs=account, events=account, name=NAME, bus=BUS, contact_id=CONTACT)


def test_the_results_of_the_chat_come_and_no_request_does() -> None:
    account = Account()
    watching = watch(account)
    watching.open()
    sent = {"ClientToken": "a", "Outcome": "SENT", "Error": None}
    rejected = {"ClientToken": "b", "Outcome": "REJECTED", "Error": {"Code": "Expired", "Reason": "Late."}}

    account.publish("connect-message-sender", "Message Sent", ContactId=CONTACT, **sent)
    account.publish("connect-message-sender", "Message Rejected", ContactId=CONTACT, **rejected)
    account.publish("connect-message-sender", "Message Sent", ContactId="another", **sent)
    account.publish("connect-message-sender.smoke", "SendMessage Requested", ContactId=CONTACT)

    assert watching.receive() == [
        Result("a", "SENT", None, None),
        Result("b", "REJECTED", "Expired", "Late."),
    ]


def test_only_the_rule_may_send_to_the_queue() -> None:
    account = Account()

    watch(account).open()

    (statement,) = account.policies[NAME]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": f"arn:{NAME}"}}


@pytest.mark.parametrize(
    "denied",
    [
        "CreateQueue",
        "GetQueueAttributes",
        "PutRule",
        "SetQueueAttributes",
        "PutTargets",
        "PutEvents",
        "ReceiveMessage",
    ],
)
def test_what_is_refused_is_named_and_nothing_is_left(denied: str) -> None:
    account = Account(denied)
    watching = watch(account)
    left_behind: list[str] = []

    with pytest.raises(NotWatchedError, match=f"{denied}: AccessDenied"):
        watching.open()
    watching.remove(left_behind=left_behind.append)

    assert (account.queues, account.rules, left_behind) == ({}, {}, [])


@pytest.mark.parametrize(
    ("denied", "command"),
    [
        ("RemoveTargets", "aws events remove-targets"),
        ("DeleteRule", "aws events delete-rule"),
        ("DeleteQueue", "aws sqs delete-queue"),
    ],
)
def test_what_cannot_be_removed_is_told_with_the_command_and_the_rest_is_removed(
    denied: str, command: str
) -> None:
    account = Account(denied)
    watching = watch(account)
    watching.open()
    left_behind: list[str] = []

    watching.remove(left_behind=left_behind.append)

    (told,) = left_behind
    assert command in told
    assert NAME in told
    assert len(account.queues) + len(account.rules) == 1

"""The result watcher: which results it receives, and that it deletes its rule and queue."""

# ruff: noqa: N803  # the names of parameters are those of AWS

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from infra.result_watcher import NotWatchedError, ResultWatcher
from tests.support.result_events import result_detail

if TYPE_CHECKING:
    from types_boto3_events import EventBridgeClient
    from types_boto3_sqs import SQSClient

NAME = "ConnectMessageSender-dev-smoke-1"
BUS = "results-bus"
CONTACT = "5f0d5b9e"


class Account:
    """An account of one bus, as SQS's and EventBridge's clients show it. It delivers at once.

    Attributes:
        denied: Calls that the credentials do not permit.
        delivers: Whether rules work.
        rules: Event patterns by rule.
        seconds: A clock that moves on by a second whenever it is read.
    """

    def __init__(self, *denied: str) -> None:
        self.denied = set(denied)
        self.queues: dict[str, list[dict[str, Any]]] = {}
        self.policies: dict[str, Any] = {}
        self.rules: dict[str, Any] = {}
        self.targets: dict[str, str] = {}
        self.delivers = True
        self.left_behind: list[str] = []
        self.seconds = itertools.count()

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

    def publish(self, source: str, detail_type: str, **detail: object) -> None:
        event = {"source": source, "detail-type": detail_type, "detail": detail}
        for name, pattern in self.rules.items():
            matches = source in pattern["source"] and detail_type in pattern["detail-type"]
            contacts = pattern.get("detail", {"ContactId": [detail["ContactId"]]})["ContactId"]
            if self.delivers and matches and detail["ContactId"] in contacts:
                self.queues[self.targets[name].removeprefix("arn:")].append(event)

    def _permit(self, operation: str) -> None:
        if operation in self.denied:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, operation)


def watch(account: Account, *, contact_id: str | None = CONTACT) -> ResultWatcher:
    return ResultWatcher(
        sqs=cast("SQSClient", account),
        events=cast("EventBridgeClient", account),
        event_bus_name=BUS,
        name=NAME,
        contact_id=contact_id,
        on_left_behind=account.left_behind.append,
        clock=lambda: float(next(account.seconds)),
    )


def result(client_token: str, outcome: str = "SENT", **fields: object) -> dict[str, Any]:
    names = {"ClientToken": client_token, "SourceId": f"source of {client_token}", "ContactId": CONTACT}
    return {**result_detail(outcome), **names, **fields}


def publish(account: Account, detail: dict[str, Any]) -> None:
    account.publish("connect-message-sender", f"Message {detail['Outcome'].title()}", **detail)


def test_results_of_the_chat_are_received_and_requests_are_not() -> None:
    account = Account()

    with watch(account) as watcher:
        publish(account, result("a"))
        publish(account, result("b", "REJECTED"))
        publish(account, result("c", ContactId="another"))
        account.publish("my-backend", "SendMessage Requested", ContactId=CONTACT)
        account.publish("connect-message-sender", "SendMessage Requested", ContactId=CONTACT)
        # Not even in the queue: a request has the connection token
        assert [event["detail-type"] for event in account.queues[NAME]] == [
            "Message Sent",
            "Message Rejected",
        ]
        received = watcher.receive()

    assert [(each.client_token, each.outcome, each.code) for each in received] == [
        ("a", "SENT", None),
        ("b", "REJECTED", "Expired"),
    ]
    assert watcher.received == received


def test_results_of_every_chat_are_received_unless_one_is_named() -> None:
    account = Account()

    with watch(account, contact_id=None) as watcher:
        publish(account, result("a"))
        publish(account, result("b", ContactId="another"))

        assert [each.client_token for each in watcher.receive()] == ["a", "b"]


def test_results_are_collected_by_client_token_and_sent_counts() -> None:
    account = Account()

    with watch(account) as watcher:
        for detail in (result("a"), result("a", "FAILED"), result("b", "FAILED"), result("b"), result("c")):
            publish(account, detail)
        results = watcher.collect({"a", "b"}, timeout=60)
        again = watcher.collect({"c"}, timeout=60)

    assert {token: each.outcome for token, each in results.items()} == {"a": "SENT", "b": "SENT"}
    assert again.keys() == {"c"}, "a result that arrived with others"


def test_a_result_that_does_not_arrive_is_left_out() -> None:
    account = Account()

    with watch(account) as watcher:
        publish(account, result("a"))

        assert watcher.collect({"a", "b"}, timeout=5).keys() == {"a"}


def test_a_result_is_waited_for() -> None:
    account = Account()

    with watch(account) as watcher:
        publish(account, result("a"))
        publish(account, result("b"))
        first = watcher.wait_for(lambda each: each.client_token == "b")
        earlier = watcher.wait_for(lambda each: each.client_token == "a")
        with pytest.raises(TimeoutError, match="within 5 seconds"):
            watcher.wait_for(lambda each: each.client_token == "c", timeout=5)

    assert (first.source_id, earlier.source_id) == ("source of b", "source of a")


def test_only_the_rule_may_send_to_the_queue() -> None:
    account = Account()

    watch(account).open()

    (statement,) = account.policies[NAME]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": f"arn:{NAME}"}}


def test_a_long_name_is_cut_to_the_length_of_a_rule_name() -> None:
    account = Account()
    watcher = ResultWatcher(
        sqs=cast("SQSClient", account),
        events=cast("EventBridgeClient", account),
        event_bus_name=BUS,
        name=f"{'x' * 66}-smoke-1",
    )

    watcher.open()

    [name] = account.rules
    assert len(name) == 64
    assert name.endswith("-smoke-1")


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
def test_a_refused_call_is_named_and_everything_is_deleted(denied: str) -> None:
    account = Account(denied)

    with pytest.raises(NotWatchedError, match=f"{denied}: AccessDenied"), watch(account):
        pass

    assert (account.queues, account.rules, account.left_behind) == ({}, {}, [])


def test_a_rule_that_never_works_is_reported() -> None:
    account = Account()
    account.delivers = False

    with pytest.raises(NotWatchedError, match="no event arrived by the temporary rule within 30 seconds"):
        watch(account).open()


@pytest.mark.parametrize(
    ("denied", "command"),
    [
        ("RemoveTargets", "aws events remove-targets"),
        ("DeleteRule", "aws events delete-rule"),
        ("DeleteQueue", "aws sqs delete-queue"),
    ],
)
def test_a_command_deletes_what_could_not_be_deleted(denied: str, command: str) -> None:
    account = Account(denied)

    with watch(account):
        pass

    (printed,) = account.left_behind
    assert command in printed
    assert NAME in printed
    assert len(account.queues) + len(account.rules) == 1

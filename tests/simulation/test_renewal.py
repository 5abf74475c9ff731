"""The bridge of the examples with chats that outlive their connection tokens, in days of virtual time."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from sandbox.participant_service.chats import ONE_DAY
from sandbox.participant_service.errors import ServiceError
from sandbox.participant_service.transcript import iso_time
from tests.simulation.fault_profiles import ALL_FAULTS, NO_FAULTS, Fault
from tests.simulation.simulation import Setup, Simulation

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.fault_profiles import FaultProfile

CHATS: Final = 12
DAYS: Final = 3
_SLOWEST_RESULT: Final = 45.0
_BURST_WITHIN: Final = 8.0
_FINAL: Final = frozenset({Fault.NOT_PROCESSED, Fault.UNEXPECTED})
"""Faults that end a message for another reason than its token."""
WITH_FAULTS: Final = {fault: rate for fault, rate in ALL_FAULTS.items() if fault not in _FINAL}


class AccessDeniedException(Exception):  # noqa: N818  # the name of botocore
    pass


@dataclass
class Back:
    """A back end that runs the example. Results reach it late, repeatedly and in any order.

    Attributes:
        written: By conversation, the texts of the customer in order.
        notified: The messages that a customer heard of.
        codes: Error codes of the results, repeats included.
        failed: The messages whose retries were exhausted. Their token is not the reason.
    """

    example: Any
    simulation: Simulation
    expiry_is_known: bool
    conversations: dict[str, Any] = field(default_factory=dict)
    written: dict[str, list[str]] = field(default_factory=dict)
    notified: list[str] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    failed: set[str] = field(default_factory=set)

    def open(self, name: str) -> Any:  # noqa: ANN401  # a conversation of the example
        chat = self.simulation.participant.service.start_chat(duration=(DAYS + 1) * ONE_DAY)
        conversation = self.example.Conversation(
            id=name, name=name, contact_id=chat.contact_id, participant_token=chat.participant_token
        )
        self.example.connect_participant(conversation)
        self.conversations[name], self.written[name] = conversation, []
        return conversation

    def write(self, name: str) -> None:
        text = f"{name} {len(self.written[name])}"
        self.written[name].append(text)
        self.example.customer_wrote(self.conversations[name], f"{name}-{len(self.written[name])}", text)

    def shown(self, name: str) -> list[str]:
        contact_id = self.conversations[name].contact_id
        return [str(item.content) for item in self.simulation.participant.service.messages(contact_id)]

    def create_participant_connection(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3
        try:
            connection = self.simulation.participant.service.create_connection(parameters["ParticipantToken"])
        except ServiceError as error:
            raise AccessDeniedException from error
        later = 0.0 if self.expiry_is_known else 30 * ONE_DAY
        credentials = {
            "ConnectionToken": connection.connection_token,
            "Expiry": iso_time(connection.expires_at + later),
        }
        return {"ConnectionCredentials": credentials}

    def send_message(self, **parameters: str) -> None:
        self.simulation.messages.send(
            parameters["MessageBody"],
            group=parameters["MessageGroupId"],
            deduplication_id=parameters["MessageDeduplicationId"],
        )

    def on_result(self, event: dict[str, Any]) -> None:
        result = event["detail"]
        if result["Error"]:
            self.codes[result["Error"]["Code"]] += 1
        if result["Outcome"] == "FAILED":
            self.failed.add(result["ClientToken"])
        random = self.simulation.injector.random
        for _ in range(random.choice([1, 1, 2])):
            seconds = random.uniform(0, _SLOWEST_RESULT)
            self.simulation.time.after(seconds, partial(self.example.result_came, event))


@pytest.fixture
def back(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Back]:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(variable, "test")
    example = importlib.import_module("examples.bridge")

    def new(seed: int, *, profile: FaultProfile = NO_FAULTS, expiry_is_known: bool = True) -> Back:
        simulation = Simulation(Setup(seed=seed, profile=profile))
        made = Back(example, simulation, expiry_is_known)
        simulation.bus.on_result = made.on_result
        exceptions = SimpleNamespace(AccessDeniedException=AccessDeniedException)
        participant = SimpleNamespace(
            exceptions=exceptions, create_participant_connection=made.create_participant_connection
        )
        monkeypatch.setattr(example, "participant", participant)
        monkeypatch.setattr(example, "sqs", SimpleNamespace(send_message=made.send_message))
        monkeypatch.setattr(example, "load", made.conversations.__getitem__)
        monkeypatch.setattr(example, "save", lambda _: None)
        monkeypatch.setattr(example, "notify_customer", lambda _, message: made.notified.append(message))
        return made

    return new


def write_for_days(back: Back) -> None:
    """Let customers write for days, and most of all while their tokens expire."""
    random, time = back.simulation.injector.random, back.simulation.time
    for number in range(CHATS):
        name = f"c{number}"
        back.open(name)
        for _ in range(10):
            time.after(random.uniform(0, DAYS * ONE_DAY), partial(back.write, name))
        for day in range(1, DAYS):
            # Each renewal moves the next expiry by the delay of a result
            latest = _BURST_WITHIN + day * _SLOWEST_RESULT
            for _ in range(20):
                at = day * ONE_DAY + random.uniform(-_BURST_WITHIN, latest)
                time.after(at, partial(back.write, name))
        time.after((DAYS - 0.1) * ONE_DAY, partial(back.write, name))
    back.simulation.run()


@pytest.mark.parametrize("profile", [NO_FAULTS, WITH_FAULTS], ids=["no faults", "faults"])
@pytest.mark.parametrize(
    ("expiry_is_known", "code"), [(False, "AccessDenied"), (True, "Expired")], ids=["refused", "expired"]
)
def test_chat_outlives_its_token_with_every_message_once_and_in_order(
    back: Callable[..., Back], seed: int, profile: FaultProfile, expiry_is_known: bool, code: str
) -> None:
    bridge = back(seed, profile=profile, expiry_is_known=expiry_is_known)

    write_for_days(bridge)

    assert bridge.codes[code] > CHATS
    assert min(each.connections for each in bridge.conversations.values()) == DAYS
    assert set(bridge.notified) <= bridge.failed
    for name, written in bridge.written.items():
        failed = {text for number, text in enumerate(written, 1) if f"{name}-{number}-0" in bridge.failed}
        shown = bridge.shown(name)
        assert len(shown) == len(set(shown))
        assert [text for text in shown if text not in failed] == [
            text for text in written if text not in failed
        ]
    assert len(bridge.failed) < sum(map(len, bridge.written.values())) / 20
    assert [each.unfinished for each in bridge.conversations.values() if each.unfinished] == []


def test_bridge_that_sends_only_the_refused_message_again_loses_the_order(
    back: Callable[..., Back], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge = back(seed, expiry_is_known=False)
    example = bridge.example

    def result_came(event: dict[str, Any]) -> None:
        result = event["detail"]
        conversation = example.load(result["Metadata"]["conversation"])
        if result["Outcome"] != "SENT" and result["ClientToken"] in conversation.unfinished:
            example.renew(conversation, result["ClientToken"])
            example.send(conversation, result["ClientToken"])

    monkeypatch.setattr(example, "result_came", result_came)

    write_for_days(bridge)

    assert {name: bridge.shown(name) for name in bridge.written} != bridge.written


def test_end_of_the_chat_is_reported_once_for_each_unfinished_message(
    back: Callable[..., Back], seed: int
) -> None:
    bridge = back(seed)
    conversation = bridge.open("c0")
    time = bridge.simulation.time
    bridge.write("c0")
    time.after(600, partial(bridge.simulation.participant.service.end_chat, conversation.contact_id))
    for second in range(3):
        time.after(600 + second, partial(bridge.write, "c0"))

    bridge.simulation.run()

    assert bridge.shown("c0") == bridge.written["c0"][:1]
    assert sorted(bridge.notified) == ["c0-2-0", "c0-3-0", "c0-4-0"]
    assert conversation.unfinished == {}
    assert conversation.connections == 1


def test_chat_that_refuses_every_connection_is_given_up(back: Callable[..., Back], seed: int) -> None:
    bridge = back(seed)
    conversation = bridge.open("c0")
    expire = bridge.simulation.participant.service.expire_connection_token
    connect = bridge.example.connect_participant

    def connect_in_vain(conversation: Any) -> None:  # noqa: ANN401  # of the example
        connect(conversation)
        expire(conversation.connection_token)

    connect_in_vain(conversation)
    bridge.example.connect_participant = connect_in_vain
    try:
        bridge.write("c0")
        bridge.simulation.run()
    finally:
        bridge.example.connect_participant = connect

    assert bridge.notified == ["c0-1-0"]
    assert conversation.connections == 3

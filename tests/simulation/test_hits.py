"""Each kind of fault is attributed to the message that it hits, and to no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from ops.dead_letters import DeadLetterQueue
from sandbox.participant_service.faults import Status
from tests.simulation.fault_profiles import Fault, FaultProfile, ids_in_call, ids_in_event
from tests.simulation.hits import faults_by_message
from tests.simulation.models import lambda_service, operator
from tests.simulation.simulation import Setup, Simulation
from tests.simulation.workload import MISTAKES, Accepted, Chat, Route

if TYPE_CHECKING:
    from collections.abc import Mapping

Send: TypeAlias = Callable[[Simulation, Chat], Accepted]
_BURST = 60.0


def plain(simulation: Simulation, chat: Chat) -> Accepted:
    return simulation.producers.send(chat)


def event(simulation: Simulation, chat: Chat) -> Accepted:
    return simulation.producers.send(chat, Route.BUS)


def sealed(simulation: Simulation, chat: Chat) -> Accepted:
    token = simulation.producers.sealed_token(chat)
    return simulation.producers.send(chat, ConnectionToken=token)


def waiting(simulation: Simulation, chat: Chat) -> Accepted:
    return simulation.producers.send_and_wait(chat, timeout=60.0)


def invalid(simulation: Simulation, chat: Chat) -> Accepted:
    producers = simulation.producers
    body = MISTAKES[0].make(producers.fields(chat, chat.number + 1))
    return producers.submit(body, chat, Route.QUEUE, chat.number + 1, code=MISTAKES[0].code)


def down(simulation: Simulation, chat: Chat) -> Accepted:
    """Send a message that becomes a dead letter, if it is the first one."""
    if chat.number == 0:
        simulation.participant.faults.add(Status(status=503), contact_id=chat.contact_id, times=None)
    return plain(simulation, chat)


def over_the_quota(simulation: Simulation, chat: Chat) -> Accepted:
    simulation.participant.throttle.set(1, burst=chat.number)
    return plain(simulation, chat)


def ending(simulation: Simulation, chat: Chat, *, expires: bool) -> Accepted:
    if chat.number == 0:
        simulation.producers.end(chat, expires=expires)
    return plain(simulation, chat)


def poison(simulation: Simulation, chat: Chat) -> Accepted:
    simulation.function.poison = lambda delivered: "poison" in json.dumps(delivered)
    fields: dict[str, Any] = {"Metadata": {"a": "poison"}} if chat.number == 0 else {}
    return simulation.producers.send(chat, **fields)


@dataclass(frozen=True)
class Case:
    """How a fault can hit a message: how it is sent, and with which other faults."""

    send: Send = plain
    also: Mapping[Fault, float] = field(default_factory=dict)
    rate: float = 1.0


CASES = dict.fromkeys(Fault, Case()) | {
    Fault.QUOTA: Case(over_the_quota),
    Fault.CHAT_DOWN: Case(down),
    Fault.CHAT_ENDED: Case(partial(ending, expires=False)),
    Fault.TOKEN_EXPIRED: Case(partial(ending, expires=True)),
    Fault.QUEUE_FAILS: Case(invalid),
    Fault.QUEUE_TIMES_OUT: Case(invalid),
    Fault.VISIBILITY_FAILS: Case(also={Fault.SERVER_ERROR: 1.0}),
    Fault.VISIBILITY_FAILS_IN_PART: Case(also={Fault.SERVER_ERROR: 1.0}),
    Fault.KEY_FAILS: Case(sealed),
    Fault.KEY_UNUSABLE: Case(sealed),
    Fault.KEY_SLOW: Case(sealed),
    Fault.TASK_ANSWER_FAILS: Case(waiting),
    Fault.TASK_ANSWER_TIMES_OUT: Case(waiting),
    Fault.TASK_TIMED_OUT: Case(waiting, {Fault.CUT_OFF: 1.0}),
    Fault.EVENT_TWICE: Case(event),
    Fault.POISONED: Case(poison),
    Fault.INVALID: Case(invalid),
    Fault.UNKNOWN_TASK: Case(waiting),
    Fault.SENT_AGAIN: Case(waiting),
    Fault.DEAD_LETTER_CALL_FAILS: Case(down, rate=0.5),
    Fault.DEAD_LETTER_CALL_TIMES_OUT: Case(down),
    Fault.OPERATOR_CUT_OFF: Case(down),
    # Connections are kept from one call to the next
    Fault.DEAD_KEEP_ALIVE: Case(also={Fault.SERVER_ERROR: 1.0}),
}


@pytest.mark.parametrize("fault", Fault)
def test_a_fault_is_attributed_to_the_message_that_it_hits(
    fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "_CUT_OFF_WITHIN", 0.1)
    simulation, case = Simulation(Setup(seed=1)), CASES[fault]
    monkeypatch.setattr(lambda_service, "_KILLS_A_SECOND", 1_000.0)
    first, second = (simulation.producers.start_chat() for _ in range(2))
    profile: FaultProfile = {fault: case.rate, **case.also}
    simulation.injector.burst(profile, seconds=_BURST)
    others: list[Accepted] = []
    concerned = case.send(simulation, first)
    simulation.time.after(1_000, lambda: others.append(case.send(simulation, second)))
    simulation.run()
    for _ in range(4):  # the dead letter of a chat that is down becomes one again
        simulation.injector.burst(profile, seconds=_BURST)
        simulation.operator.carry_out([simulation.operator.redrive(DeadLetterQueue.DEAD_LETTER)])
        simulation.run()

    faults = faults_by_message(simulation)
    assert fault in faults[concerned.client_token]
    if fault is not Fault.INVALID:
        assert fault not in faults.get(others[0].client_token, set())


def test_a_fault_of_a_part_is_attributed_to_the_long_text() -> None:
    simulation = Simulation(Setup(seed=1))
    long, other = (simulation.producers.start_chat() for _ in range(2))
    message = simulation.producers.send_long(long)
    simulation.producers.send(other)
    tokens: list[str] = []
    simulation.time.after(0.3, lambda: tokens.extend(simulation.participant.client_tokens))
    simulation.injector.burst({Fault.SERVER_ERROR: 0.5}, seconds=_BURST)
    simulation.run()

    assert message.client_token not in tokens  # its parts have tokens of their own
    assert Fault.SERVER_ERROR in faults_by_message(simulation)[message.client_token]


def test_a_fault_of_an_invocation_hits_every_message_of_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(Setup(seed=1))
    monkeypatch.setattr(lambda_service, "_KILLS_A_SECOND", 1_000.0)
    messages = [simulation.producers.send(simulation.producers.start_chat()) for _ in range(4)]
    simulation.injector.burst({Fault.CRASH: 1.0}, seconds=1)
    simulation.run()

    faults = faults_by_message(simulation)
    assert all(Fault.CRASH in faults[message.client_token] for message in messages)


def test_a_kill_after_the_end_of_an_invocation_hits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation(Setup(seed=1))
    monkeypatch.setattr(lambda_service, "_KILLS_A_SECOND", 0.001)
    simulation.producers.send(simulation.producers.start_chat())
    simulation.injector.burst({Fault.CRASH: 1.0}, seconds=1)
    simulation.run()

    assert simulation.injector.counts[Fault.CRASH] == 1
    assert faults_by_message(simulation) == {}


def test_a_call_refused_in_part_hits_only_the_refused_results() -> None:
    simulation = Simulation(Setup(seed=1))
    for _ in range(9):
        simulation.producers.send(simulation.producers.start_chat())
    simulation.injector.burst({Fault.BUS_FAILS_IN_PART: 1.0}, seconds=0.5)
    simulation.run()

    hit = [faults for faults in faults_by_message(simulation).values() if Fault.BUS_FAILS_IN_PART in faults]
    assert 0 < len(hit) < 9


def test_a_fault_of_the_key_hits_the_first_message_with_the_sealed_token() -> None:
    simulation = Simulation(Setup(seed=1))
    chat, other = (simulation.producers.start_chat() for _ in range(2))
    token = simulation.producers.sealed_token(chat)
    first = simulation.producers.send(chat, ConnectionToken=token)
    simulation.producers.send(chat, ConnectionToken=token)
    simulation.producers.send(other)
    simulation.injector.burst({Fault.KEY_UNUSABLE: 1.0}, seconds=0.5)
    simulation.run()

    faults = faults_by_message(simulation)
    assert [each for each, hit in faults.items() if Fault.KEY_UNUSABLE in hit] == [first.client_token]


@pytest.mark.parametrize(
    ("call", "ids"),
    [
        ({"ClientToken": "t-1", "Content": "x"}, ["t-1"]),
        (
            {"Entries": [{"Detail": '{"ClientToken": "t-1"}'}, {"Detail": '{"ClientToken": "t-2"}'}]},
            ["t-1", "t-2"],
        ),
        ({"MessageBody": "x", "MessageAttributes": {"ClientToken": {"StringValue": "t-1"}}}, ["t-1"]),
        ({"MessageBody": '{"Detail": "{\\"ClientToken\\": \\"t-1\\"}"}'}, ["t-1"]),
        ({"MessageBody": '{"ClientToken": "t-1"}'}, ["t-1"]),
        ({"MessageBody": "not JSON"}, []),
        ({"Entries": [{"ReceiptHandle": "m-1/3"}, {"ReceiptHandle": "m-2/1"}]}, ["m-1", "m-2"]),
        ({"ReceiptHandle": "m-1/3"}, ["m-1"]),
        ({"CiphertextBlob": "abc"}, ["sealed:abc"]),
        ({"taskToken": "task-1"}, ["task-1"]),
        ({"TableName": "outcomes", "Item": {}}, []),
    ],
)
def test_a_call_names_what_it_is_about(call: dict[str, object], ids: list[str]) -> None:
    assert list(ids_in_call(call)) == ids
    assert list(ids_in_call(json.dumps(call).encode())) == ids


@pytest.mark.parametrize(
    ("delivered", "ids"),
    [
        ({"Records": [{"messageId": "m-1", "body": "a"}, {"messageId": "m-2", "body": "b"}]}, ["m-1", "m-2"]),
        ({"id": "e-1", "detail": {"ConnectionToken": "a"}}, ["e-1"]),
        ({"body": '{"ClientToken": "t-1"}'}, ["t-1"]),
        ({"ClientToken": "t-1"}, ["t-1"]),
        ({"anything": 1}, []),
    ],
)
def test_an_event_names_what_it_is_about(delivered: dict[str, object], ids: list[str]) -> None:
    assert list(ids_in_event(delivered)) == ids

"""The second workload: it keeps the promise under every fault, and has what a contact centre has."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Final

import pytest

from tests.simulation.accepted import NUMBER, Route
from tests.simulation.contact_centre import ContactCentre, open_contact_centre
from tests.simulation.contract import MOST_CHARACTERS
from tests.simulation.fault_profiles import ALL_FAULTS, Fault
from tests.simulation.invariants import Observations, violations
from tests.simulation.scenarios import mix
from tests.simulation.simulation import Setup, Simulation
from tests.simulation.texts import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.simulation.accepted import Sending

FEW_OF_A_CODE: Final = 3


def test_the_promise_holds_at_a_contact_centre(seed: int) -> None:
    simulation = mix(seed, messages=400, chats=20, workload=open_contact_centre)

    assert violations(Observations.of(simulation)) == {}


@pytest.fixture(scope="module")
def seen(seed: int) -> Observations:
    """Return a day without faults."""
    simulation = Simulation(Setup(seed=seed))
    open_contact_centre(simulation, messages=2_000, chats=90, seconds=1_000)
    simulation.run()
    assert simulation.capture.lines["Message ended"] == len(simulation.bus.results)
    return Observations.of(simulation)


def test_without_faults_every_message_ends_as_the_documents_say(seen: Observations) -> None:
    assert violations(seen) == {}
    assert {seen.outcome(token) for token in seen.accepted} <= {"SENT", "REJECTED", None}


def test_a_day_has_every_kind_of_message(seen: Observations) -> None:
    messages = list(seen.accepted.values())
    requests = [message.request for message in messages if message.request is not None]
    tokens = {message.number: token for token, message in seen.accepted.items()}
    kinds = {
        "content types": len({request["ContentType"] for request in requests} & _CONTENT_TYPES) == 4,
        "routes": {message.route for message in messages} == set(Route),
        "several routes": any(len({s.route for s in m.sendings.values()}) > 1 for m in messages),
        "sent again": any(len(message.source_ids) > 1 for message in messages),
        "another connection": any(len(chat.connection_tokens) > 1 for chat in seen.chats.values()),
        "dated wrongly": any(_is_dated_wrongly(message.sendings.values()) for message in messages),
        "sealed": any(message.sealed for message in messages),
        "parts": any(item.part > FEW_OF_A_CODE for items in seen.items.values() for item in items),
        "one part": any(
            message is not None and [part["Id"] for part in message.get("Parts", [])] == [item.id]
            for items in seen.items.values()
            for item in items
            if item.part == 1
            for message in [result["Message"] for result in seen.results[tokens[item.number]]]
        ),
        "other groups": any(
            sending.group not in {None, message.chat.contact_id}
            for message in messages
            for sending in message.sendings.values()
        ),
        "called one after the other": any(message.follows is not None for message in messages),
        "tasks": bool(seen.waits),
        "of one character": any(len(request["Content"]) == 1 for request in requests),
        "of 12,000 characters": any(len(request["Content"]) == 12_000 for request in requests),
    }
    codes = {result["Error"]["Code"] for result in seen.published if result["Error"]}

    assert [kind for kind, found in kinds.items() if not found] == []
    assert {"InvalidRequest", "Expired", "AccessDenied", "TokenUnreadable"} <= codes


_CONTENT_TYPES: Final = {
    "text/plain",
    "text/markdown",
    "application/json",
    "application/vnd.amazonaws.connect.message.interactive.response",
}


def _is_dated_wrongly(sendings: Iterable[Sending]) -> bool:
    return any(
        sending.dated is not None and abs((sending.dated - sending.at).total_seconds()) > 1
        for sending in sendings
    )


def test_the_same_seed_is_the_same_day(seed: int) -> None:
    def day() -> list[object]:
        simulation = Simulation(Setup(seed=seed, profile={Fault.SERVER_ERROR: 0.1}))
        open_contact_centre(simulation, messages=60, chats=6, seconds=60)
        simulation.run()
        return [(at, result["Outcome"], result["SourceId"]) for at, result in simulation.bus.results]

    assert day() == day()


def test_each_mistake_causes_its_error_code() -> None:
    simulation = Simulation(Setup())
    centre = ContactCentre(simulation, Random(1))
    plain, *_ = (chat for chat in (centre.start_chat() for _ in range(20)) if not centre.knows_markdown(chat))
    for which in range(len(centre.mistakes(plain))):
        centre.make_mistake(plain, which)

    simulation.run()

    seen = Observations.of(simulation)
    codes = {seen.accepted[token].number: seen.accepted[token].code for token in seen.results}
    assert violations(seen) == {}
    assert {
        seen.accepted[result["ClientToken"]].number: result["Error"]["Code"] for result in seen.published
    } == codes
    assert set(codes.values()) == {"InvalidRequest", "AccessDenied", "TokenUnreadable", "ServiceValidation"}


def test_the_same_client_token_in_two_chats_is_a_message_in_each(seed: int) -> None:
    """Amazon Connect keeps the ClientTokens of a chat. Producers of different chats may have the same."""
    simulation = Simulation(Setup(seed=seed, profile=ALL_FAULTS))
    service, queue = simulation.participant.service, simulation.messages
    expected = {}
    for number in range(40):
        texts = []
        for side in ("a", "b"):
            chat = simulation.producers.start_chat()
            text = f"{number} {side}"
            request = simulation.producers.fields(chat, 1) | {
                "Content": text,
                "ClientToken": f"order-{number}",
            }
            queue.send(json.dumps(request), group=chat.contact_id, deduplication_id=f"{number}-{side}")
            expected[chat.contact_id] = text
            texts.append(text)

    simulation.run()

    shown = {chat: [str(item.content) for item in service.messages(chat)] for chat in expected}
    results = {(result["ContactId"], result["Outcome"]) for _, result in simulation.bus.results}
    for contact_id, text in expected.items():
        outcomes = {outcome for of_chat, outcome in results if of_chat == contact_id}
        assert outcomes
        assert shown[contact_id] in ([text], [])
        assert ("SENT" in outcomes) <= bool(shown[contact_id])


def test_a_client_token_with_a_control_character_is_escaped_only_in_the_attribute_of_its_copy() -> None:
    simulation = Simulation(Setup())
    chat = simulation.producers.start_chat()
    message = simulation.producers.submit(
        simulation.producers.fields(chat, 1) | {"ClientToken": "a\x01b", "Content": ""},
        chat,
        Route.QUEUE,
        1,
        code="InvalidRequest",
    )

    simulation.run()

    [copy] = simulation.rejected.messages
    assert violations(Observations.of(simulation)) == {}
    assert message.client_token == json.loads(copy.body)["ClientToken"] == "a\x01b"
    assert copy.attributes["ClientToken"] == "a\\u0001b"


def test_a_request_that_is_too_long_to_read_is_copied_unchanged() -> None:
    simulation = Simulation(Setup())
    chat = simulation.producers.start_chat()
    body = json.dumps(simulation.producers.fields(chat, 1)).ljust(MOST_CHARACTERS + 1)
    message = simulation.producers.submit(body, chat, Route.QUEUE, 1, code="InvalidRequest")

    simulation.run()

    [copy] = simulation.rejected.messages
    assert violations(Observations.of(simulation)) == {}
    assert (copy.body, copy.attributes["ClientToken"]) == (body, message.client_token)


def test_texts_have_the_length_that_is_asked_for_and_their_number() -> None:
    writer = Writer(Random(1))

    for length in (30, 1_024, 12_000):
        assert len(writer.text(7, length)) == length
        assert NUMBER.search(writer.text(7, length))
        assert len(writer.long_text(7, length)) == length
    for length in (100, 12_000, 12_288):
        text = writer.json(7, length)
        assert len(text) == length or len(text.encode()) == 16_384
        assert json.loads(text)

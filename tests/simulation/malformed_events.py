"""Malformed events for every event source: each must end in an outcome or in a documented error.

The events are real ones with changes to their structure and to the text of the request, and JSON values that
are not events at all.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import fastjsonschema

from message_sender.errors import InternalError, MessageSenderError
from tests.simulation.accepted import SECRET_WORD
from tests.simulation.models.lambda_service import Context
from tests.simulation.simulation import Setup, Simulation
from tests.support.lambda_events import api_request, bus_event, record
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = Any
"""Any JSON value."""

_DEEP: Final = 3_000
_CHANGES: Final = (0, 1, 1, 1, 2, 3)
_check_result: Final[Callable[[object], object]] = fastjsonschema.compile(RESULT_SCHEMA)

_STRANGE: Final[tuple[Json, ...]] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    float("nan"),
    float("inf"),
    "",
    " ",
    "0",
    "null",
    "\x00",
    "\ud800",
    "￿",
    "é" * 300,
    "x" * 5_000,
    "2026-01-31T12:00:00",
    "9999-12-31T23:59:59-23:59",
    "-1",
    "9" * 13,
    "9" * 40,
    "aws:sqs",
    "SendMessage Requested",
    "{}",
    "[]",
    "[" * _DEEP,
    [],
    {},
    [[]],
    [None],
    [{}],
    {"": ""},
    {"Records": []},
    {"detail-type": "SendMessage Requested"},
)
_NAMES: Final = (
    "Content",
    "ClientToken",
    "Records",
    "detail",
    "body",
    "attributes",
    "httpMethod",
    "id",
    "",
    "é",
)

_HOLD_SECRETS: Final = frozenset({"Content", "ConnectionToken", "body"})
_HARMLESS_NAMES: Final = ("Records", "detail", "body", "attributes", "httpMethod", "", "é")


@dataclass
class Fuzzed:
    """The endings of many events.

    Attributes:
        endings: `answered` or the name of the error, with its count.
        violations: Endings that are not documented.
    """

    events: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __add__(self, other: Fuzzed) -> Fuzzed:
        return Fuzzed(
            self.events + other.events, self.endings + other.endings, self.violations + other.violations
        )


def fuzz(seed: object, *, events: int) -> Fuzzed:
    """Send many malformed events, and a few valid ones, through the real handler."""
    simulation = Simulation(Setup(seed=seed))
    random = Random(f"{seed}/malformed events")
    simulation.producers.start_chat()
    fuzzed = Fuzzed()
    simulation.time.start(partial(_handle_all, simulation, random, events, fuzzed))
    simulation.run()
    fuzzed.violations += [f"a secret in: {leak[:40]}" for leak in simulation.capture.leaks]
    fuzzed.violations += [
        f"unhandled: {name}"
        for name in simulation.capture.unhandled
        if name != "UnsupportedEventError"  # documented
    ]
    return fuzzed


def _handle_all(simulation: Simulation, random: Random, events: int, fuzzed: Fuzzed) -> None:
    handler = simulation.new_instance()
    results = simulation.bus.results
    for number in range(events):
        event = malformed_event(simulation, random, number)
        fuzzed.events += 1
        results.clear()
        try:
            answer = handler(event, Context(simulation.time, f"r-{number}"))
        except InternalError as error:
            fuzzed.violations.append(f"a defect: {type(error.defect).__name__}, event {number}")
        except MessageSenderError as error:
            fuzzed.endings[type(error).__name__] += 1
        except Exception as error:  # noqa: BLE001  # any other error is a violation
            fuzzed.violations.append(f"{type(error).__name__}, event {number}")
        else:
            fuzzed.endings["answered"] += 1
            if reason := _strange_answer(event, answer, len(results)):
                fuzzed.violations.append(f"{reason}, event {number}")
        for _, result in results:
            try:
                _check_result(result)
            except fastjsonschema.JsonSchemaValueException as error:
                fuzzed.violations.append(
                    f"a result does not match its schema: {error.message}, event {number}"
                )
            if simulation.capture.holds_secret(json.dumps(result)):
                fuzzed.violations.append(f"a secret in a result, event {number}")


def _strange_answer(event: Json, answer: Json, results: int) -> str:
    """Return the mistake in an answer: each record of a batch must have an outcome or fail."""
    if "batchItemFailures" in answer:
        failures = answer["batchItemFailures"]
        if len(failures) + results != len(event["Records"]):
            return f"{len(failures)} failures and {results} results of {len(event['Records'])} records"
    elif "statusCode" in answer:
        if answer["statusCode"] != HTTPStatus.OK and not json.loads(answer["body"])["Code"]:
            return "an error without its code"
    elif answer and "Outcome" not in answer:
        return "an answer without an outcome"
    return ""


def malformed_event(simulation: Simulation, random: Random, number: int) -> Json:
    """Return an event of a real source, with some changes."""
    request = _request(simulation, random, number)
    sources = (_queue_event, _bus_event, _direct_event, _api_event, _garbage)
    event = random.choices(sources, weights=(4, 4, 4, 4, 1))[0](request, random)
    for _ in range(random.choice(_CHANGES)):
        event = changed(event, random)
    return event


def _request(simulation: Simulation, random: Random, number: int) -> dict[str, Json]:
    request: dict[str, Json] = {
        "ConnectionToken": simulation.producers.chats[0].connection_token,
        "ContentType": "text/plain",
        "Content": f"{SECRET_WORD}{number}",
        "ClientToken": f"own-{number}",
    }
    more = {"ContactId": "c-1", "Metadata": {"a": "b"}, "ExpiresAt": "2099-01-01T00:00:00Z"}
    request |= {name: value for name, value in more.items() if random.random() < 0.3}
    for _ in range(random.choice((0, 0, 1, 2))):
        request = changed(request, random)
    return request


def _queue_event(request: Json, random: Random) -> Json:
    return {"Records": [record(_text(request, random)) for _ in range(random.choice((1, 1, 2, 10)))]}


def _bus_event(request: Json, _: Random) -> Json:
    return bus_event(request)


def _direct_event(request: Json, _: Random) -> Json:
    return request


def _api_event(request: Json, random: Random) -> Json:
    return api_request(_text(request, random), base64=random.random() < 0.1)


def _garbage(_: Json, random: Random) -> Json:
    value = random.choice(_STRANGE)
    return {random.choice(_NAMES): copy.deepcopy(value)} if random.random() < 0.5 else copy.deepcopy(value)


def _text(request: Json, random: Random) -> str:
    """Return a request as text. One in five loses, gains or repeats some characters."""
    text = json.dumps(request)
    if random.random() < 0.8:
        return text
    start, end = sorted(random.randrange(len(text) + 1) for _ in range(2))
    return random.choice(
        (text[:start], text[start:], text[:start] + text[end:], text[:end] + text[start:], text + "\x00")
    )


def changed(value: Json, random: Random) -> Json:
    """Return a JSON value with one change somewhere in it."""
    if isinstance(value, dict) and value and random.random() < 0.85:
        return _changed_object(value, random)
    if isinstance(value, list) and value and random.random() < 0.85:
        return _changed_list(value, random)
    return _replaced(value, random)


def _changed_object(value: dict[str, Json], random: Random) -> dict[str, Json]:
    name = random.choice(list(value))
    match random.randrange(8):
        case 0:
            return {key: item for key, item in value.items() if key != name}
        case 1:
            return {**value, random.choice(_NAMES): copy.deepcopy(random.choice(_STRANGE))}
        case 2:
            # A secret in an id would be the caller's mistake, also after a second change
            names = _HARMLESS_NAMES if name in _HOLD_SECRETS or name in _HARMLESS_NAMES else _NAMES
            return {(random.choice(names) if key == name else key): item for key, item in value.items()}
        case _:
            return {**value, name: changed(value[name], random)}


def _changed_list(value: list[Json], random: Random) -> list[Json]:
    place = random.randrange(len(value))
    match random.randrange(4):
        case 0:
            return value[:place] + value[place + 1 :]
        case 1:
            return [*value, copy.deepcopy(value[place])]
        case _:
            return [*value[:place], changed(value[place], random), *value[place + 1 :]]


def _replaced(value: Json, random: Random) -> Json:
    match random.randrange(4):
        case 0 if isinstance(value, str):
            return value[: len(value) // 2]
        case 1 if isinstance(value, str):
            return value + str(random.choice(["\x00", "\ud800", " ", "é", "￾"]))
        case 2:
            return [value]
        case _:
            return copy.deepcopy(random.choice(_STRANGE))

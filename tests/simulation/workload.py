"""Producers of messages, and their own record of what was accepted: all that the invariants know of the plan.

Every text holds `confidential-` and a number: it is known by it in a transcript, and must be in no output.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from message_sender.request import derive_client_token
from tests.simulation.fault_profiles import Strike
from tests.simulation.models.lambda_ import Ending
from tests.support.lambda_events import api_request, bus_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from sandbox.participant_service.api import ParticipantApi
    from tests.simulation.fault_profiles import Weather
    from tests.simulation.models.aws import StepFunctions
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.lambda_ import EventDelivery, Function, Invocation
    from tests.simulation.models.sqs import Queue

SECRET_WORD: Final = "confidential-"
NUMBER: Final = re.compile(rf"{SECRET_WORD}(\d+)")

TASK_TOKEN_PREFIX: Final = f"task-token-{SECRET_WORD}"

_MOST_CALLS: Final = 4
_MOST_SENDS: Final = 3
"""Of a message, by a state machine."""
_SEND_AGAIN_SECONDS: Final = 1.0
TASK_TIMEOUT: Final = 936.0
"""Seconds. That of the stack's own state machine, for the retry window of the simulation."""
_TASK_TIMEOUTS: Final = (5.0, 60.0, TASK_TIMEOUT)
_RETRYABLE_STATUS: Final = frozenset({429, 502, 504})
RETRYABLE_ERRORS: Final = frozenset(
    {"ThrottledError", "ServiceUnavailableError", "ConnectionFailedError", "DeadlineExceededError"}
)
JSON_TYPE: Final = "application/json"


class Route(StrEnum):
    """A way in."""

    QUEUE = "queue"
    BUS = "bus"
    DIRECT = "direct"
    API = "api"

    @property
    def has_caller(self) -> bool:
        """Whether somebody waits for the answer."""
        return self in {Route.DIRECT, Route.API}


@dataclass(slots=True)
class Chat:
    """A chat as its producer has it."""

    number: int
    contact_id: str
    connection_token: str = field(repr=False)
    ended: bool = False
    """Whether the chat ended, or its token expired, before the run did."""


@dataclass(slots=True, kw_only=True)
class Accepted:
    """A message that somebody was told is accepted; or that a caller waits for.

    Attributes:
        number: What its text is known by.
        code: With which it must be rejected, None if it is as it should be.
        expires: Whether it has an ExpiresAt that may pass.
        source_ids: What the producer was given, once for each time that it sent the message.
        answers: What a caller was told at last: `SENT`, an error's name, or None where the call was lost.
    """

    number: int
    route: Route
    chat: Chat
    client_token: str
    at: float
    code: str | None = None
    expires: bool = False
    source_ids: list[str] = field(default_factory=list)
    answers: list[str | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """How many messages, of what kinds.

    Attributes:
        seconds: In which they are produced.
        burst: The most messages that one chat produces at once.
        invalid: The share of invalid messages.
        ending: The share of chats that end, or whose token expires, half-way.
        routes: With their weights.
    """

    messages: int
    chats: int
    seconds: float
    burst: int = 6
    invalid: float = 0.05
    ending: float = 0.1
    routes: dict[Route, float] = field(
        default_factory=lambda: {Route.QUEUE: 70, Route.BUS: 15, Route.DIRECT: 9, Route.API: 6}
    )


Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mistake:
    """A way to get a message wrong, and the code that it must be rejected with."""

    code: str
    make: Callable[[Fields], Fields | str]


def _without(name: str) -> Callable[[Fields], Fields]:
    return lambda fields: {key: value for key, value in fields.items() if key != name}


# Each keeps the text or the token somewhere, so that a careless error would show it.
MISTAKES: Final = (
    Mistake("InvalidRequest", _without("ConnectionToken")),
    Mistake("InvalidRequest", _without("ContentType")),
    Mistake("InvalidRequest", lambda f: f | {"Content": f["Content"] + "x" * 12_300}),
    Mistake("InvalidRequest", lambda f: f | {"Content": {"text": f["Content"]}}),
    Mistake("InvalidRequest", lambda f: f | {f["Content"]: 1}),
    Mistake("InvalidRequest", lambda f: f | {f["ConnectionToken"]: 1}),
    Mistake("InvalidRequest", lambda f: f | {"ContentType": f["Content"]}),
    Mistake("InvalidRequest", lambda f: f | {"ContactId": f["Content"]}),
    Mistake("InvalidRequest", lambda f: f | {"ConnectionToken": f["ConnectionToken"] + "é"}),
    Mistake("InvalidRequest", lambda f: f | {"ConnectionToken": ""}),
    Mistake("InvalidRequest", lambda f: f | {"Metadata": {"note": [f["Content"]]}}),
    Mistake("InvalidRequest", lambda f: f | {"ExpiresAt": f["Content"]}),
    Mistake("InvalidRequest", lambda f: f | {"ClientToken": [f["Content"]]}),
    Mistake("InvalidRequest", lambda f: f | {"Content": f["Content"] + "\ud800"}),
    Mistake("InvalidRequest", lambda f: f | {"ContentType": JSON_TYPE, "Content": "{" + f["Content"]}),
    Mistake("InvalidRequest", lambda f: json.dumps([f])),
    Mistake("InvalidRequest", lambda f: json.dumps(f)[:-1]),
    Mistake("InvalidRequest", lambda f: json.dumps(f)[:-1] + f', "Content": "{f["Content"]}"' + "}"),
    Mistake("InvalidRequest", lambda f: "[" * 5_000 + f["Content"]),
    Mistake("InvalidRequest", lambda f: f["Content"]),
    Mistake("Expired", lambda f: f | {"ExpiresAt": "2026-01-31T11:00:00Z"}),
    Mistake("AccessDenied", lambda f: f | {"ConnectionToken": f["ConnectionToken"].swapcase()}),
    Mistake("ServiceValidation", lambda f: f | {"ContentType": "text/markdown"}),
)


class Producers:
    """Everybody who sends messages: through the queue, on the bus, and by calling the function.

    Attributes:
        accepted: By ClientToken.
        by_source_id: The same messages by what the producer was given.
        source_ids_by_task: What the producer was given for the messages that hold a task token, by the token.
    """

    def __init__(
        self,
        *,
        time: VirtualTime,
        random: Random,
        weather: Weather,
        api: ParticipantApi,
        queue: Queue,
        function: Function,
        events: EventDelivery,
        step_functions: StepFunctions,
    ) -> None:
        self._time = time
        self._random = random
        self._weather = weather
        self._api = api
        self._queue = queue
        self._function = function
        self._events = events
        self._step_functions = step_functions
        self._numbers = count(1)
        self.chats: list[Chat] = []
        self.accepted: dict[str, Accepted] = {}
        self.by_source_id: dict[str, Accepted] = {}
        self.source_ids_by_task: defaultdict[str, list[str]] = defaultdict(list)

    def start_chat(self) -> Chat:
        """Start a chat that takes text and JSON, and connect its customer."""
        service = self._api.service
        started = service.start_chat(content_types=["text/plain", JSON_TYPE])
        connection = service.create_connection(started.participant_token)
        chat = Chat(len(self.chats), started.contact_id, connection.connection_token)
        self.chats.append(chat)
        return chat

    def carry_out(self, plan: Plan) -> None:
        """Put a plan on the agenda. Chats begin now."""
        random = self._random
        chats = [self.start_chat() for _ in range(plan.chats)]
        for chat in chats:
            if random.random() < plan.ending:
                end = partial(self._end, chat, expires=random.random() < 0.5)
                self._time.after(random.uniform(0.3, 1) * plan.seconds, end)
        left = plan.messages
        routes, weights = list(plan.routes), list(plan.routes.values())
        while left > 0:
            size = min(left, random.randint(1, plan.burst))
            left -= size
            route = random.choices(routes, weights)[0]
            send = partial(self._send_burst, random.choice(chats), route, size, plan.invalid)
            self._time.after(random.uniform(0, plan.seconds), send)

    def send(self, chat: Chat, route: Route = Route.QUEUE, **fields: Any) -> Accepted:  # noqa: ANN401  # JSON
        """Send one message that is as it should be."""
        number = next(self._numbers)
        return self.hand_in(self.fields(chat, number) | fields, chat, route, number)

    def send_and_wait(self, chat: Chat, *, timeout: float = TASK_TIMEOUT, **fields: Any) -> Accepted:  # noqa: ANN401  # JSON
        """Send one message, as it should be unless the fields say otherwise, and have a task wait for it."""
        number = next(self._numbers)
        body = self.fields(chat, number) | {"ClientToken": f"own-{number}"} | fields
        return self.hand_in(self._with_task(body, timeout), chat, Route.QUEUE, number)

    def _with_task(self, fields: Fields, timeout: float) -> Fields:
        """Have a task wait for a message, and its state machine send it again if it waits in vain."""
        if self._weather.strikes(Strike.UNKNOWN_TASK):
            return fields | {"TaskToken": f"{TASK_TOKEN_PREFIX}unknown"}
        send_again = partial(self._send_again, fields, timeout)
        task = self._step_functions.start_task(timeout=timeout, on_timeout=send_again)
        if self._weather.strikes(Strike.SENT_AGAIN):  # the answer of SQS was lost, so the task has failed
            self._time.after(_SEND_AGAIN_SECONDS, partial(self._step_functions.stop, task))
            self._time.after(_SEND_AGAIN_SECONDS, send_again)
        return fields | {"TaskToken": task.token}

    def _send_again(self, fields: Fields, timeout: float) -> None:
        """Send the same message, with a new task. Not one that was wrong, and not for ever."""
        message = self.accepted.get(fields["ClientToken"])
        if message is not None and message.code is None and len(message.source_ids) < _MOST_SENDS:
            self._accept(self._with_task(fields, timeout), message)

    def _end(self, chat: Chat, *, expires: bool) -> None:
        chat.ended = True
        if expires:
            self._weather.counts[Strike.TOKEN_EXPIRED] += 1
            self._api.service.expire_connection_token(chat.connection_token)
        else:
            self._weather.counts[Strike.CHAT_ENDED] += 1
            self._api.service.end_chat(chat.contact_id)

    def _send_burst(self, chat: Chat, route: Route, size: int, invalid: float) -> None:
        for _ in range(size):
            self._send_any(chat, route, invalid)

    def _send_any(self, chat: Chat, route: Route, invalid: float) -> None:
        """Send a message with some of all that a request may hold; or one that is not as it should be."""
        random = self._random
        number = next(self._numbers)
        fields = self.fields(chat, number)
        expires = False
        if random.random() < 0.1:
            fields |= {
                "ContentType": JSON_TYPE,
                "Content": json.dumps({"templateType": "QuickReply", "text": fields["Content"]}),
            }
        if random.random() < 0.5 or route.has_caller:
            fields["ClientToken"] = f"own-{number}"
        if random.random() < 0.3:
            fields["Metadata"] = {"order": str(number)}
        if random.random() < 0.1 and not route.has_caller:
            fields["ClientToken"] = f"own-{number}"
            fields = self._with_task(fields, random.choices(_TASK_TIMEOUTS, weights=(1, 1, 6))[0])
        if random.random() < 0.1:
            expires = True
            until = self._time.now() + timedelta(seconds=random.choice([20, 300, 3600]))
            fields["ExpiresAt"] = until.isoformat()
        if random.random() < invalid and not route.has_caller:
            mistake = random.choice(MISTAKES)
            body = mistake.make(fields)
            if route is Route.BUS and isinstance(body, str):
                body = {"Content": body}  # a detail is always an object
            self._weather.counts[Strike.INVALID] += 1
            self.hand_in(body, chat, route, number, code=mistake.code, expires=expires)
            return
        message = self.hand_in(fields, chat, route, number, expires=expires)
        if "ClientToken" in fields and random.random() < 0.05:
            # A producer that repeats its own call: the same message, whatever the queue makes of it
            self._time.after(random.uniform(0, 60), partial(self._repeat, fields, message))

    def _repeat(self, fields: Fields, message: Accepted) -> None:
        self._accept(fields, message)

    def fields(self, chat: Chat, number: int) -> Fields:
        return {
            "ConnectionToken": chat.connection_token,
            "ContentType": "text/plain",
            "Content": f"{SECRET_WORD}{number} where is my parcel, please?",
            "ContactId": chat.contact_id,
        }

    def hand_in(
        self,
        body: Fields | str,
        chat: Chat,
        route: Route,
        number: int,
        *,
        code: str | None = None,
        expires: bool = False,
    ) -> Accepted:
        message = Accepted(
            number=number,
            route=route,
            chat=chat,
            client_token="",
            at=self._time.monotonic(),
            code=code,
            expires=expires,
        )
        self._accept(body, message)
        self.accepted[message.client_token] = message
        return message

    def _accept(self, body: Fields | str, message: Accepted) -> None:
        """Hand a message in, and note what it is known by."""
        own = body.get("ClientToken") if isinstance(body, dict) else None
        own = own if isinstance(own, str) else None
        if message.route is Route.QUEUE:
            text = body if isinstance(body, str) else json.dumps(body)
            source_id = self._queue.send(text, group=message.chat.contact_id, deduplication_id=self._new_id())
            derived = derive_client_token(self._queue.arn, source_id)
        else:
            source_id = self._new_id()
            derived = derive_client_token("eventbridge", source_id)
            assert isinstance(body, dict)
            if message.route is Route.BUS:
                event = bus_event(body, event_id=source_id) | {"time": self._time.now().isoformat()}
                self._events.deliver(event)
            else:
                self._call(body, message, 1)
        message.client_token = message.client_token or own or derived
        message.source_ids.append(source_id)
        self.by_source_id[source_id] = message
        if (task_token := _task_token_in(body)) is not None:
            self.source_ids_by_task[task_token].append(source_id)

    def _call(self, body: Fields, message: Accepted, calls: int) -> None:
        """Call the function and wait, as a state machine or a client of the API does."""
        event = body
        if message.route is Route.API:
            event = api_request(body)
            event["requestContext"]["extendedRequestId"] = self._new_id()
        self._function.invoke(event, partial(self._answered, body, message, calls))

    def _answered(self, body: Fields, message: Accepted, calls: int, invocation: Invocation) -> None:
        answer = _told(message.route, invocation)
        message.answers.append(answer)
        if (answer is None or answer in RETRYABLE_ERRORS) and calls < _MOST_CALLS:
            self._time.after(2.0**calls, partial(self._call, body, message, calls + 1))

    def _new_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))


def client_token_in(body: str) -> str | None:
    """Read the ClientToken of a request's text, None if it holds none."""
    return _string_in(body, "ClientToken")


def _task_token_in(body: Fields | str) -> str | None:
    """Read the task token of a request, None if there is none that anybody could read."""
    return _string_in(body if isinstance(body, str) else json.dumps(body), "TaskToken")


def _string_in(body: str, name: str) -> str | None:
    try:
        value = json.loads(body).get(name)
    except (ValueError, AttributeError, RecursionError):
        return None
    return value if isinstance(value, str) else None


def _told(route: Route, invocation: Invocation) -> str | None:
    """Return what a caller learns from an invocation: `SENT`, an error's name, or nothing."""
    match invocation.ending:
        case Ending.RAISED:
            return invocation.error_type
        case Ending.RETURNED if route is Route.DIRECT:
            return str(invocation.answer["Outcome"])
        case Ending.RETURNED:
            body = json.loads(invocation.answer["body"])
            return str(body.get("Outcome") or f"{body['Code']}Error")
        case _:
            return None


def by_chat(messages: list[Accepted]) -> dict[str, list[Accepted]]:
    """Return the messages of each chat, by contact id, in the order of their sending."""
    chats: dict[str, list[Accepted]] = defaultdict(list)
    for message in messages:
        chats[message.chat.contact_id].append(message)
    return chats

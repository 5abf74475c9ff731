"""Producers of messages: random fields over every route. `contact_centre` has another workload."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from tests.simulation.accepted import (
    SECRET_WORD,
    TASK_TOKEN_PREFIX,
    Accepted,
    Chat,
    Fields,
    Reply,
    Route,
    Sending,
    string_in,
)
from tests.simulation.contract import RETRYABLE_ERRORS, derived_client_token
from tests.simulation.fault_profiles import Fault
from tests.simulation.models.lambda_service import Ending
from tests.support.lambda_events import api_request, bus_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from sandbox.participant_service.api import ParticipantApi
    from tests.simulation.fault_profiles import FaultInjector
    from tests.simulation.models.aws import StepFunctions
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.lambda_service import EventDelivery, Function, Invocation
    from tests.simulation.models.sqs import Queue
    from tests.simulation.simulation import Simulation
    from tests.support.kms import Kms

_LINES_OF_A_LONG_TEXT: Final = (3, 9)
_SPLIT_AT: Final = 256

_SEALED_ANEW: Final = 0.2
"""The fraction of sealed messages that do not use the sealed token of an earlier one."""
_MOST_CALLS: Final = 4
_MOST_SENDS: Final = 3
"""How often a state machine sends a message at most."""
_SEND_AGAIN_SECONDS: Final = 1.0
TASK_TIMEOUT: Final = 936.0
"""Seconds. The stack's own state machine has the same for this retry window."""
_TASK_TIMEOUTS: Final = (5.0, 60.0, TASK_TIMEOUT)
JSON_TYPE: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Plan:
    """The number and kinds of messages.

    Attributes:
        seconds: The duration of the workload.
        burst: The most messages that one chat sends at once.
        invalid: The fraction of invalid messages.
        sealed: The fraction of valid messages with a sealed connection token.
        long: The fraction of long texts.
        ending: The fraction of chats that end, or whose token expires, during the run.
        routes: Weights.
    """

    messages: int
    chats: int
    seconds: float
    burst: int = 6
    invalid: float = 0.05
    sealed: float = 0.3
    long: float = 0.1
    ending: float = 0.1
    routes: dict[Route, float] = field(
        default_factory=lambda: {Route.QUEUE: 70, Route.BUS: 15, Route.DIRECT: 9, Route.API: 6}
    )


@dataclass(frozen=True, slots=True)
class Mistake:
    """A mistake in a message, and the error code that it must cause."""

    code: str
    make: Callable[[Fields], Fields | str]


def _without(name: str) -> Callable[[Fields], Fields]:
    return lambda fields: {key: value for key, value in fields.items() if key != name}


# Each keeps the text or the token somewhere, so that a careless error message would contain it
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
    Mistake("InvalidRequest", lambda f: f | {"SplitAt": f["Content"]}),
    Mistake("InvalidRequest", lambda f: f | {"SplitAt": 256, "Content": f["Content"] + " x" * 2_000}),
    Mistake("InvalidRequest", lambda f: json.dumps([f])),
    Mistake("InvalidRequest", lambda f: json.dumps(f)[:-1]),
    Mistake("InvalidRequest", lambda f: json.dumps(f)[:-1] + f', "Content": "{f["Content"]}"' + "}"),
    Mistake("InvalidRequest", lambda f: "[" * 5_000 + f["Content"]),
    Mistake("InvalidRequest", lambda f: f["Content"]),
    Mistake("Expired", lambda f: f | {"ExpiresAt": "2026-01-31T11:00:00Z"}),
    Mistake("AccessDenied", lambda f: f | {"ConnectionToken": f["ConnectionToken"].swapcase()}),
    Mistake("TokenUnreadable", lambda f: f | {"ConnectionToken": f"sealed:{f['ConnectionToken'][:500]}"}),
    Mistake("TokenUnreadable", lambda f: f | {"ConnectionToken": f"sealed:!{f['ConnectionToken'][:500]}"}),
    Mistake("ServiceValidation", lambda f: f | {"ContentType": "text/markdown"}),
)


class Producers:
    """All producers: they send through the queue, through the bus, and by calling the function.

    Attributes:
        accepted: By ClientToken.
        by_source_id: The same messages, by the ids that the producer got.
        source_ids_by_task: The ids that the producer got for messages with a task token, by the token.
    """

    def __init__(
        self,
        *,
        time: VirtualTime,
        random: Random,
        sealing: Random,
        kms: Kms,
        injector: FaultInjector,
        api: ParticipantApi,
        queue: Queue,
        function: Function,
        events: EventDelivery,
        step_functions: StepFunctions,
    ) -> None:
        self._time = time
        self._random = random
        self._sealing = sealing
        self._kms = kms
        self._injector = injector
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
        """Start a chat that accepts text and JSON, and connect its customer."""
        service = self._api.service
        started = service.start_chat(content_types=["text/plain", JSON_TYPE])
        connection = service.create_connection(started.participant_token)
        chat = Chat(
            len(self.chats), started.contact_id, [connection.connection_token], started.participant_id
        )
        self.chats.append(chat)
        return chat

    def carry_out(self, plan: Plan) -> None:
        """Schedule a plan. Its chats start now."""
        random = self._random
        chats = [self.start_chat() for _ in range(plan.chats)]
        for chat in chats:
            if random.random() < plan.ending:
                end = partial(self.end, chat, expires=random.random() < 0.5)
                self._time.after(random.uniform(0.3, 1) * plan.seconds, end)
        remaining = plan.messages
        routes, weights = list(plan.routes), list(plan.routes.values())
        while remaining > 0:
            size = min(remaining, random.randint(1, plan.burst))
            remaining -= size
            route = random.choices(routes, weights)[0]
            send = partial(self._send_burst, random.choice(chats), route, size, plan)
            self._time.after(random.uniform(0, plan.seconds), send)

    def send(self, chat: Chat, route: Route = Route.QUEUE, **fields: object) -> Accepted:
        """Send one valid message."""
        number = next(self._numbers)
        return self.submit(self.fields(chat, number) | fields, chat, route, number)

    def send_and_wait(self, chat: Chat, *, timeout: float = TASK_TIMEOUT, **fields: object) -> Accepted:
        """Send one message, valid unless `fields` change that, and start a task that waits for it."""
        number = next(self._numbers)
        body = self.fields(chat, number) | {"ClientToken": f"own-{number}"} | fields
        return self.submit(self._with_task(body, timeout), chat, Route.QUEUE, number)

    def _with_task(self, fields: Fields, timeout: float) -> Fields:
        """Start a task that waits for a message. If it times out, its state machine sends it again."""
        if self._injector.occurs(Fault.UNKNOWN_TASK, [fields["ClientToken"]]):
            return fields | {"TaskToken": f"{TASK_TOKEN_PREFIX}unknown-{fields['ClientToken']}"}
        send_again = partial(self._send_again, fields, timeout)
        task = self._step_functions.start_task(timeout=timeout, on_timeout=send_again)
        if self._injector.occurs(
            Fault.SENT_AGAIN, [fields["ClientToken"]]
        ):  # the response of SQS was lost, so the task has failed
            self._time.after(_SEND_AGAIN_SECONDS, partial(self._step_functions.stop, task))
            self._time.after(_SEND_AGAIN_SECONDS, send_again)
        return fields | {"TaskToken": task.token}

    def _send_again(self, fields: Fields, timeout: float) -> None:
        """Send the same message with a new task, if it is valid and has not been sent too often."""
        message = self.accepted.get(fields["ClientToken"])
        if message is not None and message.code is None and len(message.source_ids) < _MOST_SENDS:
            self._accept(self._with_task(fields, timeout), message)

    def end(self, chat: Chat, *, expires: bool) -> None:
        """End a chat, or let its connection token expire."""
        chat.ended = True
        fault = Fault.TOKEN_EXPIRED if expires else Fault.CHAT_ENDED
        self._injector.count(fault)
        self._injector.ended_chats[chat.connection_token] = fault
        if expires:
            self._api.service.expire_connection_token(chat.connection_token)
        else:
            self._api.service.end_chat(chat.contact_id)

    def send_long(self, chat: Chat, route: Route = Route.QUEUE, **fields: object) -> Accepted:
        """Send one valid text that is longer than a part."""
        number = next(self._numbers)
        long, lines = self._long_text(number)
        return self.submit(self.fields(chat, number) | long | fields, chat, route, number, lines=lines)

    def _long_text(self, number: int) -> tuple[Fields, int]:
        """Return the fields of a long text, and the number of its lines. Some lines fill a whole part."""
        lines = self._random.randint(*_LINES_OF_A_LONG_TEXT)
        texts = [
            f"{SECRET_WORD}{number}-line-{line} {'word ' * self._random.randint(1, 40)}".rstrip()
            for line in range(1, lines + 1)
        ]
        return {
            "SplitAt": _SPLIT_AT,
            "Content": self._random.choice(["\n", "\r\n\r\n", " "]).join(texts),
        }, lines

    def _other_content(self, number: int, text: str, plan: Plan) -> tuple[Fields, int]:
        """Return a long text or JSON in place of some texts, and the number of lines of a long one."""
        if self._random.random() < plan.long:
            return self._long_text(number)
        if self._random.random() < 0.1:
            content = json.dumps({"templateType": "QuickReply", "text": text})
            return {"ContentType": JSON_TYPE, "Content": content}, 0
        return {}, 0

    def _send_burst(self, chat: Chat, route: Route, size: int, plan: Plan) -> None:
        for _ in range(size):
            self._send_any(chat, route, plan)

    def _send_any(self, chat: Chat, route: Route, plan: Plan) -> None:
        """Send a message with some of the optional fields of a request, or an invalid one."""
        random = self._random
        number = next(self._numbers)
        fields = self.fields(chat, number)
        other, lines = self._other_content(number, fields["Content"], plan)
        fields |= other
        if random.random() < 0.5 or route.has_caller:
            fields["ClientToken"] = f"own-{number}"
        if random.random() < 0.3:
            fields["Metadata"] = {"order": str(number)}
        if random.random() < 0.1 and not route.has_caller:
            fields["ClientToken"] = f"own-{number}"
            fields = self._with_task(fields, random.choices(_TASK_TIMEOUTS, weights=(1, 1, 6))[0])
        if random.random() < 0.1:
            until = self._time.now() + timedelta(seconds=random.choice([20, 300, 3600]))
            fields["ExpiresAt"] = until.isoformat()
        if random.random() < plan.invalid and not route.has_caller and not lines:
            mistake = random.choice(MISTAKES)
            body = mistake.make(fields)
            if route is Route.BUS and isinstance(body, str):
                body = {"Content": body}  # a detail is always an object
            self._injector.counts[Fault.INVALID] += 1
            self.submit(body, chat, route, number, code=mistake.code)
            return
        if self._sealing.random() < plan.sealed:
            fields["ConnectionToken"] = self.sealed_token(chat)
        message = self.submit(fields, chat, route, number, lines=lines)
        if "ClientToken" in fields and random.random() < 0.05:
            # A producer that repeats its own call: the same message, and the queue may accept it twice
            self._time.after(random.uniform(0, 60), partial(self._accept, fields, message))

    def fields(self, chat: Chat, number: int) -> Fields:
        return {
            "ConnectionToken": chat.connection_token,
            "ContentType": "text/plain",
            "Content": f"{SECRET_WORD}{number} where is my parcel, please?",
            "ContactId": chat.contact_id,
        }

    def sealed_token(self, chat: Chat) -> str:
        """Return the chat's token sealed: most often as before, else anew."""
        if not chat.sealed_token or self._sealing.random() < _SEALED_ANEW:
            chat.sealed_token = self._kms.seal(chat.connection_token, contact_id=chat.contact_id)
        return chat.sealed_token

    def submit(
        self,
        body: Fields | str,
        chat: Chat,
        route: Route,
        number: int,
        *,
        code: str | None = None,
        lines: int = 0,
    ) -> Accepted:
        message = Accepted(
            number=number,
            route=route,
            chat=chat,
            client_token="",
            at=self._time.monotonic(),
            code=code,
            lines=lines,
        )
        self._accept(body, message)
        self.accepted[message.client_token] = message
        return message

    def _accept(self, body: Fields | str, message: Accepted) -> None:
        """Send a message, and record its ids."""
        own = body.get("ClientToken") if isinstance(body, dict) else None
        own = own if isinstance(own, str) else None
        sending = partial(Sending.of, body, message.route, at=self._time.now())
        if message.route is Route.QUEUE:
            text = body if isinstance(body, str) else json.dumps(body)
            group = message.chat.contact_id
            source_id = self._queue.send(text, group=group, deduplication_id=self._new_id())
            derived = derived_client_token(self._queue.arn, source_id)
            message.sendings[source_id] = sending(group=group)
        else:
            source_id = self._new_id()
            derived = derived_client_token("eventbridge", source_id)
            assert isinstance(body, dict)
            if message.route is Route.BUS:
                message.sendings[source_id] = sending(dated=self._time.now())
                event = bus_event(body, event_id=source_id) | {"time": self._time.now().isoformat()}
                self._events.deliver(event)
            else:
                self._call(body, message, 1)
        message.client_token = message.client_token or own or derived
        message.source_ids.append(source_id)
        self.by_source_id[source_id] = message
        task_token = string_in(body if isinstance(body, str) else json.dumps(body), "TaskToken")
        if task_token is not None:
            self.source_ids_by_task[task_token].append(source_id)

    def _call(self, body: Fields, message: Accepted, calls: int) -> None:
        """Call the function and wait for the answer, as a state machine or an API client does."""
        event, source_id = body, None
        if message.route is Route.API:
            event, source_id = api_request(body), self._new_id()
            event["requestContext"]["extendedRequestId"] = source_id
        sending = Sending.of(body, message.route, at=self._time.now())
        self._function.invoke(event, partial(self._answered, sending, message, calls, source_id))

    def _answered(
        self, sending: Sending, message: Accepted, calls: int, source_id: str | None, invocation: Invocation
    ) -> None:
        reply = reply_of(message.route, source_id or invocation.request_id, invocation)
        message.sendings[reply.source_id] = sending
        message.replies.append(reply)
        if (reply.name is None or reply.name in RETRYABLE_ERRORS) and calls < _MOST_CALLS:
            assert sending.request is not None
            self._time.after(2.0**calls, partial(self._call, sending.request, message, calls + 1))

    def _new_id(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))


class Workload(Protocol):
    """Lets producers send the messages of a simulation."""

    def __call__(
        self, simulation: Simulation, *, messages: int, chats: int, seconds: float, rare: bool
    ) -> None:
        """Begin to send.

        Args:
            rare: Whether what is rare otherwise is frequent, such as invalid messages.
        """
        ...


def random_messages(
    simulation: Simulation, *, messages: int, chats: int, seconds: float, rare: bool = False
) -> None:
    """Send random messages by every route."""
    plan = Plan(messages=messages, chats=chats, seconds=seconds)
    if rare:
        plan = replace(plan, invalid=0.25, sealed=0.5, ending=0.3)
    simulation.producers.carry_out(plan)


def reply_of(route: Route, source_id: str, invocation: Invocation) -> Reply:
    """Read the answer to a caller from the end of an invocation."""
    match invocation.ending:
        case Ending.RAISED:
            return Reply(source_id, invocation.error_type)
        case Ending.RETURNED if route is Route.DIRECT:
            return Reply(source_id, str(invocation.answer["Outcome"]), document=invocation.answer)
        case Ending.RETURNED:
            body = json.loads(invocation.answer["body"])
            name = str(body.get("Outcome") or f"{body['Code']}Error")
            return Reply(source_id, name, status=invocation.answer["statusCode"], document=body)
        case _:
            return Reply(source_id, None)

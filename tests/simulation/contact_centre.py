"""A contact centre: the second workload, written from the documents alone.

`workload` draws random fields for random messages. Here each chat has its people and programs, which act as
the how-tos say, and as people do: they write in bursts, renew tokens, lose answers, send again, call twice,
and date their events wrongly. Each actor is a generator that yields the seconds until it acts again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta, timezone
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from tests.simulation.accepted import TASK_TOKEN_PREFIX, Accepted, Chat, Fields, Route, Sending
from tests.simulation.contract import RETRYABLE_ERRORS, derived_client_token
from tests.simulation.fault_profiles import Fault
from tests.simulation.texts import Writer
from tests.simulation.workload import reply_of
from tests.support.lambda_events import api_request, bus_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime
    from random import Random

    from tests.simulation.models.lambda_service import Invocation
    from tests.simulation.simulation import Simulation

    Actor = Iterator[float]

PLAIN: Final = "text/plain"
MARKDOWN: Final = "text/markdown"
JSON: Final = "application/json"
INTERACTIVE: Final = "application/vnd.amazonaws.connect.message.interactive.response"
_CONTENT_TYPES: Final = ((PLAIN,), (PLAIN, MARKDOWN), (PLAIN, MARKDOWN, JSON, INTERACTIVE))
_LENGTHS: Final = {PLAIN: 1_024, MARKDOWN: 1_024, JSON: 12_000, INTERACTIVE: 12_288}
"""Characters, with the content limits of the specification."""

_TOKEN_SECONDS: Final = 86_400.0
_MOST_SENDS: Final = 3
_MOST_CALLS: Final = 4
_TASK_SECONDS: Final = (5.0, 90.0, 936.0)
_SILENCE: Final = 7_200.0
"""Seconds after the last message, before a last burst."""
_METADATA_BYTES: Final = 2_048
_ATTRIBUTES: Final[Sequence[Mapping[str, str]]] = (
    {},
    {"channel": "chat"},  # of an SNS topic
    {"EventSource": "sqs", "SourceId": "a b", "AcceptedAt": "yesterday", "MaybeDelivered": "true"},
)
"""Message attributes of a producer: none of these is the origin of a message."""


class ContactCentre:
    """All chats of a day, and the producers' record of their messages. It replaces those of the simulation.

    Attributes:
        accepted: By ClientToken.
        by_source_id: The same messages, by the ids that the producer got.
        source_ids_by_task: The ids that the producer got for messages with a task token, by the token.
    """

    def __init__(self, simulation: Simulation, random: Random) -> None:
        self._simulation = simulation
        self._time = simulation.time
        self._injector = simulation.injector
        self._random = random
        self._writer = Writer(random)
        self._numbers = 0
        self._results_read = 0
        self._outcomes: dict[str, Mapping[str, Any]] = {}
        self.chats: list[Chat] = []
        self.accepted: dict[str, Accepted] = {}
        self.by_source_id: dict[str, Accepted] = {}
        self.source_ids_by_task: defaultdict[str, list[str]] = defaultdict(list)
        self._content_types: list[Sequence[str]] = []
        self._participant_tokens: list[str] = []
        simulation.producers = self  # type: ignore[assignment]  # nobody uses more than what both have

    # The day

    def open(self, *, messages: int, chats: int, seconds: float) -> None:
        """Start the chats, and let everybody act. The last burst follows after hours of silence."""
        random = self._random
        for _ in range(chats):
            self.start_chat()
        actors = {
            self._bridge: 30,
            self._bot: 12,
            self._desk: 20,
            self._back_end: 14,
            self._workflow: 8,
            self._impatient_client: 6,
            self._answering_machine: 10,
        }
        shared = messages // 6
        for chat in self.chats:
            [actor] = random.choices(list(actors), list(actors.values()))
            self._later(self._moment(seconds), actor(chat, (messages - shared) // chats))
            if random.random() < 0.12:
                self._later(random.uniform(0.3, 1) * seconds, self._ending(chat))
            if random.random() < 0.15:
                self._later(random.uniform(0.2, 0.8) * seconds, self._renewal(chat))
        while shared > 0:
            size = min(shared, random.randint(1, 40))
            shared -= size
            crowd = random.choice([self._campaign, self._schedule, self._put_events, self._careless])
            self._later(self._moment(seconds), crowd(size))
        self._later(random.uniform(0, seconds), self._quota_change())
        self._later(seconds + _SILENCE, self._campaign(max(1, messages // 50)))

    def _moment(self, seconds: float) -> float:
        """Return a moment of the day: two rushes, quiet hours between them, and nobody at noon."""
        part = self._random.choices([(0.0, 0.1), (0.1, 0.5), (0.65, 0.72), (0.72, 0.9)], (3, 4, 3, 2))[0]
        return self._random.uniform(*part) * seconds

    def _later(self, seconds: float, actor: Actor) -> None:
        """Let an actor act, from a moment on."""

        def act() -> None:
            if (wait := next(actor, None)) is not None:
                self._time.after(wait, act)

        self._time.after(seconds, act)

    def start_chat(self) -> Chat:
        """Start a chat with some content types, and connect its customer."""
        service, content_types = self._simulation.participant.service, self._random.choice(_CONTENT_TYPES)
        started = service.start_chat(content_types=content_types, duration=10 * _TOKEN_SECONDS)
        token = service.create_connection(started.participant_token).connection_token
        chat = Chat(len(self.chats), started.contact_id, [token], started.participant_id)
        self.chats.append(chat)
        self._content_types.append(content_types)
        self._participant_tokens.append(started.participant_token)
        return chat

    def knows_markdown(self, chat: Chat) -> bool:
        return MARKDOWN in self._content_types[chat.number]

    # Actors of one chat

    def _bridge(self, chat: Chat, messages: int) -> Actor:
        """Send what a customer writes: bursts, webhooks that come twice, and all again after a renewal.

        Its messages expire with the connection token, and name the connection.
        """
        random, unfinished, tokens = self._random, list[Accepted](), len(chat.connection_tokens)
        while messages > 0:
            for _ in range(min(messages, random.randint(1, 7))):
                messages -= 1
                message = self._send(chat, Route.QUEUE, self._bridged(chat, self._customer_text(chat)))
                unfinished.append(message)
                if random.random() < 0.06:  # the provider delivers its webhook again
                    self._repeat(message, dropped_by_sqs=random.random() < 0.5)
                yield random.expovariate(2)
            yield random.expovariate(1 / 40)
            self._read_results()
            unfinished = [each for each in unfinished if self._is_unfinished(each)]
            if len(chat.connection_tokens) > tokens:
                tokens = len(chat.connection_tokens)
                for message in unfinished:
                    if len(message.source_ids) < _MOST_SENDS:
                        self._accept(message, Route.QUEUE, self._bridged(chat, self._same(message)))

    def _bridged(self, chat: Chat, fields: Fields) -> Fields:
        connection = len(chat.connection_tokens)
        until = self._time.now() + timedelta(seconds=_TOKEN_SECONDS)
        return fields | {
            "ConnectionToken": chat.connection_token,
            "ExpiresAt": self._rfc3339(until),
            "Metadata": {"conversation": f"{chat.number}", "connection": f"{connection}"},
        }

    def _bot(self, chat: Chat, messages: int) -> Actor:
        """Answer by direct invocation, one call after the other. A refusal ends the bot's turn."""
        previous: Accepted | None = None
        for _ in range(messages):
            fields = self._customer_text(chat) | {"ClientToken": self._new_client_token()}
            message = self._send(chat, Route.DIRECT, fields, follows=previous)
            while (answer := self._last_answer(message, 1)) is ...:
                yield 0.2
            for calls in range(2, _MOST_CALLS + 1):
                if answer is not None and answer not in RETRYABLE_ERRORS:
                    break
                yield 2.0**calls
                self._accept(message, Route.DIRECT, self._same(message))
                while (answer := self._last_answer(message, calls)) is ...:
                    yield 0.2
            previous = message if answer == "SENT" else previous
            yield self._random.expovariate(1 / 4)

    @staticmethod
    def _last_answer(message: Accepted, calls: int) -> object:
        """Return the answer to the last call, an ellipsis before it is there."""
        return message.answers[-1] if len(message.answers) >= calls else ...

    def _desk(self, chat: Chat, messages: int) -> Actor:
        """Send from several programs that share a chat: queue, bus and calls, some with sealed tokens."""
        for _ in range(messages):
            route = self._random.choices([Route.QUEUE, Route.BUS, Route.API], (6, 3, 1))[0]
            fields = self._any_content(chat)
            if route is Route.API or self._random.random() < 0.6:
                fields["ClientToken"] = self._new_client_token()
            if self._random.random() < 0.5:
                fields["Metadata"] = self._metadata()
            if self._random.random() < 0.4:
                fields["ConnectionToken"] = self._sealed(chat)
            if self._random.random() < 0.2:
                seconds = self._random.choice([-60, -1, 2, 15, 120, 900])
                fields["ExpiresAt"] = self._rfc3339(self._time.now() + timedelta(seconds=seconds))
            self._send(chat, route, fields)
            yield self._random.expovariate(1 / 8)

    def _back_end(self, chat: Chat, messages: int) -> Actor:
        """Put events, dated by a clock that may be wrong, and enqueue the rest under an id of the segment."""
        random = self._random
        wrong = random.choice([0.0, 0.0, 0.0, -3.0, 3.0, -90.0, 600.0, -1_500.0])
        segment = str(UUID(int=random.getrandbits(128), version=4))  # after a transfer
        for number in range(messages):
            fields = self._any_content(chat)
            if number % 3 == 2:
                fields["ContactId"] = random.choice([chat.contact_id, segment])
                self._send(chat, Route.QUEUE, fields, group=segment)
            else:
                if random.random() < 0.3:
                    del fields["ContactId"]
                self._send(chat, Route.BUS, fields, clock_error=wrong)
            yield random.choice([0.0, 0.0, random.expovariate(1 / 10)])

    def _workflow(self, chat: Chat, messages: int) -> Actor:
        """Send from state machines that wait for the outcome, one after another or several at a time."""
        for _ in range(messages):
            fields = self._any_content(chat) | {"ClientToken": self._new_client_token()}
            self._wait_for(chat, fields)
            yield self._random.choice([0.0, self._random.expovariate(1 / 12)])

    def _wait_for(self, chat: Chat, fields: Fields) -> None:
        seconds = self._random.choices(_TASK_SECONDS, (1, 2, 5))[0]
        message: Accepted | None = None

        def start() -> Fields:
            if self._injector.occurs(Fault.UNKNOWN_TASK):
                return fields | {"TaskToken": f"{TASK_TOKEN_PREFIX}of-another-region"}
            task = self._simulation.step_functions.start_task(timeout=seconds, on_timeout=again)
            if self._injector.occurs(Fault.SENT_AGAIN):
                self._time.after(1.0, lambda: self._simulation.step_functions.stop(task))
                self._time.after(1.0, again)
            return fields | {"TaskToken": task.token}

        def again() -> None:
            if message is not None and len(message.source_ids) < _MOST_SENDS:
                self._accept(message, Route.QUEUE, start(), group=chat.contact_id)

        message = self._send(chat, Route.QUEUE, start(), group=chat.contact_id)

    def _impatient_client(self, chat: Chat, messages: int) -> Actor:
        """Call the API, call again before the answer, and put the same message on the queue."""
        random = self._random
        for _ in range(messages):
            fields = self._any_content(chat) | {"ClientToken": self._new_client_token()}
            message = self._send(chat, random.choice([Route.API, Route.DIRECT]), fields)
            for _ in range(random.choice([0, 0, 1, 2])):
                yield random.choice([0.0, 0.05, 1.0, 10.0])
                self._accept(message, random.choice([Route.QUEUE, Route.API, Route.DIRECT]), fields)
            yield random.expovariate(1 / 10)

    def _answering_machine(self, chat: Chat, messages: int) -> Actor:
        """Send the texts of a language model, in one piece, with short texts before and after."""
        random = self._random
        while messages > 0:
            messages -= 2
            self._send(chat, Route.QUEUE, self._customer_text(chat))
            route = random.choices([Route.QUEUE, Route.BUS, Route.DIRECT], (7, 2, 1))[0]
            token = {"ClientToken": self._new_client_token()} if route is Route.DIRECT else {}
            self._send(chat, route, self._long(chat) | token)
            yield random.choice([0.0, random.expovariate(1 / 15)])

    def _ending(self, chat: Chat) -> Actor:
        """End the chat, or let its token expire."""
        chat.ended = True
        service = self._simulation.participant.service
        if self._random.random() < 0.5:
            self._injector.count(Fault.TOKEN_EXPIRED)
            service.expire_connection_token(chat.connection_token)
        else:
            self._injector.count(Fault.CHAT_ENDED)
            service.end_chat(chat.contact_id)
        yield from ()

    def _renewal(self, chat: Chat) -> Actor:
        """Create another connection. The old token expires at once, later, or stays valid."""
        service, old = self._simulation.participant.service, chat.connection_token
        if chat.ended:
            return
        expires = self._random.choice([0.0, 20.0, None])
        if expires == 0.0:
            chat.ended = True
            service.expire_connection_token(old)
            yield self._random.expovariate(1 / 20)
        try:
            token = service.create_connection(self._participant_tokens[chat.number]).connection_token
        except Exception:  # noqa: BLE001  # the chat has ended
            return
        chat.connection_tokens.append(token)
        chat.sealed_token = ""
        if expires:
            yield expires
            chat.ended = True
            service.expire_connection_token(old)

    def _quota_change(self) -> Actor:
        """Throttle all chats, raise the quota twice, and lift it."""
        for quota in (5, 10, 20):
            self._simulation.participant.throttle.set(quota, burst=quota)
            yield 60.0
        self._simulation.participant.throttle.off()

    # Actors of many chats

    def _campaign(self, messages: int) -> Actor:
        """Send one text to many chats at the same moment. It is of no use after a while."""
        random = self._random
        until = self._rfc3339(self._time.now() + timedelta(seconds=random.choice([30, 300, 7_200])))
        name = f"campaign-{random.getrandbits(32)}"
        for number in range(messages):
            chat = random.choice(self.chats)
            fields = self._customer_text(chat) | {"ExpiresAt": until, "ClientToken": f"{name}/{number}"}
            group = name if random.random() < 0.1 else chat.contact_id
            self._send(chat, Route.QUEUE, fields, group=group, attributes=random.choice(_ATTRIBUTES))
        yield from ()

    def _schedule(self, messages: int) -> Actor:
        """Send messages that were scheduled for full minutes. The scheduler calls some twice."""
        for _ in range(messages):
            chat = self._random.choice(self.chats)
            message = self._send(
                chat, Route.QUEUE, self._any_content(chat) | {"ClientToken": self._new_client_token()}
            )
            if self._random.random() < 0.2:
                self._repeat(message, dropped_by_sqs=self._random.random() < 0.7)
            if self._random.random() < 0.3:
                yield 60.0 - self._time.monotonic() % 60.0

    def _put_events(self, messages: int) -> Actor:
        """Put up to ten events in one call: they reach the function at once, in any order."""
        while messages > 0:
            chats = [self._random.choice(self.chats) for _ in range(min(messages, 10))]
            messages -= len(chats)
            for chat in chats:
                fields = self._any_content(chat)
                if self._random.random() < 0.5:
                    fields["ClientToken"] = self._new_client_token()
                self._send(chat, Route.BUS, fields)
            yield 1.0

    def _careless(self, messages: int) -> Actor:
        """Send requests that break a rule, or that only one chat refuses."""
        for _ in range(messages):
            self.make_mistake(self._random.choice(self.chats))
            yield self._random.expovariate(1)

    def make_mistake(self, chat: Chat, which: int | None = None) -> None:
        """Send a message that ends with the error code of its mistake."""
        mistakes = self.mistakes(chat)
        code, body = mistakes[which if which is not None else self._random.randrange(len(mistakes))]
        route = Route.QUEUE if isinstance(body, str) else self._random.choice([Route.QUEUE, Route.BUS])
        self._injector.count(Fault.INVALID)
        self._send(chat, route, body, code=code)

    # Requests

    def send(self, chat: Chat, **fields: object) -> Accepted:
        """Send one valid message through the queue."""
        return self._send(chat, Route.QUEUE, self._customer_text(chat) | fields)

    def _fields(self, chat: Chat, content_type: str, content: str) -> Fields:
        return {
            "ConnectionToken": chat.connection_token,
            "ContentType": content_type,
            "Content": content,
            "ContactId": chat.contact_id,
        }

    def _customer_text(self, chat: Chat) -> Fields:
        length = self._random.choice([1, 20, 60, 160, 160, 500, 1_023, 1_024])
        return self._fields(chat, PLAIN, self._writer.text(self._next_number(), length))

    def _any_content(self, chat: Chat) -> Fields:
        content_type = self._random.choice(self._content_types[chat.number])
        length = self._random.choice([30, 200, 200, 900, _LENGTHS[content_type]])
        number = self._next_number()
        if content_type in {JSON, INTERACTIVE}:
            return self._fields(chat, content_type, self._writer.json(number, length))
        return self._fields(chat, content_type, self._writer.text(number, length))

    def _long(self, chat: Chat) -> Fields:
        split_at = self._random.choice([256, 257, 400, 640.0, 1_023, 1_024])
        content_type = self._random.choice(
            [each for each in self._content_types[chat.number] if each in {PLAIN, MARKDOWN}]
        )
        length = int(split_at * self._random.choice([0.5, 1, 1.01, 2, 4, 6]))
        text = self._writer.long_text(self._next_number(), length)
        if self._random.random() < 0.2:  # longer than one part only by empty lines, which are dropped
            text = text[: int(split_at) - 2].rstrip().ljust(int(split_at) + 1, "\n")
        return self._fields(chat, content_type, text) | {"SplitAt": split_at}

    def _sealed(self, chat: Chat) -> str:
        if not chat.sealed_token or self._random.random() < 0.1:
            chat.sealed_token = self._simulation.kms.seal(chat.connection_token, contact_id=chat.contact_id)
        return chat.sealed_token

    def _metadata(self) -> dict[str, str]:
        """Return some Metadata, at times of exactly the greatest size."""
        if self._random.random() < 0.7:
            return {"order": f"{self._random.getrandbits(20)}", "ключ": "значение"}
        keys = [f"{number}" + "k" * 63 for number in range(10)]
        left = _METADATA_BYTES - sum(map(len, keys))
        sizes = [left // 10] * 9
        return {key: "v" * size for key, size in zip(keys, [*sizes, left - sum(sizes)], strict=True)}

    def _new_client_token(self) -> str:
        """Return an id as some system has it: at most 500 characters, of any alphabet."""
        number = self._random.getrandbits(64)
        return self._random.choice(
            [
                f"{UUID(int=number)}",
                f"order-{number}",
                f"заказ №{number} 🚚",
                f"{number}".rjust(500, "x"),
                f"a b\n{number}",
                f"\x01\ufffe{number}",
            ]
        )

    def _rfc3339(self, moment: datetime) -> str:
        """Write a time in one of the forms of RFC 3339."""
        text = moment.isoformat(timespec="milliseconds")
        elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=45)))
        return self._random.choice(
            [
                text.replace("+00:00", "Z"),
                text.replace("+00:00", "z").replace("T", "t"),
                text.replace("+00:00", "000001-00:00"),
                elsewhere.isoformat(timespec="seconds"),
            ]
        )

    def mistakes(self, chat: Chat) -> list[tuple[str, Fields | str]]:
        """Return requests that break a rule of `requests.md`, and the codes with which they end."""
        number = self._next_number()
        valid = self._fields(chat, PLAIN, self._writer.text(number, 80))
        text = str(valid["Content"])
        other = next((each for each in self.chats if each is not chat), chat)
        changes: list[Mapping[str, object]] = [
            {"Content": text.ljust(1_025, "ä")},
            {"Content": ""},
            {
                "ContentType": JSON,
                "Content": json.dumps({"text": text, "more": "я" * 9_000}, ensure_ascii=False),
            },
            {"ContentType": JSON, "Content": text},
            {"ContentType": JSON, "Content": "[" * 65 + json.dumps(text) + "]" * 65},
            {"ContentType": f"{PLAIN}; charset=utf-8"},
            {"ContactId": "a_contact"},
            {"ContactId": "c" * 129},
            {"ClientToken": "t" * 501},
            {"ClientToken": ""},
            {"Metadata": {f"{key}": "x" for key in range(11)}},
            {"Metadata": {"k": "x" * 257}},
            {"Metadata": {f"{key}" + "k" * 40: "x" * 250 for key in range(9)}},
            {"Metadata": {"text": {"nested": text}}},
            {"ExpiresAt": "2026-02-30T12:00:00Z"},
            {"ExpiresAt": "2099-01-31T12:00:00"},
            {"SplitAt": 255},
            {"SplitAt": 1_025},
            {"SplitAt": 256, "ContentType": JSON, "Content": json.dumps(text)},
            {"SplitAt": 256, "Content": text + "長" * 2_600},
            {"SplitAt": 256, "Content": text + "e" + "\u0301" * 300},
            {"SplitAt": "256"},
            {"ConnectionToken": "A" * 1_001},
            {"ConnectionToken": f"{chat.connection_token} "},
            {"Channel": text},
            {"Content": f"{text} \ud83d"},
        ]
        sealed = {key: value for key, value in valid.items() if key != "ContactId"}
        of_another = self._simulation.kms.seal(chat.connection_token, contact_id=other.contact_id)
        others: list[tuple[str, Fields | str]] = [
            ("TokenUnreadable", valid | {"ConnectionToken": of_another}),
            ("InvalidRequest", json.dumps(valid)[:-1] + f', "Content": {json.dumps(text)}}}'),
            ("InvalidRequest", json.dumps(valid)[:-1] + ",}"),
            ("InvalidRequest", json.dumps(valid).ljust(480_379)),
            ("InvalidRequest", sealed | {"ConnectionToken": of_another}),
            ("AccessDenied", valid | {"ConnectionToken": self._participant_tokens[chat.number]}),
            ("AccessDenied", valid | {"ConnectionToken": chat.connection_token.swapcase()}),
        ]
        if not self.knows_markdown(chat):
            others.append(("ServiceValidation", valid | {"ContentType": MARKDOWN}))
        # The others twice: most of them have another code
        return [
            *(("InvalidRequest", valid | dict(change)) for change in changes),
            *(other for other in others for _ in range(2)),
        ]

    # Sending

    def _next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def _send(
        self,
        chat: Chat,
        route: Route,
        body: Fields | str,
        *,
        code: str | None = None,
        follows: Accepted | None = None,
        **how: Any,  # noqa: ANN401  # of `_accept`
    ) -> Accepted:
        """Send a message for the first time."""
        message = Accepted(
            number=self._numbers,
            route=route,
            chat=chat,
            client_token="",
            at=self._time.monotonic(),
            code=code,
            follows=follows,
        )
        self._accept(message, route, body, **how)
        self.accepted[message.client_token] = message
        return message

    def _same(self, message: Accepted) -> Fields:
        """Return the request of a message under its ClientToken, to send it again."""
        return dict(message.request or {}) | {"ClientToken": message.client_token}

    def _repeat(self, message: Accepted, *, dropped_by_sqs: bool) -> None:
        """Send a message to the queue again: with the same deduplication id, or with another."""
        number = 1 if dropped_by_sqs else len(message.source_ids) + 1
        first = next(iter(message.sendings.values()))
        body = first.request if dropped_by_sqs else self._same(message)
        assert body is not None
        self._accept(message, Route.QUEUE, body, group=first.group, sending_number=number)

    def _accept(
        self,
        message: Accepted,
        route: Route,
        body: Fields | str,
        *,
        group: str | None = None,
        attributes: Mapping[str, str] | None = None,
        clock_error: float = 0.0,
        sending_number: int | None = None,
    ) -> None:
        """Send a message by a route, and record the id that the producer gets."""
        request = None if isinstance(body, str) else body
        text = body if isinstance(body, str) else self._written(body)
        now = self._time.now()
        if route is Route.QUEUE:
            group = group or message.chat.contact_id
            number = sending_number or len(message.source_ids) + 1
            identity = sha256(f"{message.number}/{number}".encode()).hexdigest()
            queue = self._simulation.messages
            source_id = queue.send(text, group=group, deduplication_id=identity, attributes=attributes)
            derived = derived_client_token(queue.arn, source_id)
            if source_id not in message.sendings:
                message.sendings[source_id] = Sending(
                    route=route, body=text, request=request, at=now, group=group
                )
                message.source_ids.append(source_id)
                self._note_task(request, source_id)
        elif route is Route.BUS:
            assert request is not None
            source_id = str(UUID(int=self._random.getrandbits(128), version=4))
            derived = derived_client_token("eventbridge", source_id)
            dated = (now + timedelta(seconds=clock_error)).replace(microsecond=0)
            message.sendings[source_id] = Sending(
                route=route, body=json.dumps(request), request=request, at=now, dated=dated
            )
            message.source_ids.append(source_id)
            event = bus_event(request, event_id=source_id) | {"time": dated.isoformat()}
            self._simulation.events.deliver(event)
        else:
            assert request is not None
            derived = str(request["ClientToken"])
            source_id = derived
            self._call(message, route, request)
        own = (request or {}).get("ClientToken")
        valid = isinstance(own, str) and 1 <= len(own) <= 500
        message.client_token = message.client_token or (str(own) if valid else derived)
        if not route.has_caller:
            self.by_source_id[source_id] = message

    def _note_task(self, request: Fields | None, source_id: str) -> None:
        if request is not None and "TaskToken" in request:
            self.source_ids_by_task[request["TaskToken"]].append(source_id)

    def _call(self, message: Accepted, route: Route, request: Fields) -> None:
        """Call the function, and record the answer."""
        event, source_id = request, ""
        if route is Route.API:
            source_id = str(UUID(int=self._random.getrandbits(128), version=4))
            event = api_request(self._written(request))
            event["requestContext"]["extendedRequestId"] = source_id
        sending = Sending(route=route, body=json.dumps(request), request=request, at=self._time.now())

        def answered(invocation: Invocation) -> None:
            reply = reply_of(route, source_id or invocation.request_id, invocation)
            message.sendings[reply.source_id] = sending
            message.replies.append(reply)

        self._simulation.function.invoke(event, answered)

    def _written(self, request: Fields) -> str:
        """Write a request as one of many programs does."""
        style: Callable[..., str] = json.dumps
        match self._random.randrange(4):
            case 0:
                return style(request)
            case 1:
                return style(request, indent=2)
            case 2:
                return style(dict(reversed(request.items())), separators=(",", ":"))
            case _:
                text = style(request, ensure_ascii=False)
                return text if self._writer.is_accepted_by_sqs(text) else style(request)

    # Results

    def _read_results(self) -> None:
        results = self._simulation.bus.results
        for _, result in results[self._results_read :]:
            if self._outcomes.get(result["ClientToken"], {}).get("Outcome") != "SENT":
                self._outcomes[result["ClientToken"]] = result
        self._results_read = len(results)

    def _is_unfinished(self, message: Accepted) -> bool:
        """Return whether a bridge would send a message again over another connection."""
        result = self._outcomes.get(message.client_token)
        return result is None or bool(
            result["Error"] and result["Error"]["Code"] in {"AccessDenied", "Expired"}
        )


def open_contact_centre(
    simulation: Simulation, *, messages: int, chats: int, seconds: float, rare: bool = False
) -> None:
    """Let a contact centre produce the messages of a simulation. It knows no rare kinds of messages."""
    del rare
    centre = ContactCentre(simulation, simulation.random("contact centre"))
    centre.open(messages=messages, chats=chats, seconds=seconds)

"""What a version of the function does with each kind of event: what it sends, writes and answers.

This uses nothing of the function but `create_handler`, so that it also runs with the code of another version.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NotRequired, TypedDict

from message_sender.application import create_handler
from tests.support.aws_endpoint import running_aws_endpoint
from tests.support.http_server import running_server
from tests.support.kms import TOKEN_KEY_ARN, Kms
from tests.support.lambda_events import FakeLambdaContext, api_request, bus_event, record, request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    from tests.support.http_server import Request

    Answer: TypeAlias = tuple[int, dict[str, Any]]

START: Final = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
MESSAGES: Final = "messages.fifo"
DEAD_LETTERS: Final = "dead-letter.fifo"
REJECTED: Final = "rejected"
UNPUBLISHED: Final = "unpublished-results"
BUS: Final = "the-bus"


_CHAT: Final = "5f0d5b9e-0b43-4a35-9c2e-6a1d1c5c9c11"
_TASK: Final = "AAAAKgAAAAIAAAAAAAAAAexample"
_EXPIRY: Final = "2026-01-31T13:00:00.5+01:00"
_METADATA: Final = {"order": "4711", "größe": "ü"}
_FULL: Final = {"ClientToken": "order-4711-shipped", "ContactId": _CHAT, "Metadata": _METADATA}

KEY: Final = {"TOKEN_KEY_ARN": TOKEN_KEY_ARN}
AGE: Final = {"MAXIMUM_AGE_MINUTES": "60"}
_LONG: Final = {"SplitAt": 256, "Content": "\n\n".join(f"{number}: {'word ' * 40}" for number in range(1, 4))}
TOKEN_IN_CLEAR: Final = "a-connection-token"

_ACCEPTED: Final[Answer] = (200, {"Id": "m-1", "AbsoluteTime": "2026-01-31T12:00:01.000Z"})
_THROTTLED: Final[Answer] = (429, {"message": "slow down"})
_UNAVAILABLE: Final[Answer] = (503, {"message": "out of order"})
_REFUSED: Final[Answer] = (403, {"message": "no access"})


class Scenario(TypedDict):
    """An event, and how the services behave.

    Attributes:
        answers: Status and body of the answers of Amazon Connect. The last one repeats.
        failures: For an operation of AWS, the status of each of its first answers.
        options: Environment variables besides those of a stack with the default options.
        since: The first version that knows the request or the options. None: every recorded one does.
    """

    event: dict[str, Any]
    answers: list[Answer]
    failures: dict[str, list[int]]
    options: NotRequired[dict[str, str]]
    since: NotRequired[str]


class Effects(TypedDict):
    """What the function did.

    Attributes:
        sent: Bodies of the distinct calls of SendMessage, in order.
        messages: Parameters of the messages that it wrote into its queues.
        events: Entries that it put on the bus.
        tasks: Operation and parameters of each task that it completed.
        answer: What it returned. None if it raised an error.
        error: The name of the error that it raised.
    """

    sent: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    events: list[dict[str, Any]]
    tasks: list[tuple[str, dict[str, Any]]]
    answer: dict[str, Any] | None
    error: str | None


class _Clock:
    """Time passes only while the function waits."""

    def __init__(self, now: datetime) -> None:
        self._now, self._elapsed = now, 0.0

    def now(self) -> datetime:
        return self._now + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return 1000.0 + self._elapsed

    def sleep(self, seconds: float) -> None:
        self._elapsed += seconds


def run(scenario: Scenario, **options: str) -> Effects:
    """Let the function handle an event, with further options if given."""
    answers = list(scenario["answers"])
    with running_server() as participant, running_aws_endpoint() as aws:

        def respond(_: Request) -> tuple[int, bytes]:
            status, body = answers.pop(0) if len(answers) > 1 else answers[0]
            return status, json.dumps(body).encode()

        participant.respond = respond
        _seal(aws.kms)
        aws.failures = {operation: [*statuses] for operation, statuses in scenario["failures"].items()}
        handler = create_handler(
            {
                "AWS_REGION": "eu-central-1",
                "AWS_ACCESS_KEY_ID": "000000000000",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_ENDPOINT_URL": aws.url,
                "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": participant.url,
                "EVENT_BUS_NAME": BUS,
                "MESSAGE_QUEUE_URL": MESSAGES,
                "DEAD_LETTER_QUEUE_URL": DEAD_LETTERS,
                "REJECTED_QUEUE_URL": REJECTED,
                "UNPUBLISHED_RESULTS_QUEUE_URL": UNPUBLISHED,
                "POWERTOOLS_TRACE_DISABLED": "true",
                **scenario.get("options", {}),
                **options,
            },
            clock=_Clock(START),
            random=lambda: 0.5,
        )
        answer, error = None, None
        try:
            answer = handler(scenario["event"], FakeLambdaContext())
        except Exception as raised:  # noqa: BLE001  # callers see its name
            error = type(raised).__name__
        sent = [json.loads(call.body) for call in participant.requests]
        return Effects(
            sent=[body for index, body in enumerate(sent) if body not in sent[:index]],
            messages=aws.messages,
            events=aws.events,
            tasks=aws.completed_tasks,
            answer=answer,
            error=error,
        )


def record_all() -> dict[str, tuple[Scenario, Effects]]:
    """Run every scenario, and then let the function receive each message that it enqueued for a retry."""
    recorded: dict[str, tuple[Scenario, Effects]] = {}
    for name, scenario in scenarios():
        effects = run(scenario)
        recorded[name] = scenario, effects
        for message in effects["messages"]:
            if message["QueueUrl"] == MESSAGES:
                received = _scenario(_received(message), _ACCEPTED)
                if "since" in scenario:
                    received = _new(received, scenario["options"])
                recorded[f"{name}, received"] = received, run(received)
    return recorded


def scenarios() -> Iterator[tuple[str, Scenario]]:
    """Yield every event source with every outcome."""
    of_queue: dict[str, tuple[dict[str, Any], Answer]] = {
        "message": ({}, _ACCEPTED),
        "message of another type": ({"ContentType": "application/json", "Content": "[1]"}, _ACCEPTED),
        "message that is processed": (
            {},
            (200, {**_ACCEPTED[1], "MessageMetadata": {"MessageProcessingStatus": "PROCESSING"}}),
        ),
        "message with a task": ({"TaskToken": _TASK}, _ACCEPTED),
        "refused message with a task": ({"TaskToken": _TASK}, _REFUSED),
        "invalid message with a task": ({"Content": "", "TaskToken": _TASK}, _ACCEPTED),
        "expired message": ({"ExpiresAt": "2026-01-31T11:00:00Z"}, _ACCEPTED),
        "message that is not valid for the service": ({}, (400, {"message": "no"})),
        "message that cannot be processed": (
            {},
            (200, {**_ACCEPTED[1], "MessageMetadata": {"MessageProcessingStatus": "REJECTED"}}),
        ),
        "message with an unexpected answer": ({}, (404, {})),
        "throttled message": ({}, _THROTTLED),
        "message while the service is down": ({}, _UNAVAILABLE),
    }
    for name, (fields, answer) in of_queue.items():
        yield name, _scenario(_batch(_record(request(**_FULL | fields))), answer)
    yield (
        "message to which the service gives a malformed id",
        _scenario(_batch(_record(request(**_FULL))), (200, {**_ACCEPTED[1], "Id": "<m>"})),
    )
    yield "message that is not JSON", _scenario(_batch(_record("{")), _ACCEPTED)
    yield "message without a ClientToken", _scenario(_batch(_record(request())), _ACCEPTED)
    yield (
        "refused message that was received before",
        _scenario(_batch(_record(request(), receive_count=3)), _REFUSED),
    )
    for name, answer in (("throttled", _THROTTLED), ("unavailable", _UNAVAILABLE)):
        old = _record(request(**_FULL, TaskToken=_TASK), age=700, receive_count=9)
        yield f"message after its retry window, {name}", _scenario(_batch(old), answer)
    yield (
        "two messages of a throttled chat",
        _scenario(_batch(_record(request()), _record(request(), number=2)), _THROTTLED),
    )
    yield (
        "message whose result the bus refuses",
        _scenario(_batch(_record(request(**_FULL))), _ACCEPTED, PutEvents=[500] * 9),
    )
    of_bus: dict[str, tuple[dict[str, Any], int, Answer]] = {
        "event": (request(), 0, _ACCEPTED),
        "refused event": (request(**_FULL), 0, _REFUSED),
        "invalid event with a task": (request(Content="", TaskToken=_TASK), 0, _ACCEPTED),
        "throttled event": (request(), 0, _THROTTLED),
        "throttled event with every field": (
            request(**_FULL, TaskToken=_TASK, ExpiresAt=_EXPIRY),
            0,
            _THROTTLED,
        ),
        "event while the service is down": (request(ContactId=_CHAT), 0, _UNAVAILABLE),
        "throttled event of a later attempt": (request(), 90, _THROTTLED),
    }
    for name, (detail, age, answer) in of_bus.items():
        time = (START - timedelta(seconds=age)).isoformat().replace("+00:00", "Z")
        yield name, _scenario(bus_event(detail) | {"time": time}, answer)
    for name, answer in (("", _ACCEPTED), (", refused", _REFUSED), (", throttled", _THROTTLED)):
        yield f"direct invocation{name}", _scenario(request(**_FULL), answer)
        yield f"request of the API{name}", _scenario(api_request(request(**_FULL)), answer)
    yield from _since_0_4_0()


def _since_0_4_0() -> Iterator[tuple[str, Scenario]]:
    """Yield what 0.4.0 added: long texts, sealed tokens, and the maximum age."""
    sealed = {"ConnectionToken": _seal(Kms())}
    for name, fields, options in (
        ("long text", _LONG, {}),
        ("long text that fits", _LONG | {"Content": "short"}, {}),
        ("long text that cannot be cut", _LONG | {"Content": "word " * 9_000}, {}),
        ("sealed message", sealed, KEY),
        ("sealed long text", sealed | _LONG, KEY | AGE),
        ("sealed message of another chat", sealed | {"ContactId": "c-2"}, KEY),
        ("sealed message without the option", sealed, {}),
    ):
        body = request(**_FULL | fields)
        events = {
            "": _batch(_record(body)),
            " as an event": bus_event(body) | {"time": START.isoformat()},
            " of a caller": body,
            " of the API": api_request(body),
        }
        for source, event in events.items():
            yield f"{name}{source}", _new(_scenario(event, _ACCEPTED), options)
    for age in (700, 0):
        message = _batch(_record(request(**_FULL | _LONG), age=age))
        for name, answer in (("refused", _REFUSED), ("unavailable", _UNAVAILABLE)):
            failed = _new(_scenario(message, _ACCEPTED), {})
            failed["answers"] = [_ACCEPTED, _ACCEPTED, answer]
            yield f"long text of {age} s, {name} after two parts", failed
        closed = _new(_scenario(_batch(_record(request(**_FULL | sealed | _LONG), age=age)), _ACCEPTED), KEY)
        closed["failures"] = {"Decrypt": [500] * 9}
        yield f"sealed long text of {age} s without its key", closed
    for age in (3_500, 3_700):
        of_age = _batch(_record(request(**_FULL), age=age))
        yield f"message of {age} s", _new(_scenario(of_age, _ACCEPTED), AGE)
        redriven = {"EventSource": "sqs", "SourceId": _CHAT, "AcceptedAt": "2026-01-31T08:00:00+00:00"}
        again = _batch(_record(request(**_FULL), age=age, attributes=redriven | {"Redriven": "true"}))
        yield f"message of {age} s since a redrive", _new(_scenario(again, _ACCEPTED), AGE)


def _seal(kms: Kms) -> str:
    """Return the sealed token of a chat. It is the same in every run."""
    return kms.seal(TOKEN_IN_CLEAR, contact_id=_CHAT)


def _new(scenario: Scenario, options: dict[str, str]) -> Scenario:
    return {**scenario, "options": options, "since": "0.4.0"}


def _scenario(event: dict[str, Any], answer: Answer, **failures: list[int]) -> Scenario:
    return Scenario(event=event, answers=[answer], failures=failures)


def _batch(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def _record(
    body: str | dict[str, Any],
    *,
    number: int = 1,
    age: float = 0.0,
    receive_count: int = 1,
    group: str = "chat-1",
    attributes: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return a record that is the same in every run."""
    same = record(
        body,
        group=group,
        message_id=f"00000000-0000-4000-8000-{number:012d}",
        receive_count=receive_count,
        attributes=attributes,
    )
    same["attributes"] |= {
        "SentTimestamp": str(int((START.timestamp() - age) * 1000)),
        "SequenceNumber": f"{number:020d}",
        "MessageDeduplicationId": f"dedup-{number}",
    }
    return same | {"receiptHandle": f"handle-{number}"}


def _received(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event in which the function receives a message that it has enqueued."""
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    return _batch(_record(message["MessageBody"], group=message["MessageGroupId"], attributes=attributes))

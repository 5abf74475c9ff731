"""During a roll-out, this version and the one before serve the same chats. Each reads what the other writes.

Each folder here has what one version wrote: `python -m tests.compatibility` records it.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pytest
from jsonschema import Draft7Validator

from message_sender import __version__, results_application
from message_sender.queues import read_origin
from message_sender.schema import SCHEMA
from ops.dead_letters import DeadLetter, DeadLetterQueue, read_dead_letter
from tests.compatibility.scenarios import (
    AGE,
    BUS,
    DEAD_LETTERS,
    KEY,
    MESSAGES,
    REJECTED,
    START,
    TOKEN_IN_CLEAR,
    UNPUBLISHED,
    Effects,
    Scenario,
    record_all,
    run,
)
from tests.support.aws_endpoint import running_aws_endpoint
from tests.support.fakes import FakeClock
from tests.support.lambda_events import QUEUE_ARN, FakeLambdaContext, attribute_values, record
from tests.support.schemas import RESULT_SCHEMA
from tests.support.sqs_client import FakeAwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]

Message: TypeAlias = dict[str, Any]


class Sample(NamedTuple):
    """What a version did with an event."""

    version: str
    name: str
    scenario: Scenario
    effects: Effects


def samples() -> Iterator[Sample]:
    for file in sorted(FOLDER.glob("*/samples.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            yield Sample(file.parent.name, **json.loads(line))


SAMPLES = list(samples())
VERSIONS = sorted({sample.version for sample in SAMPLES})


def ids(sample: object) -> str | None:
    return f"{sample.version} {sample.name}" if isinstance(sample, Sample) else None


@cache
def load(version: str, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / version / f"{name}.json").read_text(encoding="utf-8"))
    return content


def schema(version: str, name: str, part: str = "") -> Draft7Validator:
    content = load(version, name)
    return Draft7Validator(content | {"$ref": f"#/definitions/{part}"} if part else content)


def of_queues(*queues: str) -> Iterator[object]:
    """Yield the recorded messages of some queues."""
    for sample in SAMPLES:
        for message in sample.effects["messages"]:
            if message["QueueUrl"] in queues:
                yield pytest.param(sample.version, message, id=ids(sample))


def results(effects: Effects) -> list[Message]:
    """Return the details of all results, wherever they went."""
    entries = [*effects["events"], *(json.loads(kept["MessageBody"]) for kept in unpublished(effects))]
    outputs = [task["output"] for _, task in effects["tasks"] if "output" in task]
    return [json.loads(detail) for detail in [*(entry["Detail"] for entry in entries), *outputs]]


def unpublished(effects: Effects) -> list[Message]:
    return [message for message in effects["messages"] if message["QueueUrl"] == UNPUBLISHED]


def comparable(effects: Effects) -> dict[str, Any]:
    """Return what two versions must do alike. Words, times and numbers of attempts may differ.

    So may the de-duplication id of an event that Lambda delivers to both versions: the ClientToken is one,
    so Amazon Connect drops the repeat.
    """
    return json.loads(json.dumps(effects), object_hook=_without_words)  # type: ignore[no-any-return]  # JSON


def limited(now: object, before: object) -> object:
    """Leave out the fields that are new."""
    match now, before:
        case dict(), dict():
            return {name: limited(part, before[name]) for name, part in now.items() if name in before}
        case list(), list() if len(now) == len(before):
            return [limited(*parts) for parts in zip(now, before, strict=True)]
    return now


def _without_words(value: dict[str, Any]) -> dict[str, Any]:
    """Leave out what may differ, also in JSON text inside of JSON."""
    differs = {"Reason", "RequestId", "cause", "Attempts", "CompletedAt"}
    if value.get("QueueUrl") == MESSAGES:
        differs |= {"MessageDeduplicationId"}
    return {name: _parsed(part) for name, part in value.items() if name not in differs}


def _parsed(part: object) -> object:
    if not isinstance(part, str) or not part.startswith("{"):
        return part
    try:
        return json.loads(part, object_hook=_without_words)
    except ValueError:
        return part


def read(message: Message) -> DeadLetter:
    """Read a copy as `ops redrive` receives it."""
    client = FakeAwsClient(clock=FakeClock())
    system = {name: message[name] for name in ("MessageGroupId",) if name in message}
    stored = client.put(
        message["QueueUrl"], message["MessageBody"], attributes=attribute_values(message), **system
    )
    queue = DeadLetterQueue.DEAD_LETTER if message["QueueUrl"] == DEAD_LETTERS else DeadLetterQueue.REJECTED
    return read_dead_letter(stored.received(), queue=queue, messages_queue_arn=QUEUE_ARN)


@pytest.fixture(scope="module")
def everything() -> dict[str, tuple[Scenario, Effects]]:
    """Everything that this version does."""
    return record_all()


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    recorded: str = request.param
    return recorded


@pytest.fixture
def recorded(everything: dict[str, tuple[Scenario, Effects]], version: str) -> list[Effects]:
    """What this version does with requests and options that a recorded version knows too."""
    return [
        effects
        for scenario, effects in everything.values()
        if numbers(scenario.get("since", "0")) <= numbers(version)
    ]


@pytest.fixture
def written(recorded: list[Effects]) -> list[Message]:
    """The messages that this version then writes into a queue."""
    return [message for effects in recorded for message in effects["messages"]]


def numbers(version: str) -> list[int]:
    return [int(number) for number in version.split(".")]


def test_version_before_this_one_is_recorded() -> None:
    released = re.findall(r"^## ([0-9.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    before = released[released.index(__version__) + 1]

    assert before in VERSIONS


def test_samples_have_every_outcome_and_every_error_of_their_version(version: str) -> None:
    details = [
        detail for sample in SAMPLES if sample.version == version for detail in results(sample.effects)
    ]

    outcomes = {(detail["EventSource"], detail["Outcome"]) for detail in details}
    codes = {detail["Error"]["Code"] for detail in details if detail["Error"]}

    # A deferred message has no result while a caller waits, and after the retry window of the queue one
    sources = ("sqs", "eventbridge", "direct", "api_gateway")
    assert outcomes == {("sqs", "FAILED")} | {(a, b) for a in sources for b in ("SENT", "REJECTED")}
    assert codes >= {"Throttled", "ServiceUnavailable", "AccessDenied", "Expired", "InvalidRequest"}
    assert codes >= {"ServiceValidation", "ProcessingRejected", "UnexpectedResponse"}


# What this version reads


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_this_version_does_the_same(sample: Sample) -> None:
    before = comparable(sample.effects)

    now = comparable(run(sample.scenario))

    assert limited(now, before) == before


@pytest.mark.parametrize("sample", SAMPLES, ids=ids)
def test_options_that_a_message_does_not_use_change_nothing(sample: Sample) -> None:
    before = comparable(sample.effects)

    now = comparable(run(sample.scenario, **{"MAXIMUM_AGE_MINUTES": "1440", **KEY}))

    assert limited(now, before) == before


@pytest.mark.parametrize(("version", "message"), list(of_queues(DEAD_LETTERS, REJECTED)))
def test_redrive_reads_a_copy(version: str, message: Message) -> None:
    attributes = attribute_values(message)

    dead_letter = read(message)

    assert dead_letter.has_outcome, version
    assert dead_letter.code == attributes["Code"]
    assert dead_letter.client_token == attributes["ClientToken"]
    assert dead_letter.message_group == attributes.get("MessageGroupId", message.get("MessageGroupId"))
    assert dead_letter.origin.event_source == attributes["EventSource"]
    assert dead_letter.origin.source_id == attributes["SourceId"]
    assert dead_letter.origin.maybe_delivered is (attributes["MaybeDelivered"] == "true")


@pytest.mark.parametrize(("version", "message"), list(of_queues(UNPUBLISHED)))
def test_results_publishes_a_result_that_was_not_published(version: str, message: Message) -> None:
    with running_aws_endpoint() as aws:
        environ = {
            "AWS_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": aws.url,
            "EVENT_BUS_NAME": BUS,
            "AWS_ACCESS_KEY_ID": "000000000000",
            "AWS_SECRET_ACCESS_KEY": "test",
        }
        handler = results_application.create_handler(environ, clock=FakeClock(), random=lambda: 0.0)

        answer = handler({"Records": [record(message["MessageBody"], group=None)]}, FakeLambdaContext())

    assert answer == {"batchItemFailures": []}, version
    assert [_parsed(json.dumps(event)) for event in aws.events] == [_parsed(message["MessageBody"])]


# What this version writes


def test_version_before_reads_what_this_one_enqueues(written: list[Message], version: str) -> None:
    enqueued = [message for message in written if message["QueueUrl"] == MESSAGES]

    assert len(enqueued) >= 4
    for message in enqueued:
        schema(version, "send_message_request").validate(json.loads(message["MessageBody"]))
        schema(version, "attributes", "retry").validate(attribute_values(message))
        # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
        assert re.fullmatch("[!-~]{1,128}", message["MessageGroupId"])
        assert re.fullmatch("[!-~]{1,128}", message["MessageDeduplicationId"])


def test_version_before_reads_the_copies_of_this_one(written: list[Message], version: str) -> None:
    copies = [message for message in written if message["QueueUrl"] in {DEAD_LETTERS, REJECTED}]

    assert {message["QueueUrl"] for message in copies} == {DEAD_LETTERS, REJECTED}
    for message in copies:
        attributes = attribute_values(message)
        schema(version, "attributes", "copy").validate(attributes)
        if attributes["Code"] != "InvalidRequest":
            schema(version, "send_message_request").validate(json.loads(message["MessageBody"]))


def test_consumers_of_the_version_before_read_the_results_of_this_one(
    recorded: list[Effects], version: str
) -> None:
    details = [detail for effects in recorded for detail in results(effects)]

    assert len(details) > 20
    for detail in details:
        schema(version, "message_result").validate(detail)


def test_state_machines_of_the_version_before_know_the_errors_of_this_one(
    recorded: list[Effects], version: str
) -> None:
    errors = load(version, "message_result")["properties"]["Error"]["oneOf"][1]["properties"]
    known = {f"{code}Error" for code in errors["Code"]["enum"]}

    raised = {effects["error"] for effects in recorded if effects["error"]}
    tasks = [task for effects in recorded for task in effects["tasks"]]

    assert raised | {task["error"] for operation, task in tasks if operation == "SendTaskFailure"} <= known
    assert {operation for operation, _ in tasks} == {"SendTaskSuccess", "SendTaskFailure"}


def test_version_before_rejects_a_field_that_it_does_not_know(version: str) -> None:
    # So producers may use a new field only when no version before it can get their messages
    request = {"ConnectionToken": "-", "ContentType": "text/plain", "Content": "hello"}

    assert schema(version, "send_message_request").is_valid(request)
    assert not schema(version, "send_message_request").is_valid(request | {"Priority": "1"})


# What only this version writes


def of_new(everything: dict[str, tuple[Scenario, Effects]], *options: str) -> list[Effects]:
    """Return what this version does with requests and options that the version before does not know."""
    return [
        effects
        for scenario, effects in everything.values()
        if "since" in scenario and scenario["options"].keys() >= {*options}
    ]


def test_this_version_reads_everything_that_it_writes(
    everything: dict[str, tuple[Scenario, Effects]],
) -> None:
    effects = of_new(everything)
    written = [message for each in effects for message in each["messages"]]
    enqueued = [message for message in written if message["QueueUrl"] == MESSAGES]
    copies = [message for message in written if message["QueueUrl"] != MESSAGES]

    for message in enqueued:
        Draft7Validator(SCHEMA).validate(json.loads(message["MessageBody"]))
        schema(".", "attributes", "retry").validate(attribute_values(message))
    for copy in copies:
        attributes = attribute_values(copy)
        schema(".", "attributes", "copy").validate(attributes)
        assert read(copy).parts_delivered == int(attributes.get("PartsDelivered", 0))
    for detail in (detail for each in effects for detail in results(each)):
        Draft7Validator(RESULT_SCHEMA).validate(detail)
    assert {read(copy).parts_delivered for copy in copies} == {0, 2}
    assert len(enqueued) >= 2


def test_a_sealed_token_is_in_clear_only_in_the_call(
    everything: dict[str, tuple[Scenario, Effects]],
) -> None:
    effects = of_new(everything, *KEY)

    assert len(effects) > 10
    assert TOKEN_IN_CLEAR not in json.dumps(effects)


def test_a_message_expires_by_its_age_and_a_redrive_starts_it_again(
    everything: dict[str, tuple[Scenario, Effects]],
) -> None:
    outcomes = {
        name: [detail["Outcome"] for detail in results(effects)]
        for name, (scenario, effects) in everything.items()
        if scenario.get("options") == AGE
    }

    assert outcomes == {
        "message of 3500 s": ["SENT"],
        "message of 3500 s since a redrive": ["SENT"],
        "message of 3700 s": ["REJECTED"],
        "message of 3700 s since a redrive": ["REJECTED"],
    }


def test_every_source_sends_the_same_parts(everything: dict[str, tuple[Scenario, Effects]]) -> None:
    for kind in ("long text", "sealed long text"):
        names = (kind, f"{kind} as an event, received", f"{kind} of a caller", f"{kind} of the API")
        parts = [everything[name][1]["sent"] for name in names]

        assert len(parts[0]) == 3
        assert all(each == parts[0] for each in parts)


ORIGIN = {
    "EventSource": "eventbridge",
    "SourceId": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "AcceptedAt": "2026-01-31T12:00:00+00:00",
    "MaybeDelivered": "false",
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"EventSource": "sqs"},
        {"EventSource": "direct"},
        {"SourceId": "6A7E8FEB-B491-4CF7-A9F1-BF3703467718"},
        {"SourceId": "e-1"},
        {"AcceptedAt": "2026-01-31T12:00:00.123456+00:00"},
        {"AcceptedAt": "2026-01-31T12:00:00"},
        {"AcceptedAt": "today"},
        {"Unknown": "attribute"},
    ],
)
def test_rules_of_the_attributes_are_those_of_this_version(change: dict[str, str]) -> None:
    attributes = ORIGIN | change

    origin = read_origin(attributes, queued_at=START + timedelta(minutes=1), receive_count=1)

    assert schema(".", "attributes", "retry").is_valid(attributes) is (origin is not None)

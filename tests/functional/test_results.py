"""The second function: unpublished results, stored outcomes, and look-ups by id."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from message_sender.errors import (
    AccessDeniedError,
    AwsCallError,
    InternalError,
    InvalidRequestError,
    ThrottledError,
    UnsupportedEventError,
)
from message_sender.publisher import Publisher
from message_sender.request import Correlation
from message_sender.result import Failed, Origin, Rejected, Sent
from message_sender.results_application import create_handler
from tests.functional.conftest import CurrentStdout, function_on_fake_service
from tests.functional.test_canaries import TASK_TOKEN, TEXT, TOKEN, leaks
from tests.support.aws_endpoint import running_aws_endpoint
from tests.support.fakes import START, FakeAwsApi, FakeClock, accepting_queue, make_queues, result_of
from tests.support.lambda_events import FakeLambdaContext, api_request, bus_event, load_event, record, request
from tests.support.logs import log_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from message_sender.result import MessageResult, Outcome
    from tests.support.aws_endpoint import AwsEndpoint

BUS = "results-bus"
SENT = Sent(message_id="i-1", absolute_time=None, processing_status=None)
REJECTED = Rejected(AccessDeniedError("The connection token was refused", http_status=403))
FAILED = Failed(ThrottledError("Too many requests", http_status=429), maybe_delivered=True)
SOURCE_ID = "00000000-0000-4000-8000-000000000001"


@dataclass
class Results:
    """The function and the services that it calls."""

    aws: AwsEndpoint
    clock: FakeClock
    handler: Callable[[dict[str, Any], Any], dict[str, Any]]

    def __call__(self, event: dict[str, Any], *, seconds_left: float = 28.0) -> dict[str, Any]:
        return self.handler(event, FakeLambdaContext(seconds_left=seconds_left))

    def batch(self, *bodies: str) -> list[int]:
        """Handle a batch and return the positions of the records that stay in the queue."""
        records = [record(body, group=None) for body in bodies]
        answer = self({"Records": records})
        ids = [each["messageId"] for each in records]
        return sorted(ids.index(failure["itemIdentifier"]) for failure in answer["batchItemFailures"])

    def store(self, *results: MessageResult) -> None:
        for result in results:
            self(result_event(result))

    def look_up(self, message_id: str | None) -> tuple[int, dict[str, Any]]:
        answer = self(look_up(message_id))
        assert answer["headers"]["Content-Type"] == "application/json"
        return answer["statusCode"], json.loads(answer["body"])


def result_event(result: MessageResult) -> dict[str, Any]:
    """Return the event of a result, as a rule delivers it."""
    detail = json.loads(json.dumps(result.detail()))
    return bus_event(detail) | {"source": "connect-message-sender", "detail-type": result.detail_type}


def look_up(message_id: str | None) -> dict[str, Any]:
    parameters = None if message_id is None else {"id": message_id}
    return api_request(None) | {
        "httpMethod": "GET",
        "resource": "/messages/{id}",
        "path": f"/messages/{message_id}",
        "pathParameters": parameters,
    }


def outcome_of(
    outcome: Outcome,
    *,
    after: float = 0.0,
    client_token: str | None = "order-4711",
    source_id: str = SOURCE_ID,
    metadata: dict[str, str] | None = None,
) -> MessageResult:
    """Return a result of one message, completed some seconds after the start."""
    result = result_of(
        outcome,
        correlation=Correlation(client_token=client_token, metadata=metadata or {}),
        origin=Origin(event_source="sqs", source_id=source_id, accepted_at=START),
    )
    return result._replace(completed_at=START + timedelta(seconds=after))


def kept(*results: MessageResult, bus: str = BUS) -> list[str]:
    """Return the messages in which the sender function keeps results while the bus is down."""
    clock = FakeClock()
    events = FakeAwsApi(lambda _: {}, answers=[AwsCallError("PutEvents", name="Denied", http_status=403)])
    queue = FakeAwsApi(accepting_queue)
    publisher = Publisher(events=events.client(clock), event_bus_name=bus, queues=make_queues(queue, clock))
    publisher.publish(results, until=clock.monotonic() + 60)
    return [entry["MessageBody"] for _, call in queue.calls for entry in call["Entries"]]


@contextmanager
def running_results(**environ: str) -> Iterator[Results]:
    with running_aws_endpoint() as aws:
        clock = FakeClock()
        handler = create_handler(
            {
                "AWS_REGION": "eu-central-1",
                "AWS_ACCESS_KEY_ID": "000000000000",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_ENDPOINT_URL": aws.url,
                "EVENT_BUS_NAME": BUS,
                **environ,
            },
            clock=clock,
            random=lambda: 0.5,
        )
        for log_handler in logging.getLogger("connect-message-sender").handlers:
            assert isinstance(log_handler, logging.StreamHandler)
            log_handler.setStream(CurrentStdout())
        yield Results(aws, clock, handler)


@pytest.fixture
def results() -> Iterator[Results]:
    with running_results(OUTCOME_TABLE_NAME="outcomes", OUTCOME_RETENTION_DAYS="3") as running:
        yield running


# Unpublished results


def test_kept_results_are_published_unchanged(results: Results) -> None:
    given_results = [outcome_of(each, client_token=f"c-{each}") for each in (SENT, REJECTED, FAILED)]

    failed = results.batch(*kept(*given_results))

    assert failed == []
    assert results.aws.results == [result.detail() for result in given_results]
    assert [
        (entry["EventBusName"], entry["Source"], entry["DetailType"]) for entry in results.aws.events
    ] == [(BUS, "connect-message-sender", f"Message {name}") for name in ("Sent", "Rejected", "Failed")]


def test_results_that_the_bus_refuses_again_stay_in_the_queue(results: Results) -> None:
    bodies = kept(*(outcome_of(SENT, client_token=f"c-{number}") for number in range(4)))
    results.aws.failures["PutEvents"] = [{1, 3}, {1}, {0}]

    failed = results.batch(*bodies)

    assert failed == [3]
    assert sorted(result["ClientToken"] for result in results.aws.results) == ["c-0", "c-1", "c-2"]


def test_outage_of_the_bus_keeps_every_result(results: Results) -> None:
    results.aws.failures["PutEvents"] = [500, 503, 429]

    failed = results.batch(*kept(outcome_of(SENT), outcome_of(FAILED)))

    assert failed == [0, 1]
    assert results.aws.events == []


def test_results_without_time_for_a_call_stay_in_the_queue(results: Results) -> None:
    [body] = kept(outcome_of(SENT))
    short = record(body, group=None)

    answer = results({"Records": [short]}, seconds_left=3.0)

    assert answer == {"batchItemFailures": [{"itemIdentifier": short["messageId"]}]}
    assert results.aws.calls == []


def changed(body: str, **fields: object) -> str:
    return json.dumps(json.loads(body) | fields)


def changed_detail(body: str, **fields: object) -> str:
    return changed(body, Detail=changed(json.loads(body)["Detail"], **fields))


FOREIGN: list[Callable[[str], str]] = [
    lambda _: "no JSON",
    lambda _: "[]",
    lambda _: "null",
    lambda _: "[" * 100_000,
    lambda _: json.dumps(request()),
    lambda body: changed(body, Source="my.payments"),
    lambda body: changed(body, EventBusName="default"),
    lambda body: changed(body, DetailType="SendMessage Requested"),
    lambda body: changed(body, DetailType="Message Failed"),
    lambda body: changed(body, Detail="{}"),
    lambda body: changed(body, Detail=TEXT),
    lambda body: changed(body, Resources=["arn:of-something"]),
    lambda body: changed(body, EventBusName=f"arn:aws:events:eu-central-1:111111111111:event-bus/{BUS}"),
    lambda body: changed(body, EventBusName=[BUS]),
    lambda body: changed(body, DetailType=["Message Sent"]),
    lambda body: changed(body, Source="Connect-Message-Sender"),
    lambda body: changed(body, Detail=None),
    lambda body: changed(body, Detail={}),
    lambda body: changed(body, Detail="[" * 100_000),
    lambda body: body.replace("SENT", "REJECTED"),
    lambda body: changed_detail(body, Version="2"),
    lambda body: changed_detail(body, SourceId=7),
    lambda body: changed_detail(body, AcceptedAt="yesterday"),
    lambda body: changed_detail(body, ClientToken="x" * 501),
    lambda body: changed_detail(body, Attempts=-1),
    lambda body: changed_detail(body, Message=None),
    lambda body: changed_detail(body, more=float("nan")),
    lambda body: body + " " * 140_000,
]


@pytest.mark.parametrize("change", FOREIGN)
def test_message_that_is_not_a_result_of_this_stack_stays_and_stops_no_other(
    results: Results, change: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    [body] = kept(outcome_of(SENT))

    failed = results.batch(change(body), body)

    assert failed == [0]
    assert len(results.aws.events) == 1
    output = capsys.readouterr().out
    assert "Not a result of this stack" in output
    assert leaks(output) == []


def test_consumers_read_the_fields_that_were_checked(results: Results) -> None:
    [body] = kept(outcome_of(SENT))
    detail = json.loads(body)["Detail"]

    failed = results.batch(changed(body, Detail=detail.replace("{", '{"Outcome": "FAILED", ', 1)))

    assert failed == []
    [event] = results.aws.events
    assert event["Detail"].count('"Outcome"') == 1
    assert json.loads(event["Detail"])["Outcome"] == "SENT"


def test_no_call_is_larger_than_eventbridge_accepts(results: Results) -> None:
    bodies = kept(*(outcome_of(SENT, metadata={"filler": "\u00fc" * 5_000}) for _ in range(10)))

    failed = results.batch(*bodies)

    assert failed == []
    assert len(results.aws.events) == 10
    assert results.aws.calls == ["PutEvents"] * 2


def test_each_result_is_one_log_line(results: Results, capsys: pytest.CaptureFixture[str]) -> None:
    results.aws.failures["PutEvents"] = [{1}] * 3
    bodies = kept(outcome_of(SENT, client_token="c-1"), outcome_of(SENT, client_token="c-2"))
    results.aws.failures["PutEvents"] = [{1}, {0}, {0}]

    results.batch(*bodies)

    keys = ("message", "client_token", "level", "failure")
    lines = [tuple(line.get(key) for key in keys) for line in log_lines(capsys)]
    assert lines == [
        ("Result published", "c-1", "INFO", None),
        ("Result not accepted by the bus", "c-2", "WARNING", "PutEvents failed: FailedInPart (200)"),
    ]


# Outcomes


def test_outcome_is_found_under_the_client_token_and_the_source_id(results: Results) -> None:
    result = outcome_of(REJECTED, metadata={"order": "4711"})

    results.store(result)

    assert results.look_up("order-4711") == (200, result.detail())
    assert results.look_up(SOURCE_ID) == (200, result.detail())


def test_outcome_that_is_not_known_yet_is_not_found(results: Results) -> None:
    results.store(outcome_of(SENT))

    status, answer = results.look_up("order-4712")

    assert status == 404
    assert answer["Code"] == "OutcomeNotKnown"
    assert "so far" in answer["Reason"]


@pytest.mark.parametrize(
    "order", list(permutations([(FAILED, 1.0), (REJECTED, 3.0), (SENT, 2.0), (FAILED, 4.0)]))
)
def test_sent_wins_in_every_order(results: Results, order: Sequence[tuple[Outcome, float]]) -> None:
    results.store(*(outcome_of(outcome, after=after) for outcome, after in order))

    for message_id in ("order-4711", SOURCE_ID):
        _, answer = results.look_up(message_id)
        assert answer["Outcome"] == "SENT"


@given(
    st.lists(
        st.tuples(st.sampled_from([SENT, REJECTED, FAILED]), st.integers(0, 5)), min_size=1, max_size=8
    ).flatmap(lambda events: st.tuples(st.permutations(events), st.permutations(events * 2)))
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_repeats_and_order_of_the_events_change_nothing(
    results: Results, runs: tuple[list[tuple[Outcome, int]], list[tuple[Outcome, int]]]
) -> None:
    found = []
    for run in runs:
        results.aws.table.items.clear()
        results.store(*(outcome_of(outcome, after=after) for outcome, after in run))
        found.append(results.look_up("order-4711")[1])

    once, twice = ((each["Outcome"] == "SENT", each["CompletedAt"]) for each in found)
    assert once == twice
    best = max(runs[0], key=lambda event: (event[0] is SENT, event[1]))
    assert found[0]["CompletedAt"] == outcome_of(SENT, after=best[1]).detail()["CompletedAt"]


def test_later_outcome_of_a_redriven_message_replaces_the_earlier(results: Results) -> None:
    results.store(outcome_of(FAILED, after=0), outcome_of(REJECTED, after=60), outcome_of(FAILED, after=30))

    assert results.look_up(SOURCE_ID)[1]["Outcome"] == "REJECTED"


def test_source_id_comes_before_a_client_token_of_another_message(results: Results) -> None:
    results.store(outcome_of(REJECTED), outcome_of(SENT, client_token=SOURCE_ID, source_id="other"))

    assert results.look_up(SOURCE_ID)[1]["Outcome"] == "REJECTED"
    assert results.look_up("other")[1]["Outcome"] == "SENT"


def test_outcome_without_a_client_token_is_found_by_its_source_id(results: Results) -> None:
    results.store(outcome_of(Rejected(InvalidRequestError("No")), client_token=None, source_id="Xq="))

    assert results.look_up("Xq=")[0] == 200
    assert list(results.aws.table.items) == ["source_id#Xq="]


@pytest.mark.parametrize("client_token", ["a/b", "100%", "%41", "größe 😀", "a+b", "x" * 500, "😀" * 500])
def test_id_is_found_whether_or_not_it_is_percent_encoded(results: Results, client_token: str) -> None:
    results.store(outcome_of(SENT, client_token=client_token))
    percent_encoded = "".join(f"%{byte:02X}" for byte in client_token.encode())

    assert [results.look_up(each)[0] for each in (client_token, percent_encoded)] == [200, 200]


def test_id_that_is_longer_than_a_key_is_not_stored(results: Results) -> None:
    results.store(outcome_of(SENT, source_id="x" * 2048))

    assert results.look_up("x" * 2048)[0] == 404
    assert results.look_up("order-4711")[0] == 200
    assert results.look_up("\ud83d")[0] == 404


def test_outcome_is_kept_for_the_retention(results: Results) -> None:
    results.store(outcome_of(SENT))

    results.clock.sleep(3 * 86_400 - 1)
    before = results.look_up(SOURCE_ID)[0]
    results.clock.sleep(2)

    assert (before, results.look_up(SOURCE_ID)[0]) == (200, 404)
    [expires_at] = {item["ExpiresAt"]["N"] for item in results.aws.table.items.values()}
    assert int(expires_at) == START.timestamp() + 3 * 86_400


@pytest.mark.parametrize("failure", [500, "ProvisionedThroughputExceededException", "ThrottlingException"])
def test_failure_of_the_table_is_retried(results: Results, failure: int | str) -> None:
    results.aws.failures["PutItem"] = [failure, failure]
    results.aws.failures["GetItem"] = [failure, failure]

    results.store(outcome_of(SENT))

    assert results.look_up(SOURCE_ID)[0] == 200


def test_outcome_that_cannot_be_stored_is_stored_when_lambda_repeats_the_event(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    results.aws.failures["PutItem"] = [set(), "AccessDeniedException"]

    with pytest.raises(AwsCallError, match="AccessDenied"):
        results.store(outcome_of(SENT))
    results.store(outcome_of(SENT))

    assert [line["message"] for line in log_lines(capsys)] == ["Outcome not stored", "Outcome stored"]
    assert results.look_up("order-4711")[0] == 200


def test_table_that_cannot_be_read_is_a_bad_gateway(results: Results) -> None:
    results.aws.failures["GetItem"] = ["AccessDeniedException"]

    status, answer = results.look_up("order-4711")

    assert (status, answer["Code"]) == (502, "ServiceUnavailable")


# Events that it does not accept


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": []},
        {"Records": [{"eventSource": "aws:s3"}]},
        bus_event(request()),
        result_event(outcome_of(SENT)) | {"source": "my.payments"},
        result_event(outcome_of(SENT)) | {"detail-type": "Message Lost"},
        result_event(outcome_of(SENT)) | {"detail": {"Outcome": "SENT"}},
        result_event(outcome_of(SENT)) | {"detail": "SENT"},
        result_event(outcome_of(SENT)) | {"Records": []},
        api_request(request()),
        look_up(None),
        look_up("x") | {"httpMethod": "DELETE"},
        look_up("x") | {"detail": {}},
        request(),
    ],
)
def test_other_events_are_refused(results: Results, event: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedEventError):
        results(event)

    assert results.aws.calls == []


@pytest.mark.parametrize("event", [result_event(outcome_of(SENT)), look_up(SOURCE_ID)])
def test_without_a_table_outcomes_are_refused(event: dict[str, Any]) -> None:
    with running_results() as results:
        with pytest.raises(UnsupportedEventError):
            results(event)

        assert results.batch(*kept(outcome_of(SENT))) == []


def test_defect_is_reported_by_its_place_alone(
    results: Results, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> bool:
        raise RuntimeError(TEXT)

    monkeypatch.setattr("message_sender.outcome_lookup.is_result", broken)

    with pytest.raises(InternalError) as defect:
        results(result_event(outcome_of(SENT)))

    output = capsys.readouterr().out
    assert "Unhandled error" in output
    assert '"UnhandledErrors":[1.0]' in output
    assert leaks(output + str(defect.value)) == []


# Secrets


def test_no_secret_reaches_the_table_the_log_or_an_answer(
    results: Results, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = {"ConnectionToken": TOKEN, "Content": TEXT}
    forged = result_event(outcome_of(SENT)) | {"detail": secrets}
    refused = changed(kept(outcome_of(SENT))[0], **secrets)

    with pytest.raises(UnsupportedEventError) as refusal:
        results(forged)
    results.batch(json.dumps(secrets), refused)
    answers = [results.look_up(TOKEN), results.look_up(TEXT)]
    results.aws.failures["GetItem"] = [403]
    answers.append(results.look_up(TOKEN))

    output = capsys.readouterr()
    assert leaks(output.out + output.err + str(refusal.value)) == []
    assert leaks(json.dumps(answers)) == []
    assert leaks(json.dumps([results.aws.table.items, results.aws.events])) == []


@pytest.mark.parametrize("status", [200, 400, 403])
def test_nothing_of_a_message_but_its_ids_reaches_the_table(results: Results, status: int) -> None:
    secret = {"Content": TEXT, "ConnectionToken": TOKEN, "TaskToken": TASK_TOKEN}
    with function_on_fake_service() as sender:
        sender.service.status = status
        sender.service.body = json.dumps({"Id": TEXT, "AbsoluteTime": TOKEN, "Message": TEXT}).encode()
        sender({"Records": [record(request(**secret)), record(request(**secret | {"Content": ""}))]})
        entries = sender.aws.events

    for entry in entries:
        detail = json.loads(entry["Detail"])
        results(bus_event(detail) | {"source": entry["Source"], "detail-type": entry["DetailType"]})

    assert len(results.aws.table.items) == 4
    assert leaks(json.dumps(results.aws.table.items)) == []


def test_proxy_event_has_the_shape_of_the_recorded_one() -> None:
    assert look_up("x").keys() == load_event("api_gateway").keys()

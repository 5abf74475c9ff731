"""The handler with sealed connection tokens, from every event source."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from message_sender import errors
from message_sender.errors import MessageSenderError
from sandbox.participant_service.faults import Status
from tests.functional.conftest import running_function
from tests.support.kms import OTHER_KEY_ARN, TOKEN_KEY_ARN
from tests.support.lambda_events import TEXT, api_request, attribute_values, bus_event, received, record
from tests.support.logs import log_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.functional.conftest import Chat, Function

EVENT_SOURCES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "sqs": lambda body: {"Records": [record(body, group="chat-1")]},
    "eventbridge": bus_event,
    "direct": lambda body: body,
    "api_gateway": api_request,
}


@pytest.fixture
def function() -> Iterator[Function]:
    with running_function(TOKEN_KEY_ARN=TOKEN_KEY_ARN) as running:
        yield running


def sealed(function: Function, chat: Chat, **fields: object) -> dict[str, Any]:
    token = function.aws.kms.seal(chat.connection_token, contact_id=chat.contact_id)
    own: dict[str, object] = {"ConnectionToken": token, "ContactId": chat.contact_id, "ClientToken": "t-1"}
    return chat.request(**own | fields)


def everything(function: Function, capsys: pytest.CaptureFixture[str], answer: object) -> str:
    """Return all that leaves the function but the call of SendMessage: copies, results, logs, the answer."""
    return f"{capsys.readouterr()}{function.aws.messages}{function.aws.events}{answer}"


def outcome_of(function: Function, event: dict[str, Any]) -> str:
    """Handle an event. Return the name of the error that is raised, else the answer."""
    try:
        return json.dumps(function(event))
    except MessageSenderError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("source", EVENT_SOURCES)
def test_a_sealed_token_is_opened_only_for_the_call(
    function: Function, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    chat = function.start_chat()

    answer = outcome_of(function, EVENT_SOURCES[source](sealed(function, chat)))

    assert chat.texts == [TEXT]
    [result] = function.aws.results
    assert (result["Outcome"], result["EventSource"]) == ("SENT", source)
    assert function.aws.calls == ["Decrypt", "PutEvents"]
    assert chat.connection_token not in everything(function, capsys, answer)


@pytest.mark.parametrize("source", EVENT_SOURCES)
@pytest.mark.parametrize("made_for", ["another chat", "another key", "nothing"])
def test_an_unreadable_token_is_rejected(function: Function, source: str, made_for: str) -> None:
    chat, kms = function.start_chat(), function.aws.kms
    token = {
        "another chat": kms.seal(chat.connection_token, contact_id="another"),
        "another key": kms.seal(chat.connection_token, contact_id=chat.contact_id, key=OTHER_KEY_ARN),
        "nothing": "sealed:no base64",
    }[made_for].replace(" ", "-")

    answer = outcome_of(function, EVENT_SOURCES[source](sealed(function, chat, ConnectionToken=token)))

    assert chat.texts == []
    [result] = function.aws.results
    assert (result["Outcome"], result["Error"]["Code"]) == ("REJECTED", "TokenUnreadable")
    assert (result["Error"]["HttpStatus"], result["Attempts"]) == (None, 0)
    assert token not in json.dumps(result)
    if source == "direct":
        assert answer.startswith("TokenUnreadableError: ")
    elif source == "api_gateway":
        assert json.loads(answer)["statusCode"] == 422
    else:
        [copy] = function.aws.messages
        assert token in copy["MessageBody"]
        assert attribute_values(copy)["Code"] == "TokenUnreadable"


@pytest.mark.parametrize(
    "failure", ["AccessDeniedException", "DisabledException", "ThrottlingException", 500]
)
def test_a_message_of_the_queue_waits_for_its_key(function: Function, failure: int | str) -> None:
    chat = function.start_chat()
    function.aws.failures["Decrypt"] = [failure] * 2
    first, second = (record(sealed(function, chat, ClientToken=f"t-{n}", Content=f"{n}")) for n in (1, 2))

    failed = function.batch(first, second)

    assert failed == [first["messageId"], second["messageId"]]
    assert chat.texts == []
    assert function.aws.results == []
    function.aws.failures.clear()
    assert function.batch(first, second) == []
    assert chat.texts == ["1", "2"]


def test_the_backoff_grows_while_the_key_cannot_be_used(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures["Decrypt"] = ["DisabledException"] * 2

    function.batch(record(sealed(function, chat), receive_count=5))
    function.batch(record(sealed(function, chat), receive_count=1))

    later, soon = (next(iter(delay.values())) for delay in function.aws.delays)
    assert later >= 16
    assert soon <= 2


def test_a_message_fails_if_its_key_cannot_be_used_for_the_retry_window(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    function.aws.failures["Decrypt"] = ["AccessDeniedException"]
    request = sealed(function, chat)

    failed = function.batch(record(request, age=601))

    assert failed == []
    [result] = function.aws.results
    assert (result["Outcome"], result["Error"]["Code"]) == ("FAILED", "KeyUnavailable")
    assert result["Error"]["Reason"] == "KMS did not decrypt ConnectionToken: AccessDeniedException"
    [copy] = function.aws.messages
    assert copy["QueueUrl"].endswith("/dead-letter.fifo")
    assert json.loads(copy["MessageBody"])["ConnectionToken"] == request["ConnectionToken"]
    assert chat.connection_token not in everything(function, capsys, failed)


def test_an_event_waits_for_its_key_in_the_queue_and_stays_sealed(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    function.aws.failures["Decrypt"] = ["DisabledException"]
    request = sealed(function, chat)

    function(bus_event(request))

    [enqueued] = function.aws.messages
    assert enqueued["MessageGroupId"] == chat.contact_id
    assert json.loads(enqueued["MessageBody"])["ConnectionToken"] == request["ConnectionToken"]
    assert chat.connection_token not in everything(function, capsys, None)
    assert function.batch(received(enqueued)) == []
    assert chat.texts == [TEXT]


def test_a_caller_gets_the_name_of_the_error(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures["Decrypt"] = ["DisabledException"] * 2

    with pytest.raises(errors.KeyUnavailableError):
        function(sealed(function, chat))
    answer = function(api_request(sealed(function, chat)))

    assert answer["statusCode"] == 502
    assert json.loads(answer["body"]) == {
        "Code": "KeyUnavailable",
        "Reason": "KMS did not decrypt ConnectionToken: DisabledException",
        "ClientToken": "t-1",
    }
    assert function.aws.results == []


def test_the_task_of_an_unreadable_message_fails_with_the_name_of_the_error(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(sealed(function, chat, ConnectionToken="sealed:QUJD", TaskToken="task")))

    [(operation, parameters)] = function.aws.completed_tasks
    assert (operation, parameters["error"]) == ("SendTaskFailure", "TokenUnreadableError")


def test_messages_of_a_chat_under_one_sealed_token_need_one_decryption(function: Function) -> None:
    chat = function.start_chat()
    token = sealed(function, chat)["ConnectionToken"]
    batch = [
        record(sealed(function, chat, ConnectionToken=token, ClientToken=f"t-{n}", Content=f"{n}"))
        for n in range(5)
    ]

    assert function.batch(*batch) == []

    assert chat.texts == ["0", "1", "2", "3", "4"]
    assert function.aws.calls.count("Decrypt") == 1


def test_the_copy_of_a_failed_message_is_still_sealed(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=500), times=None)

    function.batch(record(sealed(function, chat), age=601))

    [copy] = function.aws.messages
    assert attribute_values(copy)["Code"] == "ServiceUnavailable"
    assert json.loads(copy["MessageBody"])["ConnectionToken"].startswith("sealed:")
    assert chat.connection_token not in json.dumps(copy)


def test_the_log_names_the_code_and_not_the_token(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    function.aws.failures["Decrypt"] = ["DisabledException"]
    request = sealed(function, chat)

    function.batch(record(request))

    lines = log_lines(capsys)
    [line] = [line for line in lines if line.get("message") == "Message deferred"]
    assert (line["code"], line["contact_id"]) == ("KeyUnavailable", chat.contact_id)
    assert request["ConnectionToken"] not in json.dumps(lines)


def test_without_a_key_the_function_makes_no_call_and_names_the_rule() -> None:
    with running_function() as function:
        chat = function.start_chat()

        function.batch(record(sealed(function, chat)))

        assert "Decrypt" not in function.aws.calls
        [result] = function.aws.results
        assert result["Error"]["Code"] == "InvalidRequest"
        assert result["Error"]["Reason"].startswith("ConnectionToken is sealed")


def test_without_a_key_nothing_of_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "message_sender.token_key", None)  # its import fails

    with running_function() as function:
        chat = function.start_chat()
        function.batch(record(chat.request()))
        assert chat.texts == [TEXT]
    with pytest.raises(ImportError), running_function(TOKEN_KEY_ARN=TOKEN_KEY_ARN):
        pass

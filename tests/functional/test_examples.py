"""The Python examples: their requests are valid, and the documents show them as they are.

`tests/e2e/test_examples.py` runs the ones that need no account of Amazon Connect.
"""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import boto3

from message_sender.request import SendMessageRequest, parse_request
from sandbox.participant_service.server import running_participant_service

if TYPE_CHECKING:
    from types import ModuleType

    import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
WITHOUT_CDK = sorted((ROOT / "examples" / "without-cdk").iterdir())
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def load(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    """Import an example, which creates its clients on import."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(variable, "test")
    return importlib.import_module(f"examples.{name}")


def assert_is_request(text: str) -> None:
    assert isinstance(parse_request(text, client_token=None).request, SendMessageRequest)


def test_every_python_block_of_the_documents_is_from_an_example() -> None:
    sources = [path.read_text() for path in EXAMPLES]
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    ]

    assert len(blocks) >= 5
    assert [block for block in blocks if not any(block in source for source in sources)] == []


def test_every_file_for_other_tools_is_in_the_documents() -> None:
    page = (ROOT / "docs" / "how-to" / "use-without-cdk.md").read_text()

    blocks = re.findall(r"^```(?:yaml|hcl|ts)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)

    assert sorted(blocks) == sorted(path.read_text() for path in WITHOUT_CDK)


def test_message_by_the_queue_is_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    example = load(monkeypatch, "queue_message")
    monkeypatch.setattr(example, "sqs", sqs := Mock())

    example.send("https://queue", "contact", "token", "sms-1", "Hello")

    assert_is_request(sqs.send_message.call_args.kwargs["MessageBody"])


def test_sealed_token_belongs_into_a_request_with_its_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    example = load(monkeypatch, "sealed_token")
    encrypt = Mock(return_value={"CiphertextBlob": b"\xff\x00"})
    monkeypatch.setattr(example, "kms", Mock(encrypt=encrypt))

    sealed = example.seal("arn:key", "contact", "token")

    assert encrypt.call_args.kwargs == {
        "KeyId": "arn:key",
        "Plaintext": b"token",
        "EncryptionContext": {"ContactId": "contact"},
    }
    fields = {"ConnectionToken": sealed, "ContentType": "text/plain", "Content": "Hello"}
    request = parse_request(json.dumps(fields | {"ContactId": "contact"}), client_token="m-1").request
    assert isinstance(request, SendMessageRequest)
    assert request.is_sealed


def test_bridge_splits_a_long_text_into_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    example = load(monkeypatch, "bridge")
    monkeypatch.setattr(example, "sqs", sqs := Mock())
    monkeypatch.setattr(example, "save", Mock())
    conversation = example.Conversation(
        id="1",
        name="Alice",
        contact_id="contact",
        connection_token="token",
        token_expiry="2026-01-31T12:00:00Z",
        connections=1,
    )

    for _ in range(2):  # the provider repeats its webhook
        example.customer_wrote(conversation, "sms-1", "x" * 1500)

    calls: list[Any] = sqs.send_message.call_args_list
    assert [call.kwargs["MessageDeduplicationId"] for call in calls] == ["sms-1-0-1", "sms-1-1-1"]
    for call in calls:
        assert_is_request(call.kwargs["MessageBody"])


def test_bridge_opens_a_chat_with_two_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    example = load(monkeypatch, "bridge")
    conversation = example.Conversation(id="1", name="Alice")
    keys: dict[str, Any] = {"region_name": "eu-central-1", "aws_access_key_id": "test"}
    with running_participant_service() as running:
        for name, service in (("connect", "connect"), ("participant", "connectparticipant")):
            client = boto3.client(
                service,  # type: ignore[call-overload]  # one of two literals
                endpoint_url=running.url,
                aws_secret_access_key="test",
                **keys,
            )
            monkeypatch.setattr(example, name, client)

        example.open_chat(conversation)
        example.open_chat(conversation)  # a repeat starts no second chat

        assert conversation.connections == 2
        assert running.api.requests == {"StartChatContact": 2, "CreateParticipantConnection": 2}
        [chat] = running.service.chats()
        example.participant.send_message(
            ConnectionToken=conversation.connection_token, ContentType="text/plain", Content="Hello"
        )
        assert [item.content for item in running.service.messages(chat.contact_id)] == ["Hello"]


def test_the_repository_can_import_the_package_under_the_name_that_it_has_when_it_is_installed() -> None:
    contract = importlib.import_module("connect_message_sender.contract")

    assert contract.FUNCTION_SOURCES == ROOT / "lambda_src"


def test_code_is_tested_against_the_local_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_participant_service() as running:
        for variable in ("AWS_ENDPOINT_URL_CONNECT", "AWS_ENDPOINT_URL_CONNECTPARTICIPANT"):
            monkeypatch.setenv(variable, running.url)
        example = load(monkeypatch, "local_connect")

        example.test_a_throttled_message_is_in_the_chat_once()

        assert running.api.requests["SendMessage"] == 3
        assert sum(running.api.client_tokens.values()) == 3
        assert len(running.api.client_tokens) == 1

"""The Python examples: their requests are valid, and the documents show them as they are."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from message_sender.request import SendMessageRequest, parse_request

if TYPE_CHECKING:
    from types import ModuleType

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


def test_bridge_splits_a_long_text_into_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    example = load(monkeypatch, "bridge")
    monkeypatch.setattr(example, "sqs", sqs := Mock())
    conversation = example.Conversation(
        id="1",
        name="Alice",
        contact_id="contact",
        connection_token="token",
        token_expiry="2026-01-31T12:00:00Z",
    )

    example.customer_wrote(conversation, "sms-1", "x" * 1500)

    calls: list[Any] = sqs.send_message.call_args_list
    assert [call.kwargs["MessageDeduplicationId"] for call in calls] == ["sms-1-0", "sms-1-1"]
    for call in calls:
        assert_is_request(call.kwargs["MessageBody"])


def test_bot_raises_the_error_of_a_failed_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    example = load(monkeypatch, "bot")
    payload = Mock(read=Mock(return_value='{"errorType": "AccessDeniedError"}'))
    monkeypatch.setattr(example, "lambda_", lambda_ := Mock())
    lambda_.invoke.return_value = {"FunctionError": "Unhandled", "Payload": payload}

    with pytest.raises(RuntimeError, match="AccessDeniedError"):
        example.answer("token", "contact", "m-1", ["Hello"])

    assert_is_request(lambda_.invoke.call_args.kwargs["Payload"])


def test_picked_option_is_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    example = load(monkeypatch, "picked")
    monkeypatch.setattr(example, "events", events := Mock())

    example.customer_picked("bus", "contact", "token", "m-1", {"templateType": "ListPicker"})

    [entry] = events.put_events.call_args.kwargs["Entries"]
    assert_is_request(entry["Detail"])

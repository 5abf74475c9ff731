"""The search for secrets in the captured output."""

from __future__ import annotations

import pytest

from tests.simulation.capture import Capture

TOKEN = "QVFJREFIZ0tOZ2lCdGVzdC1jb25uZWN0aW9uLXRva2Vu"  # made up


def written(text: str) -> Capture:
    capture = Capture(secret_words=["confidential-"], secrets=lambda: [TOKEN])
    capture.write(text)
    return capture


@pytest.mark.parametrize(
    "text", ["Where is confidential-7?", TOKEN, f"x{TOKEN}x", f'{{"token": "{TOKEN[:20]}..."}}', TOKEN[8:30]]
)
def test_a_secret_or_a_piece_of_it_is_a_leak(text: str) -> None:
    assert written(text).leaks == [text]


@pytest.mark.parametrize(
    "text", ["ServiceUnavailableError", "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "x" * 99]
)
def test_ordinary_text_is_not_a_leak(text: str) -> None:
    assert written(text).leaks == []


def test_lines_and_errors_of_the_log_are_counted() -> None:
    capture = written('{"message":"Message ended"}\n{"message":"Unhandled error","error_type":"KeyError"}')

    assert capture.lines == {"Message ended": 1, "Unhandled error": 1}
    assert capture.unhandled == {"KeyError": 1}


@pytest.mark.parametrize("message", ["Result not published", "Copy not made"])
def test_the_ids_of_messages_whose_results_or_copies_are_not_safe_are_recorded(message: str) -> None:
    capture = written(f'{{"message":"{message}","correlation_id":"m-1"}}')
    capture.write('{"message":"Message ended","correlation_id":"m-2"}')

    assert capture.not_safe == {"m-1"}

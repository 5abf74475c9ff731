"""The search for secrets in what is written."""

from __future__ import annotations

import pytest

from tests.simulation.capture import Output

TOKEN = "QVFJREFIZ0tOZ2lCdGVzdC1jb25uZWN0aW9uLXRva2Vu"  # made up


def written(text: str) -> Output:
    output = Output(secret_words=["confidential-"], secrets=lambda: [TOKEN])
    output.write(text)
    return output


@pytest.mark.parametrize(
    "text", ["Where is confidential-7?", TOKEN, f"x{TOKEN}x", f'{{"token": "{TOKEN[:20]}..."}}', TOKEN[8:30]]
)
def test_a_secret_or_a_piece_of_it_is_found(text: str) -> None:
    assert written(text).leaks == [text]


@pytest.mark.parametrize(
    "text", ["ServiceUnavailableError", "6a7e8feb-b491-4cf7-a9f1-bf3703467718", "x" * 99]
)
def test_what_is_no_secret_is_not(text: str) -> None:
    assert written(text).leaks == []


def test_lines_and_errors_of_the_log_are_counted() -> None:
    output = written('{"message":"Message ended"}\n{"message":"Unhandled error","error_type":"KeyError"}')

    assert output.lines == {"Message ended": 1, "Unhandled error": 1}
    assert output.unhandled == {"KeyError": 1}


def test_messages_whose_results_are_safe_nowhere_are_known_by_their_ids() -> None:
    output = written('{"message":"Result not published","correlation_id":"m-1"}')
    output.write('{"message":"Message ended","correlation_id":"m-2"}')

    assert output.not_published == {"m-1"}

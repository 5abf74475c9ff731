"""What the sandbox prints of the function's log."""

from __future__ import annotations

import io
from typing import Any

import pytest

from ops.stack.terminal import Terminal
from sandbox.console.watch import platform_error
from sandbox.live.feed import entry

THROTTLED = {
    "at": "2026-11-28T06:10:00.400Z",
    "wait_ms": 0,
    "ms": 41,
    "code": "Throttled",
    "http_status": 429,
}
ACCEPTED = {"at": "2026-11-28T06:10:02.400Z", "wait_ms": 2000, "ms": 39, "code": None, "http_status": 200}


def line(message: str, **fields: object) -> dict[str, Any]:
    return {
        "timestamp": "2026-11-28 06:10:03,500+0000",
        "level": "INFO",
        "message": message,
        "correlation_id": "m-1",
        "client_token": "order-1",
        "event_source": "sqs",
        "receive_count": 1,
        **fields,
    }


def printed(log_line: dict[str, Any], *, width: int = 80) -> list[str]:
    stream = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ops.stack.terminal._PLAIN_WIDTH", width)
        terminal = Terminal(stream)
    laid_out = entry(log_line)
    assert laid_out
    terminal.print(laid_out)
    return stream.getvalue().splitlines()


def test_message_that_is_accepted_at_once_takes_one_line() -> None:
    ended = line("Message ended", outcome="SENT", each_attempt=[ACCEPTED])

    assert printed(ended) == ["06:10:03.500  SENT      order-1 through sqs"]


def test_retries_have_attempt_code_and_wait() -> None:
    ended = line("Message ended", outcome="SENT", each_attempt=[THROTTLED, ACCEPTED], receive_count=2)

    assert printed(ended) == [
        "06:10:03.500  SENT      order-1 through sqs, receive 2",
        f"{'':24}attempt 1: Throttled 429 in 41 ms",
        f"{'':24}attempt 2: accepted 200 in 39 ms, after 2.0 s",
    ]


def test_message_without_an_outcome_says_what_comes_next() -> None:
    deferred = line("Message deferred", level="WARNING", code="Throttled", reason="too many")

    assert printed(deferred) == [
        "06:10:03.500  retry     order-1 through sqs: is delivered again",
        f"{'':24}Throttled: too many",
    ]


def test_reason_is_whole_and_stays_in_its_column() -> None:
    reason = "The connection token was refused. " * 6
    rejected = line("Message ended", level="WARNING", outcome="REJECTED", code="AccessDenied", reason=reason)

    _, *rows = printed(rejected)

    assert max(map(len, rows)) <= 80
    assert all(row.startswith(" " * 24) for row in rows)
    assert " ".join(" ".join(rows).split()) == f"AccessDenied: {reason.strip()}"


def test_error_has_its_traceback() -> None:
    error = line("Unhandled error", level="ERROR", error_type="KeyError", stack=["request.py:12 parse"])

    assert printed(error) == [
        "06:10:03.500  ERROR     Unhandled error",
        f"{'':24}KeyError",
        f"{'':24}client_token order-1",
        f"{'':24}correlation_id m-1",
        f"{'':24}request.py:12 parse",
    ]


def test_line_that_is_no_error_and_no_outcome_is_left_out() -> None:
    assert entry(line("Result published")) is None


def test_ids_and_reasons_are_escaped() -> None:
    hostile = "\x1b[2J\x9b\u202e\u2028\r\n"
    rejected = line(
        "Message ended", outcome="REJECTED", client_token=f"t{hostile}", code="c", reason=f"r{hostile}"
    )

    text = "\n".join(printed(rejected))

    assert not {"\x1b", "\x9b", "\u202e", "\u2028", "\r"} & set(text)
    assert r"t\x1b[2J" in text
    assert r"r\x1b[2J" in text


def test_error_of_a_function_that_does_not_start_is_read_from_the_emulator() -> None:
    reported = {
        "errorMessage": "Unable to import module 'message_sender.handler': No module named 'x'",
        "errorType": "Runtime.ImportModuleError",
        "requestId": "",
        "stackTrace": ['  File "request.py", line 3, in <module>\n    import x\n'],
    }

    error = platform_error(
        f"10:16:39 ERROR [lambda] Warm provided-runtime execution error for f: init error: {reported}"
    )

    assert error == {
        "text": reported["errorMessage"],
        "error_type": "Runtime.ImportModuleError",
        "stack": ['File "request.py", line 3, in <module>', "import x"],
    }
    assert platform_error("Task timed out") == {"text": "Task timed out"}

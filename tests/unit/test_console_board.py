"""The board of the console: what a browser gets, and when."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from sandbox.console.board import Board

if TYPE_CHECKING:
    from collections.abc import Callable


def follow(board: Board, *changes: Callable[[], None]) -> list[Any]:
    """Return the first event, and one after each change."""

    async def read() -> list[Any]:
        events = board.events()
        seen = [await anext(events)]
        for change in changes:
            change()
            seen.append(await anext(events))
        await events.aclose()  # type: ignore[attr-defined]  # an async generator
        return [json.loads(event.removeprefix("data: ")) for event in seen]

    return asyncio.run(read())


def test_new_browser_gets_everything_and_then_what_changes() -> None:
    board = Board()
    board.put("chats", "c-1", {"name": "Chat 1"})

    first, then = follow(board, lambda: board.put("chats", "c-1", {"name": "renamed"}))

    assert first == [["chats", "c-1", {"name": "Chat 1"}]]
    assert then == [["chats", "c-1", {"name": "renamed"}]]


def test_changes_at_about_the_same_time_are_one_event_with_the_latest_values() -> None:
    board = Board()
    board.put("queues", "message", 0)

    def change() -> None:
        for number in range(3):
            board.put("queues", "message", number)
        board.put("queues", "message", 2)

    _, then = follow(board, change)

    assert then == [["queues", "message", 2]]


def test_removed_records_are_null() -> None:
    board = Board()
    board.put("chats", "c-1", 1)
    board.put("log", "1", 1)

    _, then = follow(board, lambda: board.clear("chats", prefixes=["c-1"]))

    assert then == [["chats", "c-1", None]]
    assert board.count("chats", "") == 0
    assert board.count("log", "") == 1


def test_browser_that_left_gets_nothing_more() -> None:
    board = Board()
    board.put("chats", "c-1", 1)
    follow(board)

    board.put("chats", "c-1", 2)  # would fail on the closed loop of the browser

    assert board.count("chats", "c-") == 1

"""The score of a scenario: what is lost, shown twice, or out of order."""

from __future__ import annotations

from sandbox.console.score import score


def test_messages_that_are_shown_once_and_in_order_have_no_fault() -> None:
    found = score({"a": [1, 3], "b": [2]}, {"a": [1, 3], "b": [2]}, [], is_over=True)

    assert (found.sent, found.shown) == (3, 3)
    assert (found.waiting, found.lost, found.twice, found.late, found.explained) == (0, 0, 0, 0, 0)
    assert found.marks == {"a": {}, "b": {}}


def test_message_is_lost_only_when_nothing_can_show_or_explain_it_any_more() -> None:
    accepted, shown = {"a": [1, 2, 3]}, {"a": [1]}

    before, after = (score(accepted, shown, [3], is_over=is_over) for is_over in (False, True))

    assert (before.waiting, before.lost, before.explained) == (1, 0, 1)
    assert (after.waiting, after.lost, after.explained) == (0, 1, 1)
    assert after.missing == {"a": [2]}


def test_repeat_and_overtaken_message_are_marked_at_their_positions() -> None:
    found = score({"a": [1, 2, 3, 4]}, {"a": [1, 3, 2, 1, 4]}, [], is_over=True)

    assert found.marks == {"a": {2: "late", 3: "twice"}}
    assert (found.twice, found.late, found.lost) == (1, 1, 0)


def test_failed_message_that_is_shown_counts_as_shown() -> None:
    found = score({"a": [1]}, {"a": [1]}, [1], is_over=True)

    assert (found.shown, found.explained) == (1, 0)

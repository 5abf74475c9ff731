"""Positive controls: each mechanism that keeps the promise, broken on purpose, turns a named check red.

They break the function's own parts from the outside, for as long as one scenario runs. A check that stays
green here would prove nothing where it is green.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch
from uuid import uuid4

from message_sender.deadlines import Deadlines
from message_sender.event_sources.sqs import RETRY_SECONDS, SqsSource
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.request import ParsedRequest
from message_sender.result import Failed
from message_sender.retry import READ_TIMEOUT
from ops.dead_letters import DeadLetterQueue
from tests.simulation import scenarios
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.operator import Operator
from tests.support.lambda_events import FakeLambdaContext

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from tests.simulation.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Control:
    """A mechanism that is broken.

    Attributes:
        broken: What is.
        scenario: In which it must show.
        check: That must be red, whatever others are.
        breaking: Breaks it for a while.
    """

    broken: str
    scenario: Scenario
    check: str
    breaking: Callable[[], AbstractContextManager[object]]

    def red_checks(self, seed: object) -> list[str]:
        """Run the scenario with the mechanism broken. Return the checks that are red."""
        with self.breaking():
            return sorted(self.scenario(seed))


@contextmanager
def _random_client_token() -> Iterator[None]:
    with patch("message_sender.event_sources.sqs.derive_client_token", lambda *_: str(uuid4())):
        yield


@contextmanager
def _copy_without_client_token() -> Iterator[None]:
    with patch.object(ParsedRequest, "text_with_client_token", lambda parsed: parsed.text):
        yield


@contextmanager
def _followers_not_held() -> Iterator[None]:
    deliver_chat = SqsSource._deliver_chat  # noqa: SLF001  # broken on purpose, from the outside

    def deliver_each(
        self: SqsSource, chat: Sequence[Any], handled: list[Any], *, deadlines: Deadlines
    ) -> None:
        for item in chat:
            deliver_chat(self, [item], handled, deadlines=deadlines)

    with patch.object(SqsSource, "_deliver_chat", deliver_each):
        yield


@contextmanager
def _followers_left_hidden() -> Iterator[None]:
    delay = Queues.delay

    def delay_head(self: Queues, receipt_handles: Sequence[str], *, seconds: int, until: float) -> None:
        delay(self, receipt_handles[:1], seconds=seconds, until=until)

    with patch.object(Queues, "delay", delay_head):
        yield


@contextmanager
def _never_given_up() -> Iterator[None]:
    with patch.object(SqsSource, "_outcome", lambda _, __, delivery: delivery.outcome):
        yield


@contextmanager
def _publish_error_swallowed() -> Iterator[None]:
    publish = Publisher.publish

    def publish_and_forget(self: Publisher, results: Sequence[Any], *, until: float) -> list[bool]:
        return [True for _ in publish(self, results, until=until)]

    with patch.object(Publisher, "publish", publish_and_forget):
        yield


@contextmanager
def _deadline_ignored() -> Iterator[None]:
    of_invocation = Deadlines.of_invocation

    def far(_: object, clock: Any) -> Deadlines:  # noqa: ANN401  # handed on
        return of_invocation(FakeLambdaContext(seconds_left=600), clock)  # type: ignore[arg-type]  # a fake

    with patch.object(Deadlines, "of_invocation", far):
        yield


@contextmanager
def _chats_one_after_another() -> Iterator[None]:
    def in_turn(
        self: VirtualTime,  # noqa: ARG001  # as it is called
        calls: Sequence[Callable[[], None]],
        *,
        timeout: float,  # noqa: ARG001  # the same
    ) -> list[BaseException | None]:
        for call in calls:
            call()
        return [None for _ in calls]

    with patch.object(VirtualTime, "workers", in_turn):
        yield


@contextmanager
def read_timeouts_retried() -> Iterator[None]:
    with patch("message_sender.event_sources.sqs.RETRY_SECONDS", RETRY_SECONDS + READ_TIMEOUT):
        yield


@contextmanager
def _tasks_answered_before_publishing() -> Iterator[None]:
    finish = SqsSource._finish  # noqa: SLF001  # broken on purpose, from the outside

    def answer_first(self: SqsSource, handled: Sequence[Any], *, deadlines: Deadlines) -> None:
        ended = [
            (item, item.delivery.result(item.outcome, item.origin))
            for item in handled
            if item.delivery is not None and item.outcome is not None
        ]
        self._answer_tasks(ended, until=deadlines.publish)
        finish(self, handled, deadlines=deadlines)

    with patch.object(SqsSource, "_finish", answer_first):
        yield


@contextmanager
def _failed_tasks_not_answered() -> Iterator[None]:
    answer_tasks = SqsSource._answer_tasks  # noqa: SLF001  # broken on purpose, from the outside

    def answer_others(self: SqsSource, ended: Sequence[Any], *, until: float) -> None:
        others = [(item, result) for item, result in ended if not isinstance(result.outcome, Failed)]
        answer_tasks(self, others, until=until)

    with patch.object(SqsSource, "_answer_tasks", answer_others):
        yield


@contextmanager
def _letters_moved_as_they_are() -> Iterator[None]:
    """Redrive as StartMessageMoveTask of SQS does."""

    def move(self: Operator, queue: DeadLetterQueue, _: object) -> bool:
        queues = self.services["sqs"].queues  # type: ignore[attr-defined]  # those of the model
        if queue is DeadLetterQueue.DEAD_LETTER:
            letters = queues["dead-letter.fifo"]
            for letter in letters.messages:
                letters.redrive(letter, to=queues["messages.fifo"])
        return True

    with patch.object(Operator, "_redrive", move):
        yield


CONTROLS: Final = (
    Control("the service forgets ClientTokens early", scenarios.forgetful_service, "once", nullcontext),
    Control("ClientToken is random", scenarios.cut_off, "once", _random_client_token),
    Control("ClientToken is not in the copy", scenarios.given_up, "copies", _copy_without_client_token),
    Control("followers are not held", scenarios.failing_service, "order", _followers_not_held),
    Control("followers' visibility is left alone", scenarios.outage, "recovery", _followers_left_hidden),
    Control("nothing is given up", scenarios.given_up, "in time", _never_given_up),
    Control(
        "an error of publishing is swallowed",
        scenarios.no_way_to_publish,
        "an outcome",
        _publish_error_swallowed,
    ),
    Control("the deadline is ignored", scenarios.slow_service, "deadline", _deadline_ignored),
    Control(
        "tasks are answered before publishing",
        scenarios.waiting_tasks,
        "tasks' answers",
        _tasks_answered_before_publishing,
    ),
    Control(
        "tasks of what is given up are not answered",
        scenarios.waiting_tasks,
        "tasks",
        _failed_tasks_not_answered,
    ),
    Control(
        "a redrive does not write in the ClientToken", scenarios.redriven, "once", _copy_without_client_token
    ),
    Control("letters are moved as they are", scenarios.redriven, "once", _letters_moved_as_they_are),
    Control("chats run one after another", scenarios.calm_among_troubled, "delay", _chats_one_after_another),
    Control("read timeouts are retried at once", scenarios.hanging_chats, "delay", read_timeouts_retried),
)

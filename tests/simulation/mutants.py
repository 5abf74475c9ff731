"""Mutation checks: each mutant breaks one mechanism that keeps the promise, and must fail a named check.

A mutant replaces a function, a method or a constant, by its dotted name, while one scenario runs. If the name
or the parameters of the original change, the mutant raises an error. A check that fails under no mutant would
prove nothing where it passes.
"""

from __future__ import annotations

import inspect
import json
import pkgutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from unittest.mock import patch
from uuid import uuid4

from message_sender.request import Secret
from message_sender.result import Failed, Sent
from message_sender.retry import _MIN_ATTEMPT_SECONDS, READ_TIMEOUT
from ops.dead_letters import DeadLetterQueue
from tests.simulation import scenarios
from tests.simulation.models.aws import Sqs
from tests.support.lambda_events import FakeLambdaContext

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from message_sender.deadlines import Deadlines
    from message_sender.delivery import Delivery, MessageSender
    from message_sender.event_sources.sqs import Record, SqsSource
    from message_sender.outcome_table import OutcomeTable
    from message_sender.queues import Queues
    from message_sender.request import ParsedRequest, SendMessageRequest
    from message_sender.result import MessageResult
    from ops.redrive import RedriveFilter
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.operator import Operator
    from tests.simulation.scenarios import Scenario

Function: TypeAlias = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mechanism that is broken on purpose.

    Attributes:
        change: The mutation, in words.
        check: It must fail; others may.
        target: The dotted name of the original. None: the scenario itself is the mutation.
        replacement: Gets the original, and returns the object that replaces it.
        alone: Whether no other check may fail.
    """

    change: str
    scenario: Scenario
    check: str
    target: str | None = None
    replacement: Callable[[Any], Any] | None = None
    alone: bool = False

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Apply the mutation for a while.

        Raises:
            AttributeError: The target does not exist.
            TypeError: The replacement has other parameters than the target.
        """
        if self.target is None or self.replacement is None:
            yield
            return
        original = pkgutil.resolve_name(self.target)
        mutated = self.replacement(original)
        if callable(original):
            _require_same_parameters(self.target, original, mutated)
        with patch(self.target, mutated):
            yield

    def failed_checks(self, seed: object) -> list[str]:
        """Run the scenario with the mutation. Return the checks that fail."""
        with self.applied():
            return sorted(self.scenario(seed))


def _require_same_parameters(target: str, original: Function, mutated: Function) -> None:
    expected, found = (
        [name.lstrip("_") for name in inspect.signature(function).parameters]
        for function in (original, mutated)
    )
    if found not in (expected, ["args", "kwargs"]):
        raise TypeError(f"{target} has the parameters {expected}, and its mutant {found}")


def _random_client_token(_: Function) -> Function:
    return lambda *_args, **_kwargs: str(uuid4())


def _copy_without_client_token(_: Function) -> Function:
    return lambda self: self.text


def _successors_sent_after_a_failure(deliver_chat: Function) -> Function:
    def deliver_each(
        self: SqsSource, chat: Sequence[Record], handled: list[Record], *, deadlines: Deadlines
    ) -> None:
        for item in chat:
            deliver_chat(self, [item], handled, deadlines=deadlines)

    return deliver_each


def _only_first_delayed(delay_redelivery: Function) -> Function:
    def delay_first(self: Queues, receipt_handles: Sequence[str], *, seconds: int, until: float) -> None:
        delay_redelivery(self, receipt_handles[:1], seconds=seconds, until=until)

    return delay_first


def _no_retry_window(_: Function) -> Function:
    return lambda _self, _record, delivery, *, is_head: delivery.outcome  # noqa: ARG005


def _every_record_first(outcome: Function) -> Function:
    return lambda self, record, delivery, *, is_head: outcome(  # noqa: ARG005  # as the original
        self, record, delivery, is_head=True
    )


def _backoff_without_attempt_constant(backoff: Function) -> Function:
    def of_attempts(self: SqsSource, record: Record, *, is_head: bool) -> int:
        attempted = record.delivery is not None and record.delivery.was_attempted
        seconds: int = backoff(self, record, is_head=is_head and attempted)
        return seconds

    return of_attempts


def _publish_errors_ignored(publish: Function) -> Function:
    return lambda *args, **kwargs: [None for _ in publish(*args, **kwargs)]


def _all_accepted(put_events: Function) -> Function:
    return lambda *args, **kwargs: [None for _ in put_events(*args, **kwargs)]


def _last_result_wins(put: Function) -> Function:
    def overwrite(self: OutcomeTable, item: Mapping[str, Any], *, until: float) -> None:
        # The time of the write becomes the rank
        put(self, {**item, "Rank": {"S": f"2 {item['ExpiresAt']['N']}"}}, until=until)

    return overwrite


def _deadline_ignored(of_invocation: Function) -> Function:
    def far(*args: object, **kwargs: object) -> object:
        return of_invocation(FakeLambdaContext(seconds_left=600), *args[1:], **kwargs)

    return far


def _chats_one_after_another(_: Function) -> Function:
    def in_turn(
        _self: VirtualTime,
        calls: Sequence[Callable[[], None]],
        *,
        timeout: float,
    ) -> list[BaseException | None]:
        del timeout
        for call in calls:
            call()
        return [None for _ in calls]

    return in_turn


def _tasks_completed_before_publishing(finish: Function) -> Function:
    def complete_first(self: SqsSource, handled: Sequence[Record], *, deadlines: Deadlines) -> None:
        ended = [
            (record, record.delivery, record.delivery.result(record.outcome, record.origin))
            for record in handled
            if record.delivery is not None and record.outcome is not None
        ]
        self._complete_tasks(ended, until=deadlines.publish)
        finish(self, handled, deadlines=deadlines)

    return complete_first


def _failed_tasks_not_completed(complete_tasks: Function) -> Function:
    def complete_others(
        self: SqsSource, ended: Sequence[tuple[Record, Delivery, MessageResult]], *, until: float
    ) -> None:
        others = [each for each in ended if not isinstance(each[2].outcome, Failed)]
        complete_tasks(self, others, until=until)

    return complete_others


def _dead_letters_moved_unchanged(_: Function) -> Function:
    """Redrive as StartMessageMoveTask of SQS does."""

    def move(self: Operator, queue: DeadLetterQueue, _redrive_filter: RedriveFilter) -> bool:
        sqs = self.services["sqs"]
        assert isinstance(sqs, Sqs)
        if queue is DeadLetterQueue.DEAD_LETTER:
            dead_letters = sqs.queues["dead-letter.fifo"]
            for dead_letter in dead_letters.messages:
                dead_letters.redrive(dead_letter, to=sqs.queues["messages.fifo"])
        return True

    return move


def _cut_differs_between_attempts(texts_of_parts: Function) -> Function:
    sizes = cycle([1.0, 1.5])

    def cut(content: str, split_at: int) -> object:
        return texts_of_parts(content, int(split_at * next(sizes)))

    return cut


def _age_ignored(require_unexpired: Function) -> Function:
    def only_expiry(self: MessageSender, request: SendMessageRequest, attempts: Any) -> None:  # noqa: ANN401  # private
        attempts.too_old_at = None
        require_unexpired(self, request, attempts)

    return only_expiry


def _requests_with(**changes: Callable[[SendMessageRequest], object]) -> Callable[[Function], Function]:
    """Change fields of each valid request after it was read."""

    def changed(valid: Function) -> Function:
        def read(fields: Mapping[str, Any], correlation: object, texts: Sequence[str]) -> SendMessageRequest:
            request: SendMessageRequest = valid(fields, correlation, texts)
            return replace(request, **{name: change(request) for name, change in changes.items()})  # type: ignore[arg-type]  # of any field

        return read

    return changed


def _details_with(**fields: object) -> Callable[[Function], Function]:
    """Change fields of each result."""
    return lambda detail: lambda self: {**detail(self), **fields}


def _first_part_reported(whole: Function) -> Function:
    def of_first(parts: Sequence[Sent]) -> Sent:
        sent: Sent = whole(parts)
        return replace(sent, message_id=parts[0].message_id, absolute_time=parts[0].absolute_time)

    return of_first


def _copy_without_contact(text_with_client_token: Function) -> Function:
    def copy(self: ParsedRequest) -> str:
        fields = json.loads(text_with_client_token(self))
        return json.dumps({name: value for name, value in fields.items() if name != "ContactId"})

    return copy


_SOURCE: Final = "message_sender.event_sources.sqs"

READ_TIMEOUTS_RETRIED: Final = Mutant(
    "read timeouts are retried at once",
    scenarios.hanging_chats,
    "delay",
    f"{_SOURCE}.RETRY_SECONDS",
    lambda seconds: seconds + READ_TIMEOUT,
)

MUTANTS: Final = (
    Mutant("the service forgets ClientTokens early", scenarios.forgetful_service, "once"),
    Mutant(
        "the ClientToken is random",
        scenarios.cut_off,
        "once",
        f"{_SOURCE}.derive_client_token",
        _random_client_token,
    ),
    Mutant(
        "copies have no ClientToken",
        scenarios.retries_exhausted,
        "copies",
        "message_sender.request.ParsedRequest.text_with_client_token",
        _copy_without_client_token,
    ),
    Mutant(
        "messages are sent while a predecessor is pending",
        scenarios.failing_service,
        "order",
        f"{_SOURCE}.SqsSource._deliver_chat",
        _successors_sent_after_a_failure,
    ),
    Mutant(
        "the cut of a long text differs between attempts",
        scenarios.long_texts,
        "parts",
        "message_sender.request._texts_of_parts",
        _cut_differs_between_attempts,
    ),
    Mutant(
        "the parts of a long text have random ClientTokens",
        scenarios.long_texts,
        "parts",
        "message_sender.request.client_token_of_part",
        _random_client_token,
    ),
    Mutant(
        "only the first failed message of a chat gets a visibility timeout",
        scenarios.outage,
        "recovery",
        "message_sender.queues.Queues.delay_redelivery",
        _only_first_delayed,
    ),
    Mutant(
        "the retry window is ignored",
        scenarios.retries_exhausted,
        "in time",
        f"{_SOURCE}.SqsSource._outcome",
        _no_retry_window,
    ),
    Mutant(
        "a long text fails without time of its own",
        scenarios.slow_long_texts,
        "no failure",
        f"{_SOURCE}.SqsSource._outcome",
        _every_record_first,
    ),
    Mutant(
        "the last slot leaves an attempt no time but its minimum",
        scenarios.long_text_at_a_low_rate,
        "soon",
        "message_sender.retry._MIN_SECONDS_AFTER_A_WAIT",
        lambda _: _MIN_ATTEMPT_SECONDS,
    ),
    Mutant(
        "the backoff does not grow without an attempt",
        scenarios.no_way_to_copy,
        "moved by SQS",
        f"{_SOURCE}.SqsSource._backoff",
        _backoff_without_attempt_constant,
    ),
    Mutant(
        "a key that cannot be used does not count as an attempt",
        scenarios.unusable_key,
        "in time",
        "message_sender.delivery.Delivery.was_attempted",
        lambda _: property(lambda self: self.attempts > 0),
    ),
    Mutant(
        "messages do not expire by their age",
        scenarios.maximum_age,
        "age",
        "message_sender.delivery.MessageSender._require_unexpired",
        _age_ignored,
    ),
    Mutant(
        "publish errors are ignored",
        scenarios.no_way_to_publish,
        "an outcome",
        "message_sender.publisher.Publisher.publish",
        _publish_errors_ignored,
    ),
    Mutant(
        "unpublished results are deleted although the bus refuses them",
        scenarios.bus_outage,
        "unpublished results",
        "message_sender.unpublished_results.put_events",
        _all_accepted,
    ),
    Mutant(
        "the last result of a message replaces the others",
        scenarios.outcome_lookup,
        "lookup",
        "message_sender.outcome_table.OutcomeTable._put",
        _last_result_wins,
    ),
    Mutant(
        "the deadline is ignored",
        scenarios.slow_service,
        "deadline",
        "message_sender.deadlines.Deadlines.of_invocation",
        _deadline_ignored,
    ),
    Mutant(
        "tasks are completed before publishing",
        scenarios.waiting_tasks,
        "task results",
        f"{_SOURCE}.SqsSource._finish",
        _tasks_completed_before_publishing,
    ),
    Mutant(
        "tasks of failed messages are not completed",
        scenarios.waiting_tasks,
        "tasks",
        f"{_SOURCE}.SqsSource._complete_tasks",
        _failed_tasks_not_completed,
    ),
    Mutant(
        "a redrive does not write the ClientToken",
        scenarios.redriven,
        "once",
        "message_sender.request.ParsedRequest.text_with_client_token",
        _copy_without_client_token,
    ),
    Mutant(
        "dead letters are moved unchanged",
        scenarios.redriven,
        "once",
        "tests.simulation.models.operator.Operator._redrive",
        _dead_letters_moved_unchanged,
    ),
    Mutant(
        "the chats of a batch are sent one after another",
        scenarios.chats_with_faults,
        "delay",
        "tests.simulation.models.clock.VirtualTime.workers",
        _chats_one_after_another,
    ),
    READ_TIMEOUTS_RETRIED,
    Mutant(
        "texts lose their last character",
        scenarios.failing_service,
        "texts",
        "message_sender.request._valid",
        _requests_with(content=lambda request: Secret(request.content.reveal()[:-1])),
        alone=True,
    ),
    Mutant(
        "every message is sent as text/plain",
        scenarios.failing_service,
        "texts",
        "message_sender.request._valid",
        _requests_with(content_type=lambda _: "text/plain"),
        alone=True,
    ),
    Mutant(
        "calls have another ClientToken than the message",
        scenarios.failing_service,
        "client tokens",
        "message_sender.request._valid",
        _requests_with(client_token=lambda request: f"sent-{request.client_token}"),
        alone=True,
    ),
    Mutant(
        "results have no Metadata",
        scenarios.failing_service,
        "result fields",
        "message_sender.result.MessageResult.detail",
        _details_with(Metadata={}),
        alone=True,
    ),
    Mutant(
        "results count one attempt",
        scenarios.failing_service,
        "attempts",
        "message_sender.result.MessageResult.detail",
        _details_with(Attempts=1),
        alone=True,
    ),
    Mutant(
        "a long text is reported with the id of its first part",
        scenarios.long_texts,
        "message ids",
        "message_sender.delivery._whole",
        _first_part_reported,
        alone=True,
    ),
    Mutant(
        "MaybeDelivered forgets earlier receives",
        scenarios.maximum_age,
        "doubts",
        "message_sender.result.MessageResult.maybe_delivered",
        lambda _: property(lambda self: not isinstance(self.outcome, Sent) and self.outcome.maybe_delivered),
        alone=True,
    ),
    Mutant(
        "ExpiresAt is ignored",
        scenarios.outage,
        "expiry",
        "message_sender.delivery.is_expired",
        lambda _: lambda _request, _now: False,
        alone=True,
    ),
    Mutant(
        "copies lack the ContactId",
        scenarios.retries_exhausted,
        "copied requests",
        "message_sender.request.ParsedRequest.text_with_client_token",
        _copy_without_contact,
        alone=True,
    ),
    Mutant(
        "the API answers every error with status 500",
        scenarios.contact_centre,
        "returned results",
        "message_sender.event_sources.api_gateway.STATUS",
        lambda statuses: dict.fromkeys(statuses, 500),
        alone=True,
    ),
)

"""Run the smoke test: open a chat, send by each event source, wait, observe, compare, end the chat."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.config import Config

from infra.producer import (
    EventSource,
    MessageRequest,
    NotAcceptedError,
    NotOfferedError,
    Producer,
    ProducerError,
)
from infra.result_watcher import NotWatchedError, ResultWatcher
from ops.smoke.chat import open_chat
from ops.smoke.observations import LONG_DELAYS, SHORT_DELAYS, experiment_after_the_end, experiments

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    import boto3

    from infra.contract import MessageResult
    from infra.outputs import StackOutputs
    from ops.smoke.chat import Chat
    from ops.smoke.observations import Observation
    from ops.smoke.settings import Settings

_WAIT_SECONDS = 60.0
_POLL_SECONDS = 1.0
# Before the transcript is read for the last time: a second copy of a message may be late
_LATE_COPY_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A message that was sent.

    Attributes:
        outcome: The event source's own answer, if it waits for the outcome.
        problem: Why the event source did not take the message, or why the message was not sent.
    """

    source: EventSource
    client_token: str
    text: str
    outcome: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message compared with its result and the transcript. `result` is None if none arrived."""

    sending: Sending
    result: MessageResult | None
    times_shown: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that the report shows. `not_watched` says why the results could not be watched."""

    contact_id: str
    chat_ended_by: str | None
    not_watched: str | None
    deliveries: tuple[Delivery, ...]
    observations: tuple[Observation, ...]

    @property
    def passed(self) -> bool:
        return not any(delivery.problems for delivery in self.deliveries)


def run(
    settings: Settings,
    outputs: StackOutputs,
    session: boto3.Session,
    *,
    progress: Callable[[str], None],
    on_left_behind: Callable[[str], None],
) -> Run:
    """Run the test. In any case, the chat is ended and the rule and the queue are deleted.

    Args:
        progress: Gets a line about each step.
        on_left_behind: Gets an AWS CLI command for everything that could not be deleted.

    Raises:
        NotOfferedError: The stack lacks one of the wanted event sources.
        ChatError: The chat cannot be opened, or its transcript cannot be read.
    """
    producer = Producer(outputs, session=session, api_url=settings.api_url)
    sources = settings.sources or producer.offered
    for source in sources:
        if source not in producer.offered:
            raise NotOfferedError(f"The stack {outputs.stack_name} does not offer the event source {source}.")
    run_id = uuid.uuid4().hex[:8]
    # The observations are about the answer to each single call
    once = Config(retries={"total_max_attempts": 1})
    with ExitStack() as cleanup:
        progress("Opening a chat")
        chat = cleanup.enter_context(
            open_chat(
                settings.chat,
                run_id=run_id,
                connect=session.client("connect", region_name=settings.connect_region),
                participant=session.client(
                    "connectparticipant", region_name=settings.connect_region, config=once
                ),
            )
        )
        progress("Making a rule and a queue for the results")
        watcher = ResultWatcher(
            sqs=session.client("sqs"),
            events=session.client("events"),
            event_bus_name=outputs.event_bus_name,
            name=f"{outputs.stack_name}-smoke-{run_id}",
            contact_id=chat.contact_id,
            on_left_behind=on_left_behind,
        )
        cleanup.callback(watcher.close)
        not_watched = _open(watcher)

        progress(f"Sending {len(sources)} messages")
        sendings = [_send(producer, source, chat, run_id) for source in sources]
        progress("Waiting for the results")
        accepted = [sending for sending in sendings if sending.problem is None]
        results: Mapping[str, MessageResult] = {}
        if not_watched is None:
            tokens = {sending.client_token for sending in accepted}
            results = watcher.collect(tokens, timeout=_WAIT_SECONDS)
        _wait_for_texts(
            chat,
            {
                sending.text
                for sending in accepted
                if (result := results.get(sending.client_token)) is None or result.outcome == "SENT"
            },
        )

        delays = LONG_DELAYS if settings.long else SHORT_DELAYS
        observed = experiments(chat, run_id=run_id, delays=delays, progress=progress)
        progress("Reading the transcript")
        time.sleep(_LATE_COPY_SECONDS)
        transcript = chat.transcript()
        chat.end()
        if chat.ended_by is not None:
            observed.append(experiment_after_the_end(chat, run_id=run_id))
    return Run(
        contact_id=chat.contact_id,
        chat_ended_by=chat.ended_by,
        not_watched=not_watched,
        deliveries=tuple(
            judge(sending, results.get(sending.client_token), transcript, results_watched=not_watched is None)
            for sending in sendings
        ),
        observations=tuple(experiment.observed(transcript) for experiment in observed),
    )


def judge(
    sending: Sending, result: MessageResult | None, transcript: Sequence[str], *, results_watched: bool
) -> Delivery:
    """Find the problems of a message. It must be SENT, and in the transcript once."""
    times_shown = transcript.count(sending.text)
    problems = tuple(_problems(sending, result, times_shown, results_watched=results_watched))
    return Delivery(sending=sending, result=result, times_shown=times_shown, problems=problems)


def _problems(
    sending: Sending, result: MessageResult | None, times_shown: int, *, results_watched: bool
) -> Iterable[str]:
    if sending.problem is not None:
        yield sending.problem
    elif sending.outcome not in {None, "SENT"}:
        yield f"the answer is {sending.outcome}"
    elif results_watched and result is None:
        yield f"no result within {_WAIT_SECONDS:g} seconds"
    if result is not None and result.outcome != "SENT":
        yield f"{result.outcome} {result.code}: {result.reason}"
    if times_shown != 1:
        yield f"{times_shown} times in the transcript" if times_shown else "not in the transcript"


def _open(watcher: ResultWatcher) -> str | None:
    """Return why the results cannot be watched, None if they can."""
    try:
        watcher.open()
    except NotWatchedError as error:
        return str(error)
    return None


def _send(producer: Producer, source: EventSource, chat: Chat, run_id: str) -> Sending:
    text = f"Smoke test {run_id}: by {source}"
    sending = Sending(source=source, client_token=f"{run_id}-{source}", text=text)
    request = MessageRequest(
        connection_token=chat.connection_token,
        contact_id=chat.contact_id,
        content=text,
        client_token=sending.client_token,
    )
    try:
        answer = producer.send(request, through=source)
        if source is EventSource.WORKFLOW:
            # A producer may start an execution without the permission to describe it
            with suppress(NotAcceptedError):
                answer = producer.wait_for_execution(answer.source_id, timeout=_WAIT_SECONDS)
    except ProducerError as error:
        return replace(sending, problem=str(error))
    return replace(sending, outcome=answer.result.outcome if answer.result else None)


def _wait_for_texts(chat: Chat, texts: Collection[str]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not set(texts).issubset(chat.transcript()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)

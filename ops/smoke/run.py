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
from ops.smoke.chat import Experiment, experiments, open_chat

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import boto3

    from infra.outputs import StackOutputs
    from infra.results import MessageResult
    from message_sender.request import Secret
    from ops.smoke.chat import Chat, NewChat

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
class Run:
    """The messages, to compare with their results and the transcript.

    Attributes:
        not_watched: Why the results could not be watched.
        results: By ClientToken.
    """

    contact_id: str
    chat_ended_by: str | None
    not_watched: str | None
    sendings: Sequence[Sending]
    results: Mapping[str, MessageResult]
    experiments: Sequence[Experiment]
    transcript: Sequence[str]

    @property
    def passed(self) -> bool:
        return not any(map(self.problems, self.sendings))

    def problems(self, sending: Sending) -> list[str]:
        """Find the problems of a message. It must be SENT, and in the transcript once."""
        result, problems = self.results.get(sending.client_token), []
        if sending.problem is not None:
            problems.append(sending.problem)
        elif sending.outcome not in {None, "SENT"}:
            problems.append(f"the answer is {sending.outcome}")
        elif self.not_watched is None and result is None:
            problems.append(f"no result within {_WAIT_SECONDS:g} seconds")
        if result is not None and result.outcome != "SENT":
            problems.append(f"{result.outcome} {result.code}: {result.reason}")
        if (times := self.transcript.count(sending.text)) != 1:
            problems.append(f"{times} times in the transcript" if times else "not in the transcript")
        return problems


def run(
    outputs: StackOutputs,
    session: boto3.Session,
    *,
    chat: NewChat | Secret,
    connect_region: str | None,
    sources: Sequence[EventSource],
    api_url: str | None,
    long: bool,
    progress: Callable[[str], None],
    on_left_behind: Callable[[str], None],
) -> Run:
    """Run the test. In any case, the chat is ended and the rule and the queue are deleted.

    Args:
        chat: A chat to start, or the connection token of an existing one.
        connect_region: The instance's Region. None means the stack's.
        sources: None of them means all that the stack offers.
        api_url: None means the stack's output `ApiUrl`.
        long: Also repeat a ClientToken after 1 and 10 minutes.
        progress: Gets a line about each step.
        on_left_behind: Gets an AWS CLI command for everything that could not be deleted.

    Raises:
        NotOfferedError: The stack lacks one of the wanted event sources.
        CannotRunError: The chat cannot be opened, or its transcript cannot be read.
    """
    producer = Producer(outputs, session=session, api_url=api_url)
    sources = sources or producer.offered
    for source in sources:
        if source not in producer.offered:
            raise NotOfferedError(f"The stack {outputs.stack_name} does not offer the event source {source}.")
    run_id = uuid.uuid4().hex[:8]
    # The experiments are about the answer to each single call
    once = Config(retries={"total_max_attempts": 1})
    with ExitStack() as cleanup:
        progress("Opening a chat")
        opened = cleanup.enter_context(
            open_chat(
                chat,
                run_id=run_id,
                connect=session.client("connect", region_name=connect_region),
                participant=session.client("connectparticipant", region_name=connect_region, config=once),
            )
        )
        progress("Making a rule and a queue for the results")
        watcher = ResultWatcher(
            sqs=session.client("sqs"),
            events=session.client("events"),
            event_bus_name=outputs.event_bus_name,
            name=f"{outputs.stack_name}-smoke-{run_id}",
            contact_id=opened.contact_id,
            on_left_behind=on_left_behind,
        )
        cleanup.callback(watcher.close)
        not_watched = None
        try:
            watcher.open()
        except NotWatchedError as error:
            not_watched = str(error)

        progress(f"Sending {len(sources)} messages")
        sendings = [_send(producer, source, opened, run_id) for source in sources]
        progress("Waiting for the results")
        texts = {sending.client_token: sending.text for sending in sendings if sending.problem is None}
        results: Mapping[str, MessageResult] = {}
        if not_watched is None:
            results = watcher.collect(texts.keys(), timeout=_WAIT_SECONDS)
        not_sent = {token for token, result in results.items() if result.outcome != "SENT"}
        expected = {text for token, text in texts.items() if token not in not_sent}
        deadline = time.monotonic() + _WAIT_SECONDS
        while not expected.issubset(opened.transcript()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

        done = experiments(opened, run_id=run_id, long=long, progress=progress)
        progress("Reading the transcript")
        time.sleep(_LATE_COPY_SECONDS)
        transcript = opened.transcript()
        opened.end()
        if opened.ended_by is not None:
            text, token = f"Smoke test {run_id}: after the end", f"{run_id}-after-the-end"
            answer = opened.send(text, client_token=token)
            done.append(Experiment(f"a message after {opened.ended_by}", None, (answer,)))
    return Run(
        contact_id=opened.contact_id,
        chat_ended_by=opened.ended_by,
        not_watched=not_watched,
        sendings=sendings,
        results=results,
        experiments=done,
        transcript=transcript,
    )


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

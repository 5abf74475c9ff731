"""The order of events: open a chat, send by each source, wait, observe, read the transcript, end the chat."""

from __future__ import annotations

import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from ops.smoke.chat import open_chat
from ops.smoke.observations import LONG_DELAYS, SHORT_DELAYS, attempt_after_the_end, attempts
from ops.smoke.results import NotWatchedError, ResultWatch
from ops.smoke.sources import Producer

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from ops.smoke.chat import Chat
    from ops.smoke.deployment import Deployment
    from ops.smoke.observations import Observation
    from ops.smoke.results import Result
    from ops.smoke.settings import Settings
    from ops.smoke.sources import Answer, Source

_WAIT_SECONDS = 60.0
_POLL_SECONDS = 1.0
# Between the last message and the look at the transcript that counts: a second copy may come late
_SETTLE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    source: Source
    client_token: str
    text: str
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of a message. `result` is None if none came, or none was waited for."""

    source: Source
    answer: Answer
    result: Result | None
    times_shown: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    contact_id: str
    chat_ended_by: str | None
    not_watched: str | None
    """Why the results were not waited for."""
    deliveries: tuple[Delivery, ...]
    observations: tuple[Observation, ...]

    @property
    def passed(self) -> bool:
        return not any(delivery.problems for delivery in self.deliveries)


def run(
    settings: Settings,
    deployment: Deployment,
    session: Any,  # noqa: ANN401  # boto3 has no types
    *,
    progress: Callable[[str], None],
    left_behind: Callable[[str], None],
) -> Run:
    """Run the test. Whatever happens, the chat is ended and what was made is removed.

    Args:
        settings: the variables.
        deployment: the stack.
        session: boto3's.
        progress: gets what is going on.
        left_behind: gets the command that removes what could not be removed.

    Raises:
        ChatError: There is no chat to send to, or its transcript cannot be read.
        DeploymentError: The stack lacks something.
    """
    sources = deployment.sources(settings.sources)
    run_id = uuid.uuid4().hex[:8]
    # The service's answer to one call is what is observed
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
        watch = ResultWatch(
            sqs=session.client("sqs"),
            events=session.client("events"),
            name=f"{deployment.stack_name}-smoke-{run_id}",
            bus=deployment.event_bus_name,
            contact_id=chat.contact_id,
        )
        cleanup.callback(watch.remove, left_behind=left_behind)
        not_watched = _open(watch)

        progress(f"Sending {len(sources)} messages")
        producer = Producer(session, deployment.outputs, api_url=settings.api_url)
        sendings = [_send(producer, source, chat, run_id) for source in sources]
        progress("Waiting for the results")
        expected = [sending for sending in sendings if sending.answer.problem is None]
        results: Mapping[str, Result] = {}
        if not_watched is None:
            results = _await_results(watch, {sending.client_token for sending in expected})
        _await_texts(
            chat,
            {
                sending.text
                for sending in expected
                if (result := results.get(sending.client_token)) is None or result.outcome == "SENT"
            },
        )

        tried = attempts(
            chat, run_id=run_id, delays=LONG_DELAYS if settings.long else SHORT_DELAYS, progress=progress
        )
        progress("Reading the transcript")
        time.sleep(_SETTLE_SECONDS)
        transcript = chat.transcript()
        chat.end()
        if chat.ended_by is not None:
            tried.append(attempt_after_the_end(chat, run_id=run_id))
    return Run(
        contact_id=chat.contact_id,
        chat_ended_by=chat.ended_by,
        not_watched=not_watched,
        deliveries=tuple(
            judge(sending, results.get(sending.client_token), transcript, results_watched=not_watched is None)
            for sending in sendings
        ),
        observations=tuple(attempt.observed(transcript) for attempt in tried),
    )


def judge(
    sending: Sending, result: Result | None, transcript: Sequence[str], *, results_watched: bool
) -> Delivery:
    """Say what is wrong with a message, if anything: it is to be sent, and shown once."""
    times_shown = transcript.count(sending.text)
    return Delivery(
        source=sending.source,
        answer=sending.answer,
        result=result,
        times_shown=times_shown,
        problems=tuple(_problems(sending.answer, result, times_shown, results_watched=results_watched)),
    )


def _problems(
    answer: Answer, result: Result | None, times_shown: int, *, results_watched: bool
) -> Iterable[str]:
    if answer.problem is not None:
        yield answer.problem
    elif answer.outcome not in {None, "SENT"}:
        yield f"the answer is {answer.outcome}"
    elif results_watched and result is None:
        yield f"no result within {_WAIT_SECONDS:g} seconds"
    if result is not None and result.outcome != "SENT":
        yield f"{result.outcome} {result.code}: {result.reason}"
    if times_shown != 1:
        yield f"{times_shown} times in the transcript" if times_shown else "not in the transcript"


def _open(watch: ResultWatch) -> str | None:
    """Return why the results cannot be watched, if so."""
    try:
        watch.open()
    except NotWatchedError as error:
        return str(error)
    return None


def _send(producer: Producer, source: Source, chat: Chat, run_id: str) -> Sending:
    client_token, text = f"{run_id}-{source}", f"Smoke test {run_id}: by {source}"
    request = {
        "ConnectionToken": chat.connection_token,
        "ContactId": chat.contact_id,
        "ContentType": "text/plain",
        "Content": text,
        "ClientToken": client_token,
    }
    return Sending(source=source, client_token=client_token, text=text, answer=producer.send(source, request))


def _await_results(watch: ResultWatch, client_tokens: Collection[str]) -> Mapping[str, Result]:
    """Wait for a result of each message; SENT stays, should two contradict each other."""
    results: dict[str, Result] = {}
    deadline = time.monotonic() + _WAIT_SECONDS
    while results.keys() < set(client_tokens) and time.monotonic() < deadline:
        for result in watch.receive():
            earlier = results.get(result.client_token)
            if result.client_token in client_tokens and (earlier is None or earlier.outcome != "SENT"):
                results[result.client_token] = result
    return results


def _await_texts(chat: Chat, texts: Collection[str]) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not set(texts).issubset(chat.transcript()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)

"""Scenarios: messages to several chats, what breaks meanwhile, and the score of both sides."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from infra.timing import VISIBILITY_TIMEOUT_SECONDS
from sandbox.console.console import FUNCTION, HIDDEN_SECONDS, LOOP, RefusedError
from sandbox.console.faults import DESCRIPTIONS
from sandbox.console.life import now
from sandbox.console.score import score
from sandbox.participant_service.control import ControlCallError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sandbox.console.console import Chat, Console
    from sandbox.console.score import Score

_LONGEST_SECONDS = 300.0
_TICK_SECONDS, _SHOW_SECONDS, _FOLLOW_SECONDS = 0.05, 0.5, 1.0
_QUIET_SECONDS = 3.0  # so long must everything be finished until the scenario is over
_LOOP_SECONDS = 60.0  # so long may the loop take after the function: one message can block it for minutes
_LATENCY, _LONG_LATENCY = 0.08, 0.4
_FIRST_ATTEMPTS_SECONDS = 0.15
_NUMBER = re.compile(r"(\d+) · ")
_TEXTS = (
    "Hello! How can I help you?",
    "Your order is on its way.",
    "It arrives tomorrow between 9 and 12.",
    "Shall I send you the tracking link?",
    "Here it is: https://example.com/track/4711",
    "Anything else?",
    "You can also change the address.",
    "Thank you, and goodbye!",
)


class Step(NamedTuple):
    """Something that breaks, or is repaired.

    Attributes:
        at: Seconds since the start.
        is_due: What it waits for besides.
    """

    at: float
    text: str
    do: Callable[[Stage], None]
    is_due: Callable[[Stage], bool] = lambda _: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a click starts.

    Attributes:
        seconds: The time in which the messages are sent.
        fails: Every call of the last chat is answered 503. Its only message is queued as if it had waited
            for the retry window, so it becomes a dead letter.
        compares: Whether the plain loop can take part.
    """

    title: str
    text: str
    chats: int = 6
    messages: int = 30
    seconds: float = 10.0
    script: Sequence[Step]
    fails: bool = False
    compares: bool = True


class Stage:
    """A scenario that runs: its chats, and what its script may do.

    Args:
        failing: The chat in which every call is answered 503.
    """

    def __init__(self, console: Console, chats: Sequence[Chat], *, failing: Chat | None) -> None:
        self.console = console
        self.chats = chats
        self._failing = failing
        self._latency = _LATENCY
        self.switch(on=True)

    def switch(self, *names: str, on: bool) -> None:
        """Switch faults on or off."""
        known = self.console.faults.switched_on
        self._use(known | {*names} if on else known - {*names})

    def slow_down(self, latency: float) -> None:
        """Let every answer without a fault take so many seconds."""
        self._latency = latency
        self._use(self.console.faults.switched_on)

    @property
    def has_batch(self) -> bool:
        """Whether the function has messages, or some wait for a redelivery."""
        return self.console.depth(self.console.stack.outputs.message_queue_url)[1] > 0

    def kill_in_mid_batch(self) -> None:
        """Kill the function a moment after it has received a batch.

        Raises:
            RefusedError: No process of it was found.
        """
        time.sleep(_FIRST_ATTEMPTS_SECONDS)
        if not self.console.kill():
            raise RefusedError("There is no process of the function. Only Linux shows which one it is")

    @property
    def has_dead_letter(self) -> bool:
        return self.console.depth(self.console.stack.outputs.dead_letter_queue_url)[0] > 0

    def repair(self) -> None:
        """Let the failing chat answer again."""
        self._failing = None
        self.switch(on=False)

    def repair_and_redrive(self) -> None:
        """Repair, and redrive the dead letter of the chat."""
        self.repair()
        self.console.redrive("dead_letter", code=None, apply=True)

    def _use(self, names: set[str]) -> None:
        chat = self._failing
        sides = (chat.opened, chat.twin) if chat else ()
        failing = [side.contact_id for side in sides if side]
        self.console.faults.use(names, latency=self._latency, failing_chats=failing)


def _on(at: float, name: str) -> Step:
    return Step(at, DESCRIPTIONS[name], lambda stage: stage.switch(name, on=True))


def _off(at: float, *names: str, text: str) -> Step:
    return Step(at, text, lambda stage: stage.switch(*names, on=False))


def _kill(at: float) -> Sequence[Step]:
    """Kill the function in mid-batch. Answers are slow until then, so that a batch takes longer."""
    return (
        Step(at - 1.5, "Every answer takes 0.4 seconds", lambda stage: stage.slow_down(_LONG_LATENCY)),
        Step(
            at, "The function is killed in mid-batch", Stage.kill_in_mid_batch, lambda stage: stage.has_batch
        ),
        Step(at + 0.5, "Every answer is fast again", lambda stage: stage.slow_down(_LATENCY)),
    )


def _end(at: float, chat: int) -> Step:
    return Step(
        at,
        "The customer leaves a chat: its messages are REJECTED from now on",
        lambda stage: stage.console.end_chat(stage.chats[chat].opened.contact_id),
    )


def _expire(at: float, chat: int) -> Step:
    return Step(
        at,
        "The connection token of another chat expires",
        lambda stage: stage.console.expire_token(stage.chats[chat]),
    )


SCENARIOS: Mapping[str, Scenario] = {
    "outage": Scenario(
        title="20 s outage",
        text="Amazon Connect answers 503 for 20 seconds.",
        seconds=30,
        script=[_on(5, "outage"), _off(25, "outage", text="The outage is over")],
    ),
    "throttle": Scenario(
        title="2 a second",
        text="The quota allows two calls a second.",
        script=[_on(0, "throttle")],
    ),
    "lost": Scenario(
        title="Lost answers",
        text="4 of 10 messages are accepted, and the connection breaks before the answer.",
        script=[_on(0, "lost")],
    ),
    "slow": Scenario(
        title="Slow answers",
        text="2 of 10 answers take longer than anybody waits.",
        messages=20,
        script=[_on(0, "slow")],
    ),
    "kill": Scenario(
        title="Kill the function",
        text=f"Its process is killed in mid-batch. SQS redelivers after {HIDDEN_SECONDS} s, on AWS after "
        f"{VISIBILITY_TIMEOUT_SECONDS} s.",
        messages=24,
        seconds=3,
        script=_kill(1.5),
    ),
    "ends": Scenario(
        title="A chat ends",
        text="The customer leaves one of three chats while messages are on their way.",
        chats=3,
        messages=18,
        seconds=6,
        script=[_end(2.5, 1)],
    ),
    "expires": Scenario(
        title="A token expires",
        text="The connection token of one of three chats is refused from now on.",
        chats=3,
        messages=18,
        seconds=6,
        script=[_expire(2.5, 2)],
    ),
    "burst": Scenario(
        title="200 at once",
        text="A burst of 200 messages in 20 chats, and the default quota of ten a second.",
        chats=20,
        messages=200,
        seconds=3,
        script=[_on(0, "quota")],
    ),
    "fails": Scenario(
        title="One message fails",
        text="A chat gets 503, and time-lapse makes its message too old: a dead letter to redrive.",
        chats=1,
        messages=1,
        seconds=0,
        script=[Step(12, "The chat answers again", Stage.repair)],
        fails=True,
        compares=False,
    ),
    "all": Scenario(
        title="All of it",
        text="Throttled, lost and slow answers, an outage, a kill, a chat that ends, a token that expires, "
        "and a message that fails and is redriven.",
        chats=8,
        messages=80,
        seconds=20,
        script=[
            _on(0, "quota"),
            _on(0, "lost"),
            *_kill(3),
            _on(4, "outage"),
            _off(9, "outage", text="The outage is over"),
            _end(10, 1),
            _expire(11, 2),
            _on(12, "slow"),
            _off(20, "lost", "slow", text="Every answer arrives, and in time"),
            Step(
                20,
                "The dead letter of a message that failed is redriven",
                Stage.repair_and_redrive,
                lambda stage: stage.has_dead_letter,
            ),
        ],
        fails=True,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A scenario that has ended.

    Attributes:
        seconds: How long it took.
        is_over: False if it was stopped, or took too long.
        outcomes: Those of the function's messages that are published, by number.
        scores: By side, `FUNCTION` and `LOOP`.
    """

    seconds: float
    is_over: bool
    outcomes: Mapping[int, str]
    scores: Mapping[str, Score]


class Runner:
    """Runs one scenario at a time, and keeps its score on the board."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._thread: threading.Thread | None = None
        self._stopped, self._left, self._idle = threading.Event(), threading.Event(), threading.Event()
        self._idle.set()
        self._lock = threading.Lock()
        self._numbers: dict[str, list[int]] = {}
        self._tokens: dict[int, str] = {}
        self._chats: Sequence[Chat] = ()

    def start(self, name: str, *, variant: str | None) -> None:
        """Start a scenario.

        Args:
            variant: Of the plain loop that gets the same messages. None: only the function.

        Raises:
            RefusedError: Another one is running.
        """
        if name not in SCENARIOS:
            raise KeyError(name)
        with self._lock:
            if not self._idle.is_set():
                raise RefusedError("A scenario is running. Stop it first")
            self.close()
            self._stopped.clear()
            self._left.clear()
            self._idle.clear()
            variant = variant if SCENARIOS[name].compares else None
            self._thread = threading.Thread(target=self._run, args=(name, variant), name="console-scenario")
            self._thread.start()

    def stop(self) -> None:
        """Stop the scenario that runs, and wait until it has. Its score counts on."""
        self._stopped.set()
        self._idle.wait()

    def close(self) -> None:
        """Stop the scenario that runs, and its score."""
        self._stopped.set()
        self._left.set()
        if self._thread:
            self._thread.join()

    def run(
        self,
        name: str,
        *,
        variant: str | None,
        loop_seconds: float = _LOOP_SECONDS,
        report: Callable[[float, str], None] = lambda _at, _text: None,
    ) -> Finished:
        """Run a scenario in this thread.

        Args:
            loop_seconds: How long to wait for the plain loop after the function has finished.
            report: Gets each step of the script when it is done, with the seconds since the start.
        """
        scenario = SCENARIOS[name]
        show = partial(self._show, name, variant)
        show([], phase="preparing")
        try:
            self._chats = self._prepare(scenario, variant)
            return self._play(name, self._chats, show=show, loop_seconds=loop_seconds, report=report)
        finally:
            self._console.faults.use(set())

    def _run(self, name: str, variant: str | None) -> None:
        try:
            finished = self.run(name, variant=variant)
        except (RefusedError, ControlCallError, HTTPError, BotoCoreError, ClientError) as error:
            reason = str(error) if isinstance(error, RefusedError) else type(error).__name__
            self._console.board.put("run", "run", {"scenario": name, "phase": "stopped", "problem": reason})
            return
        finally:
            self._idle.set()
        self._count_on(partial(self._show, name, variant), is_over=finished.is_over)

    def _count_on(self, show: Callable[..., Mapping[str, Score]], *, is_over: bool) -> None:
        """Keep the score until the next scenario: a redrive, or what is still queued, changes it.

        Args:
            show: Called when something has changed.
        """
        console, before = self._console, None
        quiet_since = dict.fromkeys((FUNCTION, LOOP), 0.0) if is_over else {}
        while not self._left.wait(_FOLLOW_SECONDS):
            with suppress(ControlCallError, HTTPError, BotoCoreError, ClientError):  # the stack is stopping
                for side, url in self._queue_urls().items():
                    if sum(console.depth(url)):
                        quiet_since.pop(side, None)
                    else:
                        quiet_since.setdefault(side, time.monotonic())
                quiet = time.monotonic() - _QUIET_SECONDS
                over = {side for side, since in quiet_since.items() if since <= quiet}
                chats = [participant.call("chats") for participant in console.participants()]
                if (state := (over, self._outcomes(), chats)) != before:
                    show(self._chats, phase="over" if is_over else "stopped", over=over)
                    before = state

    def _queue_urls(self) -> Mapping[str, str]:
        loop = {LOOP: self._console.loop.queue_url} if self._console.loop else {}
        return {FUNCTION: self._console.stack.outputs.message_queue_url, **loop}

    def _prepare(self, scenario: Scenario, variant: str | None) -> list[Chat]:
        console = self._console
        console.start_over()
        self._numbers, self._tokens = defaultdict(list), {}
        if variant is not None:
            loop = console.plain_loop()
            loop.purge()
            loop.use(variant)
        return [
            console.open_chat(of_scenario=True, with_twin=variant is not None) for _ in range(scenario.chats)
        ]

    def _play(
        self,
        name: str,
        chats: Sequence[Chat],
        *,
        show: Callable[..., Mapping[str, Score]],
        loop_seconds: float,
        report: Callable[[float, str], None],
    ) -> Finished:
        scenario = SCENARIOS[name]
        failing = chats[-1] if scenario.fails else None
        stage = Stage(self._console, chats, failing=failing)
        script, queue = list(scenario.script), _Queue(scenario, chats)
        started, next_show, elapsed = time.monotonic(), 0.0, 0.0
        done_since = quiet_since = None
        while not self._stopped.wait(_TICK_SECONDS) and elapsed <= _LONGEST_SECONDS:
            elapsed = time.monotonic() - started
            while script and elapsed >= script[0].at and script[0].is_due(stage):
                step = script.pop(0)
                step.do(stage)
                report(time.monotonic() - started, step.text)
            for number, chat, text in queue.due(elapsed):
                self._numbers[chat.opened.contact_id].append(number)
                self._tokens[number] = self._console.send_numbered(
                    chat, number, text=text, prefix=f"{name}-{now()}", aged=chat is failing
                )
            if elapsed < next_show:
                continue
            next_show = elapsed + _SHOW_SECONDS
            is_sent = not script and queue.is_empty
            done_since = (done_since or elapsed) if is_sent and self._has_all_outcomes() else None
            quiet_since = (quiet_since or elapsed) if done_since and self._loop_is_empty() else None
            if (quiet_since and elapsed - quiet_since >= _QUIET_SECONDS) or (
                done_since and elapsed - done_since >= loop_seconds
            ):
                over = {FUNCTION, LOOP} if self._loop_is_empty() else {FUNCTION}
                return self._finished(elapsed, is_over=True, scores=show(chats, phase="over", over=over))
            show(chats, phase="finishing" if is_sent else "running")
        return self._finished(elapsed, is_over=False, scores=show(chats, phase="stopped"))

    def _finished(self, seconds: float, *, is_over: bool, scores: Mapping[str, Score]) -> Finished:
        return Finished(seconds=seconds, is_over=is_over, outcomes=self._outcomes(), scores=scores)

    def _outcomes(self) -> dict[int, str]:
        """Return the published outcomes, by number."""
        outcomes = self._console.lives.outcomes(self._tokens.values())
        return {number: outcomes[token] for number, token in self._tokens.items() if token in outcomes}

    def _has_all_outcomes(self) -> bool:
        return len(self._outcomes()) == len(self._tokens)

    def _loop_is_empty(self) -> bool:
        return self._console.loop is None or sum(self._console.depth(self._console.loop.queue_url)) == 0

    def _show(
        self,
        name: str,
        variant: str | None,
        chats: Sequence[Chat],
        *,
        phase: str,
        over: Collection[str] = frozenset(),
    ) -> Mapping[str, Score]:
        """Put the score on the board, and return it.

        Args:
            over: The sides at which nothing more can happen.
        """
        explained = [
            number for number, outcome in self._outcomes().items() if outcome in {"REJECTED", "FAILED"}
        ]
        scores = {FUNCTION: self._score(chats, FUNCTION, explained, is_over=FUNCTION in over)}
        if variant is not None:
            scores[LOOP] = self._score(chats, LOOP, [], is_over=LOOP in over)
        shown = {
            side: {key: value for key, value in asdict(of_side).items() if key not in {"marks", "missing"}}
            for side, of_side in scores.items()
        }
        record = {
            "scenario": name,
            "phase": phase,
            "variant": variant,
            "score": shown,
            "over": sorted(over),
        }
        self._console.board.put("run", "run", record)
        return scores

    def _score(self, chats: Sequence[Chat], side: str, explained: Sequence[int], *, is_over: bool) -> Score:
        console = self._console
        ids = {
            (chat.opened if side == FUNCTION or chat.twin is None else chat.twin).contact_id: chat
            for chat in chats
        }
        texts = {contact_id: console.transcript(contact_id, side=side) for contact_id in ids}
        found = score(
            {contact_id: self._numbers[chat.opened.contact_id] for contact_id, chat in ids.items()},
            {
                contact_id: [int(match[1]) for text in of_chat if (match := _NUMBER.match(text))]
                for contact_id, of_chat in texts.items()
            },
            explained,
            is_over=is_over,
        )
        for contact_id in ids:
            marks = {str(position): mark for position, mark in found.marks[contact_id].items()}
            record = {"marks": marks, "missing": found.missing[contact_id], "lost": is_over}
            console.board.put("marks", contact_id, record)
        return found


class _Queue:
    """The messages of a scenario that are not sent yet, each due at its time.

    A chat that fails gets one message.
    """

    def __init__(self, scenario: Scenario, chats: Sequence[Chat]) -> None:
        chance = random.Random(1)  # noqa: S311  # the same chats each time
        step = scenario.seconds / scenario.messages
        others = chats[:-1] if scenario.fails else chats
        self._waiting = [
            (
                index * step,
                index + 1,
                chats[index % len(chats)] if index < len(chats) else chance.choice(others),
            )
            for index in range(scenario.messages)
        ]

    @property
    def is_empty(self) -> bool:
        return not self._waiting

    def due(self, elapsed: float) -> list[tuple[int, Chat, str]]:
        """Take the messages that are due: number, chat and text."""
        due = [each for each in self._waiting if each[0] <= elapsed]
        self._waiting = self._waiting[len(due) :]
        return [(number, chat, f"{number} · {_TEXTS[number % len(_TEXTS)]}") for _, number, chat in due]

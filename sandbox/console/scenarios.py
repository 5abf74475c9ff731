"""Scenarios: messages to several chats, what breaks meanwhile, and the score of both sides."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from infra.timing import VISIBILITY_TIMEOUT_SECONDS
from sandbox.console.console import FUNCTION, HIDDEN_SECONDS, LOOP, RefusedError
from sandbox.console.life import now
from sandbox.console.score import score
from sandbox.participant_service.control import ControlCallError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.console.console import Chat, Console
    from sandbox.console.score import Score

_LONGEST_SECONDS = 300.0
_TICK_SECONDS, _SHOW_SECONDS = 0.05, 0.5
_QUIET_SECONDS = 3.0  # so long must everything be finished until the scenario is over
_LOOP_SECONDS = 60.0  # so long may the loop take after the function: one message can block it for minutes
_LATENCY, _LONG_LATENCY = 0.08, 0.4
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a click starts.

    Attributes:
        seconds: The time in which the messages are sent.
        script: What breaks, with the seconds since the start.
        compares: Whether the plain loop can take part.
    """

    title: str
    text: str
    chats: int = 6
    messages: int = 30
    seconds: float = 10.0
    script: Sequence[tuple[float, Callable[[Stage], None]]]
    compares: bool = True


class Stage:
    """A scenario that runs: its chats, and what its script may do."""

    def __init__(self, console: Console, chats: Sequence[Chat]) -> None:
        self.console = console
        self.chats = chats

    def switch(self, *names: str, on: bool) -> None:
        """Switch faults on or off. Without one, an answer takes a realistic time."""
        faults = self.console.faults
        known = faults.switched_on
        faults.use(known | {*names} if on else known - {*names}, latency=_LATENCY)


def _on(*names: str) -> Callable[[Stage], None]:
    return lambda stage: stage.switch(*names, on=True)


def _off(*names: str) -> Callable[[Stage], None]:
    return lambda stage: stage.switch(*names, on=False)


def _slow_down(stage: Stage) -> None:
    stage.console.faults.use(stage.console.faults.switched_on, latency=_LONG_LATENCY)


def _fail_chat(stage: Stage) -> None:
    [chat] = stage.chats
    stage.console.faults.use(set(), latency=_LATENCY, failing_chat=chat.opened.contact_id)


def _kill(stage: Stage) -> None:
    stage.console.kill_in_mid_batch()


SCENARIOS: Mapping[str, Scenario] = {
    "outage": Scenario(
        title="20 s outage",
        text="Amazon Connect answers 503 for 20 seconds.",
        seconds=30,
        script=[(5, _on("outage")), (25, _off("outage"))],
    ),
    "throttle": Scenario(
        title="2 a second",
        text="The quota allows two calls a second.",
        script=[(0, _on("throttle"))],
    ),
    "lost": Scenario(
        title="Lost answers",
        text="4 of 10 messages are accepted, and the connection breaks before the answer.",
        script=[(0, _on("lost"))],
    ),
    "slow": Scenario(
        title="Slow answers",
        text="2 of 10 answers take longer than anybody waits.",
        messages=20,
        script=[(0, _on("slow"))],
    ),
    "kill": Scenario(
        title="Kill the function",
        text=f"Its process is killed in mid-batch. SQS redelivers after {HIDDEN_SECONDS} s, on AWS after "
        f"{VISIBILITY_TIMEOUT_SECONDS} s.",
        messages=24,
        seconds=3,
        script=[(0, _slow_down), (1.5, _kill), (2, _off())],
    ),
    "ends": Scenario(
        title="A chat ends",
        text="The customer leaves one of three chats while messages are on their way.",
        chats=3,
        messages=18,
        seconds=6,
        script=[(2.5, lambda stage: stage.console.end_chat(stage.chats[1]))],
    ),
    "expires": Scenario(
        title="A token expires",
        text="The connection token of one of three chats is refused from now on.",
        chats=3,
        messages=18,
        seconds=6,
        script=[(2.5, lambda stage: stage.console.expire_token(stage.chats[2]))],
    ),
    "burst": Scenario(
        title="200 at once",
        text="A burst of 200 messages in 20 chats, and the default quota of ten a second.",
        chats=20,
        messages=200,
        seconds=3,
        script=[(0, _on("quota"))],
    ),
    "fails": Scenario(
        title="One message fails",
        text="A chat gets 503, and time-lapse makes its message too old: a dead letter to redrive.",
        chats=1,
        messages=1,
        seconds=0,
        script=[(0, _fail_chat), (12, _off())],
        compares=False,
    ),
    "all": Scenario(
        title="All of it",
        text="Throttled, lost and slow answers, an outage, a kill, a chat that ends, a token that expires.",
        chats=8,
        messages=80,
        seconds=20,
        script=[
            (0, _on("quota", "lost")),
            (3, _kill),
            (4, _on("outage")),
            (9, _off("outage")),
            (10, lambda stage: stage.console.end_chat(stage.chats[1])),
            (11, lambda stage: stage.console.expire_token(stage.chats[2])),
            (12, _on("slow")),
            (20, _off("lost", "slow")),
        ],
    ),
}


class Runner:
    """Runs one scenario at a time, and keeps its score on the board."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._numbers: dict[str, list[int]] = {}
        self._tokens: dict[int, str] = {}

    def start(self, name: str, *, variant: str | None) -> None:
        """Start a scenario.

        Args:
            variant: Of the plain loop that gets the same messages. None: only the function.

        Raises:
            RefusedError: Another one is running.
        """
        scenario = SCENARIOS[name]
        with self._lock:
            if self._thread and self._thread.is_alive():
                raise RefusedError("A scenario is running. Stop it first")
            self._stopped.clear()
            compared = variant if scenario.compares else None
            self._thread = threading.Thread(
                target=self._run, args=(name, scenario, compared), name="console-scenario"
            )
            self._thread.start()

    def stop(self) -> None:
        """Stop the scenario that runs, and wait until it has."""
        self._stopped.set()
        if self._thread:
            self._thread.join()

    def _run(self, name: str, scenario: Scenario, variant: str | None) -> None:
        console, show = self._console, partial(self._show, name, variant)
        show([], phase="preparing")
        try:
            chats = self._prepare(scenario, variant)
            self._play(name, scenario, chats, show=show)
        except (RefusedError, ControlCallError, HTTPError, BotoCoreError, ClientError) as error:
            reason = str(error) if isinstance(error, RefusedError) else type(error).__name__
            console.board.put("run", "run", {"scenario": name, "phase": "stopped", "problem": reason})
        finally:
            console.faults.use(set())

    def _prepare(self, scenario: Scenario, variant: str | None) -> list[Chat]:
        console = self._console
        console.start_over()
        self._numbers, self._tokens = defaultdict(list), {}
        if variant is not None:
            loop = console.plain_loop()
            loop.purge()
            loop.use(variant)
        console.faults.use(set(), latency=_LATENCY)
        return [console.open_chat(with_twin=variant is not None) for _ in range(scenario.chats)]

    def _play(
        self, name: str, scenario: Scenario, chats: Sequence[Chat], *, show: Callable[..., None]
    ) -> None:
        stage, script, queue = Stage(self._console, chats), list(scenario.script), _Queue(scenario, chats)
        started, next_show = time.monotonic(), 0.0
        done_since = quiet_since = None
        while not self._stopped.wait(_TICK_SECONDS):
            elapsed = time.monotonic() - started
            while script and elapsed >= script[0][0]:
                script.pop(0)[1](stage)
            for number, chat, text in queue.due(elapsed):
                self._numbers[chat.opened.contact_id].append(number)
                self._tokens[number] = self._console.send_numbered(
                    chat, number, text=text, prefix=f"{name}-{now()}", aged=name == "fails"
                )
            if elapsed < next_show:
                continue
            next_show = elapsed + _SHOW_SECONDS
            is_sent = not script and queue.is_empty
            done_since = (done_since or elapsed) if is_sent and self._has_all_outcomes() else None
            quiet_since = (quiet_since or elapsed) if done_since and self._loop_is_empty() else None
            if (quiet_since and elapsed - quiet_since >= _QUIET_SECONDS) or (
                done_since and elapsed - done_since >= _LOOP_SECONDS
            ):
                return show(chats, phase="over")
            show(chats, phase="finishing" if is_sent else "running")
            if elapsed > _LONGEST_SECONDS:
                break
        return show(chats, phase="stopped")

    def _has_all_outcomes(self) -> bool:
        return len(self._console.lives.outcomes(list(self._tokens.values()))) == len(self._tokens)

    def _loop_is_empty(self) -> bool:
        return self._console.loop is None or sum(self._console.depth(self._console.loop.queue_url)) == 0

    def _show(self, name: str, variant: str | None, chats: Sequence[Chat], *, phase: str) -> None:
        """Put the score on the board."""
        outcomes = self._console.lives.outcomes(list(self._tokens.values()))
        explained = [
            number for number, token in self._tokens.items() if outcomes.get(token) in {"REJECTED", "FAILED"}
        ]
        is_over = phase == "over"
        scores = {FUNCTION: self._score(chats, FUNCTION, explained, is_over=is_over)}
        if variant is not None:
            scores[LOOP] = self._score(chats, LOOP, [], is_over=is_over and self._loop_is_empty())
        shown = {
            side: {key: value for key, value in asdict(of_side).items() if key not in {"marks", "missing"}}
            for side, of_side in scores.items()
        }
        record = {"scenario": name, "phase": phase, "variant": variant, "score": shown}
        self._console.board.put("run", "run", record)

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
    """The messages of a scenario that are not sent yet, each due at its time."""

    def __init__(self, scenario: Scenario, chats: Sequence[Chat]) -> None:
        chance = random.Random(1)  # noqa: S311  # the same chats each time
        step = scenario.seconds / scenario.messages
        self._waiting = [
            (
                index * step,
                index + 1,
                chats[index % len(chats)] if index < len(chats) else chance.choice(chats),
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

"""Observe what the Participant Service does where its documentation is silent or contradicts itself.

These messages do not go through the stack, and no answer fails the test.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ops.smoke.chat import Answer, Chat

SHORT_DELAYS = (1,)
LONG_DELAYS = (1, 60, 600)

_LONG_TEXT = 1025


@dataclass(frozen=True, slots=True)
class Experiment:
    """A message to the service and its answers: two if it was repeated.

    Attributes:
        text: None if it was sent after the transcript had been read.
    """

    name: str
    text: str | None
    answers: Sequence[Answer]

    def observed(self, transcript: Sequence[str]) -> str:
        first, *repeats = self.answers
        seen = [first.refusal or "accepted"]
        for repeat in repeats:
            if repeat.refusal:
                seen.append(f"its repeat: {repeat.refusal}")
            else:
                seen.append(f"its repeat has {'the same' if repeat == first else 'another'} Id")
        if self.text is not None:
            times = transcript.count(self.text)
            words = {0: "not in the transcript", 1: "in the transcript once"}
            seen.append(words.get(times, f"in the transcript {times} times"))
        return ", ".join(seen)


def experiments(
    chat: Chat, *, run_id: str, delays: Sequence[int], progress: Callable[[str], None]
) -> list[Experiment]:
    """Send the messages that need an open chat.

    Args:
        run_id: A part of each text and ClientToken.
        delays: Seconds from a message to its repeat, ascending. Each delay has a message, so that no repeat
            can prolong another's idempotency window.
        progress: Gets a line about each wait.
    """
    firsts = []
    for delay in delays:
        text = f"Smoke test {run_id}: repeated after {delay} s"
        sent_at = time.monotonic()
        firsts.append((delay, text, sent_at, chat.send(text, client_token=f"{run_id}-repeat-{delay}")))
    done = []
    for delay, text, sent_at, first in firsts:
        progress(f"Repeating a ClientToken {delay} s after its first use")
        time.sleep(max(sent_at + delay - time.monotonic(), 0.0))
        repeat = chat.send(text, client_token=f"{run_id}-repeat-{delay}")
        done.append(Experiment(f"the same ClientToken after {delay} s", text, (first, repeat)))
    text = f"Smoke test {run_id}: long ".ljust(_LONG_TEXT, "x")
    answer = chat.send(text, client_token=f"{run_id}-long")
    done.append(Experiment(f"a text of {_LONG_TEXT} characters", text, (answer,)))
    if chat.participant_token:
        text = f"Smoke test {run_id}: by participant token"
        answer = chat.send(text, client_token=f"{run_id}-participant-token", token=chat.participant_token)
        done.append(Experiment("a participant token instead of a connection token", text, (answer,)))
    return done


def experiment_after_the_end(chat: Chat, *, run_id: str) -> Experiment:
    answer = chat.send(f"Smoke test {run_id}: after the end", client_token=f"{run_id}-after-the-end")
    return Experiment(f"a message after {chat.ended_by}", None, (answer,))

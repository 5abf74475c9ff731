"""Observe what the Participant Service does where its documentation is silent or contradicts itself.

These messages do not go through the stack, and no answer fails the test.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ops.smoke.chat import Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ops.smoke.chat import Chat, Refused

SHORT_DELAYS = (1,)
LONG_DELAYS = (1, 60, 600)

_LONG_TEXT = 1025


@dataclass(frozen=True, slots=True)
class Observation:
    what: str
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A message to the service and its answers: two if it was repeated.

    Attributes:
        in_transcript: False if it was sent after the transcript had been read.
    """

    what: str
    text: str
    answers: tuple[Sent | Refused, ...]
    in_transcript: bool = True

    def observed(self, transcript: Sequence[str]) -> Observation:
        first, *repeats = self.answers
        seen = ["accepted" if isinstance(first, Sent) else str(first)]
        for repeat in repeats:
            if not isinstance(repeat, Sent):
                seen.append(f"its repeat: {repeat}")
            elif repeat == first:
                seen.append("its repeat has the same Id")
            else:
                seen.append("its repeat has another Id")
        if self.in_transcript:
            times = transcript.count(self.text)
            seen.append(
                {0: "not in the transcript", 1: "in the transcript once"}.get(
                    times, f"in the transcript {times} times"
                )
            )
        return Observation(self.what, ", ".join(seen))


def experiments(
    chat: Chat, *, run_id: str, delays: Sequence[int], progress: Callable[[str], None]
) -> list[Experiment]:
    """Send the messages that need an open chat.

    Args:
        run_id: A part of each text and ClientToken.
        delays: Seconds from a message to its repeat, ascending.
        progress: Gets a line about each wait.
    """
    done = _repeats(chat, run_id=run_id, delays=delays, progress=progress)
    long_text = f"Smoke test {run_id}: long ".ljust(_LONG_TEXT, "x")
    done.append(
        Experiment(
            what=f"a text of {_LONG_TEXT} characters",
            text=long_text,
            answers=(chat.send(long_text, client_token=f"{run_id}-long"),),
        )
    )
    if chat.participant_token is not None:
        text = f"Smoke test {run_id}: by participant token"
        answer = chat.send(text, client_token=f"{run_id}-participant-token", token=chat.participant_token)
        done.append(
            Experiment(what="a participant token instead of a connection token", text=text, answers=(answer,))
        )
    return done


def experiment_after_the_end(chat: Chat, *, run_id: str) -> Experiment:
    text = f"Smoke test {run_id}: after the end"
    answer = chat.send(text, client_token=f"{run_id}-after-the-end")
    return Experiment(
        what=f"a message after {chat.ended_by}", text=text, answers=(answer,), in_transcript=False
    )


def _repeats(
    chat: Chat, *, run_id: str, delays: Sequence[int], progress: Callable[[str], None]
) -> list[Experiment]:
    """Send one message for each delay, so that no repeat can prolong another's idempotency window."""
    firsts = []
    for delay in delays:
        text = f"Smoke test {run_id}: repeated after {delay} s"
        firsts.append(
            (delay, text, time.monotonic(), chat.send(text, client_token=f"{run_id}-repeat-{delay}"))
        )
    done = []
    for delay, text, sent_at, first in firsts:
        progress(f"Repeating a ClientToken {delay} s after its first use")
        time.sleep(max(sent_at + delay - time.monotonic(), 0.0))
        repeat = chat.send(text, client_token=f"{run_id}-repeat-{delay}")
        done.append(
            Experiment(what=f"the same ClientToken after {delay} s", text=text, answers=(first, repeat))
        )
    return done

"""What the Participant Service itself does where its documentation says nothing, or more than one thing.

Nothing of the stack takes part, and nothing is judged.
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
class Attempt:
    """A message that the service was sent, and its answers: two where it was repeated."""

    what: str
    text: str
    answers: tuple[Sent | Refused, ...]
    is_in_time: bool = True
    """Whether it was made before the transcript was read."""

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
        if self.is_in_time:
            seen.append(_times(self.text, transcript))
        return Observation(self.what, ", ".join(seen))


def attempts(
    chat: Chat, *, run_id: str, delays: Sequence[int], progress: Callable[[str], None]
) -> list[Attempt]:
    """Try what can be tried while the chat is open.

    Args:
        chat: gets some messages of the text/plain type.
        run_id: in each text and ClientToken.
        delays: seconds from a message to its repeat, ascending.
        progress: gets what is waited for.
    """
    tried = _repeats(chat, run_id=run_id, delays=delays, progress=progress)
    long_text = f"Smoke test {run_id}: long ".ljust(_LONG_TEXT, "x")
    tried.append(
        Attempt(
            what=f"a text of {_LONG_TEXT} characters",
            text=long_text,
            answers=(chat.send(long_text, client_token=f"{run_id}-long"),),
        )
    )
    if chat.participant_token is not None:
        text = f"Smoke test {run_id}: by participant token"
        answer = chat.send(text, client_token=f"{run_id}-participant-token", token=chat.participant_token)
        tried.append(
            Attempt(what="a participant token instead of a connection token", text=text, answers=(answer,))
        )
    return tried


def attempt_after_the_end(chat: Chat, *, run_id: str) -> Attempt:
    text = f"Smoke test {run_id}: after the end"
    answer = chat.send(text, client_token=f"{run_id}-after-the-end")
    return Attempt(what=f"a message after {chat.ended_by}", text=text, answers=(answer,), is_in_time=False)


def _repeats(
    chat: Chat, *, run_id: str, delays: Sequence[int], progress: Callable[[str], None]
) -> list[Attempt]:
    """Send one message for each delay, so that no repeat can prolong another's window."""
    texts = [f"Smoke test {run_id}: repeated after {delay} s" for delay in delays]
    begun = []
    for delay, text in zip(delays, texts, strict=True):
        begun.append((time.monotonic(), chat.send(text, client_token=f"{run_id}-repeat-{delay}")))
    tried = []
    for delay, text, (sent_at, first) in zip(delays, texts, begun, strict=True):
        progress(f"Repeating a ClientToken {delay} s after its first use")
        time.sleep(max(sent_at + delay - time.monotonic(), 0.0))
        repeat = chat.send(text, client_token=f"{run_id}-repeat-{delay}")
        tried.append(
            Attempt(what=f"the same ClientToken after {delay} s", text=text, answers=(first, repeat))
        )
    return tried


def _times(text: str, transcript: Sequence[str]) -> str:
    times = transcript.count(text)
    return {0: "not in the transcript", 1: "in the transcript once"}.get(
        times, f"in the transcript {times} times"
    )

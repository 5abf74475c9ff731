"""Who acts on the stack, and how it is interrupted: the same for every command on a deployed stack."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class SessionError(Exception):
    """There is nobody to act as. The text says what is missing, and the line that mends it."""


def open_session() -> Any:  # noqa: ANN401  # boto3 has no types
    """Return a session of boto3 that has credentials and a Region.

    Raises:
        SessionError: One of them is missing.
    """
    session = boto3.Session()
    if session.get_credentials() is None:
        raise SessionError(
            "There are no AWS credentials. Name a profile, or make one first with: aws configure\n"
            "    export AWS_PROFILE=<profile>"
        )
    if not session.region_name:
        # boto3 does not read AWS_REGION
        raise SessionError(
            "There is no AWS Region. Name that of the stack:\n    export AWS_DEFAULT_REGION=<region>"
        )
    return session


def stop_once_at_a_signal() -> None:
    """Let the first signal raise SystemExit and later ones do nothing: the cleaning up is not cut short."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in _STOP_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in _STOP_SIGNALS:
        signal.signal(number, stop)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Have the signals that stop a command act on it only when this block has ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

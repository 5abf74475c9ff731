"""`python -m smoke`, which `make smoke` runs."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from smoke.chat import ChatError
from smoke.deployment import DeploymentError, read_deployment
from smoke.report import Report
from smoke.run import run
from smoke.settings import Settings, SettingsError

if TYPE_CHECKING:
    from types import FrameType

_NOT_ALL_SENT = 1
_COULD_NOT_RUN = 2


class SessionError(Exception):
    """There is nobody to act as. The text says what is missing, and the line that mends it."""


def main() -> int:
    _stop_once_at_a_signal()
    # A terminal that cannot show a check mark must not be the end of the test
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # standard output is a text stream
    report = Report(sys.stdout)
    try:
        settings = Settings.from_environ(os.environ)
        session = _session()
        with report.progress() as progress:
            progress(f"Reading the outputs of {settings.stack_name}")
            deployment = read_deployment(session.client("cloudformation"), settings.stack_name)
            outcome = run(settings, deployment, session, progress=progress, left_behind=report.left_behind)
    except SystemExit:
        report.stopped()
        raise
    except (SettingsError, SessionError, DeploymentError, ChatError, BotoCoreError) as error:
        sys.stderr.write(f"{error}\n")
        return _COULD_NOT_RUN
    except ClientError as error:
        # Of calls that hold no token: the others are dealt with where they are made
        sys.stderr.write(f"{error.operation_name}: {error.response['Error']['Message']}\n")
        return _COULD_NOT_RUN
    report.run(outcome)
    return 0 if outcome.passed else _NOT_ALL_SENT


def _session() -> Any:  # noqa: ANN401  # boto3 has no types
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


def _stop_once_at_a_signal() -> None:
    """Let the first signal raise SystemExit and later ones do nothing: the cleaning up is not cut short."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in numbers:
        signal.signal(number, stop)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m smoke`, which `make smoke` runs."""

from __future__ import annotations

import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from ops.smoke.chat import ChatError
from ops.smoke.deployment import DeploymentError, read_deployment
from ops.smoke.report import Report
from ops.smoke.run import run
from ops.smoke.session import SessionError, open_session
from ops.smoke.settings import Settings, SettingsError
from ops.stack.printable import printable
from ops.stack.signals import stopped_by_signals

_NOT_ALL_SENT = 1
_COULD_NOT_RUN = 2


@stopped_by_signals()
def main() -> int:
    # A terminal that cannot show a check mark must not be the end of the test
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # standard output is a text stream
    report = Report(sys.stdout)
    try:
        settings = Settings.from_environ(os.environ)
        session = open_session()
        with report.progress() as progress:
            progress(f"Reading the outputs of {settings.stack_name}")
            deployment = read_deployment(session.client("cloudformation"), settings.stack_name)
            outcome = run(settings, deployment, session, progress=progress, left_behind=report.left_behind)
    except SystemExit:
        report.stopped()
        raise
    except (SettingsError, SessionError, DeploymentError, ChatError, BotoCoreError) as error:
        sys.stderr.write(f"{printable(str(error), lines=True)}\n")
        return _COULD_NOT_RUN
    except ClientError as error:
        # Of calls that hold no token: the others are dealt with where they are made
        problem = f"{error.operation_name}: {error.response['Error']['Message']}"
        sys.stderr.write(f"{printable(problem)}\n")
        return _COULD_NOT_RUN
    report.run(outcome)
    return 0 if outcome.passed else _NOT_ALL_SENT


if __name__ == "__main__":
    sys.exit(main())

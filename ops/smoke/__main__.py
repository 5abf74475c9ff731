"""`python -m ops.smoke`, which `make smoke` runs."""

from __future__ import annotations

import os
import sys

from botocore.exceptions import BotoCoreError, ClientError

from infra.outputs import OutputsError, read_outputs
from infra.producer import NotOfferedError
from ops.smoke.chat import ChatError
from ops.smoke.report import Report
from ops.smoke.run import run
from ops.smoke.session import SessionError, open_session
from ops.smoke.settings import Settings, SettingsError
from ops.stack.command import printable, stopped_by_signals

_NOT_ALL_SENT = 1
_COULD_NOT_RUN = 2


@stopped_by_signals()
def main() -> int:
    # A terminal without a check mark must not end the test
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # standard output is a text stream
    report = Report(sys.stdout)
    try:
        settings = Settings.from_environ(os.environ)
    except SettingsError as error:
        return _explain(str(error))
    try:
        session = open_session()
        with report.progress() as progress:
            progress(f"Reading the outputs of {settings.stack_name}")
            outputs = read_outputs(session.client("cloudformation"), settings.stack_name)
            outcome = run(settings, outputs, session, progress=progress, on_left_behind=report.left_behind)
    except SystemExit:
        report.stopped()
        raise
    except (OutputsError, NotOfferedError) as error:
        stage = settings.stack_name.partition("-")[2]
        return _explain(f"{error} Name another stage or Region, or deploy it:\n    make deploy STAGE={stage}")
    except (SessionError, ChatError, BotoCoreError) as error:
        return _explain(str(error))
    except ClientError as error:
        # Only of calls that hold no token: the others are handled in `chat` and in the producer
        return _explain(f"{error.operation_name}: {printable(error.response['Error']['Message'])}")
    report.run(outcome)
    return 0 if outcome.passed else _NOT_ALL_SENT


def _explain(problem: str) -> int:
    sys.stderr.write(f"{printable(problem, lines=True)}\n")
    return _COULD_NOT_RUN


if __name__ == "__main__":
    sys.exit(main())

"""`python -m sandbox.participant_service --port 4600`: print the URL, and serve until SIGTERM or SIGINT.

`make participant-service` adds `--introduce`.
"""

from __future__ import annotations

import argparse
import signal
import sys

from sandbox.participant_service.server import running_participant_service

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_INTRODUCTION = """
Amazon Connect for your own code, in memory. In another terminal, paste:

export AWS_ENDPOINT_URL_CONNECT={url} AWS_ENDPOINT_URL_CONNECTPARTICIPANT={url}
export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1 AWS_REGION=us-east-1

docs/how-to/test-with-a-local-connect.md has examples and faults. Ctrl-C to stop
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.participant_service",
        description="A local stand-in for the Amazon Connect Participant Service.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="default: a free port")
    parser.add_argument("--introduce", action="store_true", help="print how to use it")
    arguments = parser.parse_args()

    # Threads inherit the blocked signals, so every signal waits for sigwait
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        with running_participant_service(host=arguments.host, port=arguments.port) as running:
            sys.stdout.write(f"{running.url}\n")
            if arguments.introduce:
                sys.stdout.write(_INTRODUCTION.format(url=running.url))
            sys.stdout.flush()
            signal.sigwait(_STOP_SIGNALS)
    except (OverflowError, ValueError) as error:
        parser.error(str(error))
    except OSError as error:
        sys.stderr.write(f"The participant service cannot start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

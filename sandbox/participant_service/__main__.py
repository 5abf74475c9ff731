"""`python -m sandbox.participant_service --port 4600`: print the URL, and serve until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import signal
import sys

from sandbox.participant_service.server import running_participant_service

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.participant_service",
        description="A local stand-in for the Amazon Connect Participant Service.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=int, default=0, help="default: a free port")
    arguments = parser.parse_args()

    # Threads inherit the blocked signals, so every signal waits for sigwait
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        with running_participant_service(host=arguments.host, port=arguments.port) as running:
            sys.stdout.write(f"{running.url}\n")
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

"""`python -m sandbox.participant_service --port 4600`: serve until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import ipaddress
import signal
import sys
from pathlib import Path

from sandbox.participant_service.server import running_participant_service

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    arguments = _arguments()
    # Blocked here, and so in the threads to come, a signal waits for sigwait, whenever it arrives.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        with running_participant_service(host=arguments.host, port=arguments.port) as running:
            sys.stdout.write(f"{running.url}\n")
            sys.stdout.flush()
            if arguments.ready_file is not None:
                _write_at_once(arguments.ready_file, f"{running.url}\n")
            signal.sigwait(_STOP_SIGNALS)
    except OSError as error:
        sys.stderr.write(f"The participant service cannot start: {error}\n")
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.participant_service",
        description="A local stand-in for the Amazon Connect Participant Service.",
    )
    parser.add_argument("--host", type=_loopback_address, default="127.0.0.1", help="a loopback address")
    parser.add_argument("--port", type=_port, default=0, help="0, the default, takes a free one")
    parser.add_argument("--ready-file", type=Path, help="gets the URL once the service is ready")
    return parser.parse_args()


def _loopback_address(text: str) -> str:
    try:
        is_loopback = ipaddress.ip_address(text).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise argparse.ArgumentTypeError(f"{text} is not a loopback address")
    return text


def _port(text: str) -> int:
    if text.isdecimal() and int(text) in range(65_536):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port")


def _write_at_once(path: Path, text: str) -> None:
    """Write so that no reader ever sees a part of it."""
    draft = path.with_name(f"{path.name}.draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m sandbox.live.chats`: the chats of a sandbox that runs in another terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from urllib3.exceptions import HTTPError

from ops.stack.printable import printable
from ops.stack.terminal import Terminal
from sandbox.command_line import COULD_NOT_RUN
from sandbox.display import transcript_table
from sandbox.live.commands import chat_environment
from sandbox.local_stack import FOLDER, open_chat, participant_url_file
from sandbox.participant_service.control import ControlCallError, ParticipantControl


class _NoSandboxError(Exception):
    pass


class _NoChatError(Exception):
    pass


def main() -> int:
    arguments = _arguments()
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # standard output is a text stream
    try:
        with ParticipantControl(_participant_url(arguments.folder)) as participant:
            _run(arguments.action, arguments.chat, participant, Terminal(sys.stdout))
    except (_NoSandboxError, HTTPError):
        sys.stderr.write("No sandbox is running. Start one in another terminal: make sandbox\n")
        return COULD_NOT_RUN
    except _NoChatError:
        sys.stderr.write(
            "Which chat? Paste the sandbox's lines that begin with export, or add CHAT=contact-id\n"
        )
        return COULD_NOT_RUN
    except ControlCallError as error:
        sys.stderr.write(f"{printable(str(error))}\n")
        return COULD_NOT_RUN
    return 0


def _run(action: str, contact_id: str, participant: ParticipantControl, terminal: Terminal) -> None:
    if action == "open":
        # The line alone on standard output: eval "$(make -s chat)"
        sys.stderr.write("The commands of the sandbox send to a new chat once this line is pasted:\n\n")
        terminal.print_to_paste(chat_environment(open_chat(participant)))
    elif not contact_id:
        raise _NoChatError
    elif action == "end":
        participant.end_chat(contact_id)
        terminal.print("Ended.")
    else:
        terminal.print(transcript_table(participant.transcript(contact_id)))


def _participant_url(folder: Path) -> str:
    try:
        return participant_url_file(folder).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise _NoSandboxError from None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.live.chats", description=__doc__)
    parser.add_argument("action", choices=["open", "end", "transcript"])
    parser.add_argument("chat", nargs="?", default="", help="its contact id")
    parser.add_argument("--folder", type=Path, default=FOLDER / "live", help="the sandbox's")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

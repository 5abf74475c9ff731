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


def main() -> int:
    arguments = _arguments()
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # standard output is a text stream
    if arguments.action != "open" and not arguments.chat:
        return _explain(
            "Name a chat: paste the sandbox's lines that begin with export, or add CHAT=contact-id"
        )
    try:
        url = participant_url_file(arguments.folder).read_text(encoding="utf-8").strip()
        with ParticipantControl(url) as participant:
            _run(arguments.action, arguments.chat, participant, Terminal(sys.stdout))
    except (FileNotFoundError, HTTPError):
        return _explain("No sandbox is running. Start one in another terminal: make sandbox")
    except ControlCallError as error:
        return _explain(printable(str(error)))
    return 0


def _run(action: str, contact_id: str, participant: ParticipantControl, terminal: Terminal) -> None:
    match action:
        case "open":
            # Standard output has only the line to paste, for eval "$(make -s chat)"
            sys.stderr.write("Paste this line, and the sandbox's commands send to the new chat:\n\n")
            terminal.print_to_paste(chat_environment(open_chat(participant)))
        case "end":
            participant.end_chat(contact_id)
            terminal.print("Ended.")
        case _:
            terminal.print(transcript_table(participant.transcript(contact_id)))


def _explain(problem: str) -> int:
    sys.stderr.write(f"{problem}\n")
    return COULD_NOT_RUN


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.live.chats", description=__doc__)
    parser.add_argument("action", choices=["open", "end", "transcript"])
    parser.add_argument("chat", nargs="?", default="", help="its contact id")
    parser.add_argument("--folder", type=Path, default=FOLDER / "live", help="the sandbox's")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

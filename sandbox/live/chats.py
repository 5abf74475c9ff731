"""`python -m sandbox.live.chats`: the chats of a sandbox that runs in another terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from urllib3.exceptions import HTTPError

from sandbox.command_line import (
    explain,
    reader_may_leave,
    standard_output,
    time_of_day,
    transcript_table,
)
from sandbox.console.console import RefusedError
from sandbox.console.server import KINDS, switch_fault
from sandbox.live.commands import aws_environment, chat_environment, sending_commands
from sandbox.local_stack import FOLDER, addresses_in, participant_service_in
from sandbox.participant_service.control import ControlCallError

if TYPE_CHECKING:
    from sandbox.participant_service.control import ParticipantControl

_TARGETS = {"end": "end-chat", "transcript": "transcript"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.live.chats", description=__doc__)
    parser.add_argument("action", choices=["open", "list", "end", "transcript", "env", "commands", "fault"])
    parser.add_argument("subject", nargs="?", default="", help="a contact id, or the kind of a fault")
    parser.add_argument("--folder", type=Path, default=FOLDER / "live", help="the sandbox's")
    arguments = parser.parse_args()
    if arguments.action in {"end", "transcript"} and not arguments.subject:
        return explain(
            f"Name a chat: make {_TARGETS[arguments.action]} CHAT=contact-id, or paste the lines of make env."
        )
    if arguments.action == "fault" and arguments.subject not in KINDS:
        kinds = "\n".join(f"  make fault KIND={kind:<8}  {text}" for kind, text in KINDS.items())
        if arguments.subject:
            return explain(f"There is no fault {arguments.subject}. There are:\n{kinds}")
        standard_output().print_to_paste(kinds)
        return 0
    try:
        with reader_may_leave():
            _act(arguments.action, arguments.subject, arguments.folder)
    except (FileNotFoundError, HTTPError):
        return explain("No sandbox is running. Start one in another terminal: make sandbox")
    except (ControlCallError, RefusedError) as error:
        return explain(error)
    return 0


def _act(action: str, subject: str, folder: Path) -> None:
    terminal = standard_output()
    participant = participant_service_in(folder)
    match action:
        case "open":
            line = chat_environment(participant.open_chat())
            # Standard output has only the line to paste, for eval "$(make -s chat)"
            sys.stderr.write("Paste this line, and the sandbox's commands send to the new chat:\n\n")
            terminal.print_to_paste(line)
        case "env":
            chat = participant.open_chat()  # first: without a sandbox, nothing is printed
            terminal.print_to_paste(aws_environment(addresses_in(folder)))
            terminal.print_to_paste(chat_environment(chat))
        case "commands":
            terminal.print_to_paste(sending_commands(addresses_in(folder)))
        case "list":
            for chat in participant.call("chats"):
                state = f"ended {time_of_day(chat['ended_at'])}" if chat["ended_at"] else "open"
                terminal.print(f"{chat['contact_id']}  {chat['items']:>3} items  {state}")
        case "fault":
            switch_fault(subject, folder=folder)
            terminal.print(KINDS[subject] if subject != "off" else "All faults are off")
        case "end":
            participant.end_chat(_contact_id(subject, participant))
            terminal.print("Ended.")
        case _:
            terminal.print(transcript_table(participant.transcript(_contact_id(subject, participant))))


def _contact_id(start: str, participant: ParticipantControl) -> str:
    """Return the contact id that begins like this. The console shows the first eight characters."""
    found = [chat["contact_id"] for chat in participant.call("chats") if chat["contact_id"].startswith(start)]
    return found[0] if len(found) == 1 else start


if __name__ == "__main__":
    sys.exit(main())

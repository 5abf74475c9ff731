"""`python -m sandbox.live.chats`: the chats of a sandbox that runs in another terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from urllib3.exceptions import HTTPError

from sandbox.command_line import explain, standard_output, transcript_table
from sandbox.live.commands import aws_environment, chat_environment, sending_commands
from sandbox.local_stack import FOLDER, addresses_in, participant_service_in
from sandbox.participant_service.control import ControlCallError


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.live.chats", description=__doc__)
    parser.add_argument("action", choices=["open", "end", "transcript", "env"])
    parser.add_argument("chat", nargs="?", default="", help="its contact id")
    parser.add_argument("--folder", type=Path, default=FOLDER / "live", help="the sandbox's")
    arguments = parser.parse_args()
    if arguments.action in {"end", "transcript"} and not arguments.chat:
        parser.error("name a chat: paste the sandbox's lines that begin with export, or add CHAT=contact-id")
    terminal = standard_output()
    try:
        participant = participant_service_in(arguments.folder)
        match arguments.action:
            case "open":
                # Standard output has only the line to paste, for eval "$(make -s chat)"
                sys.stderr.write("Paste this line, and the sandbox's commands send to the new chat:\n\n")
                terminal.print_to_paste(chat_environment(participant.open_chat()))
            case "env":
                stack = addresses_in(arguments.folder)
                lines = (
                    aws_environment(stack),
                    chat_environment(participant.open_chat()),
                    sending_commands(stack),
                )
                terminal.print_to_paste("\n\n".join(lines))
            case "end":
                participant.end_chat(arguments.chat)
                terminal.print("Ended.")
            case _:
                terminal.print(transcript_table(participant.transcript(arguments.chat)))
    except (FileNotFoundError, HTTPError):
        return explain("No sandbox is running. Start one in another terminal: make sandbox")
    except ControlCallError as error:
        return explain(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())

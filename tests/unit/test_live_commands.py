"""The commands that the sandbox prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from infra.outputs import StackOutputs
from infra.producer import EventSource
from sandbox.live.commands import sending_commands

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack

ROOT = Path(__file__).parents[2]


def test_every_event_source_has_a_command() -> None:
    outputs = StackOutputs(
        stack_name="stack",
        message_queue_url="https://sqs/messages.fifo",
        dead_letter_queue_url="",
        rejected_queue_url="",
        unpublished_results_queue_url="",
        events_dead_letter_queue_url="",
        event_bus_name="bus",
        function_name="function",
        function_alias_arn="arn:function:live",
    )
    stack = cast("LocalStack", SimpleNamespace(outputs=outputs, api_url="http://127.0.0.1/api"))

    commands = sending_commands(stack)

    sources = re.findall(r'"ClientToken\\*": \\*"(\S+)-\'\$\(date', commands)
    assert sorted(sources) == sorted(EventSource)


def test_no_tool_imports_the_file_with_the_defect_of_the_exercise() -> None:
    page = (ROOT / "docs/how-to/practise-on-call.md").read_text()
    [defect, repair] = re.findall(r"lambda_src/message_sender/(\w+)\.py$", page, re.MULTILINE)
    tools = "sandbox.live.chats, sandbox.live.find, sandbox.demo.__main__, ops.__main__, ops.redrive"

    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {tools}; print(*sys.modules, sep='\\n')"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    assert defect == repair
    assert "message_sender.request" in loaded
    assert f"message_sender.{defect}" not in loaded

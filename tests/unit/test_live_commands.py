"""The commands that the sandbox prints."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from infra.outputs import StackOutputs
from infra.producer import EventSource
from sandbox.live.commands import sending_commands

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack


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

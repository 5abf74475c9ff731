"""Send a message in a test of yours, and wait for its result."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import boto3
from connect_message_sender.outputs import read_outputs
from connect_message_sender.producer import EventSource, Producer
from connect_message_sender.result_watcher import ResultWatcher

if TYPE_CHECKING:
    from connect_message_sender.producer import MessageRequest
    from connect_message_sender.results import MessageResult


def send_and_wait(stack_name: str, request: MessageRequest, *, seconds: float = 30) -> MessageResult | None:
    outputs = read_outputs(boto3.client("cloudformation"), stack_name)
    with ResultWatcher(  # it deletes its rule and its queue at the end
        sqs=boto3.client("sqs"),
        events=boto3.client("events"),
        event_bus_name=outputs.event_bus_name,
        name=f"test-{uuid.uuid4()}",
        contact_id=request.contact_id,
    ) as watcher:
        Producer(outputs).send(request, through=EventSource.QUEUE)
        return watcher.collect({request.client_token}, timeout=seconds).get(request.client_token)

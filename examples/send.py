"""Send messages with the producer: one, and many with few calls."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from connect_message_sender.outputs import Addresses
from connect_message_sender.producer import (
    EventSource,
    InvalidRequestError,
    MessageRequest,
    Producer,
    ProducerError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

# The stack's output MessageQueueUrl. Create the producer once: it keeps its connections.
producer = Producer(Addresses(message_queue_url=os.environ["MESSAGE_QUEUE_URL"]))


def send(contact_id: str, connection_token: str, message_id: str, text: str) -> str:
    request = MessageRequest(
        connection_token=connection_token,  # from CreateParticipantConnection
        contact_id=contact_id,  # keeps the messages of this chat in order
        content=text,
        client_token=message_id,  # a repeat is the same message
    )
    return producer.send(request, through=EventSource.QUEUE).source_id


def send_all(requests: Sequence[MessageRequest]) -> Sequence[MessageRequest]:
    """Return the requests to send again, in their order."""
    again = []
    answers = producer.send_all(requests, through=EventSource.QUEUE)
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, InvalidRequestError):
            log.error("%s is not valid: %s", request.client_token, answer)  # it names field and rule
        elif isinstance(answer, ProducerError):
            again.append(request)
    return again

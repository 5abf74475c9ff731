"""Which messages the faults hit, after a run.

The services and Lambda know ids of several kinds: ClientTokens of messages and of parts, ids of records and
events, task tokens. The messages that have them are looked up at the end of a run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from tests.simulation.accepted import client_token_in
from tests.simulation.contract import MOST_PARTS, client_token_of_part
from tests.simulation.fault_profiles import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.simulation.models.sqs import Message
    from tests.simulation.simulation import Simulation


def faults_by_message(simulation: Simulation) -> dict[str, set[Fault]]:
    """Return the faults that hit each message, by its ClientToken. Messages without one are left out."""
    tokens = tokens_by_id(simulation)
    faults: dict[str, set[Fault]] = defaultdict(set)
    for each, hit in simulation.injector.hits.items():
        if (token := tokens.get(each)) is not None:
            faults[token] |= hit
    for token, message in simulation.producers.accepted.items():
        if message.code is not None:
            faults[token].add(Fault.INVALID)
    return faults


def tokens_by_id(simulation: Simulation) -> dict[str, str]:
    """Return the ClientToken of the message that has an id of any kind."""
    producers = simulation.producers
    tokens: dict[str, str] = {}
    for token, message in producers.accepted.items():
        tokens[token] = token
        tokens |= dict.fromkeys(message.source_ids, token)
        if message.lines:
            parts = (client_token_of_part(token, number) for number in range(1, MOST_PARTS + 1))
            tokens |= dict.fromkeys(parts, token)
    for task_token, source_ids in producers.source_ids_by_task.items():
        tokens[task_token] = producers.by_source_id[source_ids[0]].client_token
    for queue in (simulation.messages, simulation.dead_letters, simulation.events_dead_letters):
        for message_id, queued in queue.accepted.items():
            if message_id not in tokens and (found := _token_of(queued, tokens)) is not None:
                tokens[message_id] = found
    return tokens


def _token_of(queued: Message, tokens: Mapping[str, str]) -> str | None:
    """Return the ClientToken of a message that the function or an operator sent to a queue."""
    if (token := queued.attributes.get("ClientToken") or client_token_in(queued.body)) is not None:
        return token
    try:
        event = json.loads(queued.body)
        return tokens.get(event.get("requestPayload", event).get("id"))
    except (ValueError, AttributeError):
        return None

"""The parts of a sender, which its permissions and its monitoring connect."""

from dataclasses import dataclass

from aws_cdk import aws_events as events

from .data_key import DataKey
from .event_routing import EventRouting
from .message_api import MessageApi
from .message_queues import MessageQueues
from .outcome_lookup import OutcomeLookup
from .results_function import ResultsFunction
from .send_workflow import SendWorkflow
from .sender_function import SenderFunction
from .token_key import TokenKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one sender. Those that the options leave out are None.

    Attributes:
        requests: The rule on the bus that invokes the function.
    """

    key: DataKey
    queues: MessageQueues
    routing: EventRouting
    requests: events.Rule
    sender: SenderFunction
    results: ResultsFunction
    api: MessageApi | None
    workflow: SendWorkflow | None
    token_key: TokenKey | None
    lookup: OutcomeLookup | None

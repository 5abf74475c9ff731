"""Searches of the logs: saved queries of CloudWatch Logs Insights, and the fields of `make find`. No CDK.

The function `search` of docs/runbook.md runs the query `One message`. To add a query, add it here.
"""

from typing import Final, NamedTuple

IDS: Final = ("client_token", "contact_id", "correlation_id", "message_id", "service_request_id")
"""The keys of a log line by which you can find a message."""

FIELDS: Final = (
    *("message", "outcome", "code", "reason", "attempts", "receive_count", "event_source"),
    *("correlation_id", "client_token", "contact_id", "message_id", "service_request_id"),
    "function_request_id",
)
"""The keys of a log line about a message, in the order in which they are shown."""

ATTEMPTS: Final = "each_attempt"
"""The key with the list of attempts. Logs Insights has its members one by one: `each_attempt.0.code`."""

FUNCTION: Final = "Sender"
API: Final = "MessageApi"
STATE_MACHINE: Final = "SendWorkflow"

_LINES: Final = f"fields @timestamp, {', '.join(FIELDS)}"


class LogQuery(NamedTuple):
    """A saved query.

    Attributes:
        log: The log that it searches, by the first words of its logical id.
        to_replace: The part of the text that you replace. It is not a parameter of the query, because
            CloudWatch does not document whether it puts the value of a parameter into quotes.
    """

    name: str
    log: str
    text: str
    to_replace: str = ""


def having(identifier: str) -> str:
    """Return the condition for the log lines with this id."""
    return " or ".join(f"{name} = '{identifier}'" for name in IDS)


QUERIES: Final = (
    LogQuery("One message", FUNCTION, f"{_LINES} | filter {having('ID')} | sort @timestamp", "ID"),
    LogQuery(
        "One chat",
        FUNCTION,
        f"{_LINES} | filter contact_id = 'CONTACT_ID' | sort @timestamp",
        "CONTACT_ID",
    ),
    LogQuery(
        "Rejected and failed by reason",
        FUNCTION,
        "filter outcome = 'REJECTED' or outcome = 'FAILED'"
        " | stats count(*) as messages, count_distinct(contact_id) as chats by outcome, code, reason"
        " | sort messages desc",
    ),
    LogQuery(
        "Slowest messages",
        FUNCTION,
        "fields @timestamp, latency_ms, outcome, code, attempts, receive_count, event_source, correlation_id,"
        " contact_id | filter message = 'Message ended' | sort latency_ms desc | limit 50",
    ),
    LogQuery(
        "Unhandled errors",
        FUNCTION,
        "filter message = 'Unhandled error'"
        " | stats count(*) as errors, latest(@timestamp) as last_seen,"
        " latest(function_request_id) as invocation by error_type"
        " | sort errors desc",
    ),
    LogQuery(
        "Refused requests",
        API,
        "filter status like /^[45]/"
        " | stats count(*) as requests by status, errorType, resourcePath, caller"
        " | sort requests desc",
    ),
    LogQuery(
        "Executions that failed",
        STATE_MACHINE,
        "fields @timestamp, type, execution_arn | filter type like /Failed|TimedOut/ | sort @timestamp desc",
    ),
)

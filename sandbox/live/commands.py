"""Commands to paste into any POSIX shell in another terminal.

One line sets the endpoints, and one sets the chat. The other commands refer to them, so that switching to
another chat takes one line. A ClientToken contains the time, so a repeated command is another message.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, NamedTuple

from infra.contract import REQUEST_DETAIL_TYPE
from infra.producer import EventSource
from sandbox.emulator import ACCOUNT, REGION, SECRET_ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.local_stack import LocalStack
    from sandbox.participant_service.control import OpenChat


class Command(NamedTuple):
    source: EventSource
    title: str
    text: str


# The texts are templates, and the greetings become the Content of a request
_COMMANDS = (
    (
        EventSource.QUEUE,
        "The queue",
        "Hello by the queue",
        # Version 1 of the CLI ignores the endpoint in the environment for SQS
        r"""aws sqs send-message --endpoint-url "$AWS_ENDPOINT_URL" \
    --queue-url {outputs.message_queue_url} \
    --message-group-id "$CONTACT_ID" --message-deduplication-id "$(date +%s)-$RANDOM" \
    --message-body {request}""",
    ),
    (
        EventSource.EVENT,
        "The event bus",
        "Hello by the event bus",
        "aws events put-events --entries {entries}",
    ),
    (
        EventSource.WORKFLOW,
        "The state machine",
        "Hello by the state machine",
        r"""aws stepfunctions start-execution --state-machine-arn {outputs.state_machine_arn} \
    --input {request}""",
    ),
    (
        EventSource.DIRECT,
        "The function",
        "Hello by the function",
        # Both versions of the CLI take bytes unchanged. Without the pipe the CLI would overwrite the answer
        # if the output goes to a file.
        r"""echo {request} |
    aws lambda invoke --function-name {outputs.function_alias_arn} \
    --payload fileb:///dev/stdin /dev/stdout | cat""",
    ),
    (EventSource.API, "The HTTP API, to the queue", "Hello by the API", "{curl}/messages"),
    (
        EventSource.API_SYNC,
        "The HTTP API, which waits for the outcome",
        "Hello by the API, waiting",
        "{curl}/messages/sync",
    ),
)
_CURL = rf"""curl --silent --show-error --aws-sigv4 aws:amz:{REGION}:execute-api \
    --user {ACCOUNT}:{SECRET_ACCESS_KEY} --header 'Content-Type: application/json' \
    --data %s \
    --write-out ' %%{{http_code}}\n' %s"""


def aws_environment(stack: LocalStack) -> str:
    """Return the line that points the AWS CLI to the local stack."""
    return _export(
        {
            "AWS_ENDPOINT_URL": stack.emulator.url,
            "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": stack.participant.url,
            "AWS_ACCESS_KEY_ID": ACCOUNT,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_PAGER": "",
        }
    )


def chat_environment(chat: OpenChat) -> str:
    """Return the line that selects a chat."""
    return _export({"CONTACT_ID": chat.contact_id, "CONNECTION_TOKEN": chat.connection_token})


def sending_commands(stack: LocalStack) -> list[Command]:
    """Return a command for each event source."""
    commands = []
    for source, title, content, template in _COMMANDS:
        request = {
            "ConnectionToken": "<token>",
            "ContactId": "<contact>",
            "ContentType": "text/plain",
            "Content": content,
            "ClientToken": f"{source}-<time>",
        }
        event = {
            "EventBusName": stack.outputs.event_bus_name,
            "Source": "my-backend",
            "DetailType": REQUEST_DETAIL_TYPE,
            "Detail": json.dumps(request),
        }
        text = template.format(
            outputs=stack.outputs,
            request=_quoted(request),
            entries=_quoted([event]),
            curl=_CURL % (_quoted(request), stack.api_url),
        )
        commands.append(Command(source, title, text))
    return commands


# Placeholders in JSON, which the shell replaces by values that neither JSON nor a shell has to quote
_VARIABLES = {
    "<token>": "'$CONNECTION_TOKEN'",
    "<contact>": "'$CONTACT_ID'",
    "<time>": "'$(date +%s)-$RANDOM'",
}


def _quoted(document: object) -> str:
    text = f"'{json.dumps(document)}'"
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    return text


def _export(variables: Mapping[str, str]) -> str:
    return " ".join(["export", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())])

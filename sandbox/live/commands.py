"""Commands to paste into any POSIX shell in another terminal.

One line sets the endpoints, and one sets the chat. The other commands refer to them, so that switching to
another chat takes one line. A ClientToken contains the time, so a repeated command is another message.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.contract import REQUEST_DETAIL_TYPE
from infra.producer import EventSource
from sandbox.emulator import ACCOUNT, REGION, SECRET_ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.local_stack import LocalStack
    from sandbox.participant_service.control import OpenChat


@dataclass(frozen=True, slots=True)
class Command:
    source: EventSource
    title: str
    text: str


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
    event = {
        "EventBusName": stack.outputs.event_bus_name,
        "Source": "my-backend",
        "DetailType": REQUEST_DETAIL_TYPE,
        "Detail": json.dumps(_request("Hello by the event bus", EventSource.EVENT)),
    }
    api = f"{_CURL} {stack.api_url}"

    def command(source: EventSource, title: str, text: str, content: object) -> Command:
        if isinstance(content, str):
            content = _request(content, source)
        return Command(source, title, text.format(outputs=stack.outputs, content=_quoted(content)))

    return [
        command(
            EventSource.QUEUE,
            "The queue",
            # Version 1 of the CLI ignores the endpoint in the environment for SQS
            'aws sqs send-message --endpoint-url "$AWS_ENDPOINT_URL" \\\n'
            "    --queue-url {outputs.message_queue_url} \\\n"
            '    --message-group-id "$CONTACT_ID" --message-deduplication-id "$(date +%s)-$RANDOM" \\\n'
            "    --message-body {content}",
            "Hello by the queue",
        ),
        command(EventSource.EVENT, "The event bus", "aws events put-events --entries {content}", [event]),
        command(
            EventSource.WORKFLOW,
            "The state machine",
            "aws stepfunctions start-execution --state-machine-arn {outputs.state_machine_arn} \\\n"
            "    --input {content}",
            "Hello by the state machine",
        ),
        command(
            EventSource.DIRECT,
            "The function",
            "echo {content} |\n"
            "    aws lambda invoke --function-name {outputs.function_alias_arn} \\\n"
            # Both versions of the CLI take bytes unchanged. Without the pipe the CLI would overwrite the
            # answer if the output goes to a file.
            "    --payload fileb:///dev/stdin /dev/stdout | cat",
            "Hello by the function",
        ),
        command(EventSource.API, "The HTTP API, to the queue", f"{api}/messages", "Hello by the API"),
        command(
            EventSource.API_SYNC,
            "The HTTP API, which waits for the outcome",
            f"{api}/messages/sync",
            "Hello by the API, waiting",
        ),
    ]


_CURL = (
    f"curl --silent --show-error --aws-sigv4 aws:amz:{REGION}:execute-api \\\n"
    f"    --user {ACCOUNT}:{SECRET_ACCESS_KEY} --header 'Content-Type: application/json' \\\n"
    "    --data {content} \\\n"
    "    --write-out ' %{{http_code}}\\n'"
)

# Placeholders in JSON, which the shell replaces by values that neither JSON nor a shell has to quote
_VARIABLES = {
    "<token>": "'$CONNECTION_TOKEN'",
    "<contact>": "'$CONTACT_ID'",
    "<time>": "'$(date +%s)-$RANDOM'",
}


def _request(content: str, name: str) -> dict[str, str]:
    return {
        "ConnectionToken": "<token>",
        "ContactId": "<contact>",
        "ContentType": "text/plain",
        "Content": content,
        "ClientToken": f"{name}-<time>",
    }


def _quoted(document: object) -> str:
    text = f"'{json.dumps(document)}'"
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    return text


def _export(variables: Mapping[str, str]) -> str:
    return " ".join(["export", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())])

"""Commands for another terminal, as they are to be pasted into any POSIX shell.

One line sets where AWS is and which chat is written to; the others refer to it, so that another chat takes
nothing but its own line. A ClientToken is made of the time: a command that is repeated is another message.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox.api_client import QUEUE_PATH, SYNCHRONOUS_PATH
from sandbox.emulator import ACCOUNT, REGION, SECRET_ACCESS_KEY
from sandbox.local_stack import REQUEST_DETAIL_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.local_stack import LocalStack, OpenChat


@dataclass(frozen=True, slots=True)
class Command:
    title: str
    text: str


def aws_environment(stack: LocalStack) -> str:
    """Write the line that turns the AWS CLI to the local stack."""
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
    """Write the line that makes a chat the one that is written to."""
    return _export({"CONTACT_ID": chat.contact_id, "CONNECTION_TOKEN": chat.connection_token})


def sending_commands(stack: LocalStack) -> list[Command]:
    """Write a command for each way in."""
    outputs = stack.outputs
    event = {
        "EventBusName": outputs.event_bus_name,
        "Source": "my-backend",
        "DetailType": REQUEST_DETAIL_TYPE,
        "Detail": json.dumps(_request("Hello by the bus", "event")),
    }
    return [
        Command(
            "The queue",
            # Version 1 of the CLI has an endpoint of its own for SQS, whatever the environment says
            'aws sqs send-message --endpoint-url "$AWS_ENDPOINT_URL" \\\n'
            f"    --queue-url {outputs.message_queue_url} \\\n"
            '    --message-group-id "$CONTACT_ID" --message-deduplication-id "$(date +%s)-$RANDOM" \\\n'
            f"    --message-body {_quoted(_request('Hello by the queue', 'queue'))}",
        ),
        Command("The event bus", f"aws events put-events --entries {_quoted([event])}"),
        Command(
            "The state machine",
            f"aws stepfunctions start-execution --state-machine-arn {outputs.state_machine_arn} \\\n"
            f"    --input {_quoted(_request('Hello by the state machine', 'workflow'))}",
        ),
        Command(
            "The function",
            f"echo {_quoted(_request('Hello by the function', 'direct'))} |\n"
            f"    aws lambda invoke --function-name {outputs.function_alias_arn} \\\n"
            # As bytes, which both versions of the CLI take as they are. Without the pipe the answer would be
            # written over if the output goes to a file.
            "    --payload fileb:///dev/stdin /dev/stdout | cat",
        ),
        Command("The HTTP API, to the queue", _post(stack, QUEUE_PATH, _request("Hello by the API", "api"))),
        Command(
            "The HTTP API, which waits for the outcome",
            _post(stack, SYNCHRONOUS_PATH, _request("Hello by the API, waiting", "api-sync")),
        ),
    ]


def _post(stack: LocalStack, path: str, request: Mapping[str, str]) -> str:
    return (
        f"curl --silent --show-error --aws-sigv4 aws:amz:{REGION}:execute-api \\\n"
        f"    --user {ACCOUNT}:{SECRET_ACCESS_KEY} --header 'Content-Type: application/json' \\\n"
        f"    --data {_quoted(request)} \\\n"
        f"    --write-out ' %{{http_code}}\\n' {stack.api.url}{path}"
    )


# Stand in a JSON text for what the shell is to put there, none of which JSON or a shell would have to quote
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


def _quoted(document: Any) -> str:  # noqa: ANN401  # JSON
    text = f"'{json.dumps(document)}'"
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    return text


def _export(variables: Mapping[str, str]) -> str:
    return " ".join(["export", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())])

"""Commands to paste into any POSIX shell in another terminal.

One line sets the endpoints, and one sets the chat. The other commands refer to them, so that switching to
another chat takes one line. A ClientToken contains the time, so a repeated command is another message.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from infra.contract import REQUEST_DETAIL_TYPE
from infra.producer import EventSource
from sandbox.emulator import ACCOUNT, REGION, SECRET_ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.local_stack import Addresses
    from sandbox.participant_service.control import OpenChat

_CONTENTS = {
    EventSource.QUEUE: "Hello by the queue",
    EventSource.EVENT: "Hello by the event bus",
    EventSource.WORKFLOW: "Hello by the state machine",
    EventSource.DIRECT: "Hello by the function",
    EventSource.API: "Hello by the API",
    EventSource.API_SYNC: "Hello by the API, waiting",
}

# Version 1 of the CLI ignores the endpoint in the environment for SQS. Both versions take the bytes of a
# payload unchanged. Without the pipe the CLI would overwrite the answer if the output goes to a file.
_COMMANDS = r"""# The queue
aws sqs send-message --endpoint-url "$AWS_ENDPOINT_URL" \
    --queue-url {outputs.message_queue_url} \
    --message-group-id "$CONTACT_ID" --message-deduplication-id "$(date +%s)-$RANDOM" \
    --message-body {requests[queue]}

# The event bus
aws events put-events --entries {entries}

# The state machine
aws stepfunctions start-execution --state-machine-arn {outputs.state_machine_arn} \
    --input {requests[workflow]}

# The function
echo {requests[direct]} |
    aws lambda invoke --function-name {outputs.function_alias_arn} \
    --payload fileb:///dev/stdin /dev/stdout | cat

# The REST API, to the queue
curl {curl_options} \
    --data {requests[api]} \
    --write-out ' %{{http_code}}\n' {api_url}/messages

# The REST API, which waits for the outcome
curl {curl_options} \
    --data {requests[api-sync]} \
    --write-out ' %{{http_code}}\n' {api_url}/messages/sync
"""
_CURL_OPTIONS = rf"""--silent --show-error --aws-sigv4 aws:amz:{REGION}:execute-api \
    --user {ACCOUNT}:{SECRET_ACCESS_KEY} --header 'Content-Type: application/json'"""

# Placeholders in JSON, which the shell replaces by values that neither JSON nor a shell has to quote
_VARIABLES = {
    "<token>": "'$CONNECTION_TOKEN'",
    "<contact>": "'$CONTACT_ID'",
    "<time>": "'$(date +%s)-$RANDOM'",
}


def aws_environment(stack: Addresses) -> str:
    """Return the line that points the AWS CLI to the local stack."""
    return _export(
        {
            "AWS_ENDPOINT_URL": stack.emulator.url,
            "AWS_ENDPOINT_URL_CONNECT": stack.participant.url,
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


def sending_commands(stack: Addresses) -> str:
    """Return a command for each event source."""
    requests = {
        source: {
            "ConnectionToken": "<token>",
            "ContactId": "<contact>",
            "ContentType": "text/plain",
            "Content": content,
            "ClientToken": f"{source}-<time>",
        }
        for source, content in _CONTENTS.items()
    }
    entry = {
        "EventBusName": stack.outputs.event_bus_name,
        "Source": "my-backend",
        "DetailType": REQUEST_DETAIL_TYPE,
        "Detail": json.dumps(requests[EventSource.EVENT]),
    }
    return _COMMANDS.format(
        outputs=stack.outputs,
        api_url=stack.api_url,
        curl_options=_CURL_OPTIONS,
        requests={str(source): _quoted(request) for source, request in requests.items()},
        entries=_quoted([entry]),
    )


def _quoted(document: object) -> str:
    text = f"'{json.dumps(document)}'"
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    return text


def _export(variables: Mapping[str, str]) -> str:
    return " ".join(["export", *(f"{name}={shlex.quote(value)}" for name, value in variables.items())])

"""The supported operations: their paths, and the rules for a request body as JSON Schemas.

Source: botocore's models `connectparticipant` of 2018-09-07 and `connect` of 2017-08-08. Rules about bytes
and about a chat's state are in `chats`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import fastjsonschema

from sandbox.participant_service.chats import TEXT_PLAIN
from sandbox.participant_service.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_STRING: Mapping[str, object] = {"type": "string"}
_CLIENT_TOKEN = {"type": "string", "maxLength": 500}


class Operation(NamedTuple):
    name: str
    check: Callable[[object], dict[str, Any]]

    def read(self, body: bytes) -> dict[str, Any]:
        """Read a request body. The error names the member and the rule that it breaks, never a value.

        A null counts as absent, as in AWS's JSON protocols. An empty body is an object without members.

        Raises:
            ServiceError: The body is not valid JSON, or breaks a rule.
        """
        try:
            return self.check(json.loads(body or b"{}", object_pairs_hook=without_nulls))
        except fastjsonschema.JsonSchemaValueException as error:
            text = error.message.removeprefix("data")
            raise invalid(text[1:] if text.startswith(".") else f"The request body{text}") from None
        except ValueError:
            raise invalid("The request body is not valid JSON") from None


def without_nulls(members: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in members if value is not None}


def _name(max_length: int) -> Mapping[str, object]:
    return {"type": "string", "minLength": 1, "maxLength": max_length}


def _object(required: str = "", **members: object) -> dict[str, object]:
    return {"type": "object", "required": required.split(), "properties": members}


_STREAMING = _object("StreamingEndpointArn", StreamingEndpointArn=_name(350))


def _operation(name: str, required: str = "", **members: object) -> Operation:
    return Operation(name, fastjsonschema.compile(_object(required, **members), use_default=False))


OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("POST", "/participant/connection"): _operation(
        "CreateParticipantConnection",
        # WEBRTC_CONNECTION is for calls
        Type={"type": "array", "items": {"enum": ["WEBSOCKET", "CONNECTION_CREDENTIALS"]}},
        ConnectParticipant={"type": "boolean"},
    ),
    ("POST", "/participant/disconnect"): _operation("DisconnectParticipant"),
    ("POST", "/participant/transcript"): _operation(
        "GetTranscript",
        ContactId=_STRING,
        MaxResults={"type": "integer", "minimum": 0, "maximum": 100},
        NextToken=_STRING,
        ScanDirection={"enum": ["FORWARD", "BACKWARD"]},
        SortOrder={"enum": ["ASCENDING", "DESCENDING"]},
        StartPosition=_object(Id=_STRING, AbsoluteTime=_STRING, MostRecent={"type": "integer"}),
    ),
    ("POST", "/participant/message"): _operation(
        "SendMessage",
        "ContentType Content",
        ContentType=_STRING,
        Content=_STRING,
        ClientToken=_CLIENT_TOKEN,
    ),
    ("PUT", "/contact/chat"): _operation(
        "StartChatContact",
        "InstanceId ContactFlowId ParticipantDetails",
        InstanceId=_name(100),
        ContactFlowId=_name(500),
        ParticipantDetails=_object("DisplayName", DisplayName=_name(256)),
        ChatStreamingConfiguration=_STREAMING,
        ConnectionTypes={
            "type": "array",
            "minItems": 1,
            "maxItems": 2,
            "items": {
                "enum": ["WEBSOCKET", "CONNECTION_CREDENTIALS", "AUTHENTICATION_SESSION", "WEBRTC_CONNECTION"]
            },
        },
        ChatDurationInMinutes={"type": "integer", "minimum": 60, "maximum": 7 * 24 * 60},
        InitialMessage=_object("ContentType Content", ContentType=_STRING, Content=_STRING),
        SupportedMessagingContentTypes={"type": "array", "items": _STRING, "contains": {"const": TEXT_PLAIN}},
        ClientToken=_CLIENT_TOKEN,
    ),
    ("POST", "/contact/start-streaming"): _operation(
        "StartContactStreaming",
        "InstanceId ContactId ChatStreamingConfiguration ClientToken",
        InstanceId=_name(100),
        ContactId=_name(256),
        ChatStreamingConfiguration=_STREAMING,
        ClientToken=_CLIENT_TOKEN,
    ),
    ("POST", "/contact/stop-streaming"): _operation(
        "StopContactStreaming",
        "InstanceId ContactId StreamingId",
        InstanceId=_name(100),
        ContactId=_name(256),
        StreamingId=_name(100),
    ),
    ("POST", "/contact/stop"): _operation(
        "StopContact", "InstanceId ContactId", InstanceId=_name(100), ContactId=_name(256)
    ),
}
"""By method and path. Others get an UnknownOperationException."""

"""A client of boto3 in front of a model, for code that calls AWS by boto3's methods."""

from __future__ import annotations

import json
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from sandbox.participant_service.faults import Ending
from tests.simulation.models.aws import NO_ANSWER_SECONDS
from tests.simulation.models.network import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.network import Service

_CALL_SECONDS: Final = 0.02


class BotoClient:
    """A boto3 client for one of the models. It has every method, by boto3's name for the operation."""

    def __init__(self, service: Service, time: VirtualTime) -> None:
        self._service = service
        self._time = time

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        return partial(self._call, name.title().replace("_", ""))

    def _call(self, operation: str, /, **parameters: object) -> dict[str, Any]:
        self._time.sleep(_CALL_SECONDS)
        headers = {"x-amz-target": f"Service.{operation}"}
        answer = self._service(Request("POST", "/", headers, json.dumps(parameters).encode()))
        if answer.ending is Ending.RESET:
            raise ConnectionClosedError(endpoint_url="https://aws")
        if answer.latency >= NO_ANSWER_SECONDS:
            self._time.sleep(NO_ANSWER_SECONDS)
            raise ReadTimeoutError(endpoint_url="https://aws")
        document: dict[str, Any] = json.loads(answer.body)
        if answer.status != HTTPStatus.OK:
            error: Any = {
                "Error": {"Code": document["__type"].rpartition("#")[2], "Message": ""},
                "ResponseMetadata": {"HTTPStatusCode": answer.status},
            }
            raise ClientError(error, operation)
        return document

"""A client of the HTTP API, which signs its requests as any would for a route with IAM authorization."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.emulator import ACCOUNT, REGION, SECRET_ACCESS_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.emulator import Emulator

QUEUE_PATH = "/messages"
SYNCHRONOUS_PATH = "/messages/sync"

_TIMEOUT = 35.0  # API Gateway answers within 29 seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    status: int
    payload: Mapping[str, Any]

    @property
    def is_refusal(self) -> bool:
        """Whether the API said no by itself: neither the queue nor the function has the message.

        The function's own errors name the ClientToken, without which no request gets to it.
        """
        return self.status >= HTTPStatus.BAD_REQUEST and self.payload.get("ClientToken") is None


class ApiClient:
    """Posts to the API where the emulator has it.

    Args:
        url: the API's on AWS, as the stack's output has it.
    """

    def __init__(self, emulator: Emulator, url: str) -> None:
        self.url = _local_url(emulator, url)
        self._http = urllib3.PoolManager(retries=False, timeout=_TIMEOUT)
        self._signer = SigV4Auth(Credentials(ACCOUNT, SECRET_ACCESS_KEY), "execute-api", REGION)

    def post(
        self, path: str, body: str, *, content_type: str = "application/json", signed: bool = True
    ) -> HttpAnswer:
        request = AWSRequest("POST", self.url + path, {"Content-Type": content_type}, body.encode())
        if signed:
            self._signer.add_auth(request)
        answer = self._http.request("POST", request.url, body=request.data, headers=dict(request.headers))
        return HttpAnswer(status=answer.status, payload=answer.json())


def _local_url(emulator: Emulator, url: str) -> str:
    """Rewrite `https://<id>.execute-api.<region>.amazonaws.com/<stage>/`: no name has to be resolved."""
    on_aws = urlsplit(url)
    api_id = on_aws.netloc.partition(".")[0]
    return f"{emulator.url}/restapis/{api_id}{on_aws.path.rstrip('/')}/_user_request_"

"""Signatures that botocore makes, to compare the function's with."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest.mock import patch

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from message_sender.aws.credentials import Credentials


def botocore_authorization(
    headers: Mapping[str, str],
    body: bytes,
    *,
    url: str,
    region: str,
    service: str,
    credentials: Credentials,
    now: datetime,
) -> str:
    """Return the `Authorization` header of a POST request.

    Args:
        headers: All of them are signed. botocore adds `Host`, the time and the session token.
    """
    request = AWSRequest("POST", url, data=body, headers=headers)
    with patch("botocore.auth.get_current_datetime", return_value=now):
        SigV4Auth(ReadOnlyCredentials(*credentials), service, region).add_auth(request)
    return str(request.headers["Authorization"])

"""Signature Version 4 for the requests of `client.py`: POST, a body, no query.

Importing botocore's signer would cost a tenth of a cold start (docs/decisions/016-aws-client.md). Tested with
the vectors that AWS publishes, and against botocore with any request. Source: IAM user guide, "Create a
signed AWS API request".
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from message_sender.aws.credentials import Credentials

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


def signed(
    headers: Mapping[str, str],
    body: bytes,
    *,
    path: str,
    region: str,
    service: str,
    credentials: Credentials,
    now: datetime,
) -> dict[str, str]:
    """Return the headers with the signature, the time and the session token added. All of them are signed.

    Args:
        headers: With `Host` among them. A value must hold no line break.
        path: Of the URL, as it is sent: one that `is_safe_url` accepts.
        service: As signatures name it: `dynamodb`, `events`, `kms`, `sqs`, `states`.
        now: In UTC.
    """
    time = f"{now:%Y%m%dT%H%M%SZ}"
    headers = {**headers, "X-Amz-Date": time}
    if credentials.token is not None:
        headers["X-Amz-Security-Token"] = credentials.token
    lines = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    names = ";".join(name for name, _ in lines)
    request = "\n".join(
        (
            *("POST", quote(path), ""),
            *(f"{name}:{value}" for name, value in lines),
            *("", names, sha256(body).hexdigest()),
        )
    )
    scope = f"{now:%Y%m%d}/{region}/{service}/aws4_request"
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = f"{_ALGORITHM}\n{time}\n{scope}\n{sha256(request.encode()).hexdigest()}"
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return {
        **headers,
        "Authorization": f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}",
    }

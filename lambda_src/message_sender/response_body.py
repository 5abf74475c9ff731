"""The bodies of HTTP answers, read within bounds: no answer may hold up an invocation or fill its memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable

    from urllib3 import BaseHTTPResponse

_LARGEST_BODY: Final = 65_536
"""Bytes. The largest answer that any service gives to this function is well below ten thousand."""
_MOST_READS: Final = 1_000


def read_body(
    response: BaseHTTPResponse, *, deadline: float, monotonic: Callable[[], float] = time.monotonic
) -> bytes | None:
    """Read a body and give the connection back. None if it is too large or does not end in time.

    Make the request with `preload_content=False` and `decode_content=False`: a compressed body could decode
    to any size, or to nothing for any time.

    Args:
        deadline: In seconds of the clock.
        monotonic: Returns seconds that never run backwards.

    Raises:
        HTTPError: The connection broke. It is closed.
    """
    data = bytearray()
    try:
        for _ in range(_MOST_READS):
            piece = response.read1(_LARGEST_BODY)
            if not piece:
                response.release_conn()
                return bytes(data)
            data += piece
            if len(data) > _LARGEST_BODY or monotonic() > deadline:
                break
    except HTTPError:
        response.close()
        raise
    response.close()
    return None

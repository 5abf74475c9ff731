"""Bodies of HTTP responses, read within bounds: no response may stall an invocation or fill its memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from collections.abc import Callable

    from urllib3 import BaseHTTPResponse

_MAX_BODY: Final = 65_536
"""Bytes. The services answer this function with well below ten thousand."""
_MAX_READS: Final = 1_000


def read_body(
    response: BaseHTTPResponse, *, deadline: float, monotonic: Callable[[], float] = time.monotonic
) -> bytes | None:
    """Read a body and return the connection to its pool. Return None if it is too large or too slow.

    Make the request with `preload_content=False` and `decode_content=False`: a compressed body could decode
    to any size, or to nothing for any time.

    Args:
        deadline: A moment of `monotonic`, in seconds.

    Raises:
        HTTPError: The connection broke. It is closed.
    """
    data = bytearray()
    try:
        for _ in range(_MAX_READS):
            piece = response.read1(_MAX_BODY)
            if not piece:
                response.release_conn()
                return bytes(data)
            data += piece
            if len(data) > _MAX_BODY or monotonic() > deadline:
                break
            if response.closed:  # at the end of a body of known length
                response.release_conn()
                return bytes(data)
    except HTTPError:
        response.close()
        raise
    response.close()
    return None

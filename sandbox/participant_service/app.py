"""The ASGI application: routes and rendering. What is answered is decided in `api`."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Route

from sandbox.participant_service.api import OPERATION_PATHS, Answer, Ending, json_answer
from sandbox.participant_service.connect_calls import ConnectCalls
from sandbox.participant_service.control_calls import PREFIX, ControlCalls
from sandbox.participant_service.errors import ServiceError, UnknownOperationError
from sandbox.participant_service.members import Members

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from sandbox.participant_service.api import ParticipantApi
    from sandbox.participant_service.connect_calls import ConnectCall
    from sandbox.participant_service.control_calls import ControlCall

    Endpoint = Callable[[Request], Awaitable[Response]]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def participant_app(api: ParticipantApi) -> Starlette:
    """Wire the API into an application; `server` runs it, on connections that can be cut."""
    operations = [
        Route(path, _operation(api, operation), methods=["POST"])
        for operation, path in OPERATION_PATHS.items()
    ]
    connect = [
        Route(path, _connect_call(api, call), methods=[method])
        for (method, path), call in ConnectCalls(api.service).routes.items()
    ]
    control = [
        Route(PREFIX + path, _control_call(api, call), methods=[method])
        for (method, path), call in ControlCalls(api).routes.items()
    ]

    async def unknown_operation(_request: Request, _error: Exception) -> Response:
        here = ", ".join(OPERATION_PATHS)
        return AnswerResponse(api.error(UnknownOperationError(f"This local service has {here}")))

    async def nobody_to_answer(_request: Request, _error: Exception) -> Response:
        return Response()

    return Starlette(
        routes=[*operations, *connect, *control],
        exception_handlers={
            404: unknown_operation,
            405: unknown_operation,
            ClientDisconnect: nobody_to_answer,
        },
    )


def _operation(api: ParticipantApi, operation: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        bearer = request.headers.get("x-amz-bearer")
        return AnswerResponse(api.call(operation, bearer=bearer, body=await request.body()))

    return endpoint


def _connect_call(api: ParticipantApi, call: ConnectCall) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return _document(api, call, await request.body())

    return endpoint


def _control_call(api: ParticipantApi, call: ControlCall) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return _document(api, lambda members: call(members, request.path_params), await request.body())

    return endpoint


def _document(api: ParticipantApi, call: ConnectCall, body: bytes) -> Response:
    try:
        document = call(Members.parse(body))
    except ServiceError as error:
        return AnswerResponse(api.error(error))
    return AnswerResponse(json_answer(document))


class AnswerResponse(Response):
    """Sends an answer, or as much of it as its ending allows."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body, status_code=answer.status, headers=answer.headers)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._answer.latency and await _connection_lost(receive, within=self._answer.latency):
            return
        transport: asyncio.Transport = scope["state"]["transport"]
        match self._answer.ending:
            case Ending.KEPT_OPEN:
                await super().__call__(scope, receive, send)
            case Ending.BODY_CUT_SHORT:
                half = self.body[: len(self.body) // 2]
                await send(
                    {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
                )
                await send({"type": "http.response.body", "body": half, "more_body": True})
                transport.close()
            case Ending.CLOSED:
                transport.close()
            case Ending.RESET:
                connection: socket.socket = transport.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                transport.abort()
        if self._answer.ending is not Ending.KEPT_OPEN:
            # Once uvicorn has seen the connection go, it does not miss the rest of the answer.
            await _connection_lost(receive)


async def _connection_lost(receive: Receive, *, within: float | None = None) -> bool:
    """Wait until the connection is gone, or for so many seconds, and say whether it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while (await receive())["type"] != "http.disconnect":
                pass
            return True
    return False

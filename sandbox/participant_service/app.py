"""The ASGI application: routes and rendering. `api` decides the answers."""

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

from sandbox.participant_service.api import OPERATION_PATHS, Answer, Ending
from sandbox.participant_service.connect_calls import connect_call, start_chat_contact, stop_contact
from sandbox.participant_service.control_calls import PREFIX, control_calls
from sandbox.participant_service.errors import UnknownOperationError
from sandbox.participant_service.members import Members

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from sandbox.participant_service.api import ParticipantApi
    from sandbox.participant_service.control_calls import Call

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def participant_app(api: ParticipantApi) -> Starlette:
    """Build the application. `server` runs it on connections that it can cut."""

    def operation(name: str, path: str) -> Route:
        async def endpoint(request: Request) -> Response:
            bearer = request.headers.get("x-amz-bearer")
            return AnswerResponse(api.call(name, bearer=bearer, body=await request.body()))

        return Route(path, endpoint, methods=["POST"])

    def route(method: str, path: str, call: Call) -> Route:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            return AnswerResponse(api.answer(lambda: call(Members.parse(body, request.path_params))))

        return Route(path, endpoint, methods=[method])

    async def unknown_operation(_request: Request, _error: Exception) -> Response:
        error = UnknownOperationError(f"This local service has {', '.join(OPERATION_PATHS)}")
        return AnswerResponse(api.error(error))

    async def client_disconnected(_request: Request, _error: Exception) -> Response:
        return Response()

    return Starlette(
        routes=[
            *(operation(name, path) for name, path in OPERATION_PATHS.items()),
            route("PUT", "/contact/chat", connect_call(start_chat_contact, api.service)),
            route("POST", "/contact/stop", connect_call(stop_contact, api.service)),
            *(route(method, PREFIX + path, call) for (method, path), call in control_calls(api).items()),
        ],
        exception_handlers={
            404: unknown_operation,
            405: unknown_operation,
            ClientDisconnect: client_disconnected,
        },
    )


class AnswerResponse(Response):
    """Sends an answer, or the part of it that its ending allows."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body, status_code=answer.status, headers=answer.headers)
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._answer.latency and await _connection_lost(receive, seconds=self._answer.latency):
            return
        transport: asyncio.Transport = scope["state"]["transport"]
        match self._answer.ending:
            case Ending.KEPT_OPEN:
                await super().__call__(scope, receive, send)
                return
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
        # After the disconnect, uvicorn does not report the incomplete answer as an error
        await _connection_lost(receive)


async def _connection_lost(receive: Receive, *, seconds: float | None = None) -> bool:
    """Wait until the connection is lost, at most for some seconds, and return whether it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
            return True
    return False

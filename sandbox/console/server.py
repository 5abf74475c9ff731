"""Serves the console on loopback, to whoever has the address.

Any web page can send requests to a server on this machine. So the address contains a token, a request must
name this host and come from this origin, and a policy keeps the page from running or loading anything else.
Texts are data for the page and never become markup.
"""

from __future__ import annotations

import secrets
import socket
import threading
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import urllib3
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from infra.producer import EventSource
from sandbox.console.console import TIME_LAPSE, Console, RefusedError
from sandbox.console.faults import DESCRIPTIONS
from sandbox.console.plain_loop import VARIANTS
from sandbox.console.scenarios import SCENARIOS, Runner
from sandbox.participant_service.chats import CONTENT_TYPES
from sandbox.participant_service.control import ControlCallError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sandbox.local_stack import LocalStack

_PAGE = Path(__file__).with_name("page")
_ADDRESS_FILE = "console.url"
_MAX_BODY = 100_000
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # the address contains the token
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@contextmanager
def running_console(
    stack: LocalStack,
    *,
    folder: Path,
    port: int = 0,
    on_line: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> Iterator[tuple[Console, str]]:
    """Serve until the block ends. Yield the console, and the address to open.

    Args:
        folder: Of the local stack. For you only, a file in it has the address: see `switch_fault`.
        port: 0 takes a free one.
        on_line: Gets every line of the function's log.

    Raises:
        OSError: The port is taken.
    """
    console = Console(stack, folder=folder, on_line=on_line)
    runner = Runner(console)
    token = secrets.token_urlsafe(16)
    with socket.create_server(("127.0.0.1", port)) as listener:
        number = listener.getsockname()[1]
        app = Guard(
            make_app(console, runner, token=token), hosts={f"127.0.0.1:{number}", f"localhost:{number}"}
        )
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="console-server")
        console.start()
        thread.start()
        url = f"http://127.0.0.1:{number}/{token}/"
        address = folder / _ADDRESS_FILE
        address.touch(mode=0o600)
        address.write_text(url, encoding="utf-8")
        try:
            yield console, url
        finally:
            server.should_exit = server.force_exit = True
            thread.join()
            runner.close()
            console.stop()


KINDS = {
    **DESCRIPTIONS,
    "kill": "Kill the function, once",
    "off": "Switch all faults off",
}
"""What `switch_fault` does, with a description."""


def switch_fault(kind: str, *, folder: Path) -> None:
    """Switch a fault on, or do what else is in `KINDS`, in the console that runs with this folder.

    Raises:
        FileNotFoundError: There is none.
        RefusedError: It cannot be done.
    """
    url = (folder / _ADDRESS_FILE).read_text(encoding="utf-8")
    switches = {kind: True} if kind != "off" else dict.fromkeys(DESCRIPTIONS, False)
    requests = (
        [("kill", {})]
        if kind == "kill"
        else [("switch", {"name": name, "on": is_on}) for name, is_on in switches.items()]
    )
    for action, arguments in requests:
        answer = urllib3.request("POST", f"{url}do/{action}", json=arguments, retries=False, timeout=10.0)
        if answer.status != HTTPStatus.OK:
            raise RefusedError(answer.json()["problem"])


class Guard:
    """Refuses requests for another host or from another origin, and adds headers to every response."""

    def __init__(self, app: ASGIApp, *, hosts: set[str]) -> None:
        self._app = app
        self._hosts = {host.encode() for host in hosts}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = dict(scope["headers"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
                replaced = {name for name, _ in own}
                kept = [pair for pair in message.get("headers", []) if pair[0] not in replaced]
                message = {**message, "headers": kept + own}
            await send(message)

        origin = headers.get(b"origin")
        if headers.get(b"host") not in self._hosts or (origin is not None and origin not in self._origins):
            refusal = Response("This console answers only its own address", HTTPStatus.FORBIDDEN)
            await refusal(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def make_app(console: Console, runner: Runner, *, token: str) -> Starlette:
    """Return the application. All of its paths begin with the token."""
    actions = Actions(console, runner)

    async def act(request: Request) -> Response:
        if request.headers.get("content-type") != "application/json":
            raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        body = await request.body()
        if len(body) > _MAX_BODY:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        action = actions.by_name.get(request.path_params["action"])
        if action is None:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        arguments = await request.json()
        try:
            answer = await run_in_threadpool(action, **arguments)
        except (RefusedError, ControlCallError) as error:
            return JSONResponse({"problem": str(error)}, HTTPStatus.CONFLICT)
        except (KeyError, TypeError, ValueError):
            return JSONResponse({"problem": "The request is not valid"}, HTTPStatus.BAD_REQUEST)
        return JSONResponse(answer)

    async def events(_: Request) -> Response:
        return StreamingResponse(console.board.events(), media_type="text/event-stream")

    routes = [
        Route("/events", events),
        Route("/do/{action}", act, methods=["POST"]),
        Mount("/", StaticFiles(directory=_PAGE, html=True)),
    ]
    return Starlette(routes=[Mount(f"/{token}", routes=routes)])


class Actions:
    """What the page may ask for. The members of a request's body are the arguments."""

    def __init__(self, console: Console, runner: Runner) -> None:
        self._console = console
        self._runner = runner
        self.by_name: dict[str, Callable[..., Any]] = {
            "introduce": self.introduce,
            "open_chat": self.open_chat,
            "end_chat": lambda chat: console.end_chat(contact_id=chat),
            "expire_token": lambda chat: console.expire_token(console.chat(chat)),
            "send": self.send,
            "switch": lambda name, on: console.faults.switch(name, on=on is True),
            "kill": console.kill,
            "scenario": lambda name, variant: runner.start(name, variant=variant),
            "stop": runner.stop,
            "redrive": self.redrive,
        }

    def introduce(self) -> dict[str, Any]:
        """Return what never changes."""
        return {
            "sources": [str(source) for source in self._console.stack.producer.offered],
            "content_types": CONTENT_TYPES,
            "time_lapse": TIME_LAPSE,
            "variants": VARIANTS,
            "switches": DESCRIPTIONS,
            "scenarios": {
                name: {"title": each.title, "text": each.text, "compares": each.compares}
                for name, each in SCENARIOS.items()
            },
        }

    def open_chat(self) -> str:
        return self._console.open_chat().opened.contact_id

    def send(self, *, chat: str, text: str, content_type: str, source: str) -> str:
        chosen = self._console.chat(chat)
        return self._console.send(chosen, text=text, content_type=content_type, source=EventSource(source))

    def redrive(self, *, queue: str, code: str | None, apply: bool) -> list[dict[str, Any]]:
        return self._console.redrive(queue, code=code, apply=apply is True)

"""The console's server: who may use it, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.console.conftest import RunningConsole

pytestmark = pytest.mark.timeout(600)


def test_page_may_load_and_run_only_its_own_files(console: RunningConsole) -> None:
    response = console.http.request("GET", console.url)

    policy = dict(
        part.strip().split(" ", 1) for part in response.headers["content-security-policy"].split(";")
    )
    assert response.status == 200
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1", "127.0.0.1.example.com"])
def test_request_under_another_name_is_refused(console: RunningConsole, host: str) -> None:
    response = console.http.request("GET", console.url, headers={"host": host})

    assert response.status == 403


@pytest.mark.parametrize("origin", ["http://example.com", "null", "https://127.0.0.1"])
def test_request_of_another_page_is_refused(console: RunningConsole, origin: str) -> None:
    response = console.post("kill", {}, origin=origin)

    assert response.status == 403


def test_form_of_another_page_is_refused(console: RunningConsole) -> None:
    response = console.post("kill", {}, content_type="text/plain")

    assert response.status == 415


def test_address_without_the_token_is_not_found(console: RunningConsole) -> None:
    parts = urlsplit(console.url)

    for path in ("/", "/index.html", "/events", f"/{parts.path[1:-2]}/"):
        assert console.http.request("GET", f"{parts.scheme}://{parts.netloc}{path}").status == 404


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [
        ("unknown", {}, 404),
        ("send", {"chat": "nobody"}, 400),
        ("send", {"chat": "nobody", "text": "t", "content_type": "text/plain", "source": "pigeon"}, 409),
        ("scenario", {"name": "unknown", "variant": None}, 400),
        ("kill", [], 400),
        ("redrive", {"queue": "unknown", "code": None, "apply": False}, 400),
        ("open_chat", {"padding": "x" * 200_000}, 413),
    ],
)
def test_request_that_is_not_valid_is_refused(
    console: RunningConsole, action: str, body: object, status: int
) -> None:
    assert console.post(action, body).status == status


def test_refused_message_says_why_without_its_text(console: RunningConsole) -> None:
    chat = console.ask("open_chat")

    response = console.post(
        "send", {"chat": chat, "text": "secret" * 1000, "content_type": "text/plain", "source": "queue"}
    )

    assert response.status == 409
    assert "longer than" in response.json()["problem"]
    assert "secret" not in response.json()["problem"]


def test_switch_breaks_the_stack_until_it_is_off(console: RunningConsole) -> None:
    chat = console.ask("open_chat")
    message = {"chat": chat, "text": "t", "content_type": "text/plain", "source": "api-sync"}

    console.ask("switch", name="outage", on=True)
    refused = console.post("send", message)
    console.ask("switch", name="outage", on=False)

    assert "ServiceUnavailable" in refused.json()["problem"]
    console.ask("send", **message)


def test_ended_chat_and_expired_token_reject_messages(console: RunningConsole) -> None:
    for action in ("end_chat", "expire_token"):
        chat = console.ask("open_chat")
        console.ask(action, chat=chat)

        refused = console.post(
            "send", {"chat": chat, "text": "t", "content_type": "text/plain", "source": "direct"}
        )

        assert "AccessDenied" in refused.json()["problem"]


def test_only_one_scenario_runs_at_a_time(console: RunningConsole) -> None:
    console.ask("scenario", name="throttle", variant=None)

    second = console.post("scenario", {"name": "outage", "variant": None})
    console.ask("stop")

    assert (second.status, second.json()["problem"]) == (409, "A scenario is running. Stop it first")

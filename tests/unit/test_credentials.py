"""The function's credentials from the container endpoint: refreshes, threads and safe addresses."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Event, get_ident
from typing import TYPE_CHECKING, Any

import pytest
from urllib3.exceptions import HTTPError

from message_sender.aws.credentials import Credentials, EnvironmentCredentials
from message_sender.errors import AwsCallError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

START = datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0
FULL_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
URI = {FULL_URI: "http://127.0.0.1:9001/credentials"}
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"


def answer(**fields: object) -> bytes:
    keys = {"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": "2026-11-27T13:00:00Z"}
    return json.dumps(keys | fields).encode()


@dataclass
class Endpoint:
    """A container endpoint in place of urllib3's pools.

    Attributes:
        asked: Set when a request has arrived.
        may_answer: Requests wait while it is cleared.
    """

    status: int = 200
    data: bytes = field(default_factory=answer)
    failure: Exception | None = None
    requests: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    asked: Event = field(default_factory=Event)
    may_answer: Event = field(default_factory=Event)
    _unread: bytes = b""

    def __post_init__(self) -> None:
        self.may_answer.set()

    def request(self, _: str, url: str, *, headers: Mapping[str, str], **__: object) -> Endpoint:
        self.requests.append((url, headers))
        self.asked.set()
        assert self.may_answer.wait(timeout=30)
        if self.failure is not None:
            raise self.failure
        self._unread = self.data
        return self

    def read1(self, size: int) -> bytes:
        piece, self._unread = self._unread[:size], self._unread[size:]
        return piece

    @property
    def closed(self) -> bool:
        return not self._unread

    def release_conn(self) -> None:
        """Accept the end of an answer."""

    def close(self) -> None:
        """Accept that the caller does not read the rest of an answer."""


class World:
    """Credentials, their endpoint, and a clock that the test sets."""

    def __init__(self, **environ: str) -> None:
        self.endpoint = Endpoint()
        self.time = START
        self.clock_reads: SimpleQueue[int] = SimpleQueue()
        pools: Any = self.endpoint
        self.credentials = EnvironmentCredentials(environ=URI | environ, pools=pools, now=self._now)

    def _now(self) -> float:
        self.clock_reads.put(get_ident())
        return self.time


OLD, NEW = Credentials("a", "b", "c"), Credentials("a", "b", "new")


def test_one_thread_refreshes_while_the_others_use_valid_credentials() -> None:
    world = World()
    world.credentials()
    world.time += HOUR - 299
    world.endpoint.data = answer(Token="new", Expiration="2026-11-27T19:00:00Z")
    world.endpoint.asked.clear()
    world.endpoint.may_answer.clear()

    with ThreadPoolExecutor(11) as threads:
        refreshed = threads.submit(world.credentials)
        assert world.endpoint.asked.wait(timeout=30)
        others = [threads.submit(world.credentials) for _ in range(10)]
        try:
            meanwhile = [other.result(timeout=10) for other in others]
        finally:
            world.endpoint.may_answer.set()

    assert meanwhile == [OLD] * 10
    assert refreshed.result() == NEW
    assert len(world.endpoint.requests) == 2
    assert world.credentials() == NEW


@pytest.mark.parametrize("expired", [False, True], ids=["no credentials", "expired credentials"])
@pytest.mark.parametrize("status", [200, 500])
def test_threads_without_valid_credentials_share_one_refresh_and_its_result(
    status: int, expired: bool
) -> None:
    world = World()
    if expired:
        world.credentials()
        world.time += HOUR
    world.endpoint.requests.clear()
    world.endpoint.status = status
    world.endpoint.data = answer(Token="new", Expiration="2026-11-27T19:00:00Z")
    world.endpoint.may_answer.clear()
    world.clock_reads = SimpleQueue()

    with ThreadPoolExecutor(10) as threads:
        calls = [threads.submit(world.credentials) for _ in range(10)]
        readers = {world.clock_reads.get(timeout=30) for _ in calls}
        world.endpoint.may_answer.set()

    assert len(readers) == 10
    assert len(world.endpoint.requests) == 1
    if status == 200:
        assert [call.result() for call in calls] == [NEW] * 10
    else:
        errors = [call.exception() for call in calls]
        assert [str(error) for error in errors] == ["GetCredentials failed: NoCredentials (500)"] * 10
        assert len({id(error) for error in errors}) == 10


@pytest.mark.parametrize("failure", [None, HTTPError("set by the test")])
def test_a_failed_refresh_is_retried_after_ten_seconds_while_credentials_are_valid(
    failure: HTTPError | None,
) -> None:
    world = World()
    world.credentials()
    world.endpoint.status, world.endpoint.failure = 500, failure

    for seconds, requests in [(299, 2), (298, 2), (289.5, 2), (289, 3), (288, 3), (279, 4), (275, 4)]:
        world.time = START + HOUR - seconds
        assert world.credentials() == OLD
        assert len(world.endpoint.requests) == requests


def test_expired_credentials_are_refreshed_at_once_after_a_failure() -> None:
    world = World()
    world.credentials()
    world.endpoint.status = 500
    world.time = START + HOUR - 1
    world.credentials()
    world.time = START + HOUR

    for requests in (3, 4):
        with pytest.raises(AwsCallError, match="GetCredentials failed: NoCredentials"):
            world.credentials()
        assert len(world.endpoint.requests) == requests
    world.endpoint.status, world.endpoint.data = 200, answer(Expiration="2026-11-27T19:00:00Z")
    assert world.credentials() == OLD


def test_credentials_that_expire_during_a_failed_refresh_are_not_used() -> None:
    world = World()
    world.credentials()
    world.time = START + HOUR - 1
    world.endpoint.status = 500
    world.endpoint.asked.clear()
    world.endpoint.may_answer.clear()

    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(world.credentials)
        assert world.endpoint.asked.wait(timeout=30)
        world.time = START + HOUR
        world.endpoint.may_answer.set()

    with pytest.raises(AwsCallError):
        call.result()


def test_a_defect_in_one_refresh_does_not_block_the_next() -> None:
    world = World()
    world.endpoint.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        world.credentials()
    world.endpoint.failure = None

    assert world.credentials() == OLD


@pytest.mark.parametrize(
    "expiration",
    [
        *("2026-11-27T13:00:00Z", "2026-11-27T15:00:00+02:00"),
        *("2026-11-27T13:00:00", "2026-11-27 13:00:00.000"),  # without an offset: UTC
    ],
)
def test_an_expiration_may_have_any_offset_or_none(expiration: str) -> None:
    world = World()
    world.endpoint.data = answer(Expiration=expiration)
    world.credentials()
    world.endpoint.status = 500
    world.time = START + HOUR - 0.1

    assert world.credentials() == OLD
    world.time = START + HOUR
    with pytest.raises(AwsCallError):
        world.credentials()


@pytest.mark.parametrize("offset", ["", "Z", "+14:00", "-14:00", "+23:59", "-23:59"])
@pytest.mark.parametrize(
    ("expiration", "requests"), [("0001-01-01T00:00:00", 3), ("9999-12-31T23:59:59.999999", 1)]
)
def test_later_calls_succeed_after_an_extreme_expiration(expiration: str, requests: int, offset: str) -> None:
    world = World()
    world.endpoint.data = answer(Expiration=expiration + offset)

    assert [world.credentials() for _ in range(3)] == [OLD] * 3

    assert len(world.endpoint.requests) == requests


INVALID_TEXTS = [
    "",
    " ",
    "a b",
    "a\n",
    "a\r\nX: y",
    "a\x00",
    "ä",
    "\u2028",
    "\ud800",
    None,
    1,
    True,
    ["a"],
    {"a": "b"},
]


@pytest.mark.parametrize(
    "data",
    [
        *(
            answer(**{name: text})
            for name in ("AccessKeyId", "SecretAccessKey", "Token")
            for text in INVALID_TEXTS
        ),
        *(answer(Expiration=value) for value in ("", "tomorrow", None, 1, "2026-13-01T00:00:00Z", ["2026"])),
        *(b"", b"null", b"[]", b'""', b"1", b"{", b"\xff", b"[" * 100_000, b"9" * 5000, b"{}"),
    ],
)
def test_a_malformed_answer_is_a_retryable_error(data: bytes) -> None:
    world = World()
    world.endpoint.data = data

    with pytest.raises(AwsCallError, match=r"^GetCredentials failed: [A-Za-z]+ \(no response\)$") as raised:
        world.credentials()

    assert raised.value.retryable
    world.endpoint.data = answer()
    assert world.credentials() == OLD


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
@pytest.mark.parametrize("value", [text for text in INVALID_TEXTS if isinstance(text, str) and text])
def test_invalid_credentials_in_the_environment_are_an_error(name: str, value: str) -> None:
    environ = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"} | {
        name: value
    }

    with pytest.raises(AwsCallError, match=r"^GetCredentials failed: InvalidCredentials \(no response\)$"):
        World(**environ).credentials()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n", " \n"])
@pytest.mark.parametrize("token", ["from-file", "Bearer from-file"])
def test_a_token_file_may_end_with_a_line_break(tmp_path: Path, token: str, ending: str) -> None:
    file = tmp_path / "token"
    file.write_bytes(f"{token}{ending}".encode())
    world = World(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(file), AWS_CONTAINER_AUTHORIZATION_TOKEN="other")

    world.credentials()

    assert world.endpoint.requests == [(URI[FULL_URI], {"Authorization": token})]


@pytest.mark.parametrize(
    "content", [b"", b"\n", b" ", b"a\nb", b"a\r\nX: y", b"a\x00", "ä".encode(), b"\xff", None]
)
def test_an_invalid_token_in_a_file_is_an_error_and_is_not_sent(
    tmp_path: Path, content: bytes | None
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    world = World(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(file))

    with pytest.raises(AwsCallError):
        world.credentials()

    assert world.endpoint.requests == []


@pytest.mark.parametrize("token", ["a\nb", "a\r\nX: y", "a\x00", "ä", "\ud800", " "])
def test_an_invalid_token_in_the_environment_is_an_error_and_is_not_sent(token: str) -> None:
    world = World(AWS_CONTAINER_AUTHORIZATION_TOKEN=token)

    with pytest.raises(AwsCallError):
        world.credentials()

    assert world.endpoint.requests == []


@pytest.mark.parametrize("environ", [{}, {TOKEN: ""}])
def test_a_request_without_a_token_has_no_authorization(environ: dict[str, str]) -> None:
    world = World(**environ)

    world.credentials()

    assert world.endpoint.requests == [(URI[FULL_URI], {})]


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://example.com/credentials",
            "http://localhost:9001/",
            "http://127.0.0.1",
            "http://[::1]:1/a",
        ),
        *("http://169.254.170.2/v2", "http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1"),
        "http://[FD00:EC2:0::23]/v1",
    ],
)
def test_an_endpoint_that_the_aws_sdks_accept_is_used(url: str) -> None:
    world = World(**{FULL_URI: url})

    world.credentials()

    assert [requested for requested, _ in world.endpoint.requests] == [url]


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://example.com/credentials",
            "http://169.254.169.254/",
            "http://169.254.170.3",
            "http://10.0.0.1",
        ),
        *(
            "http://[fd00:ec2::254]/",
            "http://169.254.170.2@example.com/",
            "http://169.254.170.2.example.com/",
        ),
        *(
            "ftp://169.254.170.2",
            "169.254.170.2",
            "http://",
            "",
            "http://127.0.0.1\n",
            "http://[::ffff:a9fe:aa02]",
        ),
    ],
)
def test_an_unsafe_endpoint_gets_no_token(url: str) -> None:
    world = World(**{FULL_URI: url, TOKEN: "token"})

    with pytest.raises(AwsCallError, match=r"^GetCredentials failed: UnsafeEndpoint \(no response\)$"):
        world.credentials()

    assert world.endpoint.requests == []

"""The local participant service on loopback, a customer in a chat, and a clock that the test moves."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
import urllib3
from botocore.config import Config

from sandbox.participant_service.chats import CONTENT_TYPES, ONE_DAY
from sandbox.participant_service.control import ParticipantControl
from sandbox.participant_service.faults import (
    AcceptedThenCut,
    AcceptedThenStatus,
    BadBody,
    BodyCutShort,
    Latency,
    ResetBeforeAcceptance,
    Status,
)
from sandbox.participant_service.server import RunningParticipantService, running_participant_service

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from types_boto3_connectparticipant import ConnectParticipantClient
    from types_boto3_connectparticipant.type_defs import SendMessageResponseTypeDef

TEXT = "Where is my parcel, please?"
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()
ALL_INTERFACES = "0.0.0.0"  # noqa: S104  # a host that the service must refuse
ONE_ATTEMPT = Config(retries={"total_max_attempts": 1})


class FakeClock:
    """Seconds since the epoch, which stand still until `advance`."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Participant:
    """A customer with a connection, who calls the service through boto3 or by plain HTTP."""

    running: RunningParticipantService
    client: ConnectParticipantClient
    http: urllib3.PoolManager
    contact_id: str
    participant_token: str = field(repr=False)
    connection_token: str = field(repr=False)

    def send(self, content: str = TEXT, **members: str) -> SendMessageResponseTypeDef:
        members = {"ContentType": "text/plain", "ConnectionToken": self.connection_token} | members
        return self.client.send_message(Content=content, **members)

    def get_transcript(self, members: dict[str, Any] | None = None) -> dict[str, Any]:
        return {**self.client.get_transcript(ConnectionToken=self.connection_token, **members or {})}

    def post(
        self, members: dict[str, object] | None = None, *, timeout: float = 5.0
    ) -> urllib3.BaseHTTPResponse:
        """Post a valid message in which `members` replace the defaults."""
        return post_message(self.http, self.running.url, self.connection_token, members, timeout=timeout)

    def statuses(self, client_tokens: str) -> list[int]:
        """Post one message per character, which is its ClientToken, and return the statuses."""
        return [self.post({"ClientToken": client_token}).status for client_token in client_tokens]

    @property
    def contents(self) -> list[str | None]:
        return [item.content for item in self.running.service.messages(self.contact_id)]


def post_message(
    http: urllib3.PoolManager,
    url: str,
    connection_token: str,
    members: dict[str, object] | None = None,
    *,
    timeout: float = 5.0,
) -> urllib3.BaseHTTPResponse:
    return http.request(
        "POST",
        f"{url}/participant/message",
        headers={"X-Amz-Bearer": connection_token},
        json={"ContentType": "text/plain", "Content": TEXT, "ClientToken": "1"} | (members or {}),
        redirect=False,
        timeout=timeout,
    )


def exercise(url: str) -> list[str]:
    """Cause every kind of answer, fault and error once, and return the secrets that the service received."""
    control = ParticipantControl(url)
    with urllib3.PoolManager(retries=False) as http:
        chat = control.open_chat()

        def send(members: dict[str, object] | None = None, *, timeout: float = 5.0) -> None:
            members = {"ClientToken": None} | (members or {})
            post_message(http, url, chat.connection_token, members, timeout=timeout)

        send()
        send({"Content": TEXT * 1000})
        send({"ContentType": TEXT})
        for fault in (
            AcceptedThenCut(),
            AcceptedThenStatus(),
            BadBody(),
            BodyCutShort(),
            ResetBeforeAcceptance(),
            Status(status=500),
        ):
            control.add_fault(fault)
            with suppress(urllib3.exceptions.ProtocolError):
                send()
        for slow_fault in (Latency(latency=60), ResetBeforeAcceptance(latency=60)):
            control.add_fault(slow_fault)
            with pytest.raises(urllib3.exceptions.ReadTimeoutError):
                send(timeout=0.02)
        control.call("expire_connection_token", connection_token=chat.connection_token)
        send()
    return [TEXT, chat.participant_token, chat.connection_token]


def connect(client: ConnectParticipantClient, participant_token: str) -> str:
    """Connect a participant and return the connection token."""
    answer = client.create_participant_connection(
        ParticipantToken=participant_token, Type=["CONNECTION_CREDENTIALS"], ConnectParticipant=True
    )
    return answer["ConnectionCredentials"]["ConnectionToken"]


@pytest.fixture(scope="module")
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="module")
def server(clock: FakeClock) -> Iterator[RunningParticipantService]:
    with running_participant_service(clock=clock) as running:
        yield running


@pytest.fixture
def running(server: RunningParticipantService) -> RunningParticipantService:
    """Return the module's service as if it had just started."""
    server.api.reset()
    return server


@pytest.fixture(scope="module")
def client(server: RunningParticipantService) -> Iterator[ConnectParticipantClient]:
    client = boto3.client(
        "connectparticipant",
        endpoint_url=server.url,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=ONE_ATTEMPT,
    )
    yield client
    client.close()


@pytest.fixture(scope="module")
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=5.0) as http:
        yield http


@pytest.fixture
def join(
    running: RunningParticipantService, client: ConnectParticipantClient, http: urllib3.PoolManager
) -> Callable[..., Participant]:
    """Return a function that starts a chat and connects its customer."""

    def join(
        *,
        content_types: Collection[str] = CONTENT_TYPES,
        duration: float = ONE_DAY,
        token_lifetime: float = ONE_DAY,
    ) -> Participant:
        chat = running.service.start_chat(
            content_types=content_types, duration=duration, token_lifetime=token_lifetime
        )
        connection_token = connect(client, chat.participant_token)
        return Participant(running, client, http, chat.contact_id, chat.participant_token, connection_token)

    return join


@pytest.fixture
def participant(join: Callable[..., Participant]) -> Participant:
    return join()


@pytest.fixture
def control(running: RunningParticipantService) -> ParticipantControl:
    return ParticipantControl(running.url)

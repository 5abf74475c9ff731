"""The sources of the function's credentials: the environment and the container endpoint."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import urllib3

from message_sender.aws.credentials import Credentials, EnvironmentCredentials
from message_sender.errors import AwsCallError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.http_server import FakeServer


def make_credentials(**environ: str) -> EnvironmentCredentials:
    return EnvironmentCredentials(environ=environ, pools=urllib3.PoolManager(retries=False))


def serve_credentials(server: FakeServer, *, lifetime: timedelta) -> None:
    expiration = (datetime.now(UTC) + lifetime).isoformat().replace("+00:00", "Z")
    server.body = json.dumps(
        {"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": expiration}
    ).encode()


def test_credentials_in_the_environment_are_used() -> None:
    found = make_credentials(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_SESSION_TOKEN="c")()

    assert found == ("a", "b", "c")


def test_credentials_of_the_container_endpoint_are_fetched_once(server: FakeServer) -> None:
    serve_credentials(server, lifetime=timedelta(hours=1))
    credentials = make_credentials(
        AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{server.url}/creds", AWS_CONTAINER_AUTHORIZATION_TOKEN="auth"
    )

    found = [credentials(), credentials()]

    assert found == [("a", "b", "c")] * 2
    [request] = server.requests
    assert request.path == "/creds"
    assert request.headers["authorization"] == "auth"


def test_credentials_that_expire_within_five_minutes_are_fetched_again(server: FakeServer) -> None:
    serve_credentials(server, lifetime=timedelta(minutes=4))
    credentials = make_credentials(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)

    credentials()
    credentials()

    assert len(server.requests) == 2


def test_valid_credentials_are_used_after_a_failed_refresh(server: FakeServer) -> None:
    serve_credentials(server, lifetime=timedelta(minutes=4))
    credentials = make_credentials(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)
    credentials()
    server.status = 500

    assert credentials() == ("a", "b", "c")


def test_expired_credentials_are_not_used_after_a_failed_refresh(server: FakeServer) -> None:
    serve_credentials(server, lifetime=timedelta(seconds=-1))
    credentials = make_credentials(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)
    credentials()
    server.status = 500

    with pytest.raises(AwsCallError, match="GetCredentials"):
        credentials()


def test_the_authorization_token_is_read_from_a_file(server: FakeServer, tmp_path: Path) -> None:
    serve_credentials(server, lifetime=timedelta(hours=1))
    file = tmp_path / "token"
    file.write_text("from-file")

    make_credentials(
        AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(file)
    )()

    assert server.requests[0].headers["authorization"] == "from-file"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"AccessKeyId": "a"}'])
def test_missing_credentials_are_an_error(server: FakeServer, body: bytes) -> None:
    server.body = body

    with pytest.raises(AwsCallError, match="GetCredentials"):
        make_credentials(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)()
    with pytest.raises(AwsCallError, match="GetCredentials"):
        make_credentials()()


def test_the_repr_of_credentials_hides_the_secret_key() -> None:
    credentials = Credentials("AKIDEXAMPLE", "secret-key", "session-token")

    assert "secret-key" not in f"{credentials!r} {credentials}"

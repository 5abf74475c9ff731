"""The local participant service as a server: threads, sockets, logs, and use without a socket."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
import urllib3

from sandbox.participant_service.api import Answer, ParticipantApi
from sandbox.participant_service.faults import BodyCutShort, Ending, Latency
from sandbox.participant_service.server import running_participant_service
from tests.functional.participant_service.conftest import (
    ALL_INTERFACES,
    TEXT,
    FakeClock,
    exercise,
    post_message,
)

if TYPE_CHECKING:
    from sandbox.participant_service.server import RunningParticipantService


def test_messages_of_many_threads_appear_once_each(running: RunningParticipantService) -> None:
    chat = running.service.start_chat()
    connection = running.service.create_connection(chat.participant_token)

    def send() -> None:
        for number in map(str, range(200)):
            message = {"ContentType": "text/plain", "Content": number, "ClientToken": number}
            body = json.dumps(message).encode()
            running.api.answer("POST", "/participant/message", bearer=connection.connection_token, body=body)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    contents = [item.content for item in running.service.messages(chat.contact_id)]
    assert contents == [str(number) for number in range(200)]


def test_api_serves_virtual_time_without_a_socket() -> None:
    clock = FakeClock()
    api = ParticipantApi(clock=clock)
    chat = api.service.start_chat(token_lifetime=1000)
    connection = api.service.create_connection(chat.participant_token)
    api.faults.add(BodyCutShort(latency=2.0), client_token="500")

    def send(number: int) -> Answer:
        clock.advance(1)
        message = {"ContentType": "text/plain", "Content": TEXT, "ClientToken": str(number)}
        body = json.dumps(message).encode()
        return api.answer("POST", "/participant/message", bearer=connection.connection_token, body=body)

    answers = [send(number) for number in range(1001)]

    assert [answer.status for answer in answers] == [200] * 999 + [403] * 2
    assert (answers[500].ending, answers[500].latency) == (Ending.BODY_CUT_SHORT, 2.0)
    assert len(api.service.messages(chat.contact_id)) == 999


def test_neither_token_nor_text_is_logged(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    with running_participant_service() as running:
        secrets = exercise(running.url)

    assert not [secret for secret in secrets if secret in caplog.text]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert capfd.readouterr() == ("", "")


def test_incomplete_request_is_not_logged_as_an_error(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with running_participant_service() as running:
        port = int(running.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST /participant/message HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1024)

    assert answer == b""
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_stop_closes_every_thread_and_socket() -> None:
    threads_before = set(threading.enumerate())

    with running_participant_service() as running, urllib3.PoolManager(retries=False) as http:
        http.request("POST", f"{running.url}/_local/chats")
        port = int(running.url.rpartition(":")[2])

    assert set(threading.enumerate()) == threads_before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_stop_does_not_wait_for_a_delayed_answer() -> None:
    errors: list[Exception] = []
    with urllib3.PoolManager(retries=False, timeout=5.0) as http:
        with running_participant_service() as running:
            chat = running.service.start_chat()
            connection = running.service.create_connection(chat.participant_token)
            running.faults.add(Latency(latency=3600))

            def send() -> None:
                try:
                    post_message(http, running.url, connection.connection_token)
                except urllib3.exceptions.ProtocolError as error:
                    errors.append(error)

            sender = threading.Thread(target=send)
            sender.start()
            while not running.service.messages(chat.contact_id):
                time.sleep(0.001)

        sender.join()

    assert len(errors) == 1


@pytest.mark.parametrize("host", [ALL_INTERFACES, "192.0.2.1", "::"])
def test_server_refuses_a_host_other_than_loopback(host: str) -> None:
    with pytest.raises(ValueError, match="not a loopback address"), running_participant_service(host=host):
        pass

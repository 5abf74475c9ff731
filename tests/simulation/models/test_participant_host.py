"""The Participant Service at its host name."""

from __future__ import annotations

import json
from random import Random

from sandbox.participant_service.api import ParticipantApi
from sandbox.participant_service.faults import Ending
from tests.simulation.fault_profiles import NO_FAULTS, Fault, FaultInjector
from tests.simulation.models.aws import ParticipantHost
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.network import Request


def test_calls_over_the_quota_are_throttled_and_counted() -> None:
    time = VirtualTime()
    injector = FaultInjector(time=time, random=Random(1), profile=NO_FAULTS)
    api = ParticipantApi(clock=time.epoch)
    chat = api.service.start_chat()
    token = api.service.create_connection(chat.participant_token).connection_token
    api.throttle.set(1, burst=1)
    body = json.dumps({"ContentType": "text/plain", "Content": "hello"}).encode()
    host = ParticipantHost(api, injector)

    answers = [host(Request("POST", "/participant/message", {"x-amz-bearer": token}, body)) for _ in "12"]

    assert [answer.status for answer in answers] == [200, 429]
    assert injector.counts[Fault.QUOTA] == 1
    assert answers[0].ending is Ending.KEPT_OPEN

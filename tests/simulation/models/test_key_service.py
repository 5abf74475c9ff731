"""KMS: Decrypt, and its faults."""

from __future__ import annotations

import base64
import json
from random import Random

import pytest

from tests.simulation.fault_profiles import NO_FAULTS, Fault, FaultInjector, FaultProfile
from tests.simulation.models.aws import KeyService
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.network import Request
from tests.support.kms import OTHER_KEY_ARN, TOKEN_KEY_ARN, Kms


def decrypt(
    profile: FaultProfile = NO_FAULTS, *, key: str = TOKEN_KEY_ARN, contact_id: str = "c-1", seed: int = 1
) -> tuple[int, object, float]:
    """Decrypt a token that was sealed for `c-1`. Return status, plaintext or error, and latency."""
    injector = FaultInjector(time=VirtualTime(), random=Random(seed), profile=profile)
    service = KeyService(Kms(), injector)
    sealed = service.kms.seal("the-token", contact_id="c-1")
    parameters = {
        "CiphertextBlob": sealed.removeprefix("sealed:"),
        "KeyId": key,
        "EncryptionContext": {"ContactId": contact_id},
    }
    headers = {"x-amz-target": "TrentService.Decrypt"}
    answer = service(Request("POST", "/", headers, json.dumps(parameters).encode()))
    document = json.loads(answer.body)
    if "Plaintext" in document:
        return answer.status, base64.b64decode(document["Plaintext"]).decode(), answer.latency
    return answer.status, document["__type"], answer.latency


def test_a_token_is_decrypted_with_its_key_and_context() -> None:
    assert decrypt() == (200, "the-token", 0.0)


def test_another_key_or_context_is_an_error() -> None:
    assert decrypt(key=OTHER_KEY_ARN)[:2] == (400, "IncorrectKeyException")
    assert decrypt(contact_id="c-2")[:2] == (400, "InvalidCiphertextException")


@pytest.mark.parametrize("seed", range(4))
def test_an_unusable_key_decrypts_nothing(seed: int) -> None:
    status, name, _ = decrypt({Fault.KEY_UNUSABLE: 1.0}, seed=seed)

    assert (status, name in {"AccessDeniedException", "DisabledException"}) == (400, True)


def test_a_slow_answer_may_come_before_or_after_the_read_timeout() -> None:
    latencies = [decrypt({Fault.KEY_SLOW: 1.0}, seed=seed)[2] for seed in range(20)]

    assert min(latencies) < 2 < max(latencies)

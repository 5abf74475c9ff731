"""Decryption of sealed connection tokens: the call, its errors, and the tokens that are kept."""

from __future__ import annotations

import base64
import threading
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.aws.client import MAX_CALL_SECONDS
from message_sender.errors import (
    AwsCallError,
    DeadlineExceededError,
    DeliveryError,
    KeyUnavailableError,
    TokenUnreadableError,
)
from message_sender.request import Secret
from message_sender.token_key import KEPT_FOR, MAX_KEPT, TokenKey
from tests.support.fakes import FakeAwsApi, FakeClock
from tests.support.kms import OTHER_KEY_ARN, TOKEN_KEY_ARN, Kms

TOKEN = "QVFJREFIZ-clear-token"


def failure(name: str, status: int | None = 400) -> AwsCallError:
    return AwsCallError("Decrypt", name=name, http_status=status)


class Setup:
    """A key over the model of KMS. `answers` come first."""

    def __init__(self, *answers: AwsCallError | dict[str, Any]) -> None:
        self.clock = FakeClock()
        self.kms = Kms()
        self.api = FakeAwsApi(partial(self.kms.call, "Decrypt"), list(answers))
        self.key = TokenKey(kms=self.api.client(self.clock), arn=TOKEN_KEY_ARN, clock=self.clock)

    def unseal(self, sealed: str, *, contact_id: str = "c-1", seconds: float = 60.0) -> str:
        until = self.clock.monotonic() + seconds
        return self.key.unseal(Secret(sealed), contact_id=contact_id, until=until).reveal()

    def error(self, sealed: str, *, contact_id: str = "c-1", seconds: float = 60.0) -> DeliveryError:
        with pytest.raises(DeliveryError) as raised:
            self.unseal(sealed, contact_id=contact_id, seconds=seconds)
        assert raised.value.__suppress_context__ or raised.value.__context__ is None
        return raised.value


def test_a_token_is_decrypted_with_exactly_this_key_and_context() -> None:
    setup = Setup()
    sealed = setup.kms.seal(TOKEN, contact_id="c-1")

    assert setup.unseal(sealed) == TOKEN

    [(operation, parameters)] = setup.api.calls
    assert operation == "Decrypt"
    assert parameters == {
        "CiphertextBlob": sealed.removeprefix("sealed:"),
        "KeyId": TOKEN_KEY_ARN,
        "EncryptionContext": {"ContactId": "c-1"},
    }


def test_a_token_that_is_sealed_for_another_chat_or_key_is_unreadable() -> None:
    setup = Setup()
    for_another_chat = setup.kms.seal(TOKEN, contact_id="c-2")
    for_another_key = setup.kms.seal(TOKEN, contact_id="c-1", key=OTHER_KEY_ARN)

    errors = [setup.error(sealed) for sealed in (for_another_chat, for_another_key, "sealed:QUJD")]

    assert [type(error) for error in errors] == [TokenUnreadableError] * 3
    assert len(setup.api.calls) == 3  # none is retried


@pytest.mark.parametrize("text", ["", "=", "A", "not base64!", "QUJD\n", " QUJD", "QUJD-_", "sealed:QUJD"])
def test_a_token_without_base64_is_unreadable_without_a_call(text: str) -> None:
    setup = Setup()

    error = setup.error(f"sealed:{text}")

    assert isinstance(error, TokenUnreadableError)
    assert error.reason == "ConnectionToken must have base64 after sealed:"
    assert setup.api.calls == []


@pytest.mark.parametrize(
    "clear", ["with space", "é", "a\n", "a\r\nX-Evil: 1", "a" * 1001, "sealed:QUJD", "\udcff", "\0"]
)
def test_a_decrypted_text_that_is_no_valid_token_is_unreadable(clear: str) -> None:
    plaintext = base64.b64encode(clear.encode(errors="surrogateescape")).decode()
    setup = Setup({"Plaintext": plaintext})

    error = setup.error("sealed:QUJD")

    assert isinstance(error, TokenUnreadableError)
    assert clear not in error.reason


def test_the_longest_token_is_accepted() -> None:
    setup = Setup()

    sealed = setup.kms.seal("~" * 1000, contact_id="c-1")

    assert len(sealed) <= 2048
    assert setup.unseal(sealed) == "~" * 1000


@pytest.mark.parametrize(
    "answer", [{}, {"Plaintext": None}, {"Plaintext": 5}, {"Plaintext": "!"}, {"Plaintext": ""}]
)
def test_an_answer_without_a_plaintext_is_retryable(answer: dict[str, Any]) -> None:
    assert isinstance(Setup(answer).error("sealed:QUJD"), KeyUnavailableError)


@pytest.mark.parametrize(
    "name",
    [
        *("AccessDeniedException", "DisabledException", "KMSInvalidStateException", "NotFoundException"),
        *("InvalidKeyUsageException", "ValidationException"),
    ],
)
def test_a_key_that_cannot_be_used_is_retryable_later(name: str) -> None:
    setup = Setup(failure(name))

    error = setup.error("sealed:QUJD")

    assert isinstance(error, KeyUnavailableError)
    assert error.reason == f"KMS did not decrypt ConnectionToken: {name}"
    assert len(setup.api.calls) == 1  # a second call in the same second would not help


@pytest.mark.parametrize(
    "cause",
    [
        failure("ThrottlingException"),
        failure("KMSInternalException", 500),
        failure("DependencyTimeoutException", 503),
        failure("ReadTimeoutError", None),
    ],
    ids=lambda cause: cause.name,
)
def test_a_passing_error_is_retried_once(cause: AwsCallError) -> None:
    setup = Setup(cause)
    sealed = setup.kms.seal(TOKEN, contact_id="c-1")

    assert setup.unseal(sealed) == TOKEN
    assert len(setup.api.calls) == 2

    twice = Setup(cause, cause)
    assert isinstance(twice.error(sealed), KeyUnavailableError)
    assert len(twice.api.calls) == 2


def test_the_name_of_an_undocumented_error_is_not_repeated() -> None:
    assert Setup(failure("Geheim")).error("sealed:QUJD").reason == (
        "KMS did not decrypt ConnectionToken: no answer that can be read"
    )


def test_without_time_for_a_call_there_is_none() -> None:
    setup = Setup()
    sealed = setup.kms.seal(TOKEN, contact_id="c-1")

    assert isinstance(setup.error(sealed, seconds=MAX_CALL_SECONDS - 0.01), DeadlineExceededError)
    assert setup.api.calls == []
    assert setup.unseal(sealed, seconds=MAX_CALL_SECONDS) == TOKEN
    assert setup.unseal(sealed, seconds=0) == TOKEN  # kept: no call is needed


def test_a_token_is_kept_for_five_minutes_by_the_time_of_day() -> None:
    setup = Setup()
    sealed = setup.kms.seal(TOKEN, contact_id="c-1")
    setup.unseal(sealed)

    setup.clock.sleep(KEPT_FOR.total_seconds() - 1)
    setup.unseal(sealed)
    assert len(setup.api.calls) == 1

    setup.clock.sleep(1)
    setup.unseal(sealed)
    assert len(setup.api.calls) == 2


def test_the_time_in_a_frozen_process_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = Setup()
    sealed = setup.kms.seal(TOKEN, contact_id="c-1")
    setup.unseal(sealed)

    frozen = setup.clock.monotonic()
    setup.clock.sleep(KEPT_FOR.total_seconds())
    monkeypatch.setattr(setup.clock, "monotonic", lambda: frozen)
    setup.unseal(sealed)

    assert len(setup.api.calls) == 2


def test_a_clock_that_is_set_back_does_not_keep_a_token_longer() -> None:
    setup = Setup()
    sealed = setup.kms.seal(TOKEN, contact_id="c-1")
    setup.unseal(sealed)

    setup.clock.elapsed -= 3600
    setup.unseal(sealed)

    assert len(setup.api.calls) == 2


def test_a_token_that_is_kept_for_one_chat_is_not_used_for_another() -> None:
    setup = Setup()
    sealed = setup.kms.seal(TOKEN, contact_id="c-1")
    setup.unseal(sealed)

    assert isinstance(setup.error(sealed, contact_id="c-2"), TokenUnreadableError)


def test_an_error_is_not_kept() -> None:
    setup = Setup(failure("DisabledException"))
    sealed = setup.kms.seal(TOKEN, contact_id="c-1")

    assert isinstance(setup.error(sealed), KeyUnavailableError)
    assert setup.unseal(sealed) == TOKEN


def test_the_oldest_token_makes_room() -> None:
    setup = Setup()
    sealed = [setup.kms.seal(f"{TOKEN}{number}", contact_id="c-1") for number in range(MAX_KEPT + 1)]
    for each in sealed:
        setup.unseal(each)

    setup.unseal(sealed[-1])
    setup.unseal(sealed[1])
    assert len(setup.api.calls) == MAX_KEPT + 1
    setup.unseal(sealed[0])
    assert len(setup.api.calls) == MAX_KEPT + 2


def test_expired_tokens_leave_the_memory_with_the_next_call() -> None:
    setup = Setup()
    for number in range(10):
        setup.unseal(setup.kms.seal(f"{TOKEN}{number}", contact_id="c-1"))
    setup.clock.sleep(KEPT_FOR.total_seconds())

    setup.unseal(setup.kms.seal(TOKEN, contact_id="c-1"))

    assert repr(vars(setup.key)).count("Secret(") == 1


def test_threads_share_a_key() -> None:
    setup = Setup()
    sealed = [setup.kms.seal(f"{TOKEN}{number}", contact_id="c-1") for number in range(40)]
    wrong: list[str] = []

    def work() -> None:
        for _ in range(20):
            for number, each in enumerate(sealed):
                if setup.unseal(each) != f"{TOKEN}{number}":
                    wrong.append(each)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_no_representation_contains_a_token() -> None:
    setup = Setup()
    setup.unseal(setup.kms.seal(TOKEN, contact_id="c-1"))

    assert TOKEN not in repr(setup.key) + repr(vars(setup.key))


@given(text=st.text())
def test_any_sealed_text_is_read_or_unreadable(text: str) -> None:
    setup = Setup()

    assert isinstance(setup.error(f"sealed:{text}"), TokenUnreadableError)

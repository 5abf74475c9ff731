"""Decryption of sealed connection tokens with the stack's KMS key.

A sealed token is `sealed:` and the base64 of what KMS Encrypt returned. Its encryption context is exactly the
ContactId, so a token that is copied into the request of another chat cannot be decrypted.
"""

from __future__ import annotations

from base64 import b64decode
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from message_sender.errors import (
    AwsCallError,
    DeadlineExceededError,
    KeyUnavailableError,
    TokenUnreadableError,
)
from message_sender.request import SEALED, Secret, is_clear_token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from message_sender.aws.client import AwsClient
    from message_sender.clock import Clock

_MAX_ATTEMPTS: Final = 2
"""A key that does not respond takes 6 seconds of a batch, as long as a chat that does not respond."""
KEPT_FOR: Final = timedelta(minutes=5)
MAX_KEPT: Final = 1_000
"""Tokens, with their sealed forms: 3 MB."""

_NOT_THIS_KEY: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
# Only these names get into results: the service chooses the name of its error
_DOCUMENTED_ERRORS: Final = frozenset(
    f"{name}Exception"
    for name in (
        *("AccessDenied", "DependencyTimeout", "Disabled", "InvalidGrantToken", "InvalidKeyUsage"),
        *("KeyUnavailable", "KMSInternal", "KMSInvalidState", "NotFound", "Throttling", "Validation"),
    )
)
"""Sources: KMS API reference, "Decrypt" and "Common Error Types"."""


_Key: TypeAlias = tuple[str, str]
"""Ciphertext and ContactId."""


class _Kept(NamedTuple):
    token: Secret
    since: datetime


class TokenKey:
    """Unseals connection tokens, and keeps each for five minutes. Thread-safe.

    Args:
        arn: Of the key. Decrypt names it, so a token that another key has sealed is never accepted.
        clock: Its time of day ends the five minutes. The monotonic clock may stop while Lambda freezes the
            process.
    """

    def __init__(self, *, kms: AwsClient, arn: str, clock: Clock) -> None:
        self._kms = kms
        self._arn = arn
        self._clock = clock
        self._lock = Lock()
        self._kept: dict[_Key, _Kept] = {}

    def unseal(self, sealed: Secret, *, contact_id: str, until: float) -> Secret:
        """Return the connection token in clear.

        Args:
            until: The moment of the monotonic clock by which this must be over.

        Raises:
            TokenUnreadableError: The token is malformed, or was not sealed with this key and ContactId.
            KeyUnavailableError: KMS did not decrypt it, after one retry if the error is retryable.
            DeadlineExceededError: There is too little time for a call.
        """
        key = sealed.reveal().removeprefix(SEALED), contact_id
        token = self._find(key)
        if token is None:
            token = self._decrypt(*key, until)
            self._keep(key, token)
        return token

    def _find(self, key: _Key) -> Secret | None:
        """Return a token that was kept, and forget the ones that were kept too long."""
        now = self._clock.now()
        with self._lock:
            while self._kept and not _is_fresh(next(iter(self._kept.values())), now):
                del self._kept[next(iter(self._kept))]
            kept = self._kept.get(key)
        return kept.token if kept is not None and _is_fresh(kept, now) else None

    def _keep(self, key: _Key, token: Secret) -> None:
        with self._lock:
            self._kept.pop(key, None)  # the oldest is always the first
            if len(self._kept) >= MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = _Kept(token, self._clock.now())

    def _decrypt(self, ciphertext: str, contact_id: str, until: float) -> Secret:
        if not _is_base64(ciphertext):
            raise TokenUnreadableError(f"ConnectionToken must have base64 after {SEALED}")
        parameters = {
            "CiphertextBlob": ciphertext,
            "KeyId": self._arn,
            "EncryptionContext": {"ContactId": contact_id},
        }
        try:
            answer = self._kms.call("Decrypt", parameters, until=until, max_attempts=_MAX_ATTEMPTS)
        except AwsCallError as error:
            raise _failure(error) from None
        return _token_in(answer)


def _is_fresh(kept: _Kept, now: datetime) -> bool:
    """Return whether a token may still be used. One from the future was kept before the clock was set."""
    return timedelta(0) <= now - kept.since < KEPT_FOR


def _is_base64(text: str) -> bool:
    try:
        return bool(b64decode(text, validate=True))
    except ValueError:
        return False


def _failure(error: AwsCallError) -> TokenUnreadableError | KeyUnavailableError | DeadlineExceededError:
    if error.name in _NOT_THIS_KEY:
        return TokenUnreadableError(
            "ConnectionToken was not sealed with the key of this stack and this ContactId"
        )
    if error.http_status is None and error.name == "DeadlineExceeded":
        return DeadlineExceededError("There is not enough time left in this invocation to unseal the token")
    name = error.name if error.name in _DOCUMENTED_ERRORS else "no answer that can be read"
    return KeyUnavailableError(f"KMS did not decrypt ConnectionToken: {name}")


def _token_in(answer: Mapping[str, Any]) -> Secret:
    try:
        token = b64decode(answer.get("Plaintext", ""), validate=True).decode("latin-1")
    except (TypeError, ValueError):
        token = ""
    if not token:
        raise KeyUnavailableError("KMS did not decrypt ConnectionToken: no answer that can be read")
    if not is_clear_token(token):
        raise TokenUnreadableError("ConnectionToken contains no valid connection token after decryption")
    return Secret(token)

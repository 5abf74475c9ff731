"""A model of KMS: Encrypt and Decrypt with an encryption context."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final

from message_sender.errors import AwsCallError

if TYPE_CHECKING:
    from collections.abc import Mapping

TOKEN_KEY_ARN: Final = "arn:aws:kms:eu-central-1:000000000000:key/0b9f3c1e-8d8e-4b32-9a51-6f0a1f2c7d44"
OTHER_KEY_ARN: Final = "arn:aws:kms:eu-central-1:000000000000:key/7c2d5b8a-1e64-4f0e-8c9d-3a5b6e7f8091"

_OVERHEAD: Final = 152
"""Bytes by which a ciphertext is longer, about as of the real service."""


@dataclass
class Kms:
    """An `AwsApi` with a key for every ARN. A ciphertext is random, and holds nothing of the plaintext."""

    _encrypted: dict[bytes, tuple[str, str, bytes]] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Answer Encrypt or Decrypt. Source: KMS API reference.

        Raises:
            AwsCallError: The call fails.
        """
        key, context = parameters["KeyId"], json.dumps(parameters["EncryptionContext"], sort_keys=True)
        if operation == "Encrypt":
            plaintext = base64.b64decode(parameters["Plaintext"])
            ciphertext = Random(next(self._numbers)).randbytes(len(plaintext) + _OVERHEAD)
            self._encrypted[ciphertext] = key, context, plaintext
            return {"KeyId": key, "CiphertextBlob": base64.b64encode(ciphertext).decode()}
        if operation != "Decrypt":
            raise _failure(operation, "UnknownOperationException")
        of_key, of_context, plaintext = self._encrypted.get(
            base64.b64decode(parameters["CiphertextBlob"]), ("", "", b"")
        )
        if of_context != context:
            raise _failure(operation, "InvalidCiphertextException")
        if of_key != key:
            raise _failure(operation, "IncorrectKeyException")
        return {"KeyId": key, "Plaintext": base64.b64encode(plaintext).decode()}

    def seal(self, token: str, *, contact_id: str, key: str = TOKEN_KEY_ARN) -> str:
        """Return a sealed connection token, as a producer makes it."""
        parameters = {
            "KeyId": key,
            "Plaintext": base64.b64encode(token.encode()).decode(),
            "EncryptionContext": {"ContactId": contact_id},
        }
        return f"sealed:{self.call('Encrypt', parameters)['CiphertextBlob']}"


def _failure(operation: str, name: str) -> AwsCallError:
    return AwsCallError(operation, name=name, http_status=400)

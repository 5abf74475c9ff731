"""The KMS key that seals connection tokens: producers encrypt with it, and only the function decrypts."""

from typing import Any

from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from .options import Options
from .retention import removal_policy

# Exactly one key in the encryption context, ContactId: a token that was sealed for one chat cannot be used in
# another. ForAllValues also holds without any key, so Null refuses that.
# https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encryption-context-keys
_FOR_ONE_CHAT: dict[str, Any] = {
    "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["ContactId"]},
    "Null": {"kms:EncryptionContextKeys": "false"},
}


class TokenKey(kms.Key):
    """A key of its own, so that no permission for queues or logs opens a token.

    Identities of this account may use it as their own policies say. Producers in other accounts are in the
    key policy, see `access`.
    """

    def __init__(self, scope: Construct, construct_id: str, *, name: str, options: Options) -> None:
        super().__init__(
            scope,
            construct_id,
            alias=f"alias/{name}-tokens",
            description="Seals connection tokens for the connect-message-sender",
            enable_key_rotation=True,
            removal_policy=removal_policy(options),
        )

    def seal(self) -> iam.PolicyStatement:
        """Return the permission of a producer. Unlike `grant_encrypt`, it does not include `ReEncrypt*`."""
        return self._permit("kms:Encrypt")

    def unseal(self) -> iam.PolicyStatement:
        """Return the permission of the function."""
        return self._permit("kms:Decrypt")

    def _permit(self, action: str) -> iam.PolicyStatement:
        return iam.PolicyStatement(actions=[action], resources=[self.key_arn], conditions=_FOR_ONE_CHAT)

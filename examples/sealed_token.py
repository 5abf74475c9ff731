"""Seal a connection token, so that no queue, copy or execution history has it in clear."""

import base64

import boto3

kms = boto3.client("kms")


def seal(token_key_arn: str, contact_id: str, connection_token: str) -> str:
    ciphertext = kms.encrypt(
        KeyId=token_key_arn,  # the stack's output TokenKeyArn
        Plaintext=connection_token.encode(),
        EncryptionContext={"ContactId": contact_id},  # this and nothing else
    )["CiphertextBlob"]
    return "sealed:" + base64.b64encode(ciphertext).decode()

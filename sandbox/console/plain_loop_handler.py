"""Runs the boto3 loop of the benchmarks in a variant as people deploy it. Deployed beside `boto3_loop.py`."""

from __future__ import annotations

import os
from typing import Any

import boto3_loop

_VARIANT = os.environ["VARIANT"]

if _VARIANT == "no-token":
    _send_message = boto3_loop.participant.send_message

    def _without_client_token(**fields: str) -> Any:  # noqa: ANN401  # an answer of boto3
        del fields["ClientToken"]  # botocore makes a new one for each call
        return _send_message(**fields)

    boto3_loop.participant.send_message = _without_client_token


def lambda_handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    if _VARIANT in {"fail", "no-token"}:
        return dict(boto3_loop.lambda_handler(event, context))
    failed = []
    for record in event["Records"]:
        try:
            boto3_loop.lambda_handler({"Records": [record]}, context)
        except Exception as error:  # noqa: BLE001  # as public samples do
            print(f"Error: {error}")  # noqa: T201  # as public samples do
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed if _VARIANT == "report" else []}

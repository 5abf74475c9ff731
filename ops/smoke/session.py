"""The AWS session that every command on a deployed stack uses."""

from __future__ import annotations

from typing import Any

import boto3


class SessionError(Exception):
    """There is nobody to act as. The text says what is missing, and the line that mends it."""


def open_session() -> Any:  # noqa: ANN401  # boto3 has no types
    """Return a session of boto3 that has credentials and a Region.

    Raises:
        SessionError: One of them is missing.
    """
    session = boto3.Session()
    if session.get_credentials() is None:
        raise SessionError(
            "There are no AWS credentials. Name a profile, or make one first with: aws configure\n"
            "    export AWS_PROFILE=<profile>"
        )
    if not session.region_name:
        # boto3 does not read AWS_REGION
        raise SessionError(
            "There is no AWS Region. Name that of the stack:\n    export AWS_DEFAULT_REGION=<region>"
        )
    return session

"""The AWS session of every command for a deployed stack."""

from __future__ import annotations

import boto3


class SessionError(Exception):
    """Credentials or Region are missing. The text says which, and the command that sets it."""


def open_session() -> boto3.Session:
    """Return a session that has credentials and a Region.

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
            "There is no AWS Region. Name the stack's:\n    export AWS_DEFAULT_REGION=<region>"
        )
    return session

"""Every environment variable that a function reads, in one frozen object for each function."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeVar, get_args

from message_sender.aws.endpoints import (
    CONNECT_PARTICIPANT,
    DYNAMODB,
    EVENTBRIDGE,
    KMS,
    SQS,
    STEP_FUNCTIONS,
    endpoint_url,
)
from message_sender.request import ContentLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

Tracing = Literal["off", "active", "subsegments"]

_CONTENT_LIMITS: Final[tuple[ContentLimits, ...]] = get_args(ContentLimits)
_TRACING: Final[tuple[Tracing, ...]] = get_args(Tracing)
CA_BUNDLE_RULE: Final = "the environment variable AWS_CA_BUNDLE must name a readable file of certificates"
_REGION: Final = re.compile(r"(?!cn-|eusc-|us-iso|eu-iso)[a-z]{2,8}(-[a-z]{1,16}){1,3}-[1-9][0-9]?")
"""Of the partitions `aws` and `aws-us-gov`: the others have no Amazon Connect."""
_Name = TypeVar("_Name", bound=str)
_LONGEST_RETENTION_MINUTES: Final = 14 * 24 * 60
"""Of a queue. Source: SQS developer guide, "Message quotas"."""
_LONGEST_LOOKUP_DAYS: Final = 365
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}")


class Settings(NamedTuple):
    """The configuration of the sender function.

    Attributes:
        region: Of the function, its bus, its queues, and the tasks that it completes.
        participant_url: The Participant Service. `CONNECT_REGION` can name another Region.
        event_bus_name: The bus for results: name or ARN.
        message_queue_url: For messages of events that cannot be sent now.
        dead_letter_queue_url: For copies of messages that could not be sent in time.
        rejected_queue_url: For copies of rejected messages.
        unpublished_results_queue_url: For results that EventBridge did not accept.
        retry_window: Time for retries of a queued message, from its acceptance by SQS.
        maximum_age: The age at which messages of queue and bus expire, None if they do not.
        send_quota: Calls of SendMessage a second that the service allows all instances together.
        maximum_concurrency: The largest number of instances that process the queue at once.
        content_limits: The set of length limits that the contract applies.
        tracing: What X-Ray records. Lambda records invocations itself: `subsegments` needs the X-Ray SDK.
        service: The service's name in logs, metrics and traces.
        token_key_arn: The KMS key of sealed connection tokens. None: such tokens are rejected.
        ca_bundle: A file of trusted certificates that replaces the system's: `AWS_CA_BUNDLE`.
    """

    region: str
    participant_url: str
    eventbridge_url: str
    kms_url: str
    sqs_url: str
    step_functions_url: str
    event_bus_name: str
    message_queue_url: str
    dead_letter_queue_url: str
    rejected_queue_url: str
    unpublished_results_queue_url: str
    retry_window: timedelta
    maximum_age: timedelta | None
    send_quota: int
    maximum_concurrency: int
    content_limits: ContentLimits
    tracing: Tracing
    service: str
    metrics_namespace: str
    token_key_arn: str | None
    ca_bundle: str | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            ValueError: A variable is missing or invalid. The text names it.
        """
        region = _region("AWS_REGION", _required(environ, "AWS_REGION"))
        connect_region = _region("CONNECT_REGION", environ.get("CONNECT_REGION") or region)
        minutes = _whole_number(environ, "RETRY_WINDOW_MINUTES", default="10", maximum=240)
        return cls(
            region=region,
            participant_url=endpoint_url(CONNECT_PARTICIPANT, region=connect_region, environ=environ),
            eventbridge_url=endpoint_url(EVENTBRIDGE, region=region, environ=environ),
            kms_url=endpoint_url(KMS, region=region, environ=environ),
            sqs_url=endpoint_url(SQS, region=region, environ=environ),
            step_functions_url=endpoint_url(STEP_FUNCTIONS, region=region, environ=environ),
            event_bus_name=_required(environ, "EVENT_BUS_NAME"),
            message_queue_url=_required(environ, "MESSAGE_QUEUE_URL"),
            dead_letter_queue_url=_required(environ, "DEAD_LETTER_QUEUE_URL"),
            rejected_queue_url=_required(environ, "REJECTED_QUEUE_URL"),
            unpublished_results_queue_url=_required(environ, "UNPUBLISHED_RESULTS_QUEUE_URL"),
            retry_window=timedelta(minutes=minutes),
            maximum_age=_maximum_age(environ),
            send_quota=_whole_number(environ, "SEND_QUOTA_PER_SECOND"),
            maximum_concurrency=_whole_number(environ, "MAXIMUM_CONCURRENCY"),
            content_limits=_one_of(_CONTENT_LIMITS, environ, "CONTENT_LIMITS", default="specification"),
            tracing=_one_of(_TRACING, environ, "TRACING", default="off"),
            service=environ.get("POWERTOOLS_SERVICE_NAME") or "connect-message-sender",
            metrics_namespace=environ.get("POWERTOOLS_METRICS_NAMESPACE") or "ConnectMessageSender",
            token_key_arn=_key_arn("TOKEN_KEY_ARN", environ.get("TOKEN_KEY_ARN"), region),
            ca_bundle=_ca_bundle(environ.get("AWS_CA_BUNDLE")),
        )


class ResultsSettings(NamedTuple):
    """The configuration of the function `Results`.

    Attributes:
        event_bus_name: The bus for results: name or ARN, as the sender function has it.
        outcome_table_name: None: outcomes are not stored.
        outcome_retention: How long the table keeps an outcome: the option `outcome_retention_days`.
        service: As in `Settings`, like the attributes that follow.
    """

    region: str
    eventbridge_url: str
    dynamodb_url: str
    event_bus_name: str
    outcome_table_name: str | None
    outcome_retention: timedelta
    service: str
    metrics_namespace: str
    ca_bundle: str | None

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ResultsSettings:
        """Read the settings.

        Raises:
            ValueError: A variable is missing or invalid. The text names it.
        """
        region = _region("AWS_REGION", _required(environ, "AWS_REGION"))
        days = _whole_number(environ, "OUTCOME_RETENTION_DAYS", default="7", maximum=_LONGEST_LOOKUP_DAYS)
        return cls(
            region=region,
            eventbridge_url=endpoint_url(EVENTBRIDGE, region=region, environ=environ),
            dynamodb_url=endpoint_url(DYNAMODB, region=region, environ=environ),
            event_bus_name=_required(environ, "EVENT_BUS_NAME"),
            outcome_table_name=environ.get("OUTCOME_TABLE_NAME") or None,
            outcome_retention=timedelta(days=days),
            service=environ.get("POWERTOOLS_SERVICE_NAME") or "connect-message-sender",
            metrics_namespace=environ.get("POWERTOOLS_METRICS_NAMESPACE") or "ConnectMessageSender",
            ca_bundle=_ca_bundle(environ.get("AWS_CA_BUNDLE")),
        )


def _maximum_age(environ: Mapping[str, str]) -> timedelta | None:
    name = "MAXIMUM_AGE_MINUTES"
    if not environ.get(name):
        return None
    return timedelta(minutes=_whole_number(environ, name, maximum=_LONGEST_RETENTION_MINUTES))


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise ValueError(f"the environment variable {name} is not set")
    return value


def _region(name: str, value: str) -> str:
    # It becomes a part of host names
    if not _REGION.fullmatch(value):
        rule = "must be the name of an AWS Region with Amazon Connect"
        raise ValueError(f"the environment variable {name} {rule}")
    return value


def _key_arn(name: str, value: str | None, region: str) -> str | None:
    if not value:
        return None
    if not re.fullmatch(rf"arn:aws(-us-gov)?:kms:{region}:[0-9]{{12}}:key/[A-Za-z0-9-]{{1,64}}", value):
        raise ValueError(f"the environment variable {name} must be the ARN of a KMS key in {region}")
    return value


def _whole_number(
    environ: Mapping[str, str], name: str, *, default: str = "10", maximum: int = 1_000_000
) -> int:
    value = environ.get(name) or default
    if not _WHOLE_NUMBER.fullmatch(value) or not 1 <= int(value) <= maximum:
        raise ValueError(f"the environment variable {name} must be a whole number from 1 to {maximum}")
    return int(value)


def _ca_bundle(file: str | None) -> str | None:
    if not file:
        return None
    try:
        text = Path(file).read_text(encoding="ascii", errors="replace")
    except (OSError, ValueError):
        text = ""
    if "CERTIFICATE-----" not in text:
        raise ValueError(CA_BUNDLE_RULE)
    return file


def _one_of(known: tuple[_Name, ...], environ: Mapping[str, str], name: str, *, default: _Name) -> _Name:
    value = environ.get(name) or default
    for each in known:
        if value == each:
            return each
    raise ValueError(f"the environment variable {name} must be one of {', '.join(known)}")

"""The options of a stage, as `cdk.json` writes them under `stages`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from ipaddress import ip_network
from typing import Any, Literal, Self

import aws_cdk as cdk
from aws_cdk import aws_logs as logs

from infra.stage import stack_name

LOG_RETENTION: Mapping[int, logs.RetentionDays] = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    731: logs.RetentionDays.TWO_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}


class InvalidOptionsError(ValueError):
    """An option in `cdk.json` that cannot be used; the message names it and what is accepted."""


@dataclass(frozen=True, slots=True)
class _Rule:
    accepted: str
    accepts: Callable[[object], bool]


def _one_of(*values: object) -> dict[str, _Rule]:
    def accepts(value: object) -> bool:
        return any(value == known and type(value) is type(known) for known in values)

    return {"rule": _Rule("one of " + ", ".join(map(str, values)), accepts)}


def _whole_number(least: int, most: int) -> dict[str, _Rule]:
    def accepts(value: object) -> bool:
        return type(value) is int and least <= value <= most  # isinstance() would let true and false pass

    return {"rule": _Rule(f"a whole number from {least} to {most}", accepts)}


def _true_or_false() -> dict[str, _Rule]:
    return {"rule": _Rule("true or false", lambda value: isinstance(value, bool))}


def _matching(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _is_address_range(value: object) -> bool:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f:.]+/[0-9]{1,3}", value):
        return False
    try:
        ip_network(value)
    except ValueError:
        return False
    return True


def _or_null(accepts: Callable[[object], bool], *, accepted: str) -> dict[str, _Rule]:
    return {"rule": _Rule(accepted, lambda value: value is None or accepts(value))}


def _list_of(accepts: Callable[[object], bool], *, accepted: str) -> dict[str, _Rule]:
    return {"rule": _Rule(accepted, lambda value: isinstance(value, list) and all(map(accepts, value)))}


_HEX_ID = r"([0-9a-f]{8}|[0-9a-f]{17})"
_PARTITION = r"arn:aws(-[a-z]+)*"
_REGION = r"[a-z]{2,8}(-[a-z]{1,16}){1,3}-[1-9][0-9]?"
_ACCOUNT = r"[0-9]{12}"
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
_STATE_MACHINE_NAME = (
    r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U0010ffff]{1,80}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions:
    """What may differ between stages. Every option is required, so that `cdk.json` shows all there are."""

    content_limits: Literal["specification", "service"] = field(metadata=_one_of("specification", "service"))
    connect_region: str | None = field(
        default=None,
        metadata=_or_null(
            _matching(_REGION),
            accepted="the name of an AWS Region, or null for the stack's own",
        ),
    )
    """Of the Amazon Connect instance, where it is not the stack's. The CDK drops a null from its context."""
    log_level: Literal["DEBUG", "INFO"] = field(metadata=_one_of("DEBUG", "INFO"))
    """Not above INFO: Lambda would drop the metrics, which are lines of the log without a level."""
    log_retention_days: int = field(metadata=_one_of(*LOG_RETENTION))
    memory_size_mb: int = field(metadata=_whole_number(128, 10_240))
    maximum_concurrency: int = field(metadata=_whole_number(2, 1000))
    """Of the queue's event source; Lambda accepts no less than 2."""
    send_quota_per_second: int = field(metadata=_whole_number(1, 10_000))
    """The account's quota of SendMessage, which all instances of the function share."""
    tracing: bool = field(metadata=_true_or_false())
    retain_data: bool = field(metadata=_true_or_false())
    """Whether queues, key and logs outlive the stack, which itself is then protected from deletion."""
    message_retention_days: int = field(metadata=_whole_number(1, 14))
    dead_letter_retention_days: int = field(metadata=_whole_number(1, 14))
    """Of every queue whose messages wait for a person."""
    retry_window_minutes: int = field(metadata=_whole_number(1, 240))
    """How long a message is tried again, from its acceptance."""
    task_state_machine_arns: list[str] = field(
        metadata=_list_of(
            _matching(rf"{_PARTITION}:states:{_REGION}:{_ACCOUNT}:stateMachine:{_STATE_MACHINE_NAME}"),
            accepted="a list of ARNs of state machines",
        )
    )
    """Of the state machines beside the stack's own whose tasks the function may answer."""
    reserved_concurrency: int | None = field(
        default=None,
        metadata=_or_null(
            _whole_number(1, 10_000)["rule"].accepts, accepted="a whole number from 1 to 10000, or null"
        ),
    )
    """Of the function, for all event sources; null for none: an account with a limit of 10 can spare none."""
    snap_start: bool = field(metadata=_true_or_false())
    """Whether a new environment starts from a snapshot: sooner, and for a price of its own."""
    vpc_subnet_ids: list[str] = field(
        metadata=_list_of(
            _matching(rf"subnet-{_HEX_ID}"), accepted="a list of ids of subnets, empty for no VPC"
        )
    )
    """Private ones with a NAT gateway: Amazon Connect's participant service has no VPC endpoint."""
    vpc_security_group_ids: list[str] = field(
        metadata=_list_of(
            _matching(rf"sg-{_HEX_ID}"), accepted="a list of ids of security groups, empty for no VPC"
        )
    )
    """They let HTTPS out. Nothing comes in."""
    producer_principals: list[str] = field(
        metadata=_list_of(
            _matching(rf"{_PARTITION}:iam::{_ACCOUNT}:(root|(role|user)/[A-Za-z0-9_+=,.@/-]+)"),
            accepted="a list of ARNs of IAM roles, users and accounts (arn:aws:iam::111122223333:root)",
        )
    )
    """Who may send, beside those to whom the ProducerPolicy is attached. For producers in other accounts."""
    api_web_acl_arn: str | None = field(
        default=None,
        metadata=_or_null(
            _matching(rf"{_PARTITION}:wafv2:{_REGION}:{_ACCOUNT}:regional/webacl/[A-Za-z0-9_-]+/[0-9a-f-]+"),
            accepted="the ARN of a regional web ACL of AWS WAF, or null for none",
        ),
    )
    """Of the web ACL before the HTTP API."""
    api_source_cidrs: list[str] = field(
        metadata=_list_of(
            _is_address_range, accepted="a list of address ranges (203.0.113.0/24), empty for any"
        )
    )
    """The only addresses from which the HTTP API takes requests."""
    alarm_topic_arn: str | None = field(
        default=None,
        metadata=_or_null(
            _matching(rf"{_PARTITION}:sns:{_REGION}:{_ACCOUNT}:[A-Za-z0-9_-]+"),
            accepted="the ARN of an SNS topic, or null for none",
        ),
    )
    """Of an SNS topic that CloudWatch may publish to, where alarms are told. The CDK drops a null."""
    access_denied_percent: int = field(metadata=_whole_number(1, 100))
    """Of the messages that end: the share of AccessDenied above which there is an alarm."""

    @classmethod
    def of_stage(cls, stage: object, stages: object) -> Self:
        """Pick and validate the options of one stage.

        Raises:
            InvalidOptionsError: The stage or an option is unknown, missing or not acceptable.
        """
        if not isinstance(stages, Mapping):
            raise InvalidOptionsError(f"stages is {stages!r}; accepted: an object with the options by stage")
        if not isinstance(stage, str) or stage not in stages:
            raise InvalidOptionsError(f"unknown stage {stage!r}; accepted: {', '.join(stages)}")
        try:
            stack_name(stage)
        except ValueError as error:
            raise InvalidOptionsError(f"stages has {stage!r}; {error}") from None
        values = stages[stage]
        if not isinstance(values, Mapping):
            raise InvalidOptionsError(f"stages.{stage} is {values!r}; accepted: an object with the options")
        return cls._from_mapping(values, path=f"stages.{stage}")

    @classmethod
    def _from_mapping(cls, values: Mapping[str, Any], *, path: str) -> Self:
        options = {option.name: option for option in fields(cls)}
        if unknown := sorted(values.keys() - options.keys()):
            raise InvalidOptionsError(f"{path}.{unknown[0]} is unknown; accepted: {', '.join(options)}")
        for name, option in options.items():
            rule: _Rule = option.metadata["rule"]
            if name in values:
                if not rule.accepts(values[name]):
                    raise InvalidOptionsError(f"{path}.{name} is {values[name]!r}; accepted: {rule.accepted}")
            elif option.default is MISSING:
                raise InvalidOptionsError(f"{path}.{name} is missing; accepted: {rule.accepted}")
        selected = cls(**values)
        if bool(selected.vpc_subnet_ids) != bool(selected.vpc_security_group_ids):
            raise InvalidOptionsError(
                f"{path}.vpc_subnet_ids and vpc_security_group_ids belong together; accepted: both or neither"
            )
        reserved = selected.reserved_concurrency
        if reserved is not None and reserved <= selected.maximum_concurrency:
            raise InvalidOptionsError(
                f"{path}.reserved_concurrency is {reserved}; accepted: more than maximum_concurrency "
                f"({selected.maximum_concurrency}), for the other event sources, or null"
            )
        return selected

    @property
    def log_retention(self) -> logs.RetentionDays:
        return LOG_RETENTION[self.log_retention_days]

    @property
    def removal_policy(self) -> cdk.RemovalPolicy:
        # Not RETAIN: what a failed first deployment leaves behind would stand in the way of the second
        return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if self.retain_data else cdk.RemovalPolicy.DESTROY

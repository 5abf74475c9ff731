"""The options of a sender: their names, rules, defaults and descriptions. Needs no CDK.

Validation, `docs/reference/options.schema.json` and the table in `docs/reference/options.md` come from the
fields of `StageOptions`. To add an option, add a field and run `make docs`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from ipaddress import ip_network
from typing import Any, Final, Literal, Self

from .stage import stack_name

LOG_RETENTION: Final[Mapping[int, str]] = {
    1: "ONE_DAY",
    3: "THREE_DAYS",
    7: "ONE_WEEK",
    14: "TWO_WEEKS",
    30: "ONE_MONTH",
    90: "THREE_MONTHS",
    180: "SIX_MONTHS",
    365: "ONE_YEAR",
    731: "TWO_YEARS",
    1827: "FIVE_YEARS",
    3653: "TEN_YEARS",
}
"""The numbers of days that CloudWatch Logs accepts and we offer, by their names in the CDK."""


class InvalidOptionsError(ValueError):
    """An option is not valid. The message names the option and its rule."""


@dataclass(frozen=True, slots=True)
class _Rule:
    """The accepted values of an option: in words, as a check, and as JSON Schema."""

    accepted: str
    accepts: Callable[[object], bool]
    schema: Mapping[str, Any]

    def or_null(self, accepted: str) -> "_Rule":
        return _Rule(
            accepted,
            lambda value: value is None or self.accepts(value),
            {**self.schema, "type": [self.schema["type"], "null"]},
        )

    def list_of_these(self, accepted: str) -> "_Rule":
        return _Rule(
            accepted,
            lambda value: isinstance(value, (list, tuple)) and all(map(self.accepts, value)),
            {"type": "array", "items": self.schema},
        )


def _one_of(*values: str | int) -> _Rule:
    def accepts(value: object) -> bool:
        return any(value == known and type(value) is type(known) for known in values)

    return _Rule("one of " + ", ".join(map(str, values)), accepts, {"enum": [*values]})


def _whole_number(least: int, most: int) -> _Rule:
    def accepts(value: object) -> bool:
        return type(value) is int and least <= value <= most  # isinstance() accepts true and false

    return _Rule(
        f"a whole number from {least} to {most}",
        accepts,
        {"type": "integer", "minimum": least, "maximum": most},
    )


# The value of another construct, which the CDK resolves during synthesis: `${Token[Topic.TopicArn.1]}`
_TOKEN: Final = re.compile(r"[$#]\{Token\[[^\]]+\.[0-9]+\]\}")


def _is_token(value: object) -> bool:
    return isinstance(value, str) and _TOKEN.search(value) is not None


def _text(pattern: str) -> _Rule:
    def accepts(value: object) -> bool:
        return _is_token(value) or (isinstance(value, str) and re.fullmatch(pattern, value) is not None)

    return _Rule(f"text like {pattern}", accepts, {"type": "string", "pattern": f"^{pattern}$"})


def _address_range() -> _Rule:
    shape = _text("[0-9A-Fa-f:.]+/[0-9]{1,3}")

    def accepts(value: object) -> bool:
        try:
            return shape.accepts(value) and (_is_token(value) or bool(ip_network(str(value))))
        except ValueError:
            return False

    return _Rule("an address range", accepts, shape.schema)


def _number(least: float, most: float) -> _Rule:
    def accepts(value: object) -> bool:
        return type(value) in {int, float} and least <= value <= most  # type: ignore[operator]  # a number

    return _Rule(
        f"a number from {least:g} to {most:g}",
        accepts,
        {"type": "number", "minimum": least, "maximum": most},
    )


def _tags() -> _Rule:
    # https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
    key, value = "(?!aws:)[A-Za-z0-9 _.:/=+@-]{1,128}", "[A-Za-z0-9 _.:/=+@-]{0,256}"

    def accepts(tags: object) -> bool:
        return isinstance(tags, Mapping) and all(
            _text(key).accepts(name) and _text(value).accepts(text) for name, text in tags.items()
        )

    return _Rule(
        'an object of tags, such as {"owner": "chat-team"}',
        accepts,
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{key}$"},
            "additionalProperties": {"type": "string", "pattern": f"^{value}$"},
        },
    )


_TRUE_OR_FALSE = _Rule("true or false", lambda value: isinstance(value, bool), {"type": "boolean"})

_HEX_ID = "([0-9a-f]{8}|[0-9a-f]{17})"
_PARTITION = "arn:aws(-[a-z]+)*"
_REGION = "[a-z]{2,8}(-[a-z]{1,16}){1,3}-[1-9][0-9]?"
# The other partitions have no Amazon Connect: see message_sender.aws.endpoints
_CONNECT_REGION = f"(?!cn-|eusc-|us-iso|eu-iso){_REGION}"
_ACCOUNT = "[0-9]{12}"
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_CreateStateMachine.html
_STATE_MACHINE_NAME = (
    r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff" + "\U0010ffff]{1,80}"
)


def _option(rule: _Rule, description: str) -> dict[str, Any]:
    return {"rule": rule, "description": description}


_NEEDED_TO_RETAIN_DATA: Final[Mapping[str, str]] = {
    "account": "the 12 digits of an AWS account",
    "region": "the name of an AWS Region",
    "alarm_topic_arn": 'the ARN of an SNS topic, or "none"',
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a sender. Each has a default, and all are validated however they are created.

    A text can be the value of another construct, such as `topic.topic_arn`: the CDK knows it later.

    Raises:
        InvalidOptionsError: An option is not valid. The message names the option and its rule.
    """

    http_api: bool = field(
        default=True,
        metadata=_option(_TRUE_OR_FALSE, "The REST API."),
    )
    workflow: bool = field(
        default=True,
        metadata=_option(_TRUE_OR_FALSE, "The state machine that sends one message."),
    )
    monitoring: bool = field(
        default=True,
        metadata=_option(_TRUE_OR_FALSE, "The alarms, the dashboard and the saved queries of the logs."),
    )
    rollout: Literal["none", "linear", "canary"] = field(
        default="none",
        metadata=_option(
            _one_of("none", "linear", "canary"),
            "How the alias moves to a new version: at once, 10 % a minute, or 10 % for 5 minutes.",
        ),
    )
    content_limits: Literal["specification", "service"] = field(
        default="specification",
        metadata=_option(
            _one_of("specification", "service"),
            "The length limits of `Content`: the specification's, or Amazon Connect's 16,384 bytes.",
        ),
    )
    sealed_tokens: bool = field(
        default=False,
        metadata=_option(
            _TRUE_OR_FALSE,
            "Accept connection tokens that producers have sealed with a KMS key of the sender.",
        ),
    )
    maximum_age_minutes: int | None = field(
        default=None,
        metadata=_option(
            _whole_number(1, 20_160).or_null("a whole number from 1 to 20160, or null"),
            "Reject messages of the queue and the bus that are older.",
        ),
    )
    outcome_lookup: bool = field(
        default=False,
        metadata=_option(
            _TRUE_OR_FALSE, "Keep each outcome in a table, and answer `GET /messages/{id}` with it."
        ),
    )
    outcome_retention_days: int = field(
        default=7,
        metadata=_option(_whole_number(1, 365), "How long the table of `outcome_lookup` keeps an outcome."),
    )
    connect_region: str | None = field(
        default=None,
        metadata=_option(
            _text(_CONNECT_REGION).or_null(
                "the name of an AWS Region with Amazon Connect, or null for the stack's own"
            ),
            "The Region of Amazon Connect, if it is not the Region of the stack.",
        ),
    )
    log_level: Literal["DEBUG", "INFO"] = field(
        default="INFO",
        metadata=_option(
            _one_of("DEBUG", "INFO"),
            "The log level of the function. Levels above INFO would drop its metrics.",
        ),
    )
    log_retention_days: int = field(
        default=90, metadata=_option(_one_of(*LOG_RETENTION), "How long CloudWatch keeps the logs.")
    )
    memory_size_mb: int = field(
        default=512,
        metadata=_option(
            _whole_number(128, 10_240), "MB of memory. Above 1,769, the function gets no more CPU."
        ),
    )
    maximum_concurrency: int = field(
        default=10,
        metadata=_option(
            _whole_number(2, 1000),
            "The most batches of the messages queue that run at once.",
        ),
    )
    send_quota_per_second: int = field(
        default=10,
        metadata=_option(
            _whole_number(1, 10_000),
            "SendMessage calls a second: this stage's share of your account's quota.",
        ),
    )
    tracing: Literal["off", "active", "subsegments"] = field(
        default="off",
        metadata=_option(
            _one_of("off", "active", "subsegments"),
            "AWS X-Ray traces nothing, each invocation, or also each SendMessage call.",
        ),
    )
    retain_data: bool = field(
        default=False,
        metadata=_option(
            _TRUE_OR_FALSE,
            "Keep queues, keys, logs and the table after the stack. `app.py` also protects the stack.",
        ),
    )
    message_retention_days: int = field(
        default=4, metadata=_option(_whole_number(1, 14), "How long the messages queue keeps a message.")
    )
    dead_letter_retention_days: int = field(
        default=14, metadata=_option(_whole_number(1, 14), "How long every other queue keeps a message.")
    )
    retry_window_minutes: int = field(
        default=10,
        metadata=_option(
            _whole_number(1, 240),
            "How long the function retries a message after the messages queue accepted it.",
        ),
    )
    task_state_machine_arns: Sequence[str] = field(
        default=(),
        metadata=_option(
            _text(
                f"{_PARTITION}:states:{_REGION}:{_ACCOUNT}:stateMachine:{_STATE_MACHINE_NAME}"
            ).list_of_these("a list of ARNs of state machines"),
            "Your state machines whose tasks the function may complete.",
        ),
    )
    # In prod 10 for the queue and 20 for all other event sources: no flood can stop the chats or the account.
    # Lambda refuses to leave the account less than 100.
    reserved_concurrency: int | None = field(
        default=None,
        metadata=_option(
            _whole_number(1, 10_000).or_null("a whole number from 1 to 10000, or null"),
            "Reserved concurrency of the function, for all event sources: more than `maximum_concurrency`.",
        ),
    )
    snap_start: bool = field(
        default=False,
        metadata=_option(
            _TRUE_OR_FALSE,
            "Start the function from a snapshot, which Lambda charges for.",
        ),
    )
    vpc_subnet_ids: Sequence[str] = field(
        default=(),
        metadata=_option(
            _text(f"subnet-{_HEX_ID}").list_of_these("a list of ids of subnets, empty for no VPC"),
            "Private subnets with a NAT gateway: the participant service has no VPC endpoint.",
        ),
    )
    vpc_security_group_ids: Sequence[str] = field(
        default=(),
        metadata=_option(
            _text(f"sg-{_HEX_ID}").list_of_these("a list of ids of security groups, empty for no VPC"),
            "Their security groups, which allow HTTPS out and nothing in.",
        ),
    )
    producer_principals: Sequence[str] = field(
        default=(),
        metadata=_option(
            _text(f"{_PARTITION}:iam::{_ACCOUNT}:(root|(role|user)/[A-Za-z0-9_+=,.@/-]+)").list_of_these(
                "a list of ARNs of IAM roles, users and accounts (arn:aws:iam::111122223333:root)"
            ),
            "ARNs of producers in other accounts.",
        ),
    )
    api_web_acl_arn: str | None = field(
        default=None,
        metadata=_option(
            _text(
                f"{_PARTITION}:wafv2:{_REGION}:{_ACCOUNT}:regional/webacl/[A-Za-z0-9_-]+/[0-9a-f-]+"
            ).or_null("the ARN of a regional web ACL of AWS WAF, or null for none"),
            "A web ACL of AWS WAF for the REST API.",
        ),
    )
    api_source_cidrs: Sequence[str] = field(
        default=(),
        metadata=_option(
            _address_range().list_of_these("a list of address ranges (203.0.113.0/24), empty for any"),
            "The only address ranges from which the REST API accepts requests.",
        ),
    )
    manage_api_gateway_account: bool = field(
        default=False,
        metadata=_option(
            _TRUE_OR_FALSE,
            "Set the one role with which API Gateway writes the logs of all APIs.",
        ),
    )
    alarm_topic_arn: str | None = field(
        default=None,
        metadata=_option(
            _text(f"(none|{_PARTITION}:sns:{_REGION}:{_ACCOUNT}:[A-Za-z0-9_-]+)").or_null(
                'the ARN of an SNS topic, "none", or null'
            ),
            'An SNS topic for the alarms, or "none". Required with `retain_data`.',
        ),
    )
    slo_percent: float = field(
        default=99.5,
        metadata=_option(
            _number(90, 99.99),
            "The objective: this share of messages is sent or rejected within `slo_seconds`.",
        ),
    )
    slo_seconds: int = field(
        default=60,
        metadata=_option(_whole_number(1, 3600), "The time of the objective, from acceptance to outcome."),
    )
    access_denied_percent: int = field(
        default=20,
        metadata=_option(
            _whole_number(1, 100),
            "The share of `AccessDenied` above which an alarm goes off.",
        ),
    )

    @property
    def traced(self) -> bool:
        """Whether AWS X-Ray traces the API, the function and the state machine."""
        return self.tracing != "off"

    @property
    def alarm_topic(self) -> str | None:
        """The ARN of the topic for the alarms, if they have one."""
        return None if self.alarm_topic_arn == "none" else self.alarm_topic_arn

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            rule: _Rule = option.metadata["rule"]
            if not rule.accepts(value):
                raise InvalidOptionsError(f"{option.name} is {value!r}; accepted: {rule.accepted}")
            if isinstance(value, list):
                object.__setattr__(self, option.name, tuple(value))  # nobody can add to it any more
        if bool(self.vpc_subnet_ids) != bool(self.vpc_security_group_ids):
            raise InvalidOptionsError(
                "vpc_subnet_ids and vpc_security_group_ids belong together; accepted: both or neither"
            )
        reserved = self.reserved_concurrency
        if reserved is not None and reserved <= self.maximum_concurrency:
            raise InvalidOptionsError(
                f"reserved_concurrency is {reserved}; accepted: more than maximum_concurrency "
                f"({self.maximum_concurrency}), for the other event sources, or null"
            )
        for part, name in _PARTS_NEEDED:
            value = getattr(self, name)
            if not getattr(self, part) and value not in {_DEFAULTS[name], "none"}:
                raise InvalidOptionsError(f"{name} is {value!r} and {part} is false; accepted: {part} true")


_PARTS_NEEDED: Final = (
    *(("http_api", name) for name in ("api_web_acl_arn", "api_source_cidrs", "manage_api_gateway_account")),
    ("http_api", "outcome_lookup"),
    ("outcome_lookup", "outcome_retention_days"),
    *(("monitoring", name) for name in ("rollout", "alarm_topic_arn")),
)
"""Options that concern a part of the sender. A roll-out is stopped by alarms."""

_DEFAULTS: Final = {option.name: option.default for option in fields(Options)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOptions(Options):
    """The options of one stage of `cdk.json`: those of its sender, and those of its stack.

    Raises:
        InvalidOptionsError: An option is not valid.
    """

    account: str | None = field(
        default=None,
        metadata=_option(
            _text(_ACCOUNT).or_null(
                "the 12 digits of an AWS account, or null for the account of the credentials"
            ),
            "The AWS account of the stage. Required with `retain_data`.",
        ),
    )
    region: str | None = field(
        default=None,
        metadata=_option(
            _text(_REGION).or_null("the name of an AWS Region, or null for the Region of the credentials"),
            "The Region of the stage. Required with `retain_data`.",
        ),
    )
    tags: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_option(
            _tags(),
            "Tags of all resources, such as owner or cost centre. `project` and `stage` are always set.",
        ),
    )

    @property
    def missing(self) -> Mapping[str, str]:
        """The options that a stage needs because it retains its data, and that are null. With their rules.

        `app.py` refuses such a stage: nothing is right for everybody, and a forgotten one puts data into the
        wrong account, or pages nobody. Another CDK application may have account and Region from elsewhere.
        """
        return {
            name: rule
            for name, rule in _NEEDED_TO_RETAIN_DATA.items()
            if self.retain_data and getattr(self, name) is None
            if self.monitoring or name != "alarm_topic_arn"
        }

    @classmethod
    def of_stage(cls, stage: object, stages: object) -> Self:
        """Return the options of one stage.

        Args:
            stages: The options by the name of the stage, as in `cdk.json`. A stage lists those that differ
                from the defaults.

        Raises:
            InvalidOptionsError: The stage is unknown, or an option is unknown or not valid.
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
        known = [option.name for option in fields(cls)]
        if unknown := sorted(values.keys() - {*known}):
            raise InvalidOptionsError(f"stages.{stage}.{unknown[0]} is unknown; accepted: {', '.join(known)}")
        try:
            return cls(**values)
        except InvalidOptionsError as error:
            raise InvalidOptionsError(f"stages.{stage}.{error}") from None


def default(option: Field[Any]) -> Any:  # noqa: ANN401  # each option has its own type
    """Return the default of an option, as JSON has it."""
    value = option.default if option.default is not MISSING else {}
    return [*value] if isinstance(value, tuple) else value


def json_schema() -> dict[str, Any]:
    """Return a JSON Schema of `context.stages` in `cdk.json`.

    It cannot express the rules that concern two options, nor all rules for address ranges.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "stages",
        "description": "The options by the name of the stage, as in the context of cdk.json.",
        "type": "object",
        "additionalProperties": {
            "type": "object",
            "properties": {
                option.name: {
                    "description": option.metadata["description"],
                    "default": default(option),
                    **option.metadata["rule"].schema,
                }
                for option in fields(StageOptions)
            },
            "additionalProperties": False,
        },
    }

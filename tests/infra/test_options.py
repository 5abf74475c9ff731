import copy
import pickle
from dataclasses import Field, FrozenInstanceError, fields, replace
from typing import Any

import aws_cdk as cdk
import pytest
from jsonschema import Draft7Validator

from infra.options import InvalidOptionsError, Options, StageOptions, default, json_schema
from message_sender.settings import Settings
from tests.infra.template import EVERYTHING

SCHEMA = Draft7Validator(json_schema())

VALID: dict[str, Any] = {
    "http_api": True,
    "workflow": True,
    "monitoring": True,
    "account": None,
    "region": None,
    "tags": {},
    "rollout": "none",
    "content_limits": "specification",
    "sealed_tokens": False,
    "maximum_age_minutes": None,
    "outcome_lookup": True,
    "outcome_retention_days": 7,
    "connect_region": None,
    "log_level": "INFO",
    "log_retention_days": 30,
    "memory_size_mb": 512,
    "maximum_concurrency": 10,
    "send_quota_per_second": 10,
    "tracing": "active",
    "retain_data": True,
    "message_retention_days": 4,
    "dead_letter_retention_days": 14,
    "retry_window_minutes": 10,
    "task_state_machine_arns": [],
    "reserved_concurrency": 20,
    "snap_start": False,
    "vpc_subnet_ids": [],
    "vpc_security_group_ids": [],
    "producer_principals": [],
    "api_web_acl_arn": None,
    "api_source_cidrs": [],
    "manage_api_gateway_account": True,
    "alarm_topic_arn": None,
    "slo_percent": 99.5,
    "slo_seconds": 60,
    "access_denied_percent": 20,
}
# The CDK drops every null of cdk.json, so null is the default where it is accepted
MAY_BE_NULL = {
    *("account", "region", "connect_region", "maximum_age_minutes"),
    *("reserved_concurrency", "api_web_acl_arn", "alarm_topic_arn"),
}


def as_json(value: object) -> object:
    """Return the value of an option as JSON has it."""
    return [*value] if isinstance(value, tuple) else value


def test_every_stage_of_the_project_is_valid(context: dict[str, Any]) -> None:
    stages = context["stages"]

    options = [StageOptions.of_stage(stage, stages) for stage in stages]

    assert len(options) == 2
    SCHEMA.validate(stages)


def test_options_are_those_of_the_stage() -> None:
    stages = {"one": VALID, "other": VALID | {"maximum_concurrency": 15}}

    options = StageOptions.of_stage("other", stages)

    assert options.maximum_concurrency == 15


@pytest.mark.parametrize("option", fields(StageOptions), ids=lambda option: option.name)
def test_absent_option_has_its_default(option: Field[object]) -> None:
    rest = {name: value for name, value in VALID.items() if name != option.name}

    options = StageOptions.of_stage("dev", {"dev": rest})

    stated = json_schema()["additionalProperties"]["properties"][option.name]["default"]
    assert as_json(getattr(options, option.name)) == default(option) == stated
    assert (stated is None) == (option.name in MAY_BE_NULL)
    SCHEMA.validate({"dev": rest, "with the default": rest | {option.name: stated}})


def test_a_stage_and_a_sender_need_no_option() -> None:
    options = StageOptions.of_stage("dev", {"dev": {}})

    assert options == StageOptions()
    assert all(getattr(options, each.name) == getattr(Options(), each.name) for each in fields(Options))
    assert options.missing == {}
    assert "required" not in json_schema()["additionalProperties"]
    SCHEMA.validate({"dev": {}})


@pytest.mark.parametrize("stage", ["test", "", "DEV", 1])
def test_unknown_stage_names_the_known_ones(stage: object) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        StageOptions.of_stage(stage, {"dev": VALID, "prod": VALID})

    assert str(refusal.value) == f"unknown stage {stage!r}; accepted: dev, prod"


def test_unknown_option_names_the_known_ones() -> None:
    with pytest.raises(InvalidOptionsError, match=r"^stages\.dev\.memory is unknown; accepted: http_api, .+"):
        StageOptions.of_stage("dev", {"dev": VALID | {"memory": 512}})
    assert not SCHEMA.is_valid({"dev": VALID | {"memory": 512}})


PRINCIPALS = "a list of ARNs of IAM roles, users and accounts (arn:aws:iam::111122223333:root)"
CIDRS = "a list of address ranges (203.0.113.0/24), empty for any"


ACCOUNTS = "the 12 digits of an AWS account, or null for the account of the credentials"
REGIONS = "the name of an AWS Region, or null for the Region of the credentials"
TAGS = 'an object of tags, such as {"owner": "chat-team"}'
TOPICS = 'the ARN of an SNS topic, "none", or null'

UNACCEPTABLE: list[tuple[str, object, str]] = [
    ("http_api", "yes", "true or false"),
    ("workflow", 1, "true or false"),
    ("monitoring", None, "true or false"),
    ("content_limits", "none", "one of specification, service"),
    ("content_limits", ["service"], "one of specification, service"),
    (
        "connect_region",
        "Frankfurt",
        "the name of an AWS Region with Amazon Connect, or null for the stack's own",
    ),
    ("connect_region", "", "the name of an AWS Region with Amazon Connect, or null for the stack's own"),
    (
        "connect_region",
        "eu-central-٣",
        "the name of an AWS Region with Amazon Connect, or null for the stack's own",
    ),
    (
        "connect_region",
        "eu-central-1\n",
        "the name of an AWS Region with Amazon Connect, or null for the stack's own",
    ),
    (
        "connect_region",
        "x@evil.example",
        "the name of an AWS Region with Amazon Connect, or null for the stack's own",
    ),
    (
        "connect_region",
        "cn-north-1",
        "the name of an AWS Region with Amazon Connect, or null for the stack's own",
    ),
    (
        "connect_region",
        "us-isob-east-1",
        "the name of an AWS Region with Amazon Connect, or null for the stack's own",
    ),
    ("connect_region", 1, "the name of an AWS Region with Amazon Connect, or null for the stack's own"),
    ("log_level", "WARNING", "one of DEBUG, INFO"),
    ("log_level", None, "one of DEBUG, INFO"),
    ("log_retention_days", 8, "one of 1, 3, 7, 14, 30, 90, 180, 365, 731, 1827, 3653"),
    ("log_retention_days", True, "one of 1, 3, 7, 14, 30, 90, 180, 365, 731, 1827, 3653"),
    ("memory_size_mb", 127, "a whole number from 128 to 10240"),
    ("memory_size_mb", "512", "a whole number from 128 to 10240"),
    ("maximum_concurrency", 1, "a whole number from 2 to 1000"),
    ("maximum_concurrency", 1001, "a whole number from 2 to 1000"),
    ("maximum_concurrency", 2.5, "a whole number from 2 to 1000"),
    ("send_quota_per_second", 0, "a whole number from 1 to 10000"),
    ("send_quota_per_second", 10.0, "a whole number from 1 to 10000"),
    ("tracing", "on", "one of off, active, subsegments"),
    ("tracing", True, "one of off, active, subsegments"),
    ("account", "1111222233", ACCOUNTS),
    ("account", 111122223333, ACCOUNTS),
    ("account", "11112222333٣", ACCOUNTS),
    ("region", "eu-central", REGIONS),
    ("region", "eu-central-٣", REGIONS),
    ("tags", ["owner"], TAGS),
    ("tags", {"owner": 7}, TAGS),
    ("tags", {"aws:owner": "x"}, TAGS),
    ("tags", {"": "x"}, TAGS),
    ("tags", {"owner": "x" * 257}, TAGS),
    ("rollout", "fast", "one of none, linear, canary"),
    ("manage_api_gateway_account", "yes", "true or false"),
    ("slo_percent", 100, "a number from 90 to 99.99"),
    ("slo_percent", True, "a number from 90 to 99.99"),
    ("slo_percent", "99", "a number from 90 to 99.99"),
    ("slo_seconds", 0, "a whole number from 1 to 3600"),
    ("retain_data", None, "true or false"),
    ("message_retention_days", 15, "a whole number from 1 to 14"),
    ("message_retention_days", True, "a whole number from 1 to 14"),
    ("dead_letter_retention_days", 0, "a whole number from 1 to 14"),
    ("retry_window_minutes", 241, "a whole number from 1 to 240"),
    *(
        ("task_state_machine_arns", value, "a list of ARNs of state machines")
        for value in (
            None,
            "arn:aws:states:eu-central-1:000000000000:stateMachine:orders",
            ["orders"],
            [7],
            ["*"],
            ["arn:aws:states:eu-central-1:000000000000:stateMachine:*"],
            ["arn:aws:states:*:000000000000:stateMachine:orders"],
            ["arn:aws:states:eu-central-1:000000000000:execution:orders:1"],
            ["arn:aws:states:eu-central-1:000000000000:stateMachine:orders", ""],
            ["arn:aws:states:eu-central-1:000000000000:stateMachine:orders\n"],
            ["arn:aws:states:eu-central-1:00000000000٣:stateMachine:orders"],
            ["arn:aws:states:eu-central-٣:000000000000:stateMachine:orders"],
            ["arn:aws:states:eu-central-100:000000000000:stateMachine:orders"],
            ["arn:aws:states:eu-central-1:000000000000:stateMachine:" + "o" * 81],
            ["arn:aws:states:eu-central-1:000000000000:stateMachine:"],
            *(
                [f"arn:aws:states:eu-central-1:000000000000:stateMachine:or{character}ders"]
                for character in [*'<>{}[]?*"#%\\^|~`$&,;:/ \t\x00\x7f\x9f', "\xa0", "\u2028", "\ufffe"]
            ),
        )
    ),
    ("reserved_concurrency", 0, "a whole number from 1 to 10000, or null"),
    ("reserved_concurrency", "20", "a whole number from 1 to 10000, or null"),
    (
        "reserved_concurrency",
        10,
        "more than maximum_concurrency (10), for the other event sources, or null",
    ),
    ("snap_start", "yes", "true or false"),
    ("vpc_subnet_ids", "subnet-01234567", "a list of ids of subnets, empty for no VPC"),
    ("vpc_subnet_ids", ["subnet-1"], "a list of ids of subnets, empty for no VPC"),
    ("vpc_security_group_ids", ["subnet-01234567"], "a list of ids of security groups, empty for no VPC"),
    ("producer_principals", ["*"], PRINCIPALS),
    ("producer_principals", ["111122223333"], PRINCIPALS),
    ("producer_principals", ["arn:aws:iam::111122223333:role/*"], PRINCIPALS),
    ("producer_principals", ["arn:aws:iam::11112222333٣:root"], PRINCIPALS),
    ("producer_principals", ["arn:aws:iam::111122223333:role/٣"], PRINCIPALS),
    ("producer_principals", ["arn:aws:iam::111122223333:user/ä"], PRINCIPALS),
    ("producer_principals", ["arn:aws--x:iam::111122223333:root"], PRINCIPALS),
    ("producer_principals", ["arn:aws:sts::111122223333:assumed-role/a/b"], PRINCIPALS),
    ("producer_principals", "arn:aws:iam::111122223333:root", PRINCIPALS),
    ("api_web_acl_arn", "web-acl", "the ARN of a regional web ACL of AWS WAF, or null for none"),
    (
        "api_web_acl_arn",
        "arn:aws:wafv2:us-east-1:111122223333:global/webacl/api/a1b2",
        "the ARN of a regional web ACL of AWS WAF, or null for none",
    ),
    (
        "api_web_acl_arn",
        "arn:aws:wafv2:us-east-1:11112222333٣:regional/webacl/api/a1b2",
        "the ARN of a regional web ACL of AWS WAF, or null for none",
    ),
    (
        "api_web_acl_arn",
        "arn:aws:wafv2:us-east-1:111122223333:regional/webacl/ä/a1b2",
        "the ARN of a regional web ACL of AWS WAF, or null for none",
    ),
    ("api_source_cidrs", ["203.0.113.7"], CIDRS),
    ("api_source_cidrs", ["203.0.113.٣/32"], CIDRS),
    ("api_source_cidrs", ["203.0.113.0/255.255.255.0"], CIDRS),
    ("api_source_cidrs", ["fe80::%1/64"], CIDRS),
    ("api_source_cidrs", "203.0.113.0/24", CIDRS),
    ("api_source_cidrs", ["203.0.113.0/33"], CIDRS),
    ("alarm_topic_arn", "alarms", TOPICS),
    ("alarm_topic_arn", "", TOPICS),
    (
        "alarm_topic_arn",
        "arn:aws:sqs:eu-central-1:111122223333:q",
        TOPICS,
    ),
    (
        "alarm_topic_arn",
        "arn:aws:sns:eu-central-1:11112222333٣:alarms",
        TOPICS,
    ),
    ("access_denied_percent", 0, "a whole number from 1 to 100"),
    ("access_denied_percent", 101, "a whole number from 1 to 100"),
]


@pytest.mark.parametrize(("name", "value", "accepted"), UNACCEPTABLE)
def test_unacceptable_option_is_named_with_what_is_accepted(name: str, value: object, accepted: str) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        StageOptions.of_stage("dev", {"dev": VALID | {name: value}})

    assert str(refusal.value) == f"stages.dev.{name} is {value!r}; accepted: {accepted}"


@pytest.mark.parametrize(("name", "value", "accepted"), UNACCEPTABLE)
def test_options_are_validated_however_they_are_created(name: str, value: object, accepted: str) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        StageOptions(**VALID | {name: value})

    assert str(refusal.value) == f"{name} is {value!r}; accepted: {accepted}"


# JSON has one kind of number, so 10.0 is 10. The schema has no rules about two options or about the numbers
# of an address. In Python, unlike in JSON Schema, `$` matches before a line break.
REFUSED_BY_PYTHON_ONLY = [
    ("connect_region", "eu-central-1\n"),
    ("send_quota_per_second", 10.0),
    ("task_state_machine_arns", ["arn:aws:states:eu-central-1:000000000000:stateMachine:orders\n"]),
    ("reserved_concurrency", 10),
    ("api_source_cidrs", ["203.0.113.0/33"]),
]


@pytest.mark.parametrize(("name", "value", "accepted"), UNACCEPTABLE)
def test_json_schema_refuses_the_same_values(name: str, value: object, accepted: str) -> None:
    valid = SCHEMA.is_valid({"dev": VALID | {name: value}})

    assert valid is ((name, value) in REFUSED_BY_PYTHON_ONLY), accepted


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "ap-southeast-2", "ap-southeast-12"])
def test_regions_with_amazon_connect_are_accepted(region: str) -> None:
    values = {
        "connect_region": region,
        "task_state_machine_arns": [f"arn:aws:states:{region}:111122223333:stateMachine:orders"],
        "api_web_acl_arn": f"arn:aws:wafv2:{region}:111122223333:regional/webacl/api/a1b2",
        "alarm_topic_arn": f"arn:aws:sns:{region}:111122223333:alarms",
    }

    options = StageOptions.of_stage("dev", {"dev": VALID | values})

    assert {name: as_json(getattr(options, name)) for name in values} == values
    SCHEMA.validate({"dev": VALID | values})
    assert f".{region}." in Settings.from_environ(ENVIRON | {"CONNECT_REGION": region}).participant_url


ENVIRON = {
    "AWS_REGION": "eu-central-1",
    **dict.fromkeys(("EVENT_BUS_NAME", "MESSAGE_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"), "x"),
    **dict.fromkeys(("REJECTED_QUEUE_URL", "UNPUBLISHED_RESULTS_QUEUE_URL"), "x"),
}


@pytest.mark.parametrize(
    ("name", "most"),
    [("retry_window_minutes", 240), ("send_quota_per_second", 10_000), ("maximum_concurrency", 1000)],
)
def test_function_accepts_the_largest_number(name: str, most: int) -> None:
    options = StageOptions.of_stage("dev", {"dev": VALID | {"reserved_concurrency": None, name: most}})

    assert getattr(options, name) == most
    with pytest.raises(InvalidOptionsError, match=name):
        StageOptions.of_stage("dev", {"dev": VALID | {name: most + 1}})
    Settings.from_environ(ENVIRON | {name.upper(): str(most)})


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:states:eu-central-1:000000000000:stateMachine:orders",
        "arn:aws-us-gov:states:us-gov-west-1:000000000000:stateMachine:Orders_2-retry",
        "arn:aws-cn:states:cn-north-1:000000000000:stateMachine:o",
        "arn:aws-eusc:states:eusc-de-east-1:000000000000:stateMachine:orders",
        "arn:aws:states:ap-southeast-12:000000000000:stateMachine:orders",
        "arn:aws-iso-b:states:us-isob-east-1:000000000000:stateMachine:orders.v2",
        "arn:aws:states:eu-central-1:000000000000:stateMachine:o(r)d+e=r@s!'1_-.",
        "arn:aws:states:eu-central-1:000000000000:stateMachine:größe",
        "arn:aws:states:eu-central-1:000000000000:stateMachine:" + "o" * 80,
    ],
)
def test_state_machines_of_all_partitions_are_accepted(arn: str) -> None:
    options = StageOptions.of_stage("dev", {"dev": VALID | {"task_state_machine_arns": [arn, arn]}})

    assert options.task_state_machine_arns == (arn, arn)
    SCHEMA.validate({"dev": VALID | {"task_state_machine_arns": [arn, arn]}})


@pytest.mark.parametrize("stages", [None, ["dev"], "dev"])
def test_stages_must_be_an_object(stages: object) -> None:
    with pytest.raises(
        InvalidOptionsError, match=r"^stages is .+; accepted: an object with the options by stage$"
    ):
        StageOptions.of_stage("dev", stages)


def test_options_of_a_stage_must_be_an_object() -> None:
    with pytest.raises(
        InvalidOptionsError, match=r"^stages\.dev is 'small'; accepted: an object with the options$"
    ):
        StageOptions.of_stage("dev", {"dev": "small"})


@pytest.mark.parametrize("name", ["vpc_subnet_ids", "vpc_security_group_ids"])
def test_subnets_and_security_groups_belong_together(name: str) -> None:
    with pytest.raises(
        InvalidOptionsError,
        match=r"^stages\.dev\.vpc_subnet_ids and vpc_security_group_ids belong together; accepted: both or ",
    ):
        StageOptions.of_stage("dev", {"dev": VALID | {name: EVERYTHING[name]}})


@pytest.mark.parametrize("topic", [None, "arn:aws:sns:eu-central-1:111122223333:alarms"])
def test_topic_of_the_alarms_is_the_one_of_the_options(topic: str | None) -> None:
    assert StageOptions(**VALID | {"alarm_topic_arn": topic}).alarm_topic == topic


def test_alarms_have_no_topic_if_the_options_say_none() -> None:
    assert StageOptions(**VALID | {"alarm_topic_arn": "none"}).alarm_topic is None


def test_options_that_add_something_are_accepted() -> None:
    options = StageOptions.of_stage("dev", {"dev": VALID | dict(EVERYTHING)})

    assert {name: as_json(getattr(options, name)) for name in EVERYTHING} == EVERYTHING


def test_a_list_cannot_change_after_it_was_validated() -> None:
    ranges = ["203.0.113.0/24"]
    options = Options(api_source_cidrs=ranges)

    ranges.append("anything")

    assert options.api_source_cidrs == ("203.0.113.0/24",)
    with pytest.raises(FrozenInstanceError):
        options.http_api = False  # type: ignore[misc]  # that it is refused is the test


@pytest.mark.parametrize("options", [Options(memory_size_mb=1024), StageOptions(**VALID | EVERYTHING)])
def test_options_can_be_copied_and_pickled(options: Options) -> None:
    assert copy.copy(options) == copy.deepcopy(options) == options
    # What a test makes itself
    assert pickle.loads(pickle.dumps(options)) == options  # noqa: S301  # the bytes are of this test
    assert options.memory_size_mb == replace(options, log_level="DEBUG").memory_size_mb


def test_a_copy_with_another_value_is_validated() -> None:
    with pytest.raises(InvalidOptionsError, match=r"^memory_size_mb is 1; accepted: a whole number from 128"):
        replace(Options(), memory_size_mb=1)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("http_api", "api_web_acl_arn", EVERYTHING["api_web_acl_arn"]),
        ("http_api", "api_source_cidrs", ["203.0.113.0/24"]),
        ("http_api", "manage_api_gateway_account", True),
        ("http_api", "outcome_lookup", True),
        ("outcome_lookup", "outcome_retention_days", 30),
        ("monitoring", "rollout", "canary"),
        ("monitoring", "alarm_topic_arn", EVERYTHING["alarm_topic_arn"]),
    ],
)
def test_an_option_of_a_part_needs_the_part(part: str, name: str, value: object) -> None:
    with pytest.raises(
        InvalidOptionsError, match=rf"^{name} is .+ and {part} is false; accepted: {part} true"
    ):
        Options(**{part: False, name: value})  # type: ignore[arg-type]  # one of several options


def test_a_stage_without_monitoring_can_say_that_it_has_no_topic() -> None:
    filled_in: dict[str, Any] = {"account": "111122223333", "region": "eu-central-1", "retain_data": True}

    assert StageOptions(**filled_in, monitoring=False).missing == {}
    assert StageOptions(**filled_in, monitoring=False, alarm_topic_arn="none").alarm_topic is None


TEXTS = [name for name in EVERYTHING if name.endswith(("_arn", "_arns", "_ids", "_cidrs", "_principals"))]


@pytest.mark.parametrize("name", [*TEXTS, "connect_region"])
def test_a_text_can_be_the_value_of_another_construct(name: str) -> None:
    value = cdk.Fn.import_value("exported")
    given = [value] if isinstance(EVERYTHING[name], list) else value
    other = {"vpc_subnet_ids": "vpc_security_group_ids", "vpc_security_group_ids": "vpc_subnet_ids"}
    both: dict[str, Any] = {other[name]: EVERYTHING[other[name]]} if name in other else {}

    options = Options(**{name: given} | both)

    assert as_json(getattr(options, name)) == given


@pytest.mark.parametrize("name", ["memory_size_mb", "log_level", "http_api"])
def test_only_a_text_can_be_the_value_of_another_construct(name: str) -> None:
    value = cdk.Token.as_number({"Ref": "Any"}) if name == "memory_size_mb" else cdk.Fn.import_value("any")

    with pytest.raises(InvalidOptionsError, match=rf"^{name} is .+; accepted: "):
        Options(**{name: value})  # type: ignore[arg-type]  # that it is refused is the test


@pytest.mark.parametrize(
    "text", ["${Token[]}", "${Token[a]}", "Token[a.1]", "${AWS::Region}", "{{resolve:x}}"]
)
def test_a_text_that_only_looks_like_a_value_of_a_construct_is_refused(text: str) -> None:
    with pytest.raises(InvalidOptionsError, match=r"^alarm_topic_arn is"):
        Options(alarm_topic_arn=text)

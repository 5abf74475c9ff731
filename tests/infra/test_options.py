from typing import Any

import pytest

from infra.options import InvalidOptionsError, StageOptions

VALID: dict[str, Any] = {
    "content_limits": "specification",
    "connect_region": None,
    "log_level": "INFO",
    "log_retention_days": 30,
    "memory_size_mb": 512,
    "maximum_concurrency": 10,
    "send_quota_per_second": 10,
    "tracing": True,
    "retain_data": True,
    "message_retention_days": 4,
    "dead_letter_retention_days": 14,
    "retry_window_minutes": 10,
}


def test_every_stage_of_the_project_is_valid(context: dict[str, Any]) -> None:
    stages = context["stages"]

    options = [StageOptions.of_stage(stage, stages) for stage in stages]

    assert len(options) == 2


def test_options_are_those_of_the_stage() -> None:
    stages = {"one": VALID, "other": VALID | {"maximum_concurrency": 50}}

    options = StageOptions.of_stage("other", stages)

    assert options.maximum_concurrency == 50


def test_absent_connect_region_is_the_own_region() -> None:
    # the CDK hands on no null that cdk.json has
    without_region = {name: value for name, value in VALID.items() if name != "connect_region"}

    options = StageOptions.of_stage("dev", {"dev": without_region})

    assert options.connect_region is None


@pytest.mark.parametrize("stage", ["test", "", "DEV", 1])
def test_unknown_stage_names_the_known_ones(stage: object) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        StageOptions.of_stage(stage, {"dev": VALID, "prod": VALID})

    assert str(refusal.value) == f"unknown stage {stage!r}; accepted: dev, prod"


def test_unknown_option_names_the_known_ones() -> None:
    with pytest.raises(
        InvalidOptionsError, match=r"^stages\.dev\.memory is unknown; accepted: content_limits, .+"
    ):
        StageOptions.of_stage("dev", {"dev": VALID | {"memory": 512}})


@pytest.mark.parametrize("name", VALID.keys() - {"connect_region"})
def test_missing_option_is_named(name: str) -> None:
    rest = {other: value for other, value in VALID.items() if other != name}

    with pytest.raises(InvalidOptionsError, match=rf"^stages\.dev\.{name} is missing; accepted: .+"):
        StageOptions.of_stage("dev", {"dev": rest})


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("content_limits", "none", "one of specification, service"),
        ("content_limits", ["service"], "one of specification, service"),
        ("connect_region", "Frankfurt", "the name of an AWS Region, or null for the stack's own"),
        ("connect_region", "", "the name of an AWS Region, or null for the stack's own"),
        ("connect_region", 1, "the name of an AWS Region, or null for the stack's own"),
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
        ("tracing", "true", "true or false"),
        ("tracing", 1, "true or false"),
        ("retain_data", None, "true or false"),
        ("message_retention_days", 15, "a whole number from 1 to 14"),
        ("message_retention_days", True, "a whole number from 1 to 14"),
        ("dead_letter_retention_days", 0, "a whole number from 1 to 14"),
        ("retry_window_minutes", 241, "a whole number from 1 to 240"),
    ],
)
def test_unacceptable_option_is_named_with_what_is_accepted(name: str, value: object, accepted: str) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        StageOptions.of_stage("dev", {"dev": VALID | {name: value}})

    assert str(refusal.value) == f"stages.dev.{name} is {value!r}; accepted: {accepted}"


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "ap-southeast-2", "us-isob-east-1"])
def test_regions_of_all_partitions_are_accepted(region: str) -> None:
    options = StageOptions.of_stage("dev", {"dev": VALID | {"connect_region": region}})

    assert options.connect_region == region


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

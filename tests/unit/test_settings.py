"""The environment variables of the function."""

from __future__ import annotations

from datetime import timedelta

import pytest

from message_sender.settings import ResultsSettings, Settings
from tests.support.kms import TOKEN_KEY_ARN

ENVIRON = {
    "AWS_REGION": "eu-central-1",
    "EVENT_BUS_NAME": "bus",
    "MESSAGE_QUEUE_URL": "https://sqs/messages.fifo",
    "DEAD_LETTER_QUEUE_URL": "https://sqs/dead-letter.fifo",
    "REJECTED_QUEUE_URL": "https://sqs/rejected",
    "UNPUBLISHED_RESULTS_QUEUE_URL": "https://sqs/unpublished",
}


def test_the_defaults_follow_the_specification() -> None:
    settings = Settings.from_environ(ENVIRON)

    assert settings.content_limits == "specification"
    assert settings.participant_url == "https://participant.connect.eu-central-1.amazonaws.com"
    assert settings.tracing == "off"


def test_the_participant_service_can_be_in_another_region() -> None:
    settings = Settings.from_environ(ENVIRON | {"CONNECT_REGION": "us-west-2"})

    assert settings.participant_url == "https://participant.connect.us-west-2.amazonaws.com"
    assert settings.eventbridge_url == "https://events.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("name", ENVIRON)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_variable_is_named(name: str, value: str | None) -> None:
    environ = {key: item for key, item in (ENVIRON | {name: value}).items() if item is not None}

    with pytest.raises(ValueError, match=name):
        Settings.from_environ(environ)


def test_the_error_of_an_unknown_content_limit_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match="CONTENT_LIMITS must be one of specification, service"):
        Settings.from_environ(ENVIRON | {"CONTENT_LIMITS": "none"})


def test_messages_expire_by_their_age_only_if_a_maximum_is_set() -> None:
    assert Settings.from_environ(ENVIRON).maximum_age is None
    assert Settings.from_environ(ENVIRON | {"MAXIMUM_AGE_MINUTES": ""}).maximum_age is None
    assert Settings.from_environ(ENVIRON | {"MAXIMUM_AGE_MINUTES": "90"}).maximum_age == timedelta(minutes=90)


def test_the_retry_window_is_ten_minutes_by_default() -> None:
    assert Settings.from_environ(ENVIRON).retry_window == timedelta(minutes=10)
    assert Settings.from_environ(ENVIRON | {"RETRY_WINDOW_MINUTES": "3"}).retry_window == timedelta(minutes=3)


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("RETRY_WINDOW_MINUTES", 240),
        ("MAXIMUM_AGE_MINUTES", 20_160),
        ("SEND_QUOTA_PER_SECOND", 1_000_000),
        ("MAXIMUM_CONCURRENCY", 1_000_000),
    ],
)
@pytest.mark.parametrize(
    "value", ["0", "-1", "1.5", "ten", "³", "٣", "1 ", "1_0", "1000001", "99999999999", "9" * 5000]
)
def test_a_number_out_of_range_is_refused(name: str, most: int, value: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be a whole number from 1 to {most}$"):
        Settings.from_environ(ENVIRON | {name: value})


@pytest.mark.parametrize("region", ["eu-central-1", "us-gov-west-1", "ap-southeast-12"])
@pytest.mark.parametrize("name", ["AWS_REGION", "CONNECT_REGION"])
def test_a_region_of_a_partition_with_amazon_connect_is_accepted(name: str, region: str) -> None:
    settings = Settings.from_environ(ENVIRON | {name: region})

    assert settings.participant_url.startswith(f"https://participant.connect.{region}.")


@pytest.mark.parametrize("name", ["AWS_REGION", "CONNECT_REGION"])
@pytest.mark.parametrize(
    "value",
    [
        *("x@evil.example", "evil.example/", "eu-central-1.evil.example", "eu-central-1/", "eu-central-1#"),
        *(
            "Frankfurt",
            "EU-CENTRAL-1",
            "eu-central",
            "eu-central-",
            "eu--1",
            "-1",
            "eu_central_1",
            "eu-central-1a",
        ),
        *("cn-north-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "eusc-de-east-1"),
        *("eu-central-١", "eu-central-1\n", " eu-central-1", "eu-central-100", "eu-central-0", "aws-global"),
    ],
)
def test_a_region_without_amazon_connect_is_refused_and_not_quoted(name: str, value: str) -> None:
    with pytest.raises(ValueError) as refusal:
        Settings.from_environ(ENVIRON | {name: value})

    rule = "must be the name of an AWS Region with Amazon Connect"
    assert str(refusal.value) == f"the environment variable {name} {rule}"


@pytest.mark.parametrize("variable", ["CONNECTPARTICIPANT", "EVENTBRIDGE", "KMS", "SQS", "SFN"])
def test_an_unsafe_endpoint_of_any_service_is_refused(variable: str) -> None:
    with pytest.raises(ValueError, match=f"AWS_ENDPOINT_URL_{variable} must be an https:// URL"):
        Settings.from_environ(ENVIRON | {f"AWS_ENDPOINT_URL_{variable}": "http://vpce-1.example"})


def test_without_a_key_sealed_tokens_are_off() -> None:
    assert Settings.from_environ(ENVIRON).token_key_arn is None
    assert Settings.from_environ(ENVIRON | {"TOKEN_KEY_ARN": ""}).token_key_arn is None


@pytest.mark.parametrize(
    ("region", "arn"),
    [
        ("eu-central-1", TOKEN_KEY_ARN),
        ("us-gov-west-1", "arn:aws-us-gov:kms:us-gov-west-1:000000000000:key/mrk-0123456789abcdef"),
    ],
)
def test_the_key_of_sealed_tokens_has_an_arn(region: str, arn: str) -> None:
    settings = Settings.from_environ(ENVIRON | {"AWS_REGION": region, "TOKEN_KEY_ARN": arn})

    assert settings.token_key_arn == arn


@pytest.mark.parametrize(
    "value",
    [
        *("key", "0b9f3c1e-8d8e-4b32-9a51-6f0a1f2c7d44", "alias/tokens", f"{TOKEN_KEY_ARN}\n"),
        *(TOKEN_KEY_ARN.replace("eu-central-1", "us-west-2"), TOKEN_KEY_ARN.replace(":key/", ":alias/")),
        *(TOKEN_KEY_ARN.replace(":kms:", ":sqs:"), TOKEN_KEY_ARN.replace("arn:aws:", "arn:aws-cn:")),
    ],
)
def test_other_names_of_a_key_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"TOKEN_KEY_ARN must be the ARN of a KMS key in eu-central-1$"):
        Settings.from_environ(ENVIRON | {"TOKEN_KEY_ARN": value})


def test_the_default_quota_is_the_one_of_the_service() -> None:
    settings = Settings.from_environ(ENVIRON)
    raised = Settings.from_environ(ENVIRON | {"SEND_QUOTA_PER_SECOND": "50", "MAXIMUM_CONCURRENCY": "20"})

    assert (settings.send_quota, settings.maximum_concurrency) == (10, 10)
    assert (raised.send_quota, raised.maximum_concurrency) == (50, 20)


@pytest.mark.parametrize("value", ["off", "active", "subsegments"])
def test_tracing_is_one_of_three(value: str) -> None:
    assert Settings.from_environ(ENVIRON | {"TRACING": value}).tracing == value


@pytest.mark.parametrize("value", ["true", "Active", "subsegments "])
def test_the_error_of_an_unknown_tracing_lists_the_known_ones(value: str) -> None:
    with pytest.raises(ValueError, match=r"TRACING must be one of off, active, subsegments$"):
        Settings.from_environ(ENVIRON | {"TRACING": value})


OF_RESULTS = {"AWS_REGION": "eu-central-1", "EVENT_BUS_NAME": "bus"}


def test_outcomes_are_stored_for_a_week_and_only_in_a_table_that_is_set() -> None:
    settings = ResultsSettings.from_environ(OF_RESULTS)
    with_table = ResultsSettings.from_environ(OF_RESULTS | {"OUTCOME_TABLE_NAME": "outcomes"})

    assert settings.outcome_table_name is None
    assert settings.outcome_retention == timedelta(days=7)
    assert with_table.outcome_table_name == "outcomes"
    assert with_table.dynamodb_url == "https://dynamodb.eu-central-1.amazonaws.com"


@pytest.mark.parametrize("name", OF_RESULTS)
def test_missing_variable_of_results_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        ResultsSettings.from_environ({key: value for key, value in OF_RESULTS.items() if key != name})


@pytest.mark.parametrize("days", ["0", "366", "a week"])
def test_retention_that_is_not_a_number_of_days_is_refused(days: str) -> None:
    with pytest.raises(ValueError, match="OUTCOME_RETENTION_DAYS must be a whole number from 1 to 365"):
        ResultsSettings.from_environ(OF_RESULTS | {"OUTCOME_RETENTION_DAYS": days})

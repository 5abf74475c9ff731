import base64
import re
from collections.abc import Mapping
from typing import Any
from unittest.mock import Mock

import aws_cdk as cdk
import pytest

import app
from infra import sender_function
from infra.python_asset import python_code
from message_sender import __version__
from tests.infra.iam import resolve
from tests.infra.template import (
    ALIAS,
    BUS,
    CHANGED,
    DEAD_LETTER,
    EVERYTHING,
    FUNCTION,
    KEY,
    LOGS,
    MESSAGES,
    MESSAGES_MAPPING,
    REJECTED,
    ROLE_POLICY,
    UNPUBLISHED_RESULTS,
    VPC_OPTIONS,
    Synthesize,
    Template,
    arn,
    properties,
    ref,
)

VERSION = "AWS::Lambda::Version"


@pytest.mark.parametrize(("retain_data", "compiled"), [(True, "required"), (False, "preferred")])
def test_stage_that_keeps_its_data_requires_a_package_with_compiled_modules(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, retain_data: bool, compiled: str
) -> None:
    options = context["stages"]["prod"] | {"retain_data": retain_data}
    build = Mock(wraps=python_code)
    monkeypatch.setattr(sender_function, "python_code", build)

    app.build(cdk.App(context=context | {"stage": "prod", "stages": {"prod": options}}))

    assert [call.kwargs["compiled"] for call in build.call_args_list] == [compiled]


def environment(template: Template) -> dict[str, Any]:
    return dict(properties(template, FUNCTION)["Environment"]["Variables"])


def event_source(template: Template) -> dict[str, Any]:
    return dict(properties(template, MESSAGES_MAPPING))


def test_function_runs_its_handler_on_python_and_arm(template: Template) -> None:
    function = properties(template, FUNCTION)

    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["Handler"] == "message_sender.handler.lambda_handler"
    assert function["Description"].endswith(f"(version {__version__})")


def test_function_ends_before_api_gateway_gives_up(template: Template) -> None:
    assert properties(template, FUNCTION)["Timeout"] == 28


def test_function_has_the_memory_of_the_stage(changed: Template) -> None:
    assert properties(changed, FUNCTION)["MemorySize"] == 1024


def test_environment_has_the_settings_of_the_function(dev: Template) -> None:
    assert environment(dev) == {
        "EVENT_BUS_NAME": ref(BUS),
        "MESSAGE_QUEUE_URL": ref(MESSAGES),
        "DEAD_LETTER_QUEUE_URL": ref(DEAD_LETTER),
        "REJECTED_QUEUE_URL": ref(REJECTED),
        "UNPUBLISHED_RESULTS_QUEUE_URL": ref(UNPUBLISHED_RESULTS),
        "RETRY_WINDOW_MINUTES": "10",
        "SEND_QUOTA_PER_SECOND": "10",
        "MAXIMUM_CONCURRENCY": "2",
        "CONTENT_LIMITS": "specification",
        "TRACING": "off",
        "POWERTOOLS_SERVICE_NAME": "connect-message-sender",
        "POWERTOOLS_METRICS_NAMESPACE": "ConnectMessageSender-dev",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }


@pytest.mark.parametrize(
    ("option", "variable"),
    [
        ("content_limits", "CONTENT_LIMITS"),
        ("connect_region", "CONNECT_REGION"),
        ("log_level", "POWERTOOLS_LOG_LEVEL"),
        ("retry_window_minutes", "RETRY_WINDOW_MINUTES"),
        ("send_quota_per_second", "SEND_QUOTA_PER_SECOND"),
        ("maximum_concurrency", "MAXIMUM_CONCURRENCY"),
        ("maximum_age_minutes", "MAXIMUM_AGE_MINUTES"),
    ],
)
def test_option_of_the_stage_reaches_the_environment(changed: Template, option: str, variable: str) -> None:
    assert environment(changed)[variable] == str((EVERYTHING | CHANGED)[option])


def test_environment_is_encrypted_with_the_key(template: Template) -> None:
    assert properties(template, FUNCTION)["KmsKeyArn"] == arn(KEY)


def test_traced_function_records_traces(changed: Template) -> None:
    assert properties(changed, FUNCTION)["TracingConfig"] == {"Mode": "Active"}
    assert environment(changed)["TRACING"] == "subsegments"


def test_function_can_be_traced_without_a_tracer(synthesize: Synthesize) -> None:
    active = synthesize("dev", tracing="active")

    assert properties(active, FUNCTION)["TracingConfig"] == {"Mode": "Active"}
    assert environment(active)["TRACING"] == "active"


def test_untraced_function_loads_no_tracer(dev: Template) -> None:
    assert "TracingConfig" not in properties(dev, FUNCTION)
    assert environment(dev)["TRACING"] == "off"


@pytest.mark.parametrize(("stage", "level"), [("dev", "INFO"), ("changed", "DEBUG")])
def test_lambda_keeps_every_line_of_the_logger(
    request: pytest.FixtureRequest, stage: str, level: str
) -> None:
    template = request.getfixturevalue(stage)

    assert properties(template, FUNCTION)["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": level,
        "LogGroup": ref(LOGS),
    }


def test_logs_are_encrypted_and_kept_for_the_days_of_the_stage(changed: Template) -> None:
    assert properties(changed, LOGS)["KmsKeyId"] == arn(KEY)
    assert properties(changed, LOGS)["RetentionInDays"] == 30


@pytest.fixture
def masked(template: Template) -> Mapping[str, Any]:
    """The policy by which CloudWatch masks data in the function's log."""
    policy: Mapping[str, Any] = properties(template, LOGS)["DataProtectionPolicy"]
    return policy


def test_log_masks_and_counts_tokens_secrets_and_addresses(masked: Mapping[str, Any]) -> None:
    audit, mask = masked["Statement"]

    assert audit["Operation"] == {"Audit": {"FindingsDestination": {}}}
    assert mask["Operation"] == {"Deidentify": {"MaskConfig": {}}}
    assert audit["DataIdentifier"] == mask["DataIdentifier"]
    assert [resolve(identifier) for identifier in mask["DataIdentifier"]] == [
        "Token",
        "arn:aws:dataprotection::aws:data-identifier/AwsSecretKey",
        "arn:aws:dataprotection::aws:data-identifier/EmailAddress",
    ]


def test_cloudwatch_accepts_the_pattern_of_tokens(masked: Mapping[str, Any]) -> None:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL-custom-data-identifiers.html
    [identifier] = masked["Configuration"]["CustomDataIdentifier"]

    assert identifier["Name"] == "Token"
    assert len(identifier["Regex"]) <= 200
    assert re.fullmatch(r"[A-Za-z0-9_#=@/;,\- ^$?\[\]{}|\\*+.]+", identifier["Regex"])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (base64.b64encode(bytes(range(256)) * 2).decode(), 99),
        (base64.urlsafe_b64encode(bytes(range(255, -1, -1))).decode(), 99),
        ("AAAAKgAAAAIAAAAAAAAAA" + "aB3/+" * 120, 99),
    ],
    ids=["connection token", "web token", "task token"],
)
def test_token_is_masked_except_for_a_useless_end(masked: Mapping[str, Any], text: str, left: int) -> None:
    [identifier] = masked["Configuration"]["CustomDataIdentifier"]

    rest = re.sub(identifier["Regex"], "", f'{{"message": "x {text}"}}')

    assert len(rest) <= len('{"message": "x "}') + left
    assert text[:100] not in rest


@pytest.mark.parametrize(
    "text",
    [
        "5f0d5b9e-0b43-4a35-9c2e-6a1d1c5c9c11" * 2,
        "arn:aws:lambda:eu-central-1:123456789012:function:ConnectMessageSender-prod-SenderFunction8A49F898-abc",
        'File "/var/task/message_sender/event_sources/eventbridge.py", line 71, in handle',
        "https://sqs.eu-central-1.amazonaws.com/123456789012/ConnectMessageSender-prod-messages.fifo",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    ],
)
def test_ids_and_paths_are_not_masked(masked: Mapping[str, Any], text: str) -> None:
    [identifier] = masked["Configuration"]["CustomDataIdentifier"]

    assert not re.search(identifier["Regex"], text)


def test_only_prod_reserves_concurrency_for_the_queue_and_the_other_sources(
    dev: Template, prod: Template
) -> None:
    reserved = [properties(stage, FUNCTION).get("ReservedConcurrentExecutions") for stage in (dev, prod)]

    assert reserved == [None, 30]
    assert reserved[1] > event_source(prod)["ScalingConfig"]["MaximumConcurrency"]


def test_snapshot_is_taken_of_the_version_of_the_alias(changed: Template) -> None:
    (version,) = changed.of_type("AWS::Lambda::Version")

    assert properties(changed, FUNCTION)["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert properties(changed, ALIAS)["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}


def test_function_is_in_the_subnets_of_the_options(changed: Template) -> None:
    assert properties(changed, FUNCTION)["VpcConfig"] == {
        "SubnetIds": EVERYTHING["vpc_subnet_ids"],
        "SecurityGroupIds": EVERYTHING["vpc_security_group_ids"],
    }


def test_change_of_the_network_makes_another_version(synthesize: Synthesize, dev: Template) -> None:
    moved = synthesize("dev", **VPC_OPTIONS)

    versions = {name for template in (dev, moved) for name in template.of_type(VERSION)}

    assert len(versions) == 2


def test_function_has_neither_snapshot_nor_vpc_by_default(template: Template) -> None:
    assert properties(template, FUNCTION).keys() & {"SnapStart", "VpcConfig"} == set()


def test_queue_invokes_the_alias(template: Template) -> None:
    function_name = {"Fn::Select": [6, {"Fn::Split": [":", ref(ALIAS)]}]}

    mapping = event_source(template)

    assert mapping["EventSourceArn"] == arn(MESSAGES)
    assert mapping["FunctionName"] == {"Fn::Join": ["", [function_name, ":live"]]}
    assert properties(template, ALIAS)["Name"] == "live"


def test_alias_is_the_current_version(template: Template) -> None:
    (version,) = template.of_type("AWS::Lambda::Version")

    assert properties(template, ALIAS)["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}


def test_function_receives_full_batches_and_reports_failed_messages(template: Template) -> None:
    mapping = event_source(template)

    assert mapping["BatchSize"] == 10
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_queue_invokes_at_most_the_concurrency_of_the_stage(dev: Template, prod: Template) -> None:
    concurrency = [event_source(stage)["ScalingConfig"]["MaximumConcurrency"] for stage in (dev, prod)]

    assert concurrency == [2, 10]


def test_function_waits_for_its_permissions(template: Template) -> None:
    # Lambda refuses the event source mapping if the function may not receive from the queue
    function = template.resources[FUNCTION]

    assert ROLE_POLICY in function["DependsOn"]


def test_previous_version_stays_for_a_rollback(template: Template) -> None:
    (version,) = template.of_type("AWS::Lambda::Version").values()

    assert version.get("DeletionPolicy") == "RetainExceptOnCreate"

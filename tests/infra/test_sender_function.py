from typing import Any

import pytest
from aws_cdk.assertions import Template

from tests.infra.template import (
    ALIAS,
    BUS,
    DEAD_LETTER,
    FUNCTION,
    KEY,
    LOGS,
    MESSAGES,
    REJECTED,
    ROLE_POLICY,
    UNPUBLISHED_RESULTS,
    Synthesize,
    arn,
    properties,
    ref,
)


def environment(template: Template) -> dict[str, Any]:
    return dict(properties(template, FUNCTION)["Environment"]["Variables"])


def event_source(template: Template) -> dict[str, Any]:
    (mapping,) = template.find_resources("AWS::Lambda::EventSourceMapping").values()
    return dict(mapping["Properties"])


def test_function_runs_its_handler_on_python_and_arm(template: Template) -> None:
    function = properties(template, FUNCTION)

    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["Handler"] == "message_sender.handler.lambda_handler"


def test_function_ends_before_api_gateway_gives_up(template: Template) -> None:
    assert properties(template, FUNCTION)["Timeout"] == 28


def test_function_has_the_memory_of_the_stage(synthesize: Synthesize) -> None:
    template = synthesize("dev", memory_size_mb=1024)

    assert properties(template, FUNCTION)["MemorySize"] == 1024


def test_environment_is_what_the_function_reads(dev: Template) -> None:
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
        "POWERTOOLS_SERVICE_NAME": "connect-message-sender",
        "POWERTOOLS_METRICS_NAMESPACE": "ConnectMessageSender-dev",
        "POWERTOOLS_LOG_LEVEL": "INFO",
        "POWERTOOLS_TRACE_DISABLED": "true",
    }


@pytest.mark.parametrize(
    ("option", "value", "variable"),
    [
        ("content_limits", "service", "CONTENT_LIMITS"),
        ("connect_region", "eu-west-2", "CONNECT_REGION"),
        ("log_level", "DEBUG", "POWERTOOLS_LOG_LEVEL"),
        ("retry_window_minutes", 3, "RETRY_WINDOW_MINUTES"),
        ("send_quota_per_second", 50, "SEND_QUOTA_PER_SECOND"),
        ("maximum_concurrency", 30, "MAXIMUM_CONCURRENCY"),
    ],
)
def test_option_of_the_stage_reaches_the_environment(
    synthesize: Synthesize, option: str, value: object, variable: str
) -> None:
    template = synthesize("dev", **{option: value})

    assert environment(template)[variable] == str(value)


def test_environment_is_encrypted_with_the_key(template: Template) -> None:
    assert properties(template, FUNCTION)["KmsKeyArn"] == arn(KEY)


def test_traced_function_records_traces(synthesize: Synthesize) -> None:
    template = synthesize("dev", tracing=True)

    assert properties(template, FUNCTION)["TracingConfig"] == {"Mode": "Active"}
    assert "POWERTOOLS_TRACE_DISABLED" not in environment(template)


def test_untraced_function_loads_no_tracer(synthesize: Synthesize) -> None:
    template = synthesize("dev", tracing=False)

    assert "TracingConfig" not in properties(template, FUNCTION)
    assert environment(template)["POWERTOOLS_TRACE_DISABLED"] == "true"


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_lambda_lets_through_what_the_logger_writes(synthesize: Synthesize, level: str) -> None:
    template = synthesize("dev", log_level=level)

    assert properties(template, FUNCTION)["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": level,
        "LogGroup": ref(LOGS),
    }


def test_logs_are_encrypted_and_kept_for_the_days_of_the_stage(synthesize: Synthesize) -> None:
    template = synthesize("dev", log_retention_days=90)

    assert properties(template, LOGS) == {"KmsKeyId": arn(KEY), "RetentionInDays": 90}


def test_queue_invokes_the_alias(template: Template) -> None:
    function_name = {"Fn::Select": [6, {"Fn::Split": [":", ref(ALIAS)]}]}

    mapping = event_source(template)

    assert mapping["EventSourceArn"] == arn(MESSAGES)
    assert mapping["FunctionName"] == {"Fn::Join": ["", [function_name, ":live"]]}
    assert properties(template, ALIAS)["Name"] == "live"


def test_alias_is_the_current_version(template: Template) -> None:
    (version,) = template.find_resources("AWS::Lambda::Version")

    assert properties(template, ALIAS)["FunctionVersion"] == {"Fn::GetAtt": [version, "Version"]}


def test_queue_hands_over_full_batches_and_takes_partial_answers(template: Template) -> None:
    mapping = event_source(template)

    assert mapping["BatchSize"] == 10
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]


def test_queue_invokes_no_more_at_a_time_than_the_stage_allows(dev: Template, prod: Template) -> None:
    concurrency = [event_source(stage)["ScalingConfig"]["MaximumConcurrency"] for stage in (dev, prod)]

    assert concurrency == [2, 10]


def test_function_waits_for_its_permissions(template: Template) -> None:
    # Lambda refuses an event source mapping whose function may not receive from the queue
    function = template.to_json()["Resources"][FUNCTION]

    assert ROLE_POLICY in function["DependsOn"]

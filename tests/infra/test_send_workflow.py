import json
from typing import Any

import pytest
from aws_cdk.assertions import Template

from infra.send_workflow import REJECTED_ERRORS, RETRYABLE_ERRORS
from message_sender.errors import RejectedError, RetryableError
from tests.infra.template import (
    ALIAS,
    KEY,
    STATE_MACHINE,
    WORKFLOW_LOGS,
    Synthesize,
    arn,
    properties,
    ref,
)
from tests.unit.test_errors import leaves


def definition(template: Template) -> dict[str, Any]:
    """Return the definition, with the logical ids of what it refers to."""
    parts = properties(template, STATE_MACHINE)["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else part["Ref"] for part in parts)
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_names_of_errors_are_the_functions_classes() -> None:
    assert sorted(RETRYABLE_ERRORS) == sorted(leaf.__name__ for leaf in leaves(RetryableError))
    assert sorted(REJECTED_ERRORS) == sorted(leaf.__name__ for leaf in leaves(RejectedError))


def test_client_token_is_made_before_the_task_so_that_its_retries_share_it(template: Template) -> None:
    machine = definition(template)

    first = machine["States"][machine["StartAt"]]

    assert first["Type"] == "Pass"
    assert first["Parameters"] == {"Made": {"ClientToken.$": "States.UUID()"}, "Request.$": "$"}
    assert first["Next"] == "SendMessage"


def test_task_invokes_the_alias_and_a_client_token_of_the_request_takes_precedence(
    template: Template,
) -> None:
    task = definition(template)["States"]["SendMessage"]

    assert task["Type"] == "Task"
    assert task["Resource"] == "arn:AWS::Partition:states:::lambda:invoke"
    assert task["Parameters"] == {
        "FunctionName": ALIAS,
        # Of fields that both have, it takes those of the second
        "Payload.$": "States.JsonMerge($.Made, $.Request, false)",
    }


def test_output_is_the_functions_result_without_the_input(template: Template) -> None:
    task = definition(template)["States"]["SendMessage"]

    assert task["End"] is True
    assert task["OutputPath"] == "$.Payload"
    # Without them the whole output is the task's own
    assert not {"ResultPath", "ResultSelector", "Assign"} & task.keys()


def test_what_may_pass_is_retried_with_jitter(template: Template) -> None:
    assert definition(template)["States"]["SendMessage"]["Retry"] == [
        {
            "ErrorEquals": [
                "ThrottledError",
                "ServiceUnavailableError",
                "ConnectionFailedError",
                "DeadlineExceededError",
                "Lambda.ServiceException",
                "Lambda.AWSLambdaException",
                "Lambda.SdkClientException",
                "Lambda.TooManyRequestsException",
                "Lambda.ClientExecutionTimeoutException",
            ],
            "IntervalSeconds": 2,
            "BackoffRate": 2,
            "MaxDelaySeconds": 60,
            "MaxAttempts": 14,
            "JitterStrategy": "FULL",
        }
    ]


def test_execution_has_time_for_all_retries(template: Template) -> None:
    waits = [min(2 * 2**retry, 60) for retry in range(14)]
    invocations = 15 * 28

    assert sum(waits) + invocations < definition(template)["TimeoutSeconds"]


def test_rejected_message_ends_the_execution_under_the_name_of_the_error(template: Template) -> None:
    states = definition(template)["States"]

    # Without a ResultPath the error replaces the input, and the token with it
    assert states["SendMessage"]["Catch"] == [{"ErrorEquals": list(REJECTED_ERRORS), "Next": "Rejected"}]
    assert states["Rejected"]["Type"] == "Fail"
    assert states["Rejected"]["ErrorPath"] == "$.Error"
    assert states["Rejected"]["CausePath"] == "$.Cause"


def test_state_machine_is_standard_and_named_after_the_stage(dev: Template, prod: Template) -> None:
    machines = [properties(stage, STATE_MACHINE) for stage in (dev, prod)]

    assert [machine["StateMachineType"] for machine in machines] == ["STANDARD", "STANDARD"]
    assert [machine["StateMachineName"] for machine in machines] == [
        "ConnectMessageSender-dev-send",
        "ConnectMessageSender-prod-send",
    ]


def test_history_is_encrypted_with_the_key(template: Template) -> None:
    encryption = properties(template, STATE_MACHINE)["EncryptionConfiguration"]

    assert encryption["Type"] == "CUSTOMER_MANAGED_KMS_KEY"
    assert encryption["KmsKeyId"] == arn(KEY)


def test_executions_are_logged_without_their_data(template: Template) -> None:
    assert properties(template, STATE_MACHINE)["LoggingConfiguration"] == {
        "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": arn(WORKFLOW_LOGS)}}],
        "IncludeExecutionData": False,
        "Level": "ALL",
    }


def test_logs_are_encrypted_and_kept_for_the_days_of_the_stage(synthesize: Synthesize) -> None:
    template = synthesize("dev", log_retention_days=90)

    assert properties(template, WORKFLOW_LOGS) == {"KmsKeyId": arn(KEY), "RetentionInDays": 90}


@pytest.mark.parametrize("tracing", [True, False])
def test_executions_are_traced_as_the_stage_says(synthesize: Synthesize, tracing: bool) -> None:
    template = synthesize("dev", tracing=tracing)

    assert properties(template, STATE_MACHINE)["TracingConfiguration"] == {"Enabled": tracing}


def test_output_names_the_state_machine(template: Template) -> None:
    assert template.find_outputs("StateMachineArn")["StateMachineArn"]["Value"] == ref(STATE_MACHINE)

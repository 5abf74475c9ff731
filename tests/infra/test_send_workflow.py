import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.send_workflow import REJECTED_ERRORS, RETRYABLE_ERRORS
from message_sender.errors import RejectedError, RetryableError
from message_sender.schema import SCHEMA
from tests.infra.template import (
    ALIAS,
    KEY,
    MESSAGES,
    STATE_MACHINE,
    WORKFLOW_LOGS,
    Template,
    arn,
    properties,
    ref,
)
from tests.support.errors import leaves

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "wait-in-step-functions.md"


def definition(template: Template) -> dict[str, Any]:
    """Return the definition, with logical ids in place of references."""
    parts = properties(template, STATE_MACHINE)["DefinitionString"]["Fn::Join"][1]
    text = "".join(part if isinstance(part, str) else part["Ref"] for part in parts)
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def test_names_of_errors_are_classes_of_the_function() -> None:
    assert sorted(RETRYABLE_ERRORS) == sorted(leaf.__name__ for leaf in leaves(RetryableError))
    assert sorted(REJECTED_ERRORS) == sorted(leaf.__name__ for leaf in leaves(RejectedError))


def test_client_token_is_made_before_the_tasks_so_retries_share_it(template: Template) -> None:
    machine = definition(template)

    first = machine["States"]["MakeClientToken"]

    assert machine["QueryLanguage"] == "JSONata"
    assert first["Type"] == "Pass"
    # $merge prefers the fields of the second: a ClientToken in the request takes precedence
    assert first["Output"] == "{% $merge([{'ClientToken': $uuid()}, $states.input]) %}"
    assert first["Next"] == "HasMessageGroup"


def test_input_that_is_not_one_request_fails_at_once(template: Template) -> None:
    machine = definition(template)

    assert machine["States"][machine["StartAt"]] == {
        "Type": "Choice",
        "Choices": [{"Condition": "{% $type($states.input) = 'object' %}", "Next": "MakeClientToken"}],
        "Default": "NotOneRequest",
    }
    assert machine["States"]["NotOneRequest"] == {
        "Type": "Fail",
        "Error": "InvalidRequestError",
        "Cause": "The input must be one request: a JSON object",
    }


def test_message_with_a_contact_goes_through_the_queue_and_any_other_to_the_function(
    template: Template,
) -> None:
    choice = definition(template)["States"]["HasMessageGroup"]

    assert choice["Type"] == "Choice"
    [rule] = choice["Choices"]
    assert rule["Next"] == "SendToQueue"
    assert choice["Default"] == "SendMessage"
    # The rule of the contract: the function refuses any other ContactId
    rule_of_contract = SCHEMA["properties"]["ContactId"]
    pattern = rule_of_contract["pattern"].replace("+", f"{{1,{rule_of_contract['maxLength']}}}")
    assert rule["Condition"] == (
        "{% $type($states.input.ContactId) = 'string' and $not($exists($states.input.TaskToken))"
        f" ? $contains($states.input.ContactId, /{pattern}/) : false %}}"
    )


def test_task_of_the_queue_waits_for_its_token_in_the_group_of_the_contact(template: Template) -> None:
    task = definition(template)["States"]["SendToQueue"]

    assert task["Resource"] == "arn:AWS::Partition:states:::sqs:sendMessage.waitForTaskToken"
    assert task["End"] is True
    assert task["Arguments"] == {
        "QueueUrl": MESSAGES,
        # JSONata would merge the items of a list into one message
        "MessageBody": (
            "{% $type($states.input) = 'object'"
            " ? $merge([$states.input, {'TaskToken': $states.context.Task.Token}])"
            " : $error('The input must be one request: a JSON object') %}"
        ),
        "MessageGroupId": "{% $states.input.ContactId %}",
        # Retries and redrives have a new task token, so the queue must not drop them as duplicates
        "MessageDeduplicationId": (
            "{% $hash($states.context.Execution.Id, 'SHA-256')"
            " & '-' & $states.context.State.RetryCount & '-' & $states.context.Execution.RedriveCount %}"
        ),
    }
    # Without it the output is the result that the function completed the task with
    assert "Output" not in task


def test_task_of_the_guide_is_like_the_task_of_the_state_machine(dev: Template) -> None:
    task = definition(dev)["States"]["SendToQueue"]
    [shown] = re.findall(r'```json\n(\{"Type": "Task".*?)\n```', GUIDE.read_text(), re.DOTALL)

    pasted = json.loads(shown.replace("<MessageQueueUrl>", MESSAGES))

    assert pasted.pop("QueryLanguage") == definition(dev)["QueryLanguage"]
    assert pasted.pop("Resource") == task["Resource"].replace("AWS::Partition", "aws")
    assert pasted == {name: task[name] for name in pasted}


def test_only_errors_of_sqs_are_retried_and_outcomes_are_not(template: Template) -> None:
    outcomes, others = definition(template)["States"]["SendToQueue"]["Retry"]

    # The first retrier with the error decides
    assert outcomes == {"ErrorEquals": [*RETRYABLE_ERRORS, *REJECTED_ERRORS], "MaxAttempts": 0}
    # Every error but a timeout
    assert others == {
        "ErrorEquals": ["States.TaskFailed"],
        "IntervalSeconds": 1,
        "BackoffRate": 2,
        "MaxAttempts": 5,
        "JitterStrategy": "FULL",
    }


@pytest.mark.parametrize(("stage", "minutes"), [("dev", 10), ("changed", 30)])
def test_task_waits_longer_than_an_outcome_can_take_and_the_execution_longer_than_the_task(
    request: pytest.FixtureRequest, stage: str, minutes: int
) -> None:
    template = request.getfixturevalue(stage)
    machine = definition(template)
    visibility = properties(template, MESSAGES)["VisibilityTimeout"]
    retries_of_sqs = 1 + 2 + 4 + 8 + 16

    timeout = machine["States"]["SendToQueue"]["TimeoutSeconds"]

    assert timeout > minutes * 60 + visibility
    assert machine["TimeoutSeconds"] > timeout + retries_of_sqs


def test_task_invokes_the_alias_with_the_request(template: Template) -> None:
    task = definition(template)["States"]["SendMessage"]

    assert task["Type"] == "Task"
    assert task["Resource"] == "arn:AWS::Partition:states:::lambda:invoke"
    assert task["Arguments"] == {"FunctionName": ALIAS, "Payload": "{% $states.input %}"}


def test_output_is_the_functions_result_without_the_input(template: Template) -> None:
    task = definition(template)["States"]["SendMessage"]

    assert task["End"] is True
    assert task["Output"] == "{% $states.result.Payload %}"


def test_retryable_errors_are_retried_with_jitter(template: Template) -> None:
    assert definition(template)["States"]["SendMessage"]["Retry"] == [
        {
            "ErrorEquals": [
                "ThrottledError",
                "ServiceUnavailableError",
                "ConnectionFailedError",
                "KeyUnavailableError",
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


@pytest.mark.parametrize("task", ["SendMessage", "SendToQueue"])
def test_rejected_message_ends_the_execution_with_the_name_of_the_error(
    template: Template, task: str
) -> None:
    states = definition(template)["States"]

    # Without an Output the error replaces the input, which has the token
    assert states[task]["Catch"] == [{"ErrorEquals": list(REJECTED_ERRORS), "Next": "Rejected"}]
    assert states["Rejected"]["Type"] == "Fail"
    assert states["Rejected"]["Error"] == "{% $states.input.Error %}"
    assert states["Rejected"]["Cause"] == "{% $states.input.Cause %}"


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


def test_logs_are_encrypted_and_kept_for_the_days_of_the_stage(changed: Template) -> None:
    logs = properties(changed, WORKFLOW_LOGS)

    assert (logs["KmsKeyId"], logs["RetentionInDays"]) == (arn(KEY), 30)


def test_name_of_the_log_group_spares_the_accounts_log_policy_and_is_new_for_each_stack(
    dev: Template, prod: Template
) -> None:
    names = [properties(stage, WORKFLOW_LOGS)["LogGroupName"]["Fn::Join"] for stage in (dev, prod)]

    # arn:aws:cloudformation:<region>:<account>:stack/<name>/<unique id>
    unique = {"Fn::Select": [2, {"Fn::Split": ["/", {"Ref": "AWS::StackId"}]}]}
    assert names == [
        ["", ["/aws/vendedlogs/states/ConnectMessageSender-dev-", unique]],
        ["", ["/aws/vendedlogs/states/ConnectMessageSender-prod-", unique]],
    ]


def test_executions_are_traced_if_the_stage_says_so(dev: Template, changed: Template) -> None:
    traced = [properties(template, STATE_MACHINE)["TracingConfiguration"] for template in (dev, changed)]

    assert traced == [{"Enabled": False}, {"Enabled": True}]


def test_output_names_the_state_machine(template: Template) -> None:
    assert template.outputs["StateMachineArn"]["Value"] == ref(STATE_MACHINE)

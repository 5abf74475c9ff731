from collections.abc import Iterator
from typing import Any

from aws_cdk.assertions import Template

from tests.infra.template import (
    ALIAS,
    API,
    API_ROLE_POLICY,
    API_STAGE,
    BUS,
    DEAD_LETTER,
    EVENTS_DEAD_LETTER,
    KEY,
    LOGS,
    MESSAGES,
    PRODUCER_POLICY,
    REJECTED,
    ROLE,
    ROLE_POLICY,
    STATE_MACHINE,
    STATE_MACHINE_ROLE_POLICY,
    TASK_CALLBACKS_POLICY,
    UNPUBLISHED_RESULTS,
    Synthesize,
    arn,
    properties,
    ref,
    regional_arn,
)

Statement = dict[str, Any]

KEY_THROUGH_SQS: Statement = {
    "Effect": "Allow",
    "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
    "Resource": arn(KEY),
    "Condition": {
        "StringEquals": {"kms:ViaService": {"Fn::Join": ["", ["sqs.", ref("AWS::Region"), ".amazonaws.com"]]}}
    },
}


def statements(template: Template, policy: str) -> list[Statement]:
    return list(properties(template, policy)["PolicyDocument"]["Statement"])


def granted_actions(template: Template) -> Iterator[str]:
    """Yield what the identities of the stack may do, over all of them."""
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy in template.find_resources(kind):
            for statement in statements(template, policy):
                actions = statement["Action"]
                yield from [actions] if isinstance(actions, str) else actions


def test_function_may_do_exactly_what_it_does(dev: Template) -> None:
    assert statements(dev, ROLE_POLICY) == [
        {
            "Effect": "Allow",
            "Action": [
                "sqs:ChangeMessageVisibility",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ReceiveMessage",
                "sqs:SendMessage",
            ],
            "Resource": arn(MESSAGES),
        },
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": arn(BUS),
            "Condition": {
                "ForAllValues:StringEquals": {"events:source": "connect-message-sender"},
                "Null": {"events:source": "false"},
            },
        },
        {
            "Effect": "Allow",
            "Action": "sqs:SendMessage",
            "Resource": [arn(DEAD_LETTER), arn(EVENTS_DEAD_LETTER), arn(REJECTED), arn(UNPUBLISHED_RESULTS)],
        },
        {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": arn(KEY)},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": arn(LOGS),
        },
    ]


def test_traced_function_may_also_write_traces(synthesize: Synthesize) -> None:
    untraced, traced = (synthesize("dev", tracing=tracing) for tracing in (False, True))

    added = [
        grant for grant in statements(traced, ROLE_POLICY) if grant not in statements(untraced, ROLE_POLICY)
    ]

    assert added == [
        {
            "Effect": "Allow",
            "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
            "Resource": "*",  # X-Ray knows no resources
        }
    ]


def through_the_state_machine(template: Template) -> Statement:
    """Return the permission to use the key for the data of the stack's own state machine."""
    name = properties(template, STATE_MACHINE)["StateMachineName"]
    state_machine_arn = regional_arn("states", f"stateMachine:{name}")
    return {
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": arn(KEY),
        # Would never hold for a name that is not known before the state machine is made
        "Condition": {
            "StringEquals": {"kms:EncryptionContext:aws:states:stateMachineArn": state_machine_arn}
        },
    }


def test_function_may_answer_the_tasks_of_the_state_machine_and_no_others(template: Template) -> None:
    policy = properties(template, TASK_CALLBACKS_POLICY)

    assert policy["Roles"] == [ref(ROLE)]
    answers, key = statements(template, TASK_CALLBACKS_POLICY)
    assert answers == {
        "Effect": "Allow",
        "Action": ["states:SendTaskFailure", "states:SendTaskSuccess"],
        "Resource": ref(STATE_MACHINE),
    }
    # What a task is answered with becomes a part of its execution, which Step Functions encrypts, in the name
    # of the function: so not by way of SQS
    context = through_the_state_machine(template)["Condition"]["StringEquals"]
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert key["Resource"] == arn(KEY)
    assert key["Condition"] == {"StringEquals": dict.fromkeys(context, ref(STATE_MACHINE))}


def test_function_may_answer_the_tasks_of_state_machines_that_the_stage_names(synthesize: Synthesize) -> None:
    orders = "arn:aws:states:eu-central-1:000000000000:stateMachine:orders"
    template = synthesize("dev", task_state_machine_arns=[orders])

    answers, key = statements(template, TASK_CALLBACKS_POLICY)

    assert answers["Resource"] == [orders, ref(STATE_MACHINE)]
    assert orders not in str(key)


def test_role_has_no_policy_but_its_own(template: Template) -> None:
    role = properties(template, ROLE)

    assert "ManagedPolicyArns" not in role
    assert "Policies" not in role


def test_producer_may_do_exactly_what_a_producer_needs(template: Template) -> None:
    assert statements(template, PRODUCER_POLICY) == [
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn(MESSAGES)},
        KEY_THROUGH_SQS,
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": ref(ALIAS)},
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": arn(BUS),
            "Condition": {"StringEquals": {"events:detail-type": "SendMessage Requested"}},
        },
        {
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": [
                regional_arn("execute-api", ref(API), "/", ref(API_STAGE), "/POST/messages"),
                regional_arn("execute-api", ref(API), "/", ref(API_STAGE), "/POST/messages/sync"),
            ],
        },
        {"Effect": "Allow", "Action": "states:StartExecution", "Resource": ref(STATE_MACHINE)},
    ]


def test_api_may_only_put_messages_on_the_queue(template: Template) -> None:
    assert statements(template, API_ROLE_POLICY) == [
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn(MESSAGES)},
        KEY_THROUGH_SQS,
    ]


def test_state_machine_may_only_send_either_way_use_its_key_and_write_logs(dev: Template) -> None:
    assert statements(dev, STATE_MACHINE_ROLE_POLICY) == [
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": ref(ALIAS)},
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn(MESSAGES)},
        through_the_state_machine(dev),
        {
            "Effect": "Allow",
            "Action": "kms:GenerateDataKey",
            "Resource": arn(KEY),
            "Condition": {"StringEquals": {"kms:EncryptionContext:SourceArn": regional_arn("logs", "*")}},
        },
        {
            "Effect": "Allow",
            "Action": [
                "logs:CreateLogDelivery",
                "logs:DeleteLogDelivery",
                "logs:DescribeLogGroups",
                "logs:DescribeResourcePolicies",
                "logs:GetLogDelivery",
                "logs:ListLogDeliveries",
                "logs:PutResourcePolicy",
                "logs:UpdateLogDelivery",
            ],
            "Resource": "*",  # the delivery of logs knows no resources
        },
        KEY_THROUGH_SQS,
    ]


def test_no_identity_is_granted_a_wildcard_action(template: Template) -> None:
    actions = list(granted_actions(template))

    assert "sqs:SendMessage" in actions
    assert [action for action in actions if "*" in action] == []


def test_no_identity_may_call_amazon_connect(template: Template) -> None:
    # SendMessage is permitted by the connection token, and by it alone
    assert [action for action in granted_actions(template) if action.startswith("connect")] == []


def test_key_rotates_and_encrypts_the_bus(template: Template) -> None:
    assert properties(template, KEY)["EnableKeyRotation"] is True
    assert properties(template, BUS)["KmsKeyIdentifier"] == arn(KEY)


def test_key_is_open_to_the_account_and_to_services_for_what_they_encrypt(template: Template) -> None:
    bus_arn = regional_arn("events", f"event-bus/{properties(template, BUS)['Name']}")

    assert properties(template, KEY)["KeyPolicy"]["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {
                "AWS": {
                    "Fn::Join": [
                        "",
                        ["arn:", ref("AWS::Partition"), ":iam::", ref("AWS::AccountId"), ":root"],
                    ]
                }
            },
            "Action": "kms:*",
            "Resource": "*",
        },
        {
            "Sid": "CloudWatchLogs",
            "Effect": "Allow",
            "Principal": {"Service": {"Fn::Join": ["", ["logs.", ref("AWS::Region"), ".amazonaws.com"]]}},
            "Action": [
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:ReEncrypt*",
            ],
            "Resource": "*",
            "Condition": {
                "ArnLike": {"kms:EncryptionContext:aws:logs:arn": regional_arn("logs", "log-group:*")}
            },
        },
        {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {
                "StringEquals": {
                    "aws:SourceAccount": ref("AWS::AccountId"),
                    "aws:SourceArn": bus_arn,
                    "kms:EncryptionContext:aws:events:event-bus:arn": bus_arn,
                }
            },
        },
        {
            "Sid": "EventBridgeValidation",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "kms:DescribeKey",
            "Resource": "*",
        },
        {
            "Sid": "EventBridgeDeadLetters",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": ref("AWS::AccountId")}},
        },
        {
            "Effect": "Allow",
            "Principal": {"Service": "delivery.logs.amazonaws.com"},
            "Action": "kms:Decrypt*",
            "Resource": "*",
        },
    ]

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import synthesize_into
from tests.infra.iam import Context, allows, resolve
from tests.infra.template import (
    ACCESS_LOG,
    ALIAS,
    API,
    API_ROLE_POLICY,
    API_STAGE,
    BUS,
    DEAD_LETTER,
    EVENTS_DEAD_LETTER,
    EVERYTHING,
    FUNCTION,
    KEY,
    LOGS,
    MESSAGES,
    PRODUCER_POLICY,
    REJECTED,
    REQUESTS,
    RESULTS_FUNCTION,
    RESULTS_LOGS,
    ROLE,
    ROLE_POLICY,
    STATE_MACHINE,
    STATE_MACHINE_ROLE_POLICY,
    TASK_CALLBACKS_POLICY,
    TOKEN_KEY,
    UNPUBLISHED_RESULTS,
    WORKFLOW_LOGS,
    Template,
    arn,
    properties,
    queue_policy,
    ref,
    regional_arn,
)

Statement = dict[str, Any]


def key_through(service: str, action: str | list[str]) -> Statement:
    """Return the permission to use the key while a service works for its caller."""
    endpoint = {"Fn::Join": ["", [f"{service}.", ref("AWS::Region"), ".amazonaws.com"]]}
    return {
        "Effect": "Allow",
        "Action": action,
        "Resource": arn(KEY),
        "Condition": {"StringEquals": {"kms:ViaService": endpoint}},
    }


KEY_THROUGH_SQS = key_through("sqs", ["kms:Decrypt", "kms:GenerateDataKey"])


REQUESTS_ONLY: Statement = {
    "StringEquals": {"events:detail-type": "SendMessage Requested"},
    "ForAllValues:StringNotEquals": {"events:source": "connect-message-sender"},
}


def statements(template: Template, policy: str) -> list[Statement]:
    return list(properties(template, policy)["PolicyDocument"]["Statement"])


def granted_actions(template: Template) -> Iterator[str]:
    """Yield the actions that the identities of the stack may use."""
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy in template.of_type(kind):
            for statement in statements(template, policy):
                actions = statement["Action"]
                yield from [actions] if isinstance(actions, str) else actions


def test_function_has_exactly_its_permissions(dev: Template) -> None:
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
        KEY_THROUGH_SQS,
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": arn(KEY)},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": arn(LOGS),
        },
    ]


def test_function_may_also_write_traces_and_use_a_vpc_if_the_stage_says_so(
    dev: Template, changed: Template
) -> None:
    added = [grant for grant in statements(changed, ROLE_POLICY) if grant not in statements(dev, ROLE_POLICY)]

    # tests/infra/test_token_key.py has the permission for this key
    added = [grant for grant in added if grant["Resource"] != arn(TOKEN_KEY)]
    assert sorted(added, key=lambda grant: str(grant["Action"])) == [
        {
            "Effect": "Allow",
            "Action": [
                "ec2:AssignPrivateIpAddresses",
                "ec2:CreateNetworkInterface",
                "ec2:DeleteNetworkInterface",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSubnets",
                "ec2:UnassignPrivateIpAddresses",
            ],
            "Resource": "*",  # the resources do not exist beforehand
            "Condition": {"Null": {"lambda:SourceFunctionArn": "true"}},
        },
        {
            "Effect": "Allow",
            "Action": ["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
            "Resource": "*",  # X-Ray has no resource types
        },
    ]


def through_the_state_machine(template: Template) -> Statement:
    """Return the permission to use the key for data of the stack's state machine."""
    name = properties(template, STATE_MACHINE)["StateMachineName"]
    state_machine_arn = regional_arn("states", f"stateMachine:{name}")
    return {
        "Effect": "Allow",
        "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
        "Resource": arn(KEY),
        # It never holds unless the name is known before the state machine is created
        "Condition": {
            "StringEquals": {"kms:EncryptionContext:aws:states:stateMachineArn": state_machine_arn}
        },
    }


def test_function_may_complete_only_the_tasks_of_the_state_machine(template: Template) -> None:
    policy = properties(template, TASK_CALLBACKS_POLICY)

    assert policy["Roles"] == [ref(ROLE)]
    answers, key = statements(template, TASK_CALLBACKS_POLICY)
    assert answers == {
        "Effect": "Allow",
        "Action": ["states:SendTaskFailure", "states:SendTaskSuccess"],
        "Resource": ref(STATE_MACHINE),
    }
    # Step Functions encrypts the output of a task in the name of the function, so not through SQS
    context = through_the_state_machine(template)["Condition"]["StringEquals"]
    assert key["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert key["Resource"] == arn(KEY)
    assert key["Condition"] == {"StringEquals": dict.fromkeys(context, ref(STATE_MACHINE))}


def test_function_may_complete_the_tasks_of_the_options_state_machines(changed: Template) -> None:
    [orders] = EVERYTHING["task_state_machine_arns"]

    answers, key = statements(changed, TASK_CALLBACKS_POLICY)

    assert answers["Resource"] == [orders, ref(STATE_MACHINE)]
    assert orders not in str(key)


def test_role_has_no_managed_or_inline_policy(template: Template) -> None:
    role = properties(template, ROLE)

    assert "ManagedPolicyArns" not in role
    assert "Policies" not in role


def test_producer_has_exactly_its_permissions(template: Template) -> None:
    stack = template.path.name.removesuffix(".template.json")

    assert statements(template, PRODUCER_POLICY) == [
        {
            "Effect": "Allow",
            "Action": "ssm:GetParametersByPath",
            "Resource": regional_arn("ssm", f"parameter/connect-message-sender/{stack}"),
        },
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn(MESSAGES)},
        KEY_THROUGH_SQS,
        {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": ref(ALIAS)},
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": arn(BUS),
            "Condition": REQUESTS_ONLY,
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


def test_state_machine_may_only_send_messages_use_its_key_and_write_logs(dev: Template) -> None:
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
            "Resource": "*",  # log delivery has no resource types
        },
        KEY_THROUGH_SQS,
    ]


def test_no_identity_is_granted_a_wildcard_action(template: Template) -> None:
    actions = list(granted_actions(template))

    assert "sqs:SendMessage" in actions
    assert [action for action in actions if "*" in action] == []


def test_no_identity_may_call_amazon_connect(template: Template) -> None:
    # The connection token is the only permission for SendMessage
    assert [action for action in granted_actions(template) if action.startswith("connect")] == []


def test_key_rotates(template: Template) -> None:
    assert properties(template, KEY)["EnableKeyRotation"] is True


def test_key_has_the_name_of_the_stack_which_is_free_again_after_a_deletion(
    dev: Template, prod: Template
) -> None:
    aliases = [alias for stage in (dev, prod) for alias in stage.of_type("AWS::KMS::Alias").values()]

    assert [alias["Properties"] for alias in aliases] == [
        {"AliasName": f"alias/ConnectMessageSender-{stage}", "TargetKeyId": arn(KEY)}
        for stage in ("dev", "prod")
    ]
    assert {alias.get("DeletionPolicy", "Delete") for alias in aliases} == {"Delete"}


def test_key_admits_the_account_and_services_for_the_data_that_they_encrypt(template: Template) -> None:
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
            "Principal": {"Service": "delivery.logs.amazonaws.com"},
            "Action": "kms:Decrypt*",
            "Resource": "*",
        },
    ]


VIA_SQS: Context = {"kms:ViaService": "sqs.eu-central-1.amazonaws.com"}
REQUEST: dict[str, str | list[str]] = {
    "events:detail-type": "SendMessage Requested",
    "events:source": ["shop"],
}
ROUTES = f"arn:aws:execute-api:eu-central-1:123456789012:<{API}>/<{API_STAGE}>"


@pytest.mark.parametrize(
    ("action", "resource", "given"),
    [
        ("sqs:SendMessage", arn(MESSAGES), {}),
        ("kms:GenerateDataKey", arn(KEY), VIA_SQS),
        ("kms:Decrypt", arn(KEY), VIA_SQS),
        ("lambda:InvokeFunction", ref(ALIAS), {}),
        ("events:PutEvents", arn(BUS), REQUEST),
        ("execute-api:Invoke", f"{ROUTES}/POST/messages", {}),
        ("execute-api:Invoke", f"{ROUTES}/POST/messages/sync", {}),
        ("states:StartExecution", ref(STATE_MACHINE), {}),
    ],
)
def test_producer_policy_suffices_for_every_event_source(
    dev: Template, action: str, resource: object, given: Context
) -> None:
    assert allows(statements(dev, PRODUCER_POLICY), action, resource, context=given)


@pytest.mark.parametrize(
    ("action", "resource", "given"),
    [
        ("sqs:ReceiveMessage", arn(MESSAGES), {}),
        ("sqs:SendMessage", arn(DEAD_LETTER), {}),
        ("sqs:SendMessage", arn(REJECTED), {}),
        ("kms:Decrypt", arn(KEY), {}),
        ("kms:Decrypt", arn(KEY), {"kms:ViaService": "lambda.eu-central-1.amazonaws.com"}),
        ("lambda:InvokeFunction", arn(FUNCTION), {}),
        ("lambda:UpdateFunctionCode", arn(FUNCTION), {}),
        ("events:PutEvents", arn(BUS), REQUEST | {"events:detail-type": "Message Sent"}),
        ("events:PutEvents", arn(BUS), REQUEST | {"events:source": ["connect-message-sender"]}),
        ("events:PutEvents", arn(BUS), {"events:source": ["shop"]}),
        ("events:PutEvents", regional_arn("events", "event-bus/default"), REQUEST),
        ("execute-api:Invoke", f"{ROUTES}/GET/messages", {}),
        ("execute-api:Invoke", f"{ROUTES}/POST/other", {}),
        ("states:StopExecution", ref(STATE_MACHINE), {}),
        ("states:GetExecutionHistory", ref(STATE_MACHINE), {}),
        ("logs:GetLogEvents", arn(LOGS), {}),
    ],
)
def test_producer_policy_allows_nothing_else(
    dev: Template, action: str, resource: object, given: Context
) -> None:
    assert not allows(statements(dev, PRODUCER_POLICY), action, resource, context=given)


@pytest.mark.parametrize(
    ("sources", "allowed"),
    [
        (["connect-message-sender"], True),
        (["shop"], False),
        (["connect-message-sender", "shop"], False),
        (None, False),
    ],
)
def test_function_publishes_only_under_its_own_source(
    dev: Template, sources: list[str] | None, allowed: bool
) -> None:
    context: Context = {} if sources is None else {"events:source": sources}

    assert allows(statements(dev, ROLE_POLICY), "events:PutEvents", arn(BUS), context=context) is allowed


def test_lambda_may_create_network_interfaces_and_the_code_of_the_function_may_not(changed: Template) -> None:
    role = statements(changed, ROLE_POLICY)
    from_its_code = {"lambda:SourceFunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:sender"}

    assert allows(role, "ec2:CreateNetworkInterface")
    assert not allows(role, "ec2:CreateNetworkInterface", context=from_its_code)


EVENTBRIDGE = "events.amazonaws.com"


def test_eventbridge_may_write_dead_letters_of_the_rule(dev: Template) -> None:
    queue = queue_policy(dev, EVENTS_DEAD_LETTER)
    context = {"aws:SourceArn": resolve(arn(REQUESTS)), "aws:SecureTransport": "true"}

    assert allows(queue, "sqs:SendMessage", arn(EVENTS_DEAD_LETTER), principal=EVENTBRIDGE, context=context)


@pytest.mark.parametrize(
    "change",
    [
        {"aws:SourceArn": "arn:aws:events:eu-central-1:123456789012:rule/default/other"},
        {"aws:SecureTransport": "false"},
    ],
    ids=str,
)
def test_no_other_rule_may_write_dead_letters(dev: Template, change: dict[str, str]) -> None:
    context = {"aws:SourceArn": resolve(arn(REQUESTS)), "aws:SecureTransport": "true"} | change

    assert not allows(
        queue_policy(dev, EVENTS_DEAD_LETTER),
        "sqs:SendMessage",
        arn(EVENTS_DEAD_LETTER),
        principal=EVENTBRIDGE,
        context=context,
    )


@pytest.mark.parametrize("action", ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"])
def test_eventbridge_may_not_use_the_key(dev: Template, action: str) -> None:
    key = properties(dev, KEY)["KeyPolicy"]["Statement"]

    assert not allows(key, action, principal=EVENTBRIDGE)


@pytest.mark.parametrize(
    ("action", "service", "allowed"),
    [
        ("kms:Decrypt", "sqs", True),
        ("kms:GenerateDataKey", "sqs", True),
        ("kms:Decrypt", "lambda", True),
        ("kms:GenerateDataKey", "lambda", False),
        ("kms:Decrypt", None, True),  # its environment, when Lambda has no grant
        ("kms:GenerateDataKey", None, False),
    ],
)
def test_function_may_decrypt_and_encrypts_through_sqs_only(
    dev: Template, action: str, service: str | None, allowed: bool
) -> None:
    context = {} if service is None else {"kms:ViaService": f"{service}.eu-central-1.amazonaws.com"}

    assert allows(statements(dev, ROLE_POLICY), action, arn(KEY), context=context) is allowed


def test_lambda_may_write_the_events_that_the_function_fails_on(dev: Template) -> None:
    # Lambda writes to the failure destination with the role of the function
    assert allows(statements(dev, ROLE_POLICY), "sqs:SendMessage", arn(EVENTS_DEAD_LETTER))


FOREIGN_ACCOUNT, FOREIGN_ROLE = EVERYTHING["producer_principals"]


@pytest.mark.parametrize("producer", [FOREIGN_ACCOUNT, FOREIGN_ROLE])
def test_producers_of_the_option_have_the_permissions_of_the_producer_policy(
    changed: Template, producer: str
) -> None:
    queue = queue_policy(changed, MESSAGES)
    key = properties(changed, KEY)["KeyPolicy"]["Statement"]
    bus = bus_policy(changed)
    tls = {"aws:SecureTransport": "true"}

    assert allows(queue, "sqs:SendMessage", arn(MESSAGES), principal=producer, context=tls)
    assert allows(key, "kms:GenerateDataKey", principal=producer, context=VIA_SQS)
    assert allows(key, "kms:Decrypt", principal=producer, context=VIA_SQS)
    assert allows(bus, "events:PutEvents", arn(BUS), principal=producer, context=REQUEST)
    assert producer in invokers(changed)


@pytest.mark.parametrize("producer", [FOREIGN_ACCOUNT, FOREIGN_ROLE])
def test_producers_of_the_option_have_no_other_permissions(changed: Template, producer: str) -> None:
    queue = queue_policy(changed, MESSAGES)
    key = properties(changed, KEY)["KeyPolicy"]["Statement"]
    bus = bus_policy(changed)
    tls = {"aws:SecureTransport": "true"}
    result = REQUEST | {"events:detail-type": "Message Sent"}
    own_source = REQUEST | {"events:source": ["connect-message-sender"]}

    assert not allows(queue, "sqs:ReceiveMessage", arn(MESSAGES), principal=producer, context=tls)
    assert not allows(key, "kms:Decrypt", principal=producer)
    assert not allows(bus, "events:PutEvents", arn(BUS), principal=producer, context=result)
    assert not allows(bus, "events:PutEvents", arn(BUS), principal=producer, context=own_source)


def test_no_other_account_has_access_without_the_option(dev: Template) -> None:
    tls = {"aws:SecureTransport": "true"}

    assert not allows(
        queue_policy(dev, MESSAGES), "sqs:SendMessage", arn(MESSAGES), principal=FOREIGN_ROLE, context=tls
    )
    assert bus_policy(dev) == []
    assert invokers(dev) == {"apigateway.amazonaws.com", EVENTBRIDGE}


def bus_policy(template: Template) -> list[Statement]:
    policies = template.of_type("AWS::Events::EventBusPolicy").values()
    return [policy["Properties"]["Statement"] for policy in policies]


def invokers(template: Template) -> set[str]:
    """Return who may invoke the sender. `test_outcome_lookup` has those of the other function."""
    permissions = [each["Properties"] for each in template.of_type("AWS::Lambda::Permission").values()]
    others = [each for each in permissions if each["FunctionName"] != ref(ALIAS)]
    assert {str(each["FunctionName"]) for each in others} <= {str(arn(RESULTS_FUNCTION))}
    return {each["Principal"] for each in permissions if each not in others}


@pytest.mark.parametrize("logical_id", [LOGS, RESULTS_LOGS, ACCESS_LOG, WORKFLOW_LOGS])
def test_every_log_group_is_encrypted_with_the_key(template: Template, logical_id: str) -> None:
    assert properties(template, logical_id)["KmsKeyId"] == arn(KEY)


def test_permissions_boundary_of_the_context_is_on_every_role(
    context: dict[str, Any], tmp_path: Path
) -> None:
    boundary = {"@aws-cdk/core:permissionsBoundary": {"name": "developers"}}

    synthesize_into(tmp_path, context | boundary)

    template = Template(tmp_path)

    boundaries = [
        resolve(role["Properties"]["PermissionsBoundary"])
        for role in template.of_type("AWS::IAM::Role").values()
    ]
    assert len(boundaries) == 5
    assert set(boundaries) == {"arn:aws:iam::123456789012:policy/developers"}

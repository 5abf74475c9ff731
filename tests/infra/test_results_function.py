"""The function Results: it publishes what the bus refused before, and nobody else may invoke it."""

from typing import Any

from message_sender import __version__
from tests.infra.iam import Statement, allows
from tests.infra.template import (
    BUS,
    FUNCTION,
    KEY,
    MESSAGES,
    RESULTS_FUNCTION,
    RESULTS_LOGS,
    RESULTS_MAPPING,
    RESULTS_ROLE,
    RESULTS_ROLE_POLICY,
    UNPUBLISHED_RESULTS,
    VPC_OPTIONS,
    Template,
    arn,
    properties,
    queue_policy,
    ref,
)


def statements(template: Template) -> list[Statement]:
    return list(properties(template, RESULTS_ROLE_POLICY)["PolicyDocument"]["Statement"])


def variables(template: Template) -> dict[str, Any]:
    return dict(properties(template, RESULTS_FUNCTION)["Environment"]["Variables"])


def test_it_has_the_package_of_the_sender_and_another_handler(template: Template) -> None:
    results, sender = (properties(template, name) for name in (RESULTS_FUNCTION, FUNCTION))

    same = ("Code", "Runtime", "Architectures", "Timeout", "KmsKeyArn")
    assert {name: results[name] for name in same} == {name: sender[name] for name in same}
    assert results["Handler"] == "message_sender.results.lambda_handler"
    assert results["Description"].endswith(f"(version {__version__})")
    assert results["MemorySize"] == 256
    assert "ReservedConcurrentExecutions" not in results


def test_only_it_receives_unpublished_results(template: Template) -> None:
    mappings = template.of_type("AWS::Lambda::EventSourceMapping")

    receivers = {
        name
        for name, mapping in mappings.items()
        if mapping["Properties"]["EventSourceArn"] == arn(UNPUBLISHED_RESULTS)
    }

    assert receivers == {RESULTS_MAPPING}
    assert properties(template, RESULTS_MAPPING) == {
        "EventSourceArn": arn(UNPUBLISHED_RESULTS),
        "FunctionName": ref(RESULTS_FUNCTION),
        "BatchSize": 10,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 2},
    }


def test_result_that_is_not_published_stays_in_its_queue(template: Template) -> None:
    queue = properties(template, UNPUBLISHED_RESULTS)

    # Six times the timeout of the function, as Lambda asks for
    assert queue["VisibilityTimeout"] == 6 * properties(template, RESULTS_FUNCTION)["Timeout"] == 168
    assert "RedrivePolicy" not in queue


def test_it_waits_for_its_permissions(template: Template) -> None:
    # Lambda refuses the event source mapping if the function may not receive from the queue
    assert RESULTS_ROLE_POLICY in template.resources[RESULTS_FUNCTION]["DependsOn"]


def test_environment_has_the_settings_of_the_function(dev: Template) -> None:
    assert variables(dev) == {
        "EVENT_BUS_NAME": ref(BUS),
        "POWERTOOLS_SERVICE_NAME": "connect-message-sender",
        "POWERTOOLS_METRICS_NAMESPACE": "ConnectMessageSender-dev",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }


def test_it_has_exactly_its_permissions(dev: Template) -> None:
    assert statements(dev) == [
        {
            "Effect": "Allow",
            "Action": ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
            "Resource": arn(UNPUBLISHED_RESULTS),
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
            "Action": "kms:Decrypt",
            "Resource": arn(KEY),
            "Condition": {
                "StringEquals": {
                    "kms:ViaService": {"Fn::Join": ["", ["sqs.", ref("AWS::Region"), ".amazonaws.com"]]}
                }
            },
        },
        {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": arn(KEY)},
        {
            "Effect": "Allow",
            "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
            "Resource": arn(RESULTS_LOGS),
        },
    ]


def test_its_role_has_no_other_policy(template: Template) -> None:
    role = properties(template, RESULTS_ROLE)

    assert role.keys() & {"ManagedPolicyArns", "Policies"} == set()
    assert properties(template, RESULTS_ROLE_POLICY)["Roles"] == [ref(RESULTS_ROLE)]


def test_it_publishes_only_under_the_source_of_results(dev: Template) -> None:
    published = {
        source: allows(statements(dev), "events:PutEvents", arn(BUS), context={"events:source": [source]})
        for source in ("connect-message-sender", "shop")
    }

    assert published == {"connect-message-sender": True, "shop": False}


def test_it_neither_sends_nor_receives_messages(changed: Template) -> None:
    for queue in (MESSAGES, UNPUBLISHED_RESULTS):
        assert not allows(statements(changed), "sqs:SendMessage", arn(queue))
    assert not allows(statements(changed), "sqs:ReceiveMessage", arn(MESSAGES))


def test_queue_admits_no_other_account(changed: Template) -> None:
    assert [each["Effect"] for each in queue_policy(changed, UNPUBLISHED_RESULTS)] == ["Deny"]


def test_nobody_may_invoke_it_by_default(template: Template) -> None:
    permissions = template.of_type("AWS::Lambda::Permission").values()

    assert arn(RESULTS_FUNCTION) not in [each["Properties"]["FunctionName"] for each in permissions]


def test_no_identity_of_the_stack_may_invoke_it(changed: Template) -> None:
    for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
        for policy in changed.of_type(kind).values():
            assert not allows(
                policy["Properties"]["PolicyDocument"]["Statement"],
                "lambda:InvokeFunction",
                arn(RESULTS_FUNCTION),
            )


def test_its_log_is_encrypted_and_kept_like_that_of_the_sender(dev: Template, prod: Template) -> None:
    for template, days in ((dev, 7), (prod, 90)):
        log = properties(template, RESULTS_LOGS)
        assert (log["KmsKeyId"], log["RetentionInDays"]) == (arn(KEY), days)
        assert properties(template, RESULTS_FUNCTION)["LoggingConfig"] == {
            "ApplicationLogLevel": "INFO",
            "LogFormat": "JSON",
            "LogGroup": ref(RESULTS_LOGS),
        }


def test_it_is_in_the_vpc_and_traced_if_the_sender_is(changed: Template, dev: Template) -> None:
    function = properties(changed, RESULTS_FUNCTION)

    assert function["VpcConfig"] == {
        "SubnetIds": VPC_OPTIONS["vpc_subnet_ids"],
        "SecurityGroupIds": VPC_OPTIONS["vpc_security_group_ids"],
    }
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert properties(dev, RESULTS_FUNCTION).keys() & {"VpcConfig", "TracingConfig"} == set()


def test_only_lambda_may_create_network_interfaces_with_its_role(changed: Template) -> None:
    from_its_code = {"lambda:SourceFunctionArn": "arn:aws:lambda:eu-central-1:123456789012:function:results"}

    assert allows(statements(changed), "ec2:CreateNetworkInterface")
    assert not allows(statements(changed), "ec2:CreateNetworkInterface", context=from_its_code)

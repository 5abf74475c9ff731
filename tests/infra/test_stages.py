import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

import app
from infra.options import InvalidOptionsError, StageOptions
from infra.stage import stack_name
from ops.preflight.target import read_stages
from tests.infra.conftest import CDK_JSON
from tests.infra.template import (
    ACCESS_LOG,
    ALIAS,
    API,
    BUS,
    DEAD_LETTER,
    EVENTS_DEAD_LETTER,
    FILLED_IN,
    FUNCTION,
    KEY,
    LOGS,
    MESSAGES,
    PRODUCER_POLICY,
    REJECTED,
    RESULTS_LOGS,
    STATE_MACHINE,
    UNPUBLISHED_RESULTS,
    WORKFLOW_LOGS,
    Synthesize,
    Template,
    alarms,
    properties,
)

BAD_STAGES = [
    *("a" * 46, "a" * 54, "a" * 55, "feature/abc", "feature_abc", "a.b", "a b", "-a", "a\n", "ä", "٣", "a'b"),
    *("$(touch x)", "a;b", "a:b", "a\\b", "*", "🙂", "a\u200b"),
]

# The types of resources that hold data. Add a type here when the stack starts to use it.
STATEFUL = {"AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::SQS::Queue"}
QUEUES = {MESSAGES, DEAD_LETTER, REJECTED, UNPUBLISHED_RESULTS, EVENTS_DEAD_LETTER}


def stateful(template: Template) -> dict[str, Mapping[str, Any]]:
    resources = template.resources
    return {name: resource for name, resource in resources.items() if resource["Type"] in STATEFUL}


def test_logical_ids_of_resources_that_hold_data_do_not_change(template: Template) -> None:
    # Another id is another, empty resource. The one with the data is deleted or left behind.
    assert stateful(template).keys() == {KEY, *QUEUES, LOGS, RESULTS_LOGS, ACCESS_LOG, WORKFLOW_LOGS}


def test_logical_ids_of_resources_that_others_refer_to_do_not_change(template: Template) -> None:
    # Another id is another bus, API or state machine, with another name or address
    resources = template.resources

    names = (BUS, API, FUNCTION, ALIAS, STATE_MACHINE, PRODUCER_POLICY)
    types = {name: resources[name]["Type"] for name in names}

    assert types == {
        FUNCTION: "AWS::Lambda::Function",
        BUS: "AWS::Events::EventBus",
        API: "AWS::ApiGateway::RestApi",
        ALIAS: "AWS::Lambda::Alias",
        STATE_MACHINE: "AWS::StepFunctions::StateMachine",
        PRODUCER_POLICY: "AWS::IAM::ManagedPolicy",
    }


def test_stack_that_keeps_its_data_is_protected_from_deletion(dev: Template, prod: Template) -> None:
    protected = [stage.stack["properties"].get("terminationProtection", False) for stage in (dev, prod)]

    assert protected == [False, True]


def test_everything_is_tagged_with_project_and_stage(dev: Template, prod: Template) -> None:
    tags = [stage.stack["properties"]["tags"] for stage in (dev, prod)]

    # CloudFormation passes the stack's tags on to all resources that can have tags
    assert tags == [{"project": "connect-message-sender", "stage": stage} for stage in ("dev", "prod")]


def test_everything_has_the_tags_of_the_option(synthesize: Synthesize) -> None:
    stack = synthesize("dev", tags={"owner": "chat-team", "stage": "other"}).stack

    assert stack["properties"]["tags"] == {
        "owner": "chat-team",
        "project": "connect-message-sender",
        "stage": "dev",
    }


def test_dev_leaves_nothing_behind(dev: Template) -> None:
    policies = {(data["DeletionPolicy"], data["UpdateReplacePolicy"]) for data in stateful(dev).values()}

    assert policies == {("Delete", "Delete")}


def test_prod_keeps_its_data_except_that_of_a_failed_creation(prod: Template) -> None:
    policies = {(data["DeletionPolicy"], data["UpdateReplacePolicy"]) for data in stateful(prod).values()}

    assert policies == {("RetainExceptOnCreate", "Retain")}


def test_stack_has_the_outputs_for_users_and_operators(template: Template) -> None:
    assert template.outputs.keys() == {
        "MessageQueueUrl",
        "DeadLetterQueueUrl",
        "RejectedQueueUrl",
        "UnpublishedResultsQueueUrl",
        "EventsDeadLetterQueueUrl",
        "EventBusName",
        "FunctionName",
        "FunctionAliasArn",
        "ApiUrl",
        "StateMachineArn",
        "DataKeyArn",
        "ProducerPolicyArn",
    }


def test_stage_is_dev_unless_named(context: dict[str, Any]) -> None:
    stack = app.build(cdk.App(context=context))

    assert stack.stack_name == "ConnectMessageSender-dev"


def test_stage_without_options_can_be_deployed_beside_the_others(
    context: dict[str, Any], tmp_path: Path, synthesize: Synthesize
) -> None:
    stages = context["stages"] | {"test": {}}
    file = tmp_path / "cdk.json"
    file.write_text(json.dumps({"context": context | {"stages": stages}}))

    checked = read_stages("test", file)

    assert checked.options == StageOptions()
    assert checked.others.keys() == {"dev", "prod"}
    assert synthesize("test").path.name == f"{stack_name('test')}.template.json"
    assert synthesize("test").outputs.keys() == synthesize("dev").outputs.keys()


def test_every_stage_has_its_own_stack(dev: Template, prod: Template) -> None:
    assert [stage.path.name for stage in (dev, prod)] == [
        "ConnectMessageSender-dev.template.json",
        "ConnectMessageSender-prod.template.json",
    ]


# The longest physical names, from the API reference of each service
NAMES = {
    ("AWS::SQS::Queue", "QueueName"): 80,
    ("AWS::StepFunctions::StateMachine", "StateMachineName"): 80,
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::ApiGateway::RestApi", "Name"): 1024,
}
LONGEST = "a" * 45
STAGE_RULE = (
    "the name of a stage has 1 to 45 letters, digits and hyphens, does not begin with a hyphen, and is a "
    "part of a queue's name of at most 80 characters"
)


def test_aws_accepts_the_physical_names_of_the_stage_with_the_longest_name(synthesize: Synthesize) -> None:
    template = synthesize(LONGEST)

    lengths = {
        (kind, name): max(len(one["Properties"].get(name, "")) for one in template.of_type(kind).values())
        for kind, name in NAMES
    }

    assert {kind: length for kind, length in lengths.items() if not 0 < length <= NAMES[kind]} == {}
    assert lengths["AWS::SQS::Queue", "QueueName"] == 80


@pytest.mark.parametrize("stage", [LONGEST, "7", "Feature-ABC-1"])
def test_stage_with_an_accepted_name_is_part_of_the_name_of_its_stack(
    context: dict[str, Any], stage: str
) -> None:
    StageOptions.of_stage(stage, {stage: context["stages"]["prod"]})

    assert stack_name(stage) == f"ConnectMessageSender-{stage}"
    assert len(stack_name(stage)) <= 128


@pytest.mark.parametrize("stage", BAD_STAGES)
def test_stage_with_another_name_is_refused(context: dict[str, Any], stage: str) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        StageOptions.of_stage(stage, {stage: context["stages"]["dev"]})

    assert str(refusal.value) == f"stages has {stage!r}; {STAGE_RULE}"


@pytest.fixture
def fresh_clone() -> dict[str, Any]:
    """The context of `cdk.json` as the project ships it."""
    context: dict[str, Any] = json.loads(CDK_JSON.read_text())["context"]
    return context


def test_prod_of_a_fresh_clone_ends_in_one_line_that_says_what_to_fill_in(
    fresh_clone: dict[str, Any],
) -> None:
    with pytest.raises(SystemExit) as ended:
        app.main(cdk.App(context=fresh_clone | {"stage": "prod"}))

    assert ended.value.code == (
        "cdk.json: stages.prod has retain_data, so it needs account (the 12 digits of an AWS account), "
        'region (the name of an AWS Region), alarm_topic_arn (the ARN of an SNS topic, or "none")'
    )


@pytest.mark.parametrize("option", FILLED_IN)
def test_stage_that_keeps_its_data_needs_each_of_these_options(context: dict[str, Any], option: str) -> None:
    stages = {"prod": context["stages"]["prod"] | {option: None}}

    with pytest.raises(InvalidOptionsError, match=rf"^stages\.prod has retain_data, so it needs {option} \("):
        app.build(cdk.App(context=context | {"stage": "prod", "stages": stages}))
    assert StageOptions.of_stage("prod", stages).retain_data


def test_stage_goes_to_its_account_and_region_or_to_those_of_the_credentials(
    dev: Template, prod: Template, synthesize: Synthesize
) -> None:
    elsewhere = synthesize("dev", region="eu-west-2")

    assert [stage.stack["environment"] for stage in (dev, elsewhere, prod)] == [
        "aws://unknown-account/unknown-region",
        "aws://unknown-account/eu-west-2",
        "aws://123456789012/eu-central-1",
    ]


@pytest.mark.parametrize(
    ("stage", "credentials", "named"),
    [
        ("prod", "999988887777", True),
        ("prod", "123456789012", False),
        ("prod", "", False),
        ("dev", "999988887777", False),
    ],
)
def test_credentials_for_another_account_are_named(
    context: dict[str, Any], monkeypatch: pytest.MonkeyPatch, stage: str, credentials: str, named: bool
) -> None:
    monkeypatch.setenv("CDK_DEFAULT_ACCOUNT", credentials)

    stack = app.build(cdk.App(context=context | {"stage": stage}))

    texts = [entry.data for entry in stack.node.metadata if entry.type == "aws:cdk:info"]
    expected = "The stage prod is for account 123456789012. Your credentials are for 999988887777"
    assert texts == ([expected] if named else [])


def test_prod_accepts_the_lengths_that_amazon_connect_accepts(prod: Template, dev: Template) -> None:
    limits = [
        properties(stage, FUNCTION)["Environment"]["Variables"]["CONTENT_LIMITS"] for stage in (dev, prod)
    ]

    assert limits == ["specification", "service"]


def test_alarms_without_a_topic_have_no_actions(prod: Template, dev: Template) -> None:
    actions = [alarms(stage)["DeadLetters"].get("AlarmActions") for stage in (dev, prod)]

    assert actions == [None, None]


def test_configuration_that_is_not_valid_ends_in_one_line() -> None:
    application = cdk.App(context={"stage": "staging", "stages": {"dev": {}}})

    with pytest.raises(SystemExit) as ended:
        app.main(application)

    assert ended.value.code == "cdk.json: unknown stage 'staging'; accepted: dev"
    assert ended.value.__suppress_context__

"""A sender in the stack of another application: what it needs, what it adds, and what it leaves alone."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from aws_cdk import pipelines
from aws_cdk.cx_api import CloudAssembly
from constructs import Construct

from infra import InvalidOptionsError, MessageSender, Options
from infra.addresses import OUTPUTS
from infra.monitoring.metrics import OWN_METRICS
from infra.options import StageOptions
from infra.results import Outcome
from tests.infra.conftest import synthesize_checked
from tests.infra.event_pattern import matches
from tests.infra.template import Template

ROOT = Path(__file__).parents[2]
OWN_ENVIRONMENT = cdk.Environment(account="111122223333", region="eu-west-1")
NO_PACKAGE: Mapping[str, Any] = {"aws:cdk:bundling-stacks": []}

PARTS: Mapping[str, Mapping[str, bool]] = {
    "everything": {},
    "no API": {"http_api": False},
    "no state machine": {"workflow": False},
    "no monitoring": {"monitoring": False},
    "the least": {"http_api": False, "workflow": False, "monitoring": False},
    "sealed tokens": {"sealed_tokens": True},
    "outcomes by id": {"outcome_lookup": True},
    "the most": {"sealed_tokens": True, "outcome_lookup": True},
    "the least with sealed tokens": {
        **dict.fromkeys(("http_api", "workflow", "monitoring"), False),
        "sealed_tokens": True,
    },
    "outcomes by id without alarms": {"outcome_lookup": True, "monitoring": False, "workflow": False},
}
BY_DEFAULT = {
    **dict.fromkeys(("http_api", "workflow", "monitoring"), True),
    **dict.fromkeys(("sealed_tokens", "outcome_lookup"), False),
}
OF_A_PART = {
    "ApiUrl": "http_api",
    "StateMachineArn": "workflow",
    "TokenKeyArn": "sealed_tokens",
    "OutcomeReaderPolicyArn": "outcome_lookup",
}

# Resources whose names need not be unique in an account and Region
SCOPED = {
    ("AWS::Lambda::Alias", "Name"),
    ("AWS::ApiGateway::Model", "Name"),
    ("AWS::ApiGateway::RequestValidator", "Name"),
    ("AWS::ApiGateway::Stage", "StageName"),
    ("AWS::IAM::Policy", "PolicyName"),
}


@pytest.fixture
def stack(tmp_path: Path) -> cdk.Stack:
    return cdk.Stack(cdk.App(context=NO_PACKAGE, outdir=str(tmp_path)), "Chat", env=OWN_ENVIRONMENT)


def assembly(stack: cdk.Stack) -> CloudAssembly:
    application = stack.node.root
    assert isinstance(application, cdk.App)
    return application.synth()


def synthesized(stack: cdk.Stack) -> dict[str, Any]:
    template: dict[str, Any] = assembly(stack).get_stack_artifact(stack.artifact_id).template
    return template


def messages_of(construct: Construct, kind: str) -> list[str]:
    """Return the annotations of a kind in a whole application."""
    return [
        str(entry.data)
        for each in construct.node.root.node.find_all()
        for entry in each.node.metadata
        if entry.type == f"aws:cdk:{kind}"
    ]


@pytest.fixture(scope="module", params=PARTS)
def parts(request: pytest.FixtureRequest) -> Mapping[str, bool]:
    return PARTS[request.param]


@pytest.fixture(scope="module")
def sender_with(
    parts: Mapping[str, bool], tmp_path_factory: pytest.TempPathFactory
) -> tuple[MessageSender, Template]:
    """A sender with these parts, in a stack of an application that sets no feature flag of the CDK."""
    application = cdk.App(context=NO_PACKAGE, outdir=str(tmp_path_factory.mktemp("own")))
    stack = cdk.Stack(application, "Chat")
    sender = MessageSender(stack, "Sender", options=Options(**parts))  # type: ignore[arg-type]  # booleans
    for output, value in sender.outputs.items():
        cdk.CfnOutput(stack, output, value=value)
    synthesize_checked(application)
    return sender, Template(Path(application.outdir))


def test_part_that_is_left_out_is_none(
    parts: Mapping[str, bool], sender_with: tuple[MessageSender, Template]
) -> None:
    sender, _ = sender_with

    present = {
        "http_api": sender.api is not None,
        "workflow": sender.state_machine is not None,
        "monitoring": sender.dashboard is not None,
        "sealed_tokens": sender.token_key is not None,
        "outcome_lookup": "OutcomeReaderPolicyArn" in sender.outputs,
    }

    assert present == BY_DEFAULT | {**parts}


def test_part_that_is_left_out_has_no_address(
    parts: Mapping[str, bool], sender_with: tuple[MessageSender, Template]
) -> None:
    sender, template = sender_with
    has = BY_DEFAULT | {**parts}
    expected = {name for name in OUTPUTS if has.get(OF_A_PART.get(name, ""), True)}

    parameters = {
        each["Properties"]["Name"]: each["Properties"]["Value"]
        for each in template.of_type("AWS::SSM::Parameter").values()
    }

    assert sender.outputs.keys() == expected
    assert parameters == {
        f"/connect-message-sender/{sender.name}/{name}": template.outputs[name]["Value"] for name in expected
    }


def test_part_that_is_left_out_leaves_no_resource(
    parts: Mapping[str, bool], sender_with: tuple[MessageSender, Template]
) -> None:
    _, template = sender_with
    kinds = {resource["Type"] for resource in template.resources.values()}
    has = BY_DEFAULT | {**parts}

    assert ("AWS::ApiGateway::RestApi" in kinds) == has["http_api"]
    assert ("AWS::StepFunctions::StateMachine" in kinds) == has["workflow"]
    assert ("AWS::DynamoDB::Table" in kinds) == has["outcome_lookup"]
    assert len(template.of_type("AWS::KMS::Key")) == 1 + has["sealed_tokens"]
    # That of events, that of the outcomes, and that of calls of KMS
    assert len(template.of_type("AWS::Events::Rule")) == 1 + has["outcome_lookup"] + has["monitoring"]
    # The policy of producers, and that of those who look up outcomes
    assert len(template.of_type("AWS::IAM::ManagedPolicy")) == 1 + has["outcome_lookup"]
    for kind in ("CloudWatch::Alarm", "CloudWatch::Dashboard", "Logs::QueryDefinition", "Logs::MetricFilter"):
        assert (f"AWS::{kind}" in kinds) == has["monitoring"]
    # The roles of API Gateway and of the state machine; those of the two functions and of nothing else stay
    assert len(template.of_type("AWS::IAM::Role")) == 2 + has["http_api"] + has["workflow"]


def test_alarms_are_only_about_parts_that_exist(
    parts: Mapping[str, bool], sender_with: tuple[MessageSender, Template]
) -> None:
    _, template = sender_with
    text = json.dumps(template.of_type("AWS::CloudWatch::Alarm")) + json.dumps(
        template.of_type("AWS::CloudWatch::Dashboard")
    )

    for part, namespace in (("http_api", "AWS/ApiGateway"), ("workflow", "AWS/States")):
        expected = parts.get("monitoring", True) and parts.get(part, True)
        assert (namespace in text) == expected, namespace


def test_cdk_nag_finds_nothing_and_needs_every_acknowledgement(
    sender_with: tuple[MessageSender, Template],
) -> None:
    _, template = sender_with

    assert template.packs >= {"AwsSolutions", "Serverless"}
    assert template.findings == set()
    assert template.unused_acknowledgements == set()


def test_cfn_lint_finds_nothing(sender_with: tuple[MessageSender, Template]) -> None:
    # Also a reference to a resource that is not there: E1012 and others
    _, template = sender_with

    linted = subprocess.run(
        [sys.executable, "-c", "from cfnlint.runner import main; main()", str(template.path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (linted.returncode, linted.stdout) == (0, "")


def test_synthesis_warns_of_nothing(sender_with: tuple[MessageSender, Template]) -> None:
    sender, _ = sender_with

    assert messages_of(sender, "warning") == []
    assert messages_of(sender, "error") == []


def test_flags_of_the_cdk_add_and_remove_no_resource(context: dict[str, Any], tmp_path: Path) -> None:
    flags = {name: value for name, value in context.items() if name.startswith("@aws-cdk")}
    types: list[list[str]] = []
    for number, each in enumerate((NO_PACKAGE, {**NO_PACKAGE, **flags})):
        stack = cdk.Stack(cdk.App(context=each, outdir=str(tmp_path / str(number))), "Chat")
        MessageSender(stack, "Sender")
        resources = synthesized(stack)["Resources"].values()
        types.append(sorted(resource["Type"] for resource in resources))

    assert len(types[0]) > 70
    assert types[0] == types[1]


def test_the_stack_stays_that_of_its_application(tmp_path: Path) -> None:
    application = cdk.App(context=NO_PACKAGE, outdir=str(tmp_path))
    stack = cdk.Stack(
        application,
        "Chat",
        env=OWN_ENVIRONMENT,
        stack_name="chat-of-the-team",
        description="A chat",
        tags={"team": "chat"},
        termination_protection=True,
        synthesizer=cdk.DefaultStackSynthesizer(qualifier="team"),
    )

    sender = MessageSender(stack, "Sender")
    artifact = application.synth().get_stack_by_name("chat-of-the-team")

    assert sender.name.startswith("chatoftheteam-Sender-")
    assert (artifact.environment.account, artifact.environment.region) == ("111122223333", "eu-west-1")
    assert artifact.tags == {"team": "chat"}
    assert artifact.template["Description"] == "A chat"
    assert "Outputs" not in artifact.template
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    properties = manifest["artifacts"][stack.artifact_id]["properties"]
    assert properties["terminationProtection"] is True
    assert properties["bootstrapStackVersionSsmParameter"] == "/cdk-bootstrap/team/version"


def names(template: Mapping[str, Any], prefix: str) -> set[tuple[str, str, str]]:
    """Return the physical names of the resources whose logical ids begin with a prefix."""
    found = [
        (resource["Type"], name, json.dumps(value, sort_keys=True))
        for logical_id, resource in template["Resources"].items()
        if logical_id.startswith(prefix)
        for name, value in resource.get("Properties", {}).items()
        # A reference is to a resource of the same sender
        if name.endswith("Name") and (isinstance(value, str) or "Fn::Join" in value)
        if not name.endswith(("FunctionName", "EventBusName", "MetricName", "LogGroupName"))
        or resource["Type"] in {"AWS::Lambda::Function", "AWS::Events::EventBus", "AWS::Logs::LogGroup"}
    ]
    unscoped = [each for each in found if each[:2] not in SCOPED]
    assert len(unscoped) == len({*unscoped})
    return {*unscoped}


def test_two_senders_in_one_stack_share_no_name(stack: cdk.Stack) -> None:
    one, other = MessageSender(stack, "One"), MessageSender(stack, "Other")

    template = synthesized(stack)
    first, second = names(template, "One"), names(template, "Other")

    kinds = {kind for kind, _, _ in first}
    assert kinds >= {
        *("AWS::SQS::Queue", "AWS::KMS::Alias", "AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard"),
        *(
            "AWS::SSM::Parameter",
            "AWS::Logs::LogGroup",
            "AWS::Logs::QueryDefinition",
            "AWS::Events::EventBus",
        ),
        *("AWS::StepFunctions::StateMachine", "AWS::ApiGateway::RestApi"),
        "AWS::CloudWatch::CompositeAlarm",
    }
    assert len(first) == len(second)
    assert first & second == set()
    assert one.name != other.name
    assert messages_of(stack, "warning") == []


def test_two_senders_in_one_stack_share_no_metric(stack: cdk.Stack) -> None:
    senders = [MessageSender(stack, "One"), MessageSender(stack, "Other")]
    resources = synthesized(stack)["Resources"]

    for sender, prefix in zip(senders, ("One", "Other"), strict=True):
        own = {key: each for key, each in resources.items() if key.startswith(prefix)}
        alarms = [each for each in own.values() if each["Type"] == "AWS::CloudWatch::Alarm"]
        stats = [alarm["Properties"] for alarm in alarms] + [
            metric["MetricStat"]["Metric"]
            for alarm in alarms
            for metric in alarm["Properties"].get("Metrics", [])
            if "MetricStat" in metric
        ]
        ours = {each["Namespace"] for each in stats if each.get("MetricName") in OWN_METRICS}
        assert ours - {"AWS/States", "AWS/Lambda"} == {sender.name}
        environments = [
            each["Properties"]["Environment"]["Variables"]
            for each in own.values()
            if each["Type"] == "AWS::Lambda::Function" and "Environment" in each["Properties"]
        ]
        assert len(environments) == 2
        assert {each["POWERTOOLS_METRICS_NAMESPACE"] for each in environments} == {sender.name}


def test_the_name_is_the_first_part_of_every_other(stack: cdk.Stack) -> None:
    MessageSender(stack, "Sender", name="orders")

    found = names(synthesized(stack), "Sender")

    generated = {"AWS::Events::EventBus", "AWS::Logs::LogGroup"}
    assert {
        name
        for kind, _, text in found
        if kind not in generated
        if not (name := json.loads(text)).startswith(
            ("orders", "alias/orders", "/connect-message-sender/orders/")
        )
    } == set()


NAME_RULE = (
    "the name of a sender has 1 to 66 letters, digits and hyphens, does not begin with a hyphen, and is a "
    "part of a queue's name of at most 80 characters"
)


@pytest.mark.parametrize("name", ["", "a" * 67, "-a", "a/b", "a_b", "a b", "ä", "a\n", 5, "{{resolve:x}}"])
def test_name_that_aws_does_not_accept_is_refused(stack: cdk.Stack, name: str) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        MessageSender(stack, "Sender", name=name)

    assert str(refusal.value) == f"name is {name!r}; {NAME_RULE}"


@pytest.mark.parametrize("name", [cdk.Fn.import_value("name"), cdk.Aws.STACK_NAME], ids=["import", "stack"])
def test_name_that_is_known_only_at_deployment_is_refused(stack: cdk.Stack, name: str) -> None:
    with pytest.raises(InvalidOptionsError, match=r"^name is known only at deployment; accepted: a text of"):
        MessageSender(stack, "Sender", name=name)


def test_longest_name_gives_the_longest_queue_name(stack: cdk.Stack) -> None:
    MessageSender(stack, "Sender", name="a" * 66)

    found = [json.loads(text) for kind, _, text in names(synthesized(stack), "Sender") if "Queue" in kind]

    assert [len(name) for name in found] == [80]


def test_default_names_of_long_paths_differ(stack: cdk.Stack) -> None:
    scope: Construct = stack
    for number in range(6):
        scope = Construct(scope, f"AConstructWithALongName{number}")

    one, other = MessageSender(scope, "One"), MessageSender(scope, "Other")

    assert max(len(one.name), len(other.name)) <= 66
    assert one.name != other.name


@pytest.mark.parametrize("ids", [("A-B", "AB"), ("a", "A")])
def test_default_names_of_similar_ids_differ(stack: cdk.Stack, ids: tuple[str, str]) -> None:
    one, other = (MessageSender(stack, each) for each in ids)

    assert one.name.lower() != other.name.lower()


def test_sender_in_a_nested_stack_has_everything_there(stack: cdk.Stack, tmp_path: Path) -> None:
    nested = cdk.NestedStack(stack, "Nested")
    sender = MessageSender(nested, "Sender")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    queue = sqs.Queue(stack, "Queue")

    sender.grant_send(role)
    sender.on_outcome("Failures", target=targets.SqsQueue(queue), outcomes=["FAILED"])
    parent = synthesized(stack)["Resources"]

    [file] = tmp_path.glob("*.nested.template.json")
    resources = json.loads(file.read_text())["Resources"]
    assert sender.name.startswith("Chat-Nested-Sender-")
    assert len(resources) > 70
    assert {each["Type"] for each in parent.values()} == {
        *("AWS::CloudFormation::Stack", "AWS::IAM::Role", "AWS::IAM::Policy"),
        *("AWS::SQS::Queue", "AWS::SQS::QueuePolicy"),
    }


class OwnStage(cdk.Stage):
    def __init__(self, scope: Construct, construct_id: str, *, env: cdk.Environment | None = None) -> None:
        super().__init__(scope, construct_id, env=env)
        self.sender = MessageSender(cdk.Stack(self, "Chat"), "Sender")


def test_senders_of_two_stages_have_different_names(tmp_path: Path) -> None:
    application = cdk.App(context=NO_PACKAGE, outdir=str(tmp_path))

    stages = [OwnStage(application, name, env=OWN_ENVIRONMENT) for name in ("Test", "Live")]
    application.synth()

    assert [stage.sender.name.rpartition("-")[0] for stage in stages] == [
        "TestChat-Sender",
        "LiveChat-Sender",
    ]
    templates = [json.loads(file.read_text()) for file in tmp_path.glob("assembly-*/*.template.json")]
    assert len(templates) == 2
    assert names(templates[0], "Sender") & names(templates[1], "Sender") == set()


def test_sender_can_be_deployed_by_a_pipeline(tmp_path: Path) -> None:
    application = cdk.App(context=NO_PACKAGE, outdir=str(tmp_path))
    stack = cdk.Stack(application, "Pipeline", env=OWN_ENVIRONMENT)
    source = pipelines.CodePipelineSource.connection(
        "team/chat", "main", connection_arn="arn:aws:codestar-connections:eu-west-1:111122223333:connection/1"
    )
    pipeline = pipelines.CodePipeline(
        stack, "Pipeline", synth=pipelines.ShellStep("Synth", input=source, commands=["npx cdk synth"])
    )

    pipeline.add_stage(OwnStage(application, "Live", env=OWN_ENVIRONMENT))

    [deployed] = [
        each["Properties"]
        for each in synthesized(stack)["Resources"].values()
        if each["Type"] == "AWS::CodePipeline::Pipeline"
    ]
    actions = {
        action["Configuration"].get("StackName") for each in deployed["Stages"] for action in each["Actions"]
    }
    assert "Live-Chat" in actions


def statements_of(template: Mapping[str, Any], kind: str, grantee: str | None = None) -> set[str]:
    """Return the statements of the policies of a type: of all, of one, or of a role, user or group."""
    return {
        json.dumps(statement, sort_keys=True)
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
        if grantee is None or name.startswith(grantee) or f'"{grantee}' in json.dumps(resource["Properties"])
        for statement in resource["Properties"]["PolicyDocument"]["Statement"]
    }


def made_function(stack: cdk.Stack) -> lambda_.Function:
    return lambda_.Function(
        stack,
        "Grantee",
        runtime=lambda_.Runtime.PYTHON_3_13,
        handler="index.handler",
        code=lambda_.Code.from_inline("def handler(event, context): ..."),
    )


GRANTEES: Mapping[str, Callable[[cdk.Stack], iam.IGrantable]] = {
    "role": lambda stack: iam.Role(stack, "Grantee", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com")),
    "user": lambda stack: iam.User(stack, "Grantee"),
    "group": lambda stack: iam.Group(stack, "Grantee"),
    "function": made_function,
    "role of the account": lambda stack: iam.Role.from_role_arn(
        stack, "Grantee", "arn:aws:iam::111122223333:role/Grantee"
    ),
}


@pytest.mark.parametrize(
    ("grantee", "parts"), [*((each, "everything") for each in GRANTEES), *(("role", each) for each in PARTS)]
)
def test_grant_gives_what_the_policy_for_producers_gives(stack: cdk.Stack, grantee: str, parts: str) -> None:
    sender = MessageSender(stack, "Sender", options=Options(**PARTS[parts]))  # type: ignore[arg-type]  # booleans

    given = sender.grant_send(GRANTEES[grantee](stack))
    template = synthesized(stack)

    [producers] = [name for name in template["Resources"] if name.startswith("SenderProducerPolicy")]
    policy = statements_of(
        {"Resources": {producers: template["Resources"][producers]}}, "AWS::IAM::ManagedPolicy"
    )
    has = BY_DEFAULT | {**PARTS[parts]}
    assert given.success
    # One for each of these parts. A producer may not look up outcomes
    assert len(policy) == 5 + sum(has[part] for part in ("http_api", "workflow", "sealed_tokens"))
    assert statements_of(template, "AWS::IAM::Policy", "Grantee") == policy
    assert messages_of(stack, "warning") == []


NOT_OURS: Mapping[str, Callable[[cdk.Stack], iam.IGrantable]] = {
    "Chat/Grantee": lambda stack: iam.Role.from_role_arn(
        stack, "Grantee", "arn:aws:iam::444455556666:role/Grantee"
    ),
    "ServicePrincipal": lambda _: iam.ServicePrincipal("ec2.amazonaws.com"),
    "ArnPrincipal": lambda _: iam.ArnPrincipal("arn:aws:iam::111122223333:user/anybody"),
    "Chat/Function": lambda stack: lambda_.Function.from_function_arn(
        stack, "Function", "arn:aws:lambda:eu-west-1:111122223333:function:Grantee"
    ),
    "Chat/Named": lambda stack: lambda_.Function.from_function_name(stack, "Named", "Grantee"),
    "Elsewhere/Grantee": lambda stack: iam.Role(
        cdk.Stack(
            cdk.Stage.of(stack), "Elsewhere", env=cdk.Environment(account="444455556666", region="eu-west-1")
        ),
        "Grantee",
        assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
    ),
}


@pytest.mark.parametrize("method", [MessageSender.grant_send, MessageSender.grant_send_to_queue])
@pytest.mark.parametrize("grantee", NOT_OURS)
def test_grant_that_gives_nothing_is_reported(
    stack: cdk.Stack, grantee: str, method: Callable[[MessageSender, iam.IGrantable], iam.Grant]
) -> None:
    sender = MessageSender(stack, "Sender")

    given = method(sender, NOT_OURS[grantee](stack))

    [warning] = messages_of(stack, "warning")
    assert warning.startswith(
        f"{method.__name__} gives {grantee} nothing: this application cannot change its policies"
    )
    assert not given.success
    templates = [each.template for each in assembly(stack).stacks]
    assert set().union(*(statements_of(each, "AWS::IAM::Policy", "Grantee") for each in templates)) == set()


def test_grant_for_the_queue_gives_what_a_message_on_it_needs(stack: cdk.Stack) -> None:
    sender = MessageSender(stack, "Sender")

    given = sender.grant_send_to_queue(GRANTEES["role"](stack))

    actions = {
        action
        for statement in statements_of(synthesized(stack), "AWS::IAM::Policy", "Grantee")
        for action in [json.loads(statement)["Action"]]
        for action in ([action] if isinstance(action, str) else action)
    }
    assert given.success
    assert actions == {"sqs:SendMessage", "kms:Decrypt", "kms:GenerateDataKey"}
    assert messages_of(stack, "warning") == []


@pytest.mark.parametrize("options", [False, True, {}, {"http_api": False}, Options])
def test_options_of_another_type_are_refused(stack: cdk.Stack, options: Options) -> None:
    with pytest.raises(InvalidOptionsError) as refusal:
        MessageSender(stack, "Sender", options=options)

    assert str(refusal.value) == f"options is {options!r}; accepted: Options(...), or None"


def test_options_of_a_stage_are_options(stack: cdk.Stack) -> None:
    sender = MessageSender(stack, "Sender", options=StageOptions(http_api=False))

    assert sender.api is None


@pytest.mark.parametrize(
    ("outcomes", "detail_types"),
    [
        (["SENT"], ["Message Sent"]),
        (["FAILED", "REJECTED", "FAILED"], ["Message Rejected", "Message Failed"]),
        ({"FAILED", "REJECTED", "SENT"}, ["Message Sent", "Message Rejected", "Message Failed"]),
        ([Outcome.FAILED], ["Message Failed"]),
        (iter([Outcome.REJECTED, "SENT"]), ["Message Sent", "Message Rejected"]),
    ],
)
def test_rule_takes_only_the_named_outcomes(
    stack: cdk.Stack, outcomes: Collection[Outcome], detail_types: list[str]
) -> None:
    sender = MessageSender(stack, "Sender")
    queue = sqs.Queue(stack, "Queue")

    sender.on_outcome("Rule", target=targets.SqsQueue(queue), outcomes=outcomes)

    [rule] = [
        resource["Properties"]
        for name, resource in synthesized(stack)["Resources"].items()
        if resource["Type"] == "AWS::Events::Rule" and name.startswith("SenderOutcomesRule")
    ]
    taken = [
        kind
        for kind in ("Message Sent", "Message Rejected", "Message Failed", "SendMessage Requested")
        if matches(rule["EventPattern"], {"source": "connect-message-sender", "detail-type": kind})
    ]
    assert taken == detail_types
    assert not matches(rule["EventPattern"], {"source": "anybody", "detail-type": detail_types[0]})
    assert rule["EventBusName"] == {"Ref": "SenderEventRoutingBus" + rule["EventBusName"]["Ref"][-8:]}
    assert [target["Arn"] for target in rule["Targets"]] == [stack.resolve(queue.queue_arn)]
    assert "Description" in rule


def test_rule_can_have_the_id_of_a_part_of_the_sender(stack: cdk.Stack) -> None:
    sender = MessageSender(stack, "Sender")
    queue = sqs.Queue(stack, "Queue")
    parts = [child.node.id for child in sender.node.children]

    for part in parts:
        sender.on_outcome(part, target=targets.SqsQueue(queue))

    assert {*parts} > {"Results", "Monitoring", "Parameters", "Outcomes"}


@pytest.mark.parametrize("kind", ["queue", "function"])
def test_rule_can_have_its_target_in_another_stack(stack: cdk.Stack, kind: str) -> None:
    other = cdk.Stack(cdk.Stage.of(stack), "Other", env=OWN_ENVIRONMENT)
    sender = MessageSender(stack, "Sender")
    target: events.IRuleTarget = (
        targets.SqsQueue(sqs.Queue(other, "Target"))
        if kind == "queue"
        else targets.LambdaFunction(made_function(other))
    )

    sender.on_outcome("Unsent", target=target, outcomes=["FAILED"], scope=other)

    template = assembly(stack).get_stack_by_name("Other").template
    [rule] = [
        each["Properties"] for each in template["Resources"].values() if each["Type"] == "AWS::Events::Rule"
    ]
    assert "SenderEventRoutingBus" in json.dumps(rule["EventBusName"])
    assert matches(
        rule["EventPattern"], {"source": "connect-message-sender", "detail-type": "Message Failed"}
    )
    assert [each.stack_name for each in other.dependencies] == ["Chat"]


@pytest.mark.parametrize(
    "outcomes", [[], ["Sent"], ["SENT", "DEFERRED"], "SENT", [None], None, [["SENT"]], Outcome.SENT]
)
def test_unknown_outcome_is_refused(stack: cdk.Stack, outcomes: Collection[Outcome]) -> None:
    sender = MessageSender(stack, "Sender")
    queue = sqs.Queue(stack, "Queue")

    with pytest.raises(
        InvalidOptionsError, match=r"^outcomes is .+; accepted: a list with some of SENT, REJ"
    ):
        sender.on_outcome("Rule", target=targets.SqsQueue(queue), outcomes=outcomes)


def test_options_can_be_values_of_other_constructs(stack: cdk.Stack) -> None:
    topic = sns.Topic(stack, "Topic")
    web_acl = cdk.CfnResource(stack, "WebAcl", type="AWS::WAFv2::WebACL")
    machine = cdk.CfnResource(stack, "Machine", type="AWS::StepFunctions::StateMachine")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"))
    subnet = cdk.CfnResource(stack, "Subnet", type="AWS::EC2::Subnet")
    group = cdk.CfnResource(stack, "Group", type="AWS::EC2::SecurityGroup")

    MessageSender(
        stack,
        "Sender",
        options=Options(
            alarm_topic_arn=topic.topic_arn,
            api_web_acl_arn=web_acl.get_att("Arn").to_string(),
            api_source_cidrs=[cdk.Fn.import_value("range")],
            task_state_machine_arns=[machine.ref],
            producer_principals=[role.role_arn],
            vpc_subnet_ids=[subnet.ref],
            vpc_security_group_ids=[group.get_att("GroupId").to_string()],
        ),
    )

    text = json.dumps(synthesized(stack)["Resources"], sort_keys=True)
    for expected in (
        *('{"Ref": "Topic', '"WebACLArn": {"Fn::GetAtt": ["WebAcl", "Arn"]}', '{"Ref": "Machine"}'),
        *('{"Fn::ImportValue": "range"}', '{"Fn::GetAtt": ["Role', '"SubnetIds": [{"Ref": "Subnet"}]'),
        '"SecurityGroupIds": [{"Fn::GetAtt": ["Group", "GroupId"]}]',
    ):
        assert expected in text
    assert "${Token[" not in text


def test_subnets_can_be_a_list_that_is_known_at_deployment(stack: cdk.Stack) -> None:
    subnets, groups = (cdk.Fn.split(",", cdk.Fn.import_value(name)) for name in ("subnets", "groups"))

    MessageSender(stack, "Sender", options=Options(vpc_subnet_ids=subnets, vpc_security_group_ids=groups))

    networks = [
        each["Properties"]["VpcConfig"]
        for each in synthesized(stack)["Resources"].values()
        if "VpcConfig" in each.get("Properties", {})
    ]
    assert (
        networks
        == [
            {
                "SubnetIds": {"Fn::Split": [",", {"Fn::ImportValue": "subnets"}]},
                "SecurityGroupIds": {"Fn::Split": [",", {"Fn::ImportValue": "groups"}]},
            }
        ]
        * 2
    )


@pytest.mark.parametrize(
    ("options", "warned"),
    [
        (Options(retain_data=True), True),
        (Options(retain_data=True, alarm_topic_arn="none"), False),
        (Options(retain_data=True, monitoring=False), False),
        (Options(), False),
    ],
)
def test_alarms_that_notify_nobody_are_reported_if_the_data_is_kept(
    stack: cdk.Stack, options: Options, warned: bool
) -> None:
    MessageSender(stack, "Sender", options=options)

    warnings = messages_of(stack, "warning")

    assert [warning.startswith("The alarms notify nobody") for warning in warnings] == [True] * warned


HOLDS_DATA = {
    "AWS::SQS::Queue": "queue",
    "AWS::KMS::Key": "key",
    "AWS::KMS::Alias": "alias",
    "AWS::Events::EventBus": "bus",
    "AWS::DynamoDB::Table": "table",
    "AWS::StepFunctions::StateMachine": "state machine",
    "AWS::ApiGateway::RestApi": "API",
    "AWS::Logs::LogGroup": "log",
}
"""The types of resources that have data or an address, and the word for each in the documents."""


def holding_data(folder: Path, options: Options) -> dict[str, tuple[str, bool]]:
    """Return the resources that have data: the word for each, and whether it outlives its stack."""
    stack = cdk.Stack(cdk.App(context=NO_PACKAGE, outdir=str(folder)), "Chat", env=OWN_ENVIRONMENT)
    MessageSender(stack, "Sender", options=options)
    return {
        name: (HOLDS_DATA[each["Type"]], each.get("DeletionPolicy") == "RetainExceptOnCreate")
        for name, each in synthesized(stack)["Resources"].items()
        if each["Type"] in HOLDS_DATA
    }


def test_page_lists_what_an_option_deletes_when_it_is_turned_off(tmp_path: Path) -> None:
    page = (ROOT / "docs/reference/options.md").read_text()
    section = page.partition("\n## Turn an option off\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", section, re.MULTILINE)
    everything = Options(retain_data=True, alarm_topic_arn="none", sealed_tokens=True, outcome_lookup=True)
    before = holding_data(tmp_path / "before", everything)

    listed = {option: (words(deleted), words(kept)) for option, deleted, kept in rows}
    found = {}
    for option in fields(Options):
        if (
            isinstance(option.default, bool)
            and option.name != "retain_data"
            and getattr(everything, option.name)
        ):
            off: dict[str, Any] = {option.name: False}
            # An option of the API is off without it, and one of the alarms without them
            off |= {"outcome_lookup": False} if option.name == "http_api" else {}
            topic = None if option.name == "monitoring" else "none"
            after = holding_data(tmp_path / option.name, replace(everything, **off, alarm_topic_arn=topic))
            gone = [each for name, each in before.items() if name not in after]
            if gone:
                found[option.name] = tuple(
                    {word for word, retained in gone if retained is kept} for kept in (False, True)
                )

    assert found.keys() >= {"http_api", "sealed_tokens"}
    assert listed == found


def words(cell: str) -> set[str]:
    return {
        word
        for word in HOLDS_DATA.values()
        if re.search(rf"\b{word}\b", cell.replace("alias of the key", "alias"))
    }


@pytest.mark.parametrize("page", ["deploy", "use-in-your-cdk-app"])
def test_pages_say_at_which_changes_you_stop(page: str) -> None:
    text = (ROOT / "docs/how-to" / f"{page}.md").read_text()
    [line] = re.findall(r"^.*\*\*stop if it deletes.*$", text, re.MULTILINE | re.IGNORECASE)

    assert words(line) == {*HOLDS_DATA.values()} - {"alias", "log"}


def test_logical_ids_of_the_stages_are_those_of_the_version_before(dev: Template, prod: Template) -> None:
    # Another id is another resource: an update would replace it, and a queue would lose its messages. Without
    # versions and deployments: their ids depend on their contents.
    recorded = json.loads((ROOT / "tests" / "infra" / "logical_ids.json").read_text())

    for stage, template in (("dev", dev), ("prod", prod)):
        before = recorded["both"] | recorded[stage]
        found = {logical_id: each["Type"] for logical_id, each in template.resources.items()}
        assert len(before) > 90
        assert {key: kind for key, kind in before.items() if found.get(key) != kind} == {}

"""The examples of other sources synthesize, and give each source no more than it needs."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aws_cdk as cdk
import boto3
import botocore.session
import cdk_nag
import pytest
from aws_cdk import aws_iam as iam
from connect_message_sender import MessageSender

from examples.sources import bulk_sender, send_later, sns_topic, stream_pipes
from message_sender.request import SendMessageRequest, parse_request
from tests.infra.iam import Context, allows
from tests.infra.test_template import lint

MESSAGES = "SenderMessageQueuesMessages8FDC8D3F"
KEY = "SenderDataKey344569BA"
ROOT = Path(__file__).parents[2]
NO_PACKAGE: dict[str, Any] = {"aws:cdk:bundling-stacks": []}

# Findings in what an example adds, each with its reason
ACCEPTED = {
    # The queues for failures are the last ones
    *(
        f"{rule} {queue}"
        for rule in ("AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy")
        for queue in ("Missed", "TopicFailures", "StreamPipeFailures", "OutboxPipeFailures")
    ),
    # Requests are needed for a day, and the application has them
    "AwsSolutions-DDB3 Outbox",
    # dynamodb:ListStreams has no resource types
    "AwsSolutions-IAM5 OutboxPipeRole",
    # Any schedule of one group. A condition limits the keys to the one of SNS.
    "AwsSolutions-IAM5 Backend",
}


class Example:
    """The template of a stack with one example, and the findings in what the example adds."""

    def __init__(self, build: Callable[[cdk.Stack], object], context: dict[str, Any], folder: Path) -> None:
        application = cdk.App(context=context, outdir=str(folder))
        stack = cdk.Stack(application, "Example")
        build(stack)
        packs = (cdk_nag.AwsSolutionsChecks(application), cdk_nag.ServerlessChecks(application))
        cdk.Validations.of(application).add_plugins(*packs)
        try:
            application.synth()
        except RuntimeError as error:
            if not str(error).startswith("ValidationFailed"):
                raise
        self.path = folder / "Example.template.json"
        self.resources: dict[str, Any] = json.loads(self.path.read_text())["Resources"]
        report = json.loads((folder / "validation-report.json").read_text())
        self.findings = {
            f"{violation['ruleName'].partition('[')[0]} {construct['constructPath'].split('/')[1]}"
            for pack in report["pluginReports"]
            for violation in pack["violations"]
            for construct in violation["violatingConstructs"]
        }

    def one(self, kind: str, prefix: str = "") -> dict[str, Any]:
        """Return the properties of the only resource of a type whose logical id begins like this."""
        return dict(self.resources[self.id_of(kind, prefix)]["Properties"])

    def id_of(self, kind: str, prefix: str = "") -> str:
        [logical_id] = [
            name
            for name, resource in self.resources.items()
            if resource["Type"] == kind and name.startswith(prefix)
        ]
        return logical_id

    def policy(self, role: str) -> list[dict[str, Any]]:
        statements: list[dict[str, Any]] = self.one("AWS::IAM::Policy", role)["PolicyDocument"]["Statement"]
        return statements


def backend(stack: cdk.Stack) -> iam.Role:
    return iam.Role(stack, "Backend", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))


def sender(stack: cdk.Stack) -> MessageSender:
    return MessageSender(stack, "Sender")


BUILDS: dict[str, Callable[[cdk.Stack], object]] = {
    "later": lambda stack: send_later.let_send_later(stack, sender(stack), backend(stack)),
    "topic": lambda stack: sns_topic.send_from_topic(stack, sender(stack), backend(stack)),
    "stream": lambda stack: stream_pipes.send_from_stream(stack, sender(stack)),
    "table": lambda stack: stream_pipes.send_from_table(stack, sender(stack)),
    "bulk": bulk_sender.live_and_bulk,
}

Build = Callable[[str], Example]


@pytest.fixture(scope="module")
def example(context: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Build:
    built: dict[str, Example] = {}

    def build(name: str) -> Example:
        if name not in built:
            built[name] = Example(BUILDS[name], context, tmp_path_factory.mktemp(name))
        return built[name]

    return build


def test_every_example_is_tested() -> None:
    files = {path.stem for path in Path(send_later.__file__).parent.glob("*.py")}

    assert files == {"bulk_sender", "send_later", "sns_topic", "stream_pipes"}


@pytest.mark.parametrize("name", BUILDS)
def test_rules_find_nothing_in_an_example(example: Build, name: str) -> None:
    assert example(name).findings <= ACCEPTED


def test_every_accepted_finding_is_found(example: Build) -> None:
    assert set().union(*(example(name).findings for name in BUILDS)) == ACCEPTED


@pytest.mark.parametrize("name", BUILDS)
def test_cfn_lint_accepts_an_example(example: Build, name: str) -> None:
    lint(example(name).path)


VIA_SQS: Context = {"kms:ViaService": "sqs.eu-central-1.amazonaws.com"}


@pytest.mark.parametrize(
    ("name", "role", "queue"),
    [
        ("later", "ScheduleRole", "Missed"),
        ("stream", "StreamPipeRole", "StreamPipeFailures"),
        ("table", "OutboxPipeRole", "OutboxPipeFailures"),
    ],
)
def test_role_of_a_source_may_send_to_the_queue_and_to_its_own(
    example: Build, name: str, role: str, queue: str
) -> None:
    statements = example(name).policy(role)

    key = {"Fn::GetAtt": [KEY, "Arn"]}
    for reachable in (MESSAGES, example(name).id_of("AWS::SQS::Queue", queue)):
        assert allows(statements, "sqs:SendMessage", {"Fn::GetAtt": [reachable, "Arn"]})
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        assert allows(statements, action, key, context=VIA_SQS)
        assert not allows(
            statements, action, key, context={"kms:ViaService": "s3.eu-central-1.amazonaws.com"}
        )
    actions = {action for each in statements for action in listed(each["Action"])}
    services = {"sqs:SendMessage", "kms:Decrypt", "kms:GenerateDataKey"}
    reads = re.compile(r"(kinesis|dynamodb):(Describe|Get|List|SubscribeToShard)")
    assert {action for action in actions - services if not reads.match(action)} == set()


def listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


@pytest.mark.parametrize(
    ("name", "role", "service"),
    [
        ("later", "ScheduleRole", "scheduler.amazonaws.com"),
        ("stream", "StreamPipeRole", "pipes.amazonaws.com"),
        ("table", "OutboxPipeRole", "pipes.amazonaws.com"),
    ],
)
def test_service_has_the_role_only_for_this_account(
    example: Build, name: str, role: str, service: str
) -> None:
    [trust] = example(name).one("AWS::IAM::Role", role)["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Principal"] == {"Service": service}
    assert trust["Condition"]["StringEquals"]["aws:SourceAccount"] == {"Ref": "AWS::AccountId"}


def test_schedules_are_of_one_group(example: Build) -> None:
    built = example("later")
    [group] = [
        name for name, each in built.resources.items() if each["Type"] == "AWS::Scheduler::ScheduleGroup"
    ]
    [trust] = built.one("AWS::IAM::Role", "ScheduleRole")["AssumeRolePolicyDocument"]["Statement"]
    creates = [each for each in built.policy("Backend") if "scheduler:CreateSchedule" in each["Action"]]

    assert trust["Condition"]["StringEquals"]["aws:SourceArn"] == {"Fn::GetAtt": [group, "Arn"]}
    assert len(creates) == 1
    assert "schedule/" in json.dumps(creates[0]["Resource"])
    assert creates[0]["Resource"] != "*"
    [passed] = [each for each in built.policy("Backend") if each["Action"] == "iam:PassRole"]
    assert passed["Resource"] == {"Fn::GetAtt": ["ScheduleRole756A1A25", "Arn"]}


def test_schedule_is_a_message_of_its_chat(monkeypatch: pytest.MonkeyPatch) -> None:
    scheduler = Mock()
    monkeypatch.setattr(boto3, "client", lambda _service: scheduler)
    request = {
        "ConnectionToken": "token",
        "ContentType": "text/plain",
        "Content": 'Your parcel, "4711"',
        "ClientToken": "parcel-4711",
        "ContactId": "contact",
    }

    send_later.send_at(
        datetime(2026, 11, 28, 9, 30, tzinfo=UTC),
        request,
        group="messages",
        queue_url="https://sqs/messages.fifo",
        role_arn="arn:aws:iam::123456789012:role/schedule",
        missed_arn="arn:aws:sqs:eu-central-1:123456789012:missed",
    )

    schedule = scheduler.create_schedule.call_args.kwargs
    known = fields_of("scheduler", "CreateSchedule")
    assert schedule.keys() <= known.keys()
    assert schedule["Target"].keys() <= known["Target"].members.keys()
    assert schedule["ScheduleExpression"] == "at(2026-11-28T09:30:00)"
    assert (schedule["Name"], schedule["ClientToken"]) == ("parcel-4711", "parcel-4711")
    assert schedule["ActionAfterCompletion"] == "DELETE"
    # The target for FIFO queues needs content-based deduplication, so this is the SQS call itself
    assert schedule["Target"]["Arn"].endswith(":::aws-sdk:sqs:sendMessage")
    message = json.loads(schedule["Target"]["Input"])
    assert message.keys() <= fields_of("sqs", "SendMessage").keys()
    assert (message["MessageGroupId"], message["MessageDeduplicationId"]) == ("contact", "parcel-4711")
    assert isinstance(parse_request(message["MessageBody"], client_token=None).request, SendMessageRequest)


def fields_of(service: str, operation: str) -> Any:  # noqa: ANN401  # a model of botocore
    model: Any = botocore.session.get_session().get_service_model(service)
    return model.operation_model(operation).input_shape.members


def test_topic_passes_on_requests_as_they_are(example: Build) -> None:
    built = example("topic")
    subscription = built.one("AWS::SNS::Subscription")

    assert subscription["RawMessageDelivery"] is True
    assert subscription["Endpoint"] == {"Fn::GetAtt": [MESSAGES, "Arn"]}
    assert subscription["FilterPolicy"] == {"channel": ["chat"]}
    topic = built.one("AWS::SNS::Topic")
    assert (topic["FifoTopic"], topic["FifoThroughputScope"]) == (True, "MessageGroup")
    # Two equal texts are two messages
    assert not topic.get("ContentBasedDeduplication")
    # SNS delivers failures of a FIFO topic to a FIFO queue only
    assert built.one("AWS::SQS::Queue", "TopicFailures")["FifoQueue"] is True


def test_only_this_topic_can_use_the_queue_and_its_key(example: Build) -> None:
    built = example("topic")
    [topic] = [name for name, each in built.resources.items() if each["Type"] == "AWS::SNS::Topic"]
    queue = built.one("AWS::SQS::QueuePolicy", "SenderMessageQueuesMessages")["PolicyDocument"]["Statement"]
    key = built.resources[KEY]["Properties"]["KeyPolicy"]["Statement"]

    ours, other = {"aws:SourceArn": f"<{topic}>"}, {"aws:SourceArn": "arn:aws:sns:eu-central-1:1:other"}
    tls: Context = {"aws:SecureTransport": "true"}
    messages = {"Fn::GetAtt": [MESSAGES, "Arn"]}
    for context, allowed in ((ours, True), (other, False)):
        assert (
            allows(
                queue, "sqs:SendMessage", messages, principal="sns.amazonaws.com", context={**tls, **context}
            )
            is allowed
        )
        for action in ("kms:GenerateDataKey", "kms:Decrypt"):
            assert allows(key, action, principal="sns.amazonaws.com", context=context) is allowed


def test_page_sets_the_flag_without_which_every_topic_can_use_the_key(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/send-from-sns.md").read_text()
    [block] = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    flags = json.loads(block)["context"]

    allowed = {}
    contexts: dict[str, dict[str, Any]] = {"page": flags, "nothing": {}}
    for name, context in contexts.items():
        built = Example(BUILDS["topic"], {**NO_PACKAGE, **context}, tmp_path / name)
        key = built.resources[KEY]["Properties"]["KeyPolicy"]["Statement"]
        other: Context = {"aws:SourceArn": "arn:aws:sns:eu-central-1:1:other"}
        allowed[name] = allows(key, "kms:Decrypt", principal="sns.amazonaws.com", context=other)

    assert allowed == {"page": False, "nothing": True}


def test_examples_fit_into_one_stack(tmp_path: Path) -> None:
    stack = cdk.Stack(cdk.App(context=NO_PACKAGE, outdir=str(tmp_path)), "All")
    one, role = sender(stack), backend(stack)

    send_later.let_send_later(stack, one, role)
    sns_topic.send_from_topic(stack, one, role)
    stream_pipes.send_from_stream(stack, one)
    stream_pipes.send_from_table(stack, one)
    bulk_sender.live_and_bulk(stack)

    assert {child.node.id for child in stack.node.children} > {"RequestTopic", "StreamPipe", "OutboxPipe"}


def test_backend_may_publish_to_the_topic_alone(example: Build) -> None:
    publish = [each for each in example("topic").policy("Backend") if each["Action"] == "sns:Publish"]

    assert [list(each["Resource"]) for each in publish] == [["Ref"]]


REQUEST = {
    "ConnectionToken": "token",
    "ContentType": "text/plain",
    "Content": 'Line 1\nand "line" 2 \\',
    "ClientToken": "parcel-4711",
    "ContactId": "contact",
    "ExpiresAt": "2026-11-28T09:30:00Z",
}


@pytest.mark.parametrize("name", ["stream", "table"])
def test_pipe_makes_a_message_of_its_chat_from_a_record(example: Build, name: str) -> None:
    target = example(name).one("AWS::Pipes::Pipe")["TargetParameters"]
    record: dict[str, Any] = (
        {"partitionKey": "contact", "data": REQUEST}
        if name == "stream"
        else {"dynamodb": {"NewImage": {field: {"S": value} for field, value in REQUEST.items()}}}
    )

    body = re.sub(r"<(\$[\w.]+)>", lambda path: json.dumps(at(record, path[1])), target["InputTemplate"])

    assert json.loads(body) == REQUEST
    assert isinstance(parse_request(body, client_token=None).request, SendMessageRequest)
    ids = target["SqsQueueParameters"]
    assert at(record, ids["MessageGroupId"]) == "contact"
    assert at(record, ids["MessageDeduplicationId"]) == "parcel-4711"
    # https://docs.aws.amazon.com/eventbridge/latest/pipes-reference/API_PipeTargetSqsQueueParameters.html
    assert all(len(path) <= 100 for path in ids.values())


def at(record: Any, path: str) -> Any:  # noqa: ANN401  # a part of a record
    for name in path.removeprefix("$.").split("."):
        record = record[name]
    return record


@pytest.mark.parametrize(
    ("name", "parameters", "queue"),
    [
        ("stream", "KinesisStreamParameters", "StreamPipeFailures"),
        ("table", "DynamoDBStreamParameters", "OutboxPipeFailures"),
    ],
)
def test_pipe_keeps_the_order_and_reports_what_it_gives_up(
    example: Build, name: str, parameters: str, queue: str
) -> None:
    pipe = example(name).one("AWS::Pipes::Pipe")

    source = pipe["SourceParameters"][parameters]
    assert source["BatchSize"] == 1
    assert source["StartingPosition"] == "TRIM_HORIZON"
    assert source["MaximumRecordAgeInSeconds"] == 600
    assert source["DeadLetterConfig"] == {
        "Arn": {"Fn::GetAtt": [example(name).id_of("AWS::SQS::Queue", queue), "Arn"]}
    }
    # The queue must be a standard one
    assert "FifoQueue" not in example(name).one("AWS::SQS::Queue", queue)
    assert pipe["Target"] == {"Fn::GetAtt": [MESSAGES, "Arn"]}


def test_only_new_items_of_the_outbox_are_messages(example: Build) -> None:
    built = example("table")

    [pattern] = built.one("AWS::Pipes::Pipe")["SourceParameters"]["FilterCriteria"]["Filters"]
    assert json.loads(pattern["Pattern"]) == {"eventName": ["INSERT"]}
    outbox = built.one("AWS::DynamoDB::Table")
    assert outbox["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}
    assert outbox["SSESpecification"] == {"SSEEnabled": True}
    assert outbox["TimeToLiveSpecification"]["Enabled"] is True


def test_two_senders_share_the_quota_and_nothing_else(example: Build) -> None:
    resources = example("bulk").resources
    functions = {
        name[:4]: each["Properties"]["Environment"]["Variables"]
        for name, each in resources.items()
        if each["Type"] == "AWS::Lambda::Function" and "SenderFunction" in name
    }

    quota = {name: variables["SEND_QUOTA_PER_SECOND"] for name, variables in functions.items()}
    assert quota == {"Live": "9", "Bulk": "1"}
    assert functions["Bulk"]["RETRY_WINDOW_MINUTES"] == "240"
    assert len({variables["POWERTOOLS_METRICS_NAMESPACE"] for variables in functions.values()}) == 2
    names = [
        json.dumps(each["Properties"][field])
        for each in resources.values()
        for field in ("QueueName", "AlarmName", "DashboardName", "AliasName", "StateMachineName")
        if field in each["Properties"]
    ]
    assert len(names) == len(set(names)) > 20

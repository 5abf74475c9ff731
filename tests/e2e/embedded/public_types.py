"""The types of the public names, as a type checker sees them in another project. Nobody runs this module."""

from collections.abc import Mapping
from typing import assert_type

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from connect_message_sender import InvalidOptionsError, MessageSender, Options
from connect_message_sender.outputs import StackOutputs
from connect_message_sender.producer import Answer, EventSource, MessageRequest, NotSentError, Producer
from connect_message_sender.results import MessageResult


def constructs(stack: cdk.Stack, role: iam.Role, target: events.IRuleTarget) -> None:
    """Use every attribute and every method of the construct."""
    options = Options(content_limits="service", api_source_cidrs=["203.0.113.0/24"])
    assert_type(options.log_retention_days, int)
    assert_type(options.alarm_topic, str | None)
    sender = MessageSender(stack, "MessageSender", name="Chat", options=options)
    assert_type(sender, MessageSender)
    assert_type(sender.message_queue, sqs.Queue)
    assert_type(sender.dead_letter_queue, sqs.Queue)
    assert_type(sender.rejected_queue, sqs.Queue)
    assert_type(sender.unpublished_results_queue, sqs.Queue)
    assert_type(sender.events_dead_letter_queue, sqs.Queue)
    assert_type(sender.bus, events.EventBus)
    assert_type(sender.function, lambda_.Function)
    assert_type(sender.alias, lambda_.Alias)
    assert_type(sender.key, kms.Key)
    assert_type(sender.token_key, kms.Key | None)
    assert_type(sender.producer_policy, iam.ManagedPolicy)
    assert_type(sender.api, apigateway.RestApi | None)
    assert_type(sender.state_machine, sfn.StateMachine | None)
    assert_type(sender.dashboard, cloudwatch.Dashboard | None)
    assert_type(sender.outputs, Mapping[str, str])
    assert_type(sender.grant_send(role), iam.Grant)
    assert_type(sender.on_outcome("Sent", target=target, outcomes=["SENT"]), events.Rule)
    assert_type(InvalidOptionsError("such as this"), InvalidOptionsError)


def mistakes(stack: cdk.Stack, target: events.IRuleTarget) -> None:
    """Make mistakes that a type checker finds. It also reports an ignore that is not needed."""
    Options(content_limits="nonsense")  # type: ignore[arg-type]  # one of two
    Options(no_such_option=True)  # type: ignore[call-arg]  # not an option
    sender = MessageSender(stack, "MessageSender", Options())  # type: ignore[call-arg, arg-type]  # by keyword
    sender.on_outcome("Unsent", target=target, outcomes=["LOST"])  # type: ignore[list-item]  # one of three


def producer(producer: Producer, outputs: Mapping[str, str]) -> None:
    """Send a message, and read its outcome."""
    assert_type(StackOutputs.from_mapping("Chat", outputs).message_queue_url, str)
    request = MessageRequest(connection_token="token", content="Hello", contact_id="contact")
    assert_type(request.client_token, str)
    try:
        answer = producer.send(request, through=EventSource.DIRECT)
    except NotSentError as error:
        assert_type(error.code, str)
        return
    assert_type(answer, Answer)
    assert_type(answer.result, MessageResult | None)

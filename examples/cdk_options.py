"""A sender with other options than the defaults, and with what its stack needs around it."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from connect_message_sender import MessageSender, Options


def add_sender(stack: cdk.Stack, alarms: sns.ITopic, backend: iam.IGrantable) -> MessageSender:
    sender = MessageSender(
        stack,
        "Support",
        name="Support",
        options=Options(http_api=False, content_limits="service", alarm_topic_arn=alarms.topic_arn),
    )
    sender.grant_send(backend)
    for output, address in sender.outputs.items():
        cdk.CfnOutput(stack, output, value=address)
    return sender

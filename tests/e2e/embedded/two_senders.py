"""A CDK application with two senders in one stack. One has its defaults, the other is an example."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from connect_message_sender import MessageSender

from examples.cdk_options import add_sender

app = cdk.App()
stack = cdk.Stack(app, "Chat")
topic = sns.Topic(stack, "Alarms", enforce_ssl=True)
role = iam.Role(stack, "Backend", assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"))
MessageSender(stack, "MessageSender")
add_sender(stack, topic, role)
app.synth()

"""A CDK application with a sender, and a queue for the messages that were not sent."""

import aws_cdk as cdk
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sqs as sqs
from connect_message_sender import MessageSender

app = cdk.App()
stack = cdk.Stack(app, "Chat")
sender = MessageSender(stack, "MessageSender", name=stack.stack_name)
unsent = sqs.Queue(stack, "Unsent", enforce_ssl=True)
sender.on_outcome("UnsentMessages", target=targets.SqsQueue(unsent), outcomes=["REJECTED", "FAILED"])
app.synth()

"""Send the messages that are published to an SNS FIFO topic."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from aws_cdk import aws_sqs as sqs
from connect_message_sender import MessageSender


def send_from_topic(stack: cdk.Stack, sender: MessageSender, backend: iam.Role) -> sns.Topic:
    topic = sns.Topic(
        stack,
        "RequestTopic",
        fifo=True,
        fifo_throughput_scope=sns.FifoThroughputScope.MESSAGE_GROUP,
        # Not the sender's key: its policy names the topic
        master_key=kms.Alias.from_alias_name(stack, "KeyOfSns", "alias/aws/sns"),
        enforce_ssl=True,
    )
    failures = sqs.Queue(
        stack, "TopicFailures", fifo=True, enforce_ssl=True, retention_period=cdk.Duration.days(14)
    )
    topic.add_subscription(
        subscriptions.SqsSubscription(
            sender.message_queue,
            raw_message_delivery=True,  # the published text is the request
            filter_policy={"channel": sns.SubscriptionFilter.string_filter(allowlist=["chat"])},
            dead_letter_queue=failures,
        )
    )
    topic.grant_publish(backend)
    return topic

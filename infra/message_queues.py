"""The queue of messages to send, and the queues that keep messages and results for you."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from .gates import acknowledge
from .options import Options
from .retention import removal_policy
from .stage import MESSAGES_SUFFIX
from .timing import VISIBILITY_TIMEOUT_SECONDS, max_receive_count


class MessageQueues(Construct):
    """Five queues. All are encrypted and accept only TLS connections.

    The stack's key encrypts four. A key of SQS encrypts the events dead-letter queue: EventBridge and Lambda
    can write to it even if the stack's key is disabled. They too keep these events under keys of AWS.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, key: kms.IKey, options: Options
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        self.visibility_timeout = cdk.Duration.seconds(VISIBILITY_TIMEOUT_SECONDS)
        protected: dict[str, Any] = {"enforce_ssl": True, "removal_policy": removal_policy(options)}
        under_the_key = protected | {"encryption_master_key": key}
        kept: dict[str, Any] = {"retention_period": cdk.Duration.days(options.dead_letter_retention_days)}

        # Messages and DeadLetter name each other. CloudFormation can resolve that only if one name is fixed.
        messages_name = f"{name}{MESSAGES_SUFFIX}"
        messages_arn = stack.format_arn(service="sqs", resource=messages_name)

        self.dead_letter = sqs.Queue(
            self,
            "DeadLetter",
            fifo=True,
            redrive_allow_policy=sqs.RedriveAllowPolicy(
                redrive_permission=sqs.RedrivePermission.BY_QUEUE,
                source_queues=[sqs.Queue.from_queue_arn(self, "DeadLetterSource", messages_arn)],
            ),
            **under_the_key,
            **kept,
        )
        self.messages = sqs.Queue(
            self,
            "Messages",
            queue_name=messages_name,
            fifo=True,
            # Two equal texts are two messages. Only the producer knows which message is a repeat.
            content_based_deduplication=False,
            # High throughput requires both
            deduplication_scope=sqs.DeduplicationScope.MESSAGE_GROUP,
            fifo_throughput_limit=sqs.FifoThroughputLimit.PER_MESSAGE_GROUP_ID,
            visibility_timeout=self.visibility_timeout,
            retention_period=cdk.Duration.days(options.message_retention_days),
            dead_letter_queue=sqs.DeadLetterQueue(
                queue=self.dead_letter,
                max_receive_count=max_receive_count(
                    retry_window_minutes=options.retry_window_minutes,
                    maximum_concurrency=options.maximum_concurrency,
                    send_quota_per_second=options.send_quota_per_second,
                ),
            ),
            **under_the_key,
        )
        self.rejected = sqs.Queue(self, "Rejected", **under_the_key, **kept)
        self.unpublished_results = sqs.Queue(
            self,
            "UnpublishedResults",
            visibility_timeout=self.visibility_timeout,
            **under_the_key,
            **kept,
        )
        self.events_dead_letter = sqs.Queue(
            self, "EventsDeadLetter", encryption=sqs.QueueEncryption.SQS_MANAGED, **protected, **kept
        )

        reason = "Its messages wait for an operator. Nothing receives them often enough to need another queue"
        acknowledge(self.dead_letter, "Serverless-SQSRedrivePolicy", because=reason)
        for queue in (self.rejected, self.unpublished_results, self.events_dead_letter):
            acknowledge(queue, "AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy", because=reason)

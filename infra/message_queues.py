"""The queue of messages to send, and the queues where messages and results wait for a person."""

import math

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.gates import acknowledge
from infra.options import StageOptions
from infra.stage import MESSAGES_SUFFIX

# "at least six times the timeout of the function":
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
VISIBILITY_PER_CONSUMER_TIMEOUT = 6

# The function's backoff between two receives of a message that failed
FIRST_BACKOFF_SECONDS = 2
LONGEST_BACKOFF_SECONDS = 60

_RECEIVE_HEADROOM = 2
_LEAST_RECEIVES = 10
_MOST_RECEIVES = 1000  # SQS accepts no more

# What the function keeps of its timeout for sending, at least: lambda_src/message_sender/deadlines.py
SENDING_SECONDS = 14

# The largest batch of a FIFO queue
_BATCH_SIZE = 10

# A message is received untried this many times as often as the average, at most: docs/benchmarks/quota.md
_UNTRIED_HEADROOM = 4


def max_receive_count(
    *, retry_window_minutes: int, maximum_concurrency: int, send_quota_per_second: int
) -> int:
    """Count the receives after which SQS itself gives a message up.

    Only the net for a function that dies each time: any other message is given up by the function, at the
    first receive after the retry window. So this counts the receives of a window, the first and one after
    each wait of 2, 4, 8 ... 60 seconds, and doubles them: jitter makes a wait as short as its half. What is
    left of that, on average a third, is for receives that are no tries: throttled invocations, and failures
    of a message's predecessor in its chat.

    Where there may be more batches at once than the quota can send in an invocation, most of their messages
    come back untried, as often on average as there are times too many batches. Four times that is added.
    """
    receives, elapsed, wait = 1, 0, FIRST_BACKOFF_SECONDS
    while elapsed <= retry_window_minutes * 60:
        elapsed += wait
        receives += 1
        wait = min(2 * wait, LONGEST_BACKOFF_SECONDS)
    untried = maximum_concurrency * _BATCH_SIZE / (send_quota_per_second * SENDING_SECONDS)
    allowed = _RECEIVE_HEADROOM * receives + math.floor(untried) * _UNTRIED_HEADROOM
    return min(max(_LEAST_RECEIVES, allowed), _MOST_RECEIVES)


class MessageQueues(Construct):
    """Five queues, all encrypted with the key and open to TLS only."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey,
        options: StageOptions,
        consumer_timeout: cdk.Duration,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)
        self.visibility_timeout = cdk.Duration.seconds(
            VISIBILITY_PER_CONSUMER_TIMEOUT * consumer_timeout.to_seconds()
        )
        dead_letter_retention = cdk.Duration.days(options.dead_letter_retention_days)

        # Each of the two names the other, which CloudFormation cannot resolve unless one name is known before
        messages_name = f"{stack.stack_name}{MESSAGES_SUFFIX}"
        messages_arn = stack.format_arn(service="sqs", resource=messages_name)

        self.dead_letter = sqs.Queue(
            self,
            "DeadLetter",
            fifo=True,
            retention_period=dead_letter_retention,
            redrive_allow_policy=sqs.RedriveAllowPolicy(
                redrive_permission=sqs.RedrivePermission.BY_QUEUE,
                source_queues=[sqs.Queue.from_queue_arn(self, "DeadLetterSource", messages_arn)],
            ),
            encryption_master_key=key,
            enforce_ssl=True,
            removal_policy=options.removal_policy,
        )
        self.messages = sqs.Queue(
            self,
            "Messages",
            queue_name=messages_name,
            fifo=True,
            # Two equal texts are two messages; the producer says what is a repeat
            content_based_deduplication=False,
            # High throughput takes both
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
            encryption_master_key=key,
            enforce_ssl=True,
            removal_policy=options.removal_policy,
        )
        self.rejected = sqs.Queue(
            self,
            "Rejected",
            retention_period=dead_letter_retention,
            encryption_master_key=key,
            enforce_ssl=True,
            removal_policy=options.removal_policy,
        )
        self.unpublished_results = sqs.Queue(
            self,
            "UnpublishedResults",
            retention_period=dead_letter_retention,
            encryption_master_key=key,
            enforce_ssl=True,
            removal_policy=options.removal_policy,
        )
        self.events_dead_letter = sqs.Queue(
            self,
            "EventsDeadLetter",
            retention_period=dead_letter_retention,
            encryption_master_key=key,
            enforce_ssl=True,
            removal_policy=options.removal_policy,
        )
        ends = "Its messages wait for a person: none is received so often that it had to go elsewhere"
        acknowledge(self.dead_letter, "Serverless-SQSRedrivePolicy", because=ends)
        for queue in (self.rejected, self.unpublished_results, self.events_dead_letter):
            acknowledge(queue, "AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy", because=ends)

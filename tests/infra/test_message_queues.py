import itertools
from typing import Any

import pytest

from infra.timing import FUNCTION_TIMEOUT_SECONDS, SENDING_SECONDS, max_receive_count
from message_sender.deadlines import Deadlines
from tests.infra.template import (
    CHANGED,
    DEAD_LETTER,
    EVENTS_DEAD_LETTER,
    FUNCTION,
    KEY,
    MESSAGES,
    REJECTED,
    REQUESTS,
    UNPUBLISHED_RESULTS,
    Template,
    arn,
    properties,
    queue_policy,
    regional_arn,
)
from tests.support.fakes import FakeClock
from tests.support.lambda_events import FakeLambdaContext

ALL_QUEUES = [MESSAGES, DEAD_LETTER, REJECTED, UNPUBLISHED_RESULTS, EVENTS_DEAD_LETTER]
DAY = 24 * 60 * 60


def test_every_queue_is_known_to_these_tests(template: Template) -> None:
    assert template.of_type("AWS::SQS::Queue").keys() == set(ALL_QUEUES)


def test_messages_queue_is_fifo_with_high_throughput(template: Template) -> None:
    queue = properties(template, MESSAGES)

    assert queue["FifoQueue"] is True
    assert queue["DeduplicationScope"] == "messageGroup"
    assert queue["FifoThroughputLimit"] == "perMessageGroupId"


def test_two_equal_texts_are_two_messages(template: Template) -> None:
    assert properties(template, MESSAGES)["ContentBasedDeduplication"] is False


def test_visibility_timeout_is_six_timeouts_of_the_function(template: Template) -> None:
    timeout = properties(template, FUNCTION)["Timeout"]

    assert properties(template, MESSAGES)["VisibilityTimeout"] == 6 * timeout


def test_message_received_too_often_goes_to_the_dead_letter_queue(changed: Template) -> None:
    assert properties(changed, MESSAGES)["RedrivePolicy"] == {
        "deadLetterTargetArn": arn(DEAD_LETTER),
        "maxReceiveCount": max_receive_count(
            retry_window_minutes=CHANGED["retry_window_minutes"],
            maximum_concurrency=CHANGED["maximum_concurrency"],
            send_quota_per_second=CHANGED["send_quota_per_second"],
        ),
    }


def test_dead_letter_queue_is_fifo_and_accepts_only_from_the_messages_queue(template: Template) -> None:
    name = properties(template, MESSAGES)["QueueName"]

    queue = properties(template, DEAD_LETTER)

    assert queue["FifoQueue"] is True
    assert queue["RedriveAllowPolicy"] == {
        "redrivePermission": "byQueue",
        "sourceQueueArns": [regional_arn("sqs", name)],
    }


@pytest.mark.parametrize("queue", [REJECTED, UNPUBLISHED_RESULTS, EVENTS_DEAD_LETTER])
def test_every_other_queue_is_a_standard_queue(template: Template, queue: str) -> None:
    assert "FifoQueue" not in properties(template, queue)


def test_only_the_messages_queue_has_a_fixed_name_with_the_stage(dev: Template, prod: Template) -> None:
    names = [[properties(stage, queue).get("QueueName") for queue in ALL_QUEUES] for stage in (dev, prod)]

    assert names == [
        ["ConnectMessageSender-dev-messages.fifo", None, None, None, None],
        ["ConnectMessageSender-prod-messages.fifo", None, None, None, None],
    ]


def test_messages_are_kept_for_the_days_of_the_stage(changed: Template) -> None:
    kept = {queue: properties(changed, queue)["MessageRetentionPeriod"] for queue in ALL_QUEUES}

    assert kept == {
        MESSAGES: 3 * DAY,
        DEAD_LETTER: 13 * DAY,
        REJECTED: 13 * DAY,
        UNPUBLISHED_RESULTS: 13 * DAY,
        EVENTS_DEAD_LETTER: 13 * DAY,
    }


def test_stages_keep_messages_for_four_days_and_dead_letters_for_fourteen(template: Template) -> None:
    kept = [properties(template, queue)["MessageRetentionPeriod"] for queue in ALL_QUEUES]

    assert kept == [4 * DAY, *[14 * DAY] * 4]


@pytest.mark.parametrize("queue", [MESSAGES, DEAD_LETTER, REJECTED, UNPUBLISHED_RESULTS])
def test_queue_is_encrypted_with_the_key(template: Template, queue: str) -> None:
    assert properties(template, queue)["KmsMasterKeyId"] == arn(KEY)


def test_events_dead_letter_queue_does_not_depend_on_the_key(template: Template) -> None:
    queue = properties(template, EVENTS_DEAD_LETTER)

    assert queue["SqsManagedSseEnabled"] is True
    assert "KmsMasterKeyId" not in queue


def tls_only(queue: str) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "sqs:*",
        "Resource": arn(queue),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


@pytest.mark.parametrize("queue", [MESSAGES, DEAD_LETTER, REJECTED, UNPUBLISHED_RESULTS])
def test_queue_refuses_a_connection_without_tls(template: Template, queue: str) -> None:
    assert queue_policy(template, queue) == [tls_only(queue)]


def test_only_the_rule_may_write_to_the_events_dead_letter_queue(template: Template) -> None:
    [deny, allowed] = queue_policy(template, EVENTS_DEAD_LETTER)

    del allowed["Sid"]  # contains the name of the stack
    assert deny == tls_only(EVENTS_DEAD_LETTER)
    assert allowed == {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn(EVENTS_DEAD_LETTER),
        "Condition": {"ArnEquals": {"aws:SourceArn": arn(REQUESTS)}},
    }


def receive_count(minutes: int, *, concurrency: int = 10, quota: int = 10) -> int:
    return max_receive_count(
        retry_window_minutes=minutes, maximum_concurrency=concurrency, send_quota_per_second=quota
    )


def test_receive_count_is_twice_the_receives_of_the_retry_window() -> None:
    # One receive at the start, then one after each wait of 2, 4, 8, 16, 32 seconds and nine times 60. These
    # are more than ten minutes.
    receives = 1 + 5 + 9

    assert receive_count(10) == 2 * receives


def test_receive_count_is_never_below_ten() -> None:
    assert receive_count(0) == 10


def test_receive_count_grows_with_the_window_up_to_what_sqs_accepts() -> None:
    windows = range(241)  # 240 minutes are the longest that the options accept

    counts = [receive_count(minutes) for minutes in windows]

    assert all(shorter <= longer for shorter, longer in itertools.pairwise(counts))
    assert counts[-1] <= 1000


def test_function_keeps_the_sending_time_that_the_receive_count_assumes() -> None:
    clock = FakeClock()

    context = FakeLambdaContext(seconds_left=FUNCTION_TIMEOUT_SECONDS)
    deadlines = Deadlines.of_invocation(context, clock)

    assert deadlines.send - clock.monotonic() >= SENDING_SECONDS


@pytest.mark.parametrize(
    ("concurrency", "quota", "more"),
    [(2, 10, 0), (13, 10, 0), (14, 10, 4), (50, 10, 12), (200, 10, 56), (200, 500, 0), (1000, 1, 970)],
)
def test_receive_count_leaves_room_for_batches_that_the_quota_cannot_send(
    concurrency: int, quota: int, more: int
) -> None:
    assert receive_count(10, concurrency=concurrency, quota=quota) == 30 + more

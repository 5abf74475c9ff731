"""Send bulk messages beside live chats: two senders share the quota."""

import aws_cdk as cdk
from connect_message_sender import MessageSender, Options


def live_and_bulk(stack: cdk.Stack) -> tuple[MessageSender, MessageSender]:
    live = MessageSender(stack, "Live", options=Options(send_quota_per_second=9))
    bulk = MessageSender(
        stack,
        "Bulk",
        options=Options(
            send_quota_per_second=1,
            maximum_concurrency=2,  # the fewest that Lambda accepts
            retry_window_minutes=240,  # longer than the messages wait
            http_api=False,
            workflow=False,
        ),
    )
    return live, bulk

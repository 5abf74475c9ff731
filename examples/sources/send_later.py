"""Send a message later: one schedule of EventBridge Scheduler for each message."""

import json
from datetime import UTC, datetime

import aws_cdk as cdk
import boto3
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from connect_message_sender import MessageSender


def let_send_later(stack: cdk.Stack, sender: MessageSender, backend: iam.Role) -> None:
    group = scheduler.ScheduleGroup(stack, "Schedules")
    only_these = {"aws:SourceAccount": stack.account, "aws:SourceArn": group.schedule_group_arn}
    role = iam.Role(
        stack,
        "ScheduleRole",
        assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com", conditions={"StringEquals": only_these}),
    )
    sender.grant_send_to_queue(role)
    missed = sqs.Queue(stack, "Missed", enforce_ssl=True, retention_period=cdk.Duration.days(14))
    missed.grant(role, "sqs:SendMessage")

    group.grant_write_schedules(backend)
    group.grant_delete_schedules(backend)
    role.grant_pass_role(backend)


def send_at(
    when: datetime, request: dict[str, str], *, group: str, queue_url: str, role_arn: str, missed_arn: str
) -> None:
    message = {
        "QueueUrl": queue_url,  # the stack's output MessageQueueUrl
        "MessageGroupId": request["ContactId"],
        "MessageDeduplicationId": request["ClientToken"],
        "MessageBody": json.dumps(request),
    }
    boto3.client("scheduler").create_schedule(
        GroupName=group,
        Name=request["ClientToken"],  # at most 64 letters, digits, - and _
        ClientToken=request["ClientToken"],  # a repeat is the same schedule
        ScheduleExpression=f"at({when.astimezone(UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": "arn:aws:scheduler:::aws-sdk:sqs:sendMessage",
            "RoleArn": role_arn,
            "Input": json.dumps(message),
            "RetryPolicy": {"MaximumEventAgeInSeconds": 600},
            "DeadLetterConfig": {"Arn": missed_arn},
        },
    )

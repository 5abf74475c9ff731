"""Send the records of a Kinesis data stream, or the items that are written to a DynamoDB table."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kinesis as kinesis
from aws_cdk import aws_pipes as pipes
from aws_cdk import aws_sqs as sqs
from connect_message_sender import MessageSender

Parameters = pipes.CfnPipe.PipeSourceParametersProperty
Target = pipes.CfnPipe.PipeTargetParametersProperty
Queue = pipes.CfnPipe.PipeTargetSqsQueueParametersProperty


def send_from_stream(stack: cdk.Stack, sender: MessageSender) -> kinesis.Stream:
    stream = kinesis.Stream(
        stack,
        "RequestStream",
        stream_mode=kinesis.StreamMode.ON_DEMAND,
        encryption=kinesis.StreamEncryption.MANAGED,
    )
    role, reading = prepare_pipe(stack, "StreamPipe", sender)
    stream.grant_read(role)
    pipe = pipes.CfnPipe(
        stack,
        "StreamPipe",
        role_arn=role.role_arn,
        source=stream.stream_arn,
        source_parameters=Parameters(
            kinesis_stream_parameters=pipes.CfnPipe.PipeSourceKinesisStreamParametersProperty(**reading)
        ),
        target=sender.message_queue.queue_arn,
        target_parameters=Target(
            input_template="<$.data>",  # the record is a request
            sqs_queue_parameters=Queue(
                message_group_id="$.partitionKey",  # the ContactId
                message_deduplication_id="$.data.ClientToken",
            ),
        ),
    )
    pipe.node.add_dependency(role)
    return stream


def send_from_table(stack: cdk.Stack, sender: MessageSender) -> dynamodb.Table:
    outbox = dynamodb.Table(
        stack,
        "Outbox",
        partition_key=dynamodb.Attribute(name="ContactId", type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name="ClientToken", type=dynamodb.AttributeType.STRING),
        billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        encryption=dynamodb.TableEncryption.AWS_MANAGED,
        time_to_live_attribute="DeleteAfter",
        stream=dynamodb.StreamViewType.NEW_IMAGE,
    )
    role, reading = prepare_pipe(stack, "OutboxPipe", sender)
    outbox.grant_stream_read(role)
    item = "$.dynamodb.NewImage"
    fields = ("ConnectionToken", "ContentType", "Content", "ClientToken", "ContactId", "ExpiresAt")
    request = ", ".join(f'"{field}": <{item}.{field}.S>' for field in fields)
    pipe = pipes.CfnPipe(
        stack,
        "OutboxPipe",
        role_arn=role.role_arn,
        source=str(outbox.table_stream_arn),
        source_parameters=Parameters(
            # Neither changed items nor deleted ones
            filter_criteria={"filters": [{"pattern": '{"eventName": ["INSERT"]}'}]},
            dynamo_db_stream_parameters=pipes.CfnPipe.PipeSourceDynamoDBStreamParametersProperty(**reading),
        ),
        target=sender.message_queue.queue_arn,
        target_parameters=Target(
            input_template=f"{{{request}}}",
            sqs_queue_parameters=Queue(
                message_group_id=f"{item}.ContactId.S", message_deduplication_id=f"{item}.ClientToken.S"
            ),
        ),
    )
    pipe.node.add_dependency(role)
    return outbox


def prepare_pipe(stack: cdk.Stack, pipe: str, sender: MessageSender) -> tuple[iam.Role, dict[str, Any]]:
    only_here = {"StringEquals": {"aws:SourceAccount": stack.account}}
    service = iam.ServicePrincipal("pipes.amazonaws.com", conditions=only_here)
    role = iam.Role(stack, f"{pipe}Role", assumed_by=service)
    sender.grant_send_to_queue(role)
    failures = sqs.Queue(stack, f"{pipe}Failures", enforce_ssl=True, retention_period=cdk.Duration.days(14))
    failures.grant(role, "sqs:SendMessage")
    return role, {
        "starting_position": "TRIM_HORIZON",
        "batch_size": 1,  # SQS can refuse a part of a batch, and accept later messages of the same chat
        "maximum_record_age_in_seconds": 600,  # until then, a record that SQS refuses blocks its shard
        "dead_letter_config": pipes.CfnPipe.DeadLetterConfigProperty(arn=failures.queue_arn),
    }

"""boto3 with Powertools for AWS Lambda: Logger, Metrics, Tracer, the FIFO batch processor and validation.

Most of its CPU time is `validate`, which compiles the schema on every call.
"""

import json
import os
from pathlib import Path

import boto3
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import SqsFifoPartialProcessor
from aws_lambda_powertools.utilities.validation import validate

logger = Logger()
metrics = Metrics()
tracer = Tracer()
processor = SqsFifoPartialProcessor()
participant = boto3.client("connectparticipant")
events = boto3.client("events")
schema = json.loads((Path(__file__).parent / "send_message_request.json").read_text())


@tracer.capture_method(capture_response=False)
def send(record):
    request = record.json_body
    validate(event=request, schema=schema)
    response = participant.send_message(
        ContentType=request["ContentType"],
        Content=request["Content"],
        ClientToken=request["ClientToken"],
        ConnectionToken=request["ConnectionToken"],
    )
    metrics.add_metric(name="MessagesSent", unit=MetricUnit.Count, value=1)
    logger.info(
        "Message sent",
        message_id=response["Id"],
        client_token=request["ClientToken"],
        contact_id=request["ContactId"],
    )
    return {
        "EventBusName": os.environ["EVENT_BUS_NAME"],
        "Source": "my-sender",
        "DetailType": "Message Sent",
        "Detail": json.dumps(
            {
                "Outcome": "SENT",
                "ClientToken": request["ClientToken"],
                "ContactId": request["ContactId"],
                "MessageId": response["Id"],
                "Metadata": request["Metadata"],
            }
        ),
    }


@metrics.log_metrics
@tracer.capture_lambda_handler(capture_response=False)
@logger.inject_lambda_context
def lambda_handler(event, context):
    with processor(records=event["Records"], handler=send):
        processed = processor.process()
    entries = [result for status, result, _ in processed if status == "success"]
    for start in range(0, len(entries), 10):
        events.put_events(Entries=entries[start : start + 10])
    return processor.response()

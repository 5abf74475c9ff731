"""boto3 with a pool of threads."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import boto3

participant = boto3.client("connectparticipant")
events = boto3.client("events")
threads = ThreadPoolExecutor(max_workers=10)


def send(record):
    request = json.loads(record["body"])
    response = participant.send_message(
        ContentType=request["ContentType"],
        Content=request["Content"],
        ClientToken=request["ClientToken"],
        ConnectionToken=request["ConnectionToken"],
    )
    print(f"Sent message {response['Id']} to contact {request['ContactId']}")
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


def lambda_handler(event, context):
    entries = list(threads.map(send, event["Records"]))
    for start in range(0, len(entries), 10):
        events.put_events(Entries=entries[start : start + 10])
    return {"batchItemFailures": []}

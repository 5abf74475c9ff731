"""A loop over the records with boto3, as the public samples have it."""

import json
import os

import boto3

participant = boto3.client("connectparticipant")
events = boto3.client("events")


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


def publish(entries):
    for start in range(0, len(entries), 10):
        events.put_events(Entries=entries[start : start + 10])


def lambda_handler(event, context):
    publish([send(record) for record in event["Records"]])
    return {"batchItemFailures": []}

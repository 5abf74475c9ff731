"""Send one message with the installed producer, and print its id. The standard input has the request."""

import json
import sys

import boto3
from connect_message_sender.outputs import StackOutputs
from connect_message_sender.producer import EventSource, MessageRequest, Producer

name = sys.argv[1]
pages = (
    boto3.client("ssm")
    .get_paginator("get_parameters_by_path")
    .paginate(Path=f"/connect-message-sender/{name}", Recursive=True)
)
addresses = {each["Name"].rpartition("/")[2]: each["Value"] for page in pages for each in page["Parameters"]}
producer = Producer(StackOutputs.from_mapping(name, addresses))
answer = producer.send(MessageRequest(**json.load(sys.stdin)), through=EventSource.QUEUE)
sys.stdout.write(f"{answer.source_id}\n")

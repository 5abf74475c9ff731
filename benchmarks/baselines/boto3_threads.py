"""The same as the loop, with a pool of ten threads."""

from concurrent.futures import ThreadPoolExecutor

from boto3_loop import publish, send

threads = ThreadPoolExecutor(max_workers=10)


def lambda_handler(event, context):
    publish(list(threads.map(send, event["Records"])))
    return {"batchItemFailures": []}

"""A small client for the AWS APIs that speak JSON: DynamoDB, EventBridge, KMS, SQS, Step Functions.

It replaces botocore, which costs 250 ms of a cold start and three times the CPU for a call
(docs/decisions/016-aws-client.md).
"""

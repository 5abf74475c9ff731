"""A small client for the AWS APIs. botocore would double the cold start (docs/decisions.md)."""

"""How the stack answers the rules of cdk-nag: each time beside the construct that a finding is about.

The rules are run by the tests only, `tests/infra/test_gates.py`: a deployment does without them.
"""

import aws_cdk as cdk
from constructs import IConstruct

UNTRACED = (
    "The stage says so: a trace costs a subsegment per message, and the tracer its part of a cold start"
)


def acknowledge(construct: IConstruct, *rules: str, because: str) -> None:
    """Say that what some rules find in a construct is meant to be.

    Args:
        rules: by name, `AwsSolutions-SQS3`, with the finding where a rule has several,
            `AwsSolutions-IAM5[Resource::*]`.
    """
    for rule in rules:
        pack = rule.partition("-")[0]
        cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"{pack}::{rule}", reason=because))

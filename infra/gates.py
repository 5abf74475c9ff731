"""Acknowledgements of findings of cdk-nag, each beside the construct that has the finding.

Only the tests run the rules (`tests/infra/test_gates.py`). A deployment does not, so no release of a linter
can stop one.
"""

import aws_cdk as cdk
from constructs import IConstruct

UNTRACED = "The stage turns tracing off: X-Ray charges for each trace"


def acknowledge(construct: IConstruct, *rules: str, because: str) -> None:
    """Acknowledge the findings of some rules in a construct.

    Args:
        rules: names such as `AwsSolutions-SQS3`. A rule with several findings needs the finding, too:
            `AwsSolutions-IAM5[Resource::*]`.
    """
    for rule in rules:
        pack = rule.partition("-")[0]
        cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=f"{pack}::{rule}", reason=because))

"""How long data lives, in the terms of the CDK."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from .options import LOG_RETENTION, Options


def removal_policy(options: Options) -> cdk.RemovalPolicy:
    # Not RETAIN: the resources left by a failed first deployment would block the second
    return cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE if options.retain_data else cdk.RemovalPolicy.DESTROY


def log_group(
    scope: Construct,
    construct_id: str,
    *,
    key: kms.IKey,
    options: Options,
    name: str | None = None,
    data_protection_policy: logs.DataProtectionPolicy | None = None,
) -> logs.LogGroup:
    """Create a log group that is encrypted with the key and kept as the stage says."""
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=name,
        encryption_key=key,
        retention=logs.RetentionDays[LOG_RETENTION[options.log_retention_days]],
        removal_policy=removal_policy(options),
        data_protection_policy=data_protection_policy,
    )

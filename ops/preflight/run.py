"""Run every check, whatever the others find."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ops.aws import CannotRunError
from ops.preflight import checks
from ops.preflight.alarm_topic import alarm_topic
from ops.preflight.calls import Calls
from ops.preflight.findings import Check, NotCheckedError
from ops.preflight.target import Target, regions_of_the_shell

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import boto3

    from ops.preflight.target import Stages


def preflight(
    stages: Stages,
    session: boto3.Session,
    environ: Mapping[str, str],
    *,
    known_quota: int | None = None,
    deployer: str | None = None,
) -> tuple[Target, list[Check]]:
    """Check where a stage would be deployed. Return this place and the results.

    Args:
        known_quota: The quota of SendMessage, if the caller names it.
        deployer: The ARN of the role or user that deploys, if it is not the caller.

    Raises:
        CannotRunError: AWS does not accept the credentials, or cannot be reached.
    """
    shell_regions = regions_of_the_shell(environ, session.region_name)
    region = stages.options.region or next(iter(shell_regions.values()))
    calls = Calls(session, region=region)
    try:
        identity = calls.read("sts", "GetCallerIdentity")
    except NotCheckedError as error:
        raise CannotRunError(
            f"Nothing can be checked in {region}. {error}. Look at the credentials:\n"
            "    aws sts get-caller-identity"
        ) from None
    target = Target(
        stages=stages,
        account=identity["Account"],
        caller_arn=identity["Arn"],
        region=region,
        shell_regions=shell_regions,
    )
    account = checks.credentials(target, calls)
    results = [checks.options(target, calls), account, checks.region(target, calls)]
    every: dict[str, Callable[[Target, Calls], Check]] = {
        "stack": checks.stack,
        "CDK bootstrap": checks.bootstrap,
        "deployment rights": partial(checks.deployment_rights, deployer=deployer),
        "names": checks.names,
        "roll-out alarms": checks.rollout_alarms,
        "API Gateway's role": checks.api_gateway_role,
        "concurrency": checks.concurrency,
        "log policies": checks.log_policies,
        "SendMessage quota": partial(checks.send_quota, known=known_quota),
        "alarm topic": alarm_topic,
        "VPC": checks.vpc,
        "web ACL": checks.web_acl,
    }
    for name, check in every.items():
        results.append(_run(name, check, target, calls) if account.findings == [] else _skipped(name))
    return target, results


def _run(name: str, check: Callable[[Target, Calls], Check], target: Target, calls: Calls) -> Check:
    try:
        return check(target, calls)
    except NotCheckedError as error:
        return Check(name, not_checked=[str(error)])
    except (KeyError, TypeError, ValueError) as error:
        # An answer of another form than its documentation says must not stop the other checks
        return Check(name, not_checked=[f"an answer that is not as documented: {type(error).__name__}"])


def _skipped(name: str) -> Check:
    return Check(name, not_checked=["the credentials are for another account"])

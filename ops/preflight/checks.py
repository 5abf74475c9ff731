"""The checks of an account: each returns what it found.

Sources of the rules are addresses of AWS's documentation, beside each rule.
"""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from infra.stage import MESSAGES_SUFFIX, ROLLBACK_ALARMS
from ops.preflight.findings import Check, NotCheckedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.preflight.calls import Calls
    from ops.preflight.target import Target

BOOTSTRAP_VERSION: Final = 6
"""Of the CDK's default synthesizer. A test compares it with the synthesized stack."""

ALARM: Final = re.compile(r"[A-Z][A-Za-z]*(-[0-9]+m)?")
"""The rest of an alarm's name, after the stack's. The window of a burn rate follows some."""

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
_NEVER_RESERVED: Final = 100
# The quota "Concurrent executions" of Lambda
_CONCURRENCY_QUOTA: Final = "L-B99A9384"

# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html
_MOST_LOG_POLICIES: Final = 10
_LONGEST_LOG_POLICY: Final = 5120
# The name under which AWS services grow the policy of their log delivery:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html
_DELIVERY_POLICY: Final = "AWSLogDeliveryWrite20150319"
_DELIVERY_SERVICE: Final = "delivery.logs.amazonaws.com"
_VENDED_LOGS: Final = "/aws/vendedlogs/"
_ONE_MORE_STATEMENT: Final = 400
"""The characters of a statement for one more log group, about."""

# https://docs.aws.amazon.com/connect/latest/adminguide/amazon-connect-service-limits.html
DEFAULT_SEND_QUOTA: Final = 10
_SEND_QUOTA_NAME: Final = re.compile(r"\bSendMessage\b")
# Connect's AI agents have a SendMessage of their own:
# https://docs.aws.amazon.com/connect/latest/adminguide/manager-assist-quotas.html
_OTHER_SEND_QUOTA: Final = re.compile(r"\b(assist|assistant|agents?|Q in Connect)\b", re.IGNORECASE)

_LOG_ROLE_POLICY: Final = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"
# So much is left of the name of a stack in the name of a role. Not documented, but recorded:
# https://github.com/KensioSoftware/yulin/issues/1113
_SHORTENED: Final = 25


def read_stack(target: Target, calls: Calls) -> dict[str, Any] | None:
    """Return the stack as CloudFormation describes it, or None if there is none yet.

    Raises:
        NotCheckedError: CloudFormation did not answer.
    """
    # CloudFormation answers ValidationError for a stack that does not exist
    answer = calls.find(
        "cloudformation", "DescribeStacks", {"StackName": target.stack_name}, absent=("ValidationError",)
    )
    stacks = (answer or {}).get("Stacks", [])
    # A stack with nothing but a change set has no resources
    if not stacks or stacks[0]["StackStatus"] == "REVIEW_IN_PROGRESS":
        return None
    stack: dict[str, Any] = stacks[0]
    return stack


def options(target: Target, _calls: Calls) -> Check:
    missing = target.options.missing
    check = Check("options", f"missing: {len(missing)}" if missing else "complete")
    if missing:
        check.found(
            f"The stage has retain_data, so it needs {', '.join(missing)}. Synthesis refuses null.",
            *(target.edit(name, f"<{rule}>") for name, rule in missing.items()),
        )
    return check


def credentials(target: Target, _calls: Calls) -> Check:
    check = Check("credentials", f"account {target.account}, {target.caller_arn.rpartition(':')[2]}")
    expected = target.options.account
    if expected is not None and expected != target.account:
        check.found(
            f"The credentials are for account {target.account}, and the stage is for account {expected}.",
            f"export AWS_PROFILE=<a profile of account {expected}>",
            "or:",
            target.edit("account", target.account),
        )
    return check


def region(target: Target, _calls: Calls) -> Check:
    check = Check("Region", f"{target.region}, Amazon Connect in {target.connect_region}")
    others = {
        name: shell_region
        for name, shell_region in target.shell_regions.items()
        if shell_region != target.region
    }
    if others:
        named = " and ".join(f"{name} says {shell_region}" for name, shell_region in others.items())
        check.found(
            f"The stage is deployed to {target.region}, but {named}. The AWS CLI and the other commands of "
            "ops would look there.",
            f"export AWS_REGION={target.region} AWS_DEFAULT_REGION={target.region}",
        )
    return check


def stack(target: Target, calls: Calls) -> Check:
    """Check that the stack is in a state from which it can be deployed.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html
    """
    found, name = read_stack(target, calls), target.stack_name
    if found is None:
        return Check("stack", f"{name} does not exist yet")
    status: str = found["StackStatus"]
    check = Check("stack", f"{name}: {status}")
    delete: tuple[str, ...] = (
        f"aws cloudformation delete-stack --stack-name {name}",
        f"aws cloudformation wait stack-delete-complete --stack-name {name}",
    )
    if found.get("EnableTerminationProtection"):
        unprotect = "aws cloudformation update-termination-protection --no-enable-termination-protection"
        delete = (f"{unprotect} --stack-name {name}", *delete)
    if status.endswith("_IN_PROGRESS"):
        check.found(
            f"CloudFormation is changing the stack: {status}. A second change is refused.",
            f"aws cloudformation wait {_waiter(status)} --stack-name {name}",
        )
    elif status in {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED"}:
        check.found(
            f"The first deployment failed: {status}. Such a stack can only be deleted. The CDK CLI does so "
            "itself, unless the stack is protected against deletion.",
            *delete,
        )
    elif status == "DELETE_FAILED":
        check.found("The stack could not be deleted completely. Its events show why.", *delete)
    elif status == "UPDATE_ROLLBACK_FAILED":
        check.found(
            "The last update failed, and so did its rollback. The stack's events show why.",
            f"aws cloudformation continue-update-rollback --stack-name {name}",
        )
    elif status.endswith("_FAILED"):
        check.found(
            f"The last deployment stopped half-way: {status}.",
            f"aws cloudformation rollback-stack --stack-name {name}",
        )
    return check


def _waiter(status: str) -> str:
    for beginning, waiter in {
        "CREATE_": "stack-create-complete",
        "DELETE_": "stack-delete-complete",
        "IMPORT_": "stack-import-complete",
        "UPDATE_ROLLBACK_": "stack-rollback-complete",
        "ROLLBACK_": "stack-create-complete",  # it ends, with an error
    }.items():
        if status.startswith(beginning):
            return waiter
    return "stack-update-complete"


def bootstrap(target: Target, calls: Calls) -> Check:
    """Check the version of the CDK's bootstrap stack.

    Source: https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html
    """
    name = f"/cdk-bootstrap/{target.stages.qualifier}/version"
    answer = calls.find("ssm", "GetParameter", {"Name": name}, absent=("ParameterNotFound",))
    # The CLI runs app.py, with the first python3 of the PATH
    fix = (
        "make node_modules/.installed",
        f'PATH="$PWD/.venv/bin:$PATH" node_modules/.bin/cdk bootstrap aws://{target.account}/{target.region}',
    )
    if answer is None:
        check = Check("CDK bootstrap", "not bootstrapped")
        check.found(
            f"The account is not bootstrapped in {target.region}: there is no SSM parameter {name}.", *fix
        )
        return check
    version: str = answer["Parameter"]["Value"]
    check = Check("CDK bootstrap", f"version {version}, needed: {BOOTSTRAP_VERSION}")
    if not version.isdecimal() or int(version) < BOOTSTRAP_VERSION:
        check.found(f"The bootstrap stack is version {version}. The CDK needs {BOOTSTRAP_VERSION}.", *fix)
    return check


def deployment_rights(target: Target, calls: Calls, *, deployer: str | None = None) -> Check:
    """Check that the deployer may assume the roles by which the CDK deploys.

    The simulation knows the policies of the deployer, and not the trust policies of the roles.

    Args:
        deployer: The ARN of a role or user, if it is not the caller.

    Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    caller = target.caller_arn.rpartition(":")[2]
    if deployer is None and caller == "root":
        return Check("deployment rights", "the root user may do everything")
    source = deployer or _policy_source(target, caller, calls)
    prefix = f"arn:{target.partition}:iam::{target.account}:role/cdk-{target.stages.qualifier}"
    roles = [
        f"{prefix}-{role}-role-{target.account}-{target.region}" for role in ("deploy", "file-publishing")
    ]
    answer = calls.read(
        "iam",
        "SimulatePrincipalPolicy",
        {"PolicySourceArn": source, "ActionNames": ["sts:AssumeRole"], "ResourceArns": roles},
    )
    # An action has one result, in which each resource has its own. IAM once had a result for each resource:
    # https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html
    decisions = {
        each["EvalResourceName"]: each.get("EvalResourceDecision") or each["EvalDecision"]
        for result in answer["EvaluationResults"]
        for each in result.get("ResourceSpecificResults") or [result]
    }
    denied = [role for role in roles if decisions[role] != "allowed"]
    check = Check("deployment rights", "may assume the CDK's roles")
    if denied:
        check.summary = "may not assume the CDK's roles"
        kind, _, path = source.rpartition(":")[2].partition("/")
        policy = _policy(_statement("sts:AssumeRole", f"{prefix}-*-{target.account}-{target.region}"))
        named = path.rpartition("/")[2]
        fix = (
            f"aws iam put-{kind}-policy --{kind}-name {shlex.quote(named)} --policy-name assume-cdk-roles "
            f"--policy-document {shlex.quote(policy)}"
        )
        if named.startswith("AWSReservedSSO_"):
            fix = f"IAM Identity Center, inline policy of the permission set: {policy}"
        check.found(
            f"Not allowed: sts:AssumeRole on {', '.join(denied)}. The CDK CLI would then use the "
            f"permissions of {named} for everything.",
            fix,
        )
    return check


def _policy_source(target: Target, caller: str, calls: Calls) -> str:
    """Return the ARN of the user or role whose policies the caller has."""
    kind, _, name = caller.partition("/")
    if kind == "user":
        return target.caller_arn
    if kind != "assumed-role":
        raise NotCheckedError(f"IAM cannot simulate {kind}")
    # The ARN of a session lacks the path of its role
    answer = calls.read("iam", "GetRole", {"RoleName": name.partition("/")[0]})
    arn: str = answer["Role"]["Arn"]
    return arn


def names(target: Target, calls: Calls) -> Check:
    """Check that no resource has a name that the stack gives to one of its own.

    A stack with `retain_data` leaves its queues when it is deleted, for one.
    """
    if read_stack(target, calls) is not None:
        return Check("names", "the stack has them already", applies=False)
    check, stack_name = Check("names", "free"), target.stack_name
    with check.part():
        queue = f"{stack_name}{MESSAGES_SUFFIX}"
        # The JSON protocol of SQS has the first code, the query protocol the second
        absent = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
        if answer := calls.find("sqs", "GetQueueUrl", {"QueueName": queue}, absent=absent):
            check.found(
                f"The queue {queue} exists. If its messages still matter, import it into the stack: "
                "https://docs.aws.amazon.com/cdk/v2/guide/ref-cli-cmd-import.html",
                f"aws sqs delete-queue --queue-url {answer['QueueUrl']}",
            )
    with check.part():
        _state_machine(check, target, calls)
    with check.part():
        absent = ("DashboardNotFoundError", "ResourceNotFound")
        if calls.find("cloudwatch", "GetDashboard", {"DashboardName": stack_name}, absent=absent):
            check.found(
                f"The dashboard {stack_name} exists.",
                f"aws cloudwatch delete-dashboards --dashboard-names {stack_name}",
            )
    with check.part():
        _alarms(check, calls, prefix=f"{stack_name}-")
    with check.part():
        alias = f"alias/{stack_name}"
        answer = calls.read("kms", "ListAliases")
        if alias in {each["AliasName"] for each in answer["Aliases"]}:
            check.found(f"The key alias {alias} exists.", f"aws kms delete-alias --alias-name {alias}")
    if check.findings:
        check.summary = f"taken: {len(check.findings)}"
    return check


def _alarms(check: Check, calls: Calls, *, prefix: str) -> None:
    # By default, only metric alarms are returned:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
    answer = calls.read(
        "cloudwatch",
        "DescribeAlarms",
        {"AlarmNamePrefix": prefix, "AlarmTypes": ["CompositeAlarm", "MetricAlarm"]},
    )
    composite, metric = (
        _of_this_stage(answer.get(kind, []), prefix) for kind in ("CompositeAlarms", "MetricAlarms")
    )
    # No more than one composite alarm at once, and before the alarms of its rule:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DeleteAlarms.html
    together = [*([name] for name in composite), metric]
    if composite or metric:
        check.found(
            f"Alarms of this name exist: {len(composite) + len(metric)}.",
            *(
                f"aws cloudwatch delete-alarms --alarm-names {' '.join(map(shlex.quote, names))}"
                for names in together
                if names
            ),
        )


def _of_this_stage(found: list[dict[str, Any]], prefix: str) -> list[str]:
    """Return the alarms of this stage: `dev-` is also the beginning of the names of a stage `dev-2`."""
    names = [alarm["AlarmName"] for alarm in found]
    return [name for name in names if ALARM.fullmatch(name.removeprefix(prefix))]


def _state_machine(check: Check, target: Target, calls: Calls) -> None:
    place = f"{target.partition}:states:{target.region}:{target.account}"
    arn = f"arn:{place}:stateMachine:{target.stack_name}-send"
    answer = calls.find(
        "stepfunctions",
        "DescribeStateMachine",
        {"stateMachineArn": arn, "includedData": "METADATA_ONLY"},
        absent=("StateMachineDoesNotExist",),
    )
    if not answer:
        return
    if answer["status"] == "DELETING":
        # https://docs.aws.amazon.com/step-functions/latest/apireference/API_DeleteStateMachine.html
        check.found(
            f"The state machine {answer['name']} is being deleted. That ends with its last execution.",
            f"aws stepfunctions list-executions --status-filter RUNNING --state-machine-arn {arn}",
        )
    else:
        check.found(
            f"The state machine {answer['name']} exists.",
            f"aws stepfunctions delete-state-machine --state-machine-arn {arn}",
        )


def api_gateway_role(target: Target, calls: Calls) -> Check:
    """Check the role by which API Gateway writes the access log: one for the account in a Region.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
    """
    role: str = calls.read("apigateway", "GetAccount").get("cloudwatchRoleArn") or ""
    manages = target.options.manage_api_gateway_account
    check = Check("API Gateway's role", role.rpartition("/")[2] or "none; the stack sets one")
    if not role and not manages:
        name = "api-gateway-logs"
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "apigateway.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        arn = f"arn:{target.partition}:iam::{target.account}:role/{name}"
        check.summary = "none"
        check.found(
            "API Gateway has no role to write logs with, and manage_api_gateway_account is false. The stage "
            'of the API fails: "CloudWatch Logs role ARN must be set in account settings".',
            f"aws iam create-role --role-name {name} "
            f"--assume-role-policy-document {shlex.quote(_policy(trust))}",
            f"aws iam attach-role-policy --role-name {name} "
            f"--policy-arn arn:{target.partition}:iam::aws:policy/{_LOG_ROLE_POLICY}",
            "aws apigateway update-account "
            f"--patch-operations op=replace,path=/cloudwatchRoleArn,value={arn}",
            "or, if no other stack sets this role:",
            target.edit("manage_api_gateway_account", value=True),
        )
    # CloudFormation begins the name of the stack's own role with the name of the stack, shortened
    elif role and manages and not role.rpartition("/")[2].startswith(f"{target.stack_name[:_SHORTENED]}-"):
        check.found(
            f"API Gateway writes the logs of all APIs with {role}. manage_api_gateway_account is true, so "
            "the deployment would replace it.",
            target.edit("manage_api_gateway_account", value=False),
        )
    return check


def concurrency(target: Target, calls: Calls) -> Check:
    limits = calls.read("lambda", "GetAccountSettings")["AccountLimit"]
    limit, unreserved = limits["ConcurrentExecutions"], limits["UnreservedConcurrentExecutions"]
    check = Check("concurrency", f"limit {limit}, unreserved {unreserved}")
    raise_quota = (
        "aws service-quotas request-service-quota-increase --service-code lambda "
        f"--quota-code {_CONCURRENCY_QUOTA} --desired-value {max(1000, 2 * limit)}"
    )
    reserved = target.options.reserved_concurrency
    if reserved is None:
        if limit <= target.options.maximum_concurrency:
            check.found(
                f"The functions of the account share a limit of {limit}. The batches of the messages queue "
                f"alone can use it up: maximum_concurrency is {target.options.maximum_concurrency}.",
                raise_quota,
                "or:",
                target.edit("maximum_concurrency", max(2, limit // 2)),
            )
        return check
    available = max(0, unreserved + _already_reserved(target, calls) - _NEVER_RESERVED)
    check.summary += f", to reserve {reserved}"
    if reserved > available:
        check.found(
            f"The function cannot reserve {reserved}: Lambda keeps {_NEVER_RESERVED} for functions without "
            f"a reservation, so {available} can be reserved. The limit of the account is {limit}.",
            raise_quota,
            "or:",
            target.edit("reserved_concurrency", value=None),
        )
    return check


def _already_reserved(target: Target, calls: Calls) -> int:
    found = read_stack(target, calls) or {}
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    if "FunctionName" not in outputs:
        return 0
    answer = calls.find(
        "lambda",
        "GetFunctionConcurrency",
        {"FunctionName": outputs["FunctionName"]},
        absent=("ResourceNotFoundException",),
    )
    return int((answer or {}).get("ReservedConcurrentExecutions", 0))


def log_policies(target: Target, calls: Calls) -> Check:
    """Check that the delivery of the state machine's logs can be permitted.

    Step Functions has CloudWatch Logs add the log group to a resource policy of the account, unless the
    policy covers it. Its name begins with `/aws/vendedlogs/`, for which one entry is enough.

    Source: https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
    """
    answer = calls.read("logs", "DescribeResourcePolicies", {"policyScope": "ACCOUNT"})
    policies = {each["policyName"]: each["policyDocument"] for each in answer["resourcePolicies"]}
    longest = max(map(len, policies.values()), default=0)
    used = f"{len(policies)} of {_MOST_LOG_POLICIES}"
    check = Check("log policies", f"{used}, the longest has {longest} of {_LONGEST_LOG_POLICY} characters")
    if any(map(_covers_vended_logs, policies.values())):
        check.summary = f"{used}, one covers {_VENDED_LOGS}*"
        return check
    has_room = len(policies) < _MOST_LOG_POLICIES
    if _DELIVERY_POLICY in policies:
        size = len(policies[_DELIVERY_POLICY])
        if size + _ONE_MORE_STATEMENT > _LONGEST_LOG_POLICY:
            check.found(
                f"The policy {_DELIVERY_POLICY} has {size} of {_LONGEST_LOG_POLICY} characters, and does "
                f"not cover {_VENDED_LOGS}*. The state machine's logs may be refused: "
                '"CloudWatch Logs Resource Policy size was exceeded".',
                *(() if has_room else (_delete_log_policy(),)),
                _permit_vended_logs(target),
            )
    elif not has_room:
        check.found(
            f"The account has {len(policies)} log resource policies in {target.region}, and none covers "
            f"{_VENDED_LOGS}*. CloudWatch Logs cannot add one for the state machine's logs.",
            _delete_log_policy(),
        )
    return check


def _covers_vended_logs(document: str) -> bool:
    # Enough to see: the whole document is a JSON text of 5,120 characters at most
    return _DELIVERY_SERVICE in document and f":log-group:{_VENDED_LOGS}*" in document


def _delete_log_policy() -> str:
    return "aws logs delete-resource-policy --policy-name <one that is not used any more>"


def _permit_vended_logs(target: Target) -> str:
    group = f"arn:{target.partition}:logs:{target.region}:{target.account}:log-group:{_VENDED_LOGS}*"
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": _DELIVERY_SERVICE},
        "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
        "Resource": f"{group}:log-stream:*",
        "Condition": {"StringEquals": {"aws:SourceAccount": target.account}},
    }
    return (
        "aws logs put-resource-policy --policy-name vended-logs "
        f"--policy-document {shlex.quote(_policy(statement))}"
    )


def send_quota(target: Target, calls: Calls, *, known: int | None = None) -> Check:
    """Check that the stages that share a quota of SendMessage do not use more than it.

    Args:
        known: The quota, if you know it. Then nothing is looked up.
    """
    shares = {target.stage: target.options.send_quota_per_second}
    for name, options in target.stages.others.items():
        account = options.account or target.account
        connect_region = options.connect_region or options.region or target.region
        if (account, connect_region) == (target.account, target.connect_region):
            shares[name] = options.send_quota_per_second
    total = sum(shares.values())
    check = Check("SendMessage quota")
    quota: float | None = known
    origin = "as you say"
    if quota is None:
        with check.part():
            quota, origin = _listed_send_quota(target, calls), "in Service Quotas"
    if quota is None:
        quota, origin = DEFAULT_SEND_QUOTA, "the default: Service Quotas does not list yours"
    if check.not_checked:
        origin = "the default"
    check.summary = f"{quota:g} a second ({origin}), used: {total}"
    if total > quota:
        counted = ", ".join(f"{name} {share}" for name, share in shares.items())
        uncounted = ", ".join(target.stages.undeployable)
        not_counted = f" Not counted, since it cannot be deployed as it is: {uncounted}." if uncounted else ""
        check.found(
            f"The quota of SendMessage in {target.connect_region} is {quota:g} a second ({origin}). These "
            f"stages share it, by their send_quota_per_second: {counted}.{not_counted}",
            target.edit("send_quota_per_second", max(1, int(quota) * shares[target.stage] // total)),
            "or, if your quota is higher:",
            f".venv/bin/python -m ops preflight --stage {target.stage} --send-quota {total}",
        )
    return check


def _listed_send_quota(target: Target, calls: Calls) -> float | None:
    # The applied values lack quotas that have only a default:
    # https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/API_ListServiceQuotas.html
    for operation in ("ListServiceQuotas", "ListAWSDefaultServiceQuotas"):
        answer = calls.find(
            "service-quotas",
            operation,
            {"ServiceCode": "connect", "MaxResults": 100},
            region=target.connect_region,
            absent=("NoSuchResourceException",),
        )
        values = [
            quota["Value"]
            for quota in (answer or {}).get("Quotas", [])
            if _SEND_QUOTA_NAME.search(quota["QuotaName"])
            and not _OTHER_SEND_QUOTA.search(quota["QuotaName"])
        ]
        if values:
            return float(min(values))
    return None


def vpc(target: Target, calls: Calls) -> Check:
    subnets, groups = target.options.vpc_subnet_ids, target.options.vpc_security_group_ids
    if not subnets:
        return Check("VPC", "none", applies=False)
    check, vpcs = Check("VPC", f"subnets: {len(subnets)}, security groups: {len(groups)}"), set[str]()
    for option, operation, filter_name, wanted in (
        ("vpc_subnet_ids", "Subnets", "subnet-id", subnets),
        ("vpc_security_group_ids", "SecurityGroups", "group-id", groups),
    ):
        with check.part():
            # A filter leaves the missing ones out. Asking for ids would fail at the first.
            answer = calls.read(
                "ec2", f"Describe{operation}", {"Filters": [{"Name": filter_name, "Values": wanted}]}
            )
            found = {
                each["SubnetId" if operation == "Subnets" else "GroupId"]: each["VpcId"]
                for each in answer[operation]
            }
            vpcs |= {*found.values()}
            if missing := [each for each in wanted if each not in found]:
                check.found(
                    f"Not in this account and {target.region}: {', '.join(missing)}.",
                    f"aws ec2 {'describe-subnets' if operation == 'Subnets' else 'describe-security-groups'}"
                    f" --region {target.region}",
                    target.edit(option, [each for each in wanted if each in found] or ["<id>"]),
                )
    if len(vpcs) > 1:
        check.found(
            f"The subnets and security groups are of several VPCs: {', '.join(sorted(vpcs))}.",
            target.edit("vpc_subnet_ids", ["<ids of subnets of one VPC>"]),
            target.edit("vpc_security_group_ids", ["<ids of security groups of the same VPC>"]),
        )
    return check


def rollout_alarms(target: Target, calls: Calls) -> Check:
    if target.options.rollout == "none":
        return Check("roll-out alarms", "rollout is none", applies=False)
    names = [f"{target.stack_name}-{name}" for name in ROLLBACK_ALARMS]
    answer = calls.read("cloudwatch", "DescribeAlarms", {"AlarmNames": names, "StateValue": "ALARM"})
    on = [alarm["AlarmName"] for alarm in answer.get("MetricAlarms", [])]
    check = Check("roll-out alarms", f"on: {len(on)}" if on else "off")
    if on:
        check.found(
            f"CodeDeploy stops the deployment while {' and '.join(on)} is on. Wait until it ends. To deploy "
            "the fix of its cause, deploy once without a roll-out.",
            f"aws cloudwatch describe-alarms --alarm-names {' '.join(map(shlex.quote, on))}",
            "or:",
            target.edit("rollout", "none"),
        )
    return check


def web_acl(target: Target, calls: Calls) -> Check:
    arn = target.options.api_web_acl_arn
    if arn is None:
        return Check("web ACL", "none", applies=False)
    _, _, _, acl_region, account, resource = arn.split(":", 5)
    _, _, name, acl_id = resource.split("/")
    check = Check("web ACL", name)
    fixes = (
        f"aws wafv2 list-web-acls --scope REGIONAL --region {target.region}",
        target.edit("api_web_acl_arn", "<ARN of one of these>"),
    )
    # https://docs.aws.amazon.com/waf/latest/APIReference/API_AssociateWebACL.html
    if (acl_region, account) != (target.region, target.account):
        check.found(
            f"The web ACL is of account {account} in {acl_region}. An API needs one of its own account and "
            f"Region: {target.account} in {target.region}.",
            *fixes,
        )
        return check
    absent = ("WAFNonexistentItemException",)
    wanted = {"Name": name, "Scope": "REGIONAL", "Id": acl_id}
    if calls.find("wafv2", "GetWebACL", wanted, absent=absent) is None:
        check.found(f"There is no web ACL {arn}.", *fixes)
    return check


def _statement(action: str, resource: str) -> dict[str, str]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def _policy(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements]}, separators=(",", ":"))

"""The check of the SNS topic of the alarms, its policy and its key."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any, Final

from ops.preflight.findings import Check
from ops.preflight.policy import Verdict, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.preflight.calls import Calls
    from ops.preflight.target import Target

_SERVICE: Final = "cloudwatch.amazonaws.com"
_KEY_ACTIONS: Final = ("kms:Decrypt", "kms:GenerateDataKey")


def alarm_topic(target: Target, calls: Calls) -> Check:
    """Check that CloudWatch can publish to the topic, and that somebody receives it.

    A topic that CloudWatch cannot publish to does not fail the deployment: the alarms then notify nobody.

    Sources:
        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/notify-users-alarm-changes.html
        https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
    """
    arn = target.options.alarm_topic
    if arn is None:
        return Check("alarm topic", "none: the alarms notify nobody", applies=False)
    _, _, _, topic_region, account, name = arn.split(":")
    check = Check("alarm topic", name)
    if topic_region != target.region:
        check.found(
            f"The topic is in {topic_region}. An alarm needs one of its own Region, {target.region}.",
            f"aws sns create-topic --name {name} --region {target.region}",
            target.edit("alarm_topic_arn", arn.replace(f":{topic_region}:", f":{target.region}:")),
        )
    answer = calls.find(
        "sns",
        "GetTopicAttributes",
        {"TopicArn": arn},
        region=topic_region,
        absent=("NotFound", "NotFoundException"),
    )
    if answer is None:
        check.found(
            f"There is no topic {arn}.",
            f"aws sns create-topic --name {name} --region {topic_region}",
        )
        return check
    attributes: Mapping[str, str] = answer["Attributes"]
    if attributes.get("SubscriptionsConfirmed") == "0":
        check.found(
            "The topic has no confirmed subscription, so its messages reach nobody.",
            f"aws sns subscribe --topic-arn {arn} --region {topic_region} --protocol email "
            "--notification-endpoint <address>",
        )
    with check.part():
        _topic_policy(check, target, arn, json.loads(attributes.get("Policy") or "{}"))
    if key := attributes.get("KmsMasterKeyId"):
        with check.part():
            _key(check, target, calls, key, topic=arn, account=account)
    return check


def _context(target: Target) -> dict[str, str]:
    """Return what is known of a call that CloudWatch makes for an alarm of the stack."""
    place = f"{target.partition}:cloudwatch:{target.region}:{target.account}"
    return {
        "aws:sourceaccount": target.account,
        "aws:sourceowner": target.account,
        "aws:sourcearn": f"arn:{place}:alarm:{target.stack_name}-DeadLetters",
        "aws:securetransport": "true",
    }


def _topic_policy(check: Check, target: Target, arn: str, policy: dict[str, Any]) -> None:
    found = verdict(policy, service=_SERVICE, action="sns:Publish", resource=arn, context=_context(target))
    if found is Verdict.DENIED:
        allowed = _with_statement(policy, target, action="sns:Publish", resource=arn)
        check.found(
            f"The topic's policy does not let {_SERVICE} publish.",
            f"aws sns set-topic-attributes --topic-arn {arn} --region {arn.split(':')[3]} "
            f"--attribute-name Policy --attribute-value {shlex.quote(allowed)}",
        )
    elif found is Verdict.UNCLEAR:
        check.not_checked.append(f"the topic's policy: read whether it lets {_SERVICE} publish")


def _key(check: Check, target: Target, calls: Calls, key: str, *, topic: str, account: str) -> None:
    region = topic.split(":")[3]
    # A key or an alias without an ARN belongs to the account of the topic
    arn = key
    if not key.startswith("arn:"):
        resource = key if key.startswith("alias/") else f"key/{key}"
        arn = f"arn:{target.partition}:kms:{region}:{account}:{resource}"
    answer = calls.find("kms", "DescribeKey", {"KeyId": arn}, region=region, absent=("NotFoundException",))
    own_key = (
        f"aws sns set-topic-attributes --topic-arn {topic} --region {region} "
        "--attribute-name KmsMasterKeyId --attribute-value <ARN of a customer managed key>"
    )
    if answer is None:
        check.found(f"There is no key {arn}, with which the topic is encrypted.", own_key)
        return
    metadata = answer["KeyMetadata"]
    if metadata["KeyManager"] == "AWS":
        check.found(
            f"The topic is encrypted with the AWS managed key {key}, whose policy cannot be changed: "
            f"{_SERVICE} may not use it.",
            own_key,
        )
        return
    if metadata["KeyState"] != "Enabled":
        named = f"--key-id {metadata['Arn']} --region {region}"
        # A key whose deletion is cancelled is disabled:
        # https://docs.aws.amazon.com/kms/latest/APIReference/API_CancelKeyDeletion.html
        is_deleted = metadata["KeyState"] == "PendingDeletion"
        check.found(
            f"The topic's key is {metadata['KeyState']}: {metadata['Arn']}.",
            *((f"aws kms cancel-key-deletion {named}",) if is_deleted else ()),
            f"aws kms enable-key {named}",
            "or:",
            own_key,
        )
    answer = calls.read(
        "kms", "GetKeyPolicy", {"KeyId": metadata["Arn"], "PolicyName": "default"}, region=region
    )
    policy = json.loads(answer["Policy"])
    found = {
        verdict(policy, service=_SERVICE, action=action, resource=metadata["Arn"], context=_context(target))
        for action in _KEY_ACTIONS
    }
    if Verdict.DENIED in found:
        allowed = _with_statement(policy, target, action=[*_KEY_ACTIONS], resource="*")
        check.found(
            f"The policy of the topic's key does not let {_SERVICE} use it: {' and '.join(_KEY_ACTIONS)}.",
            f"aws kms put-key-policy --key-id {metadata['Arn']} --region {region} --policy-name default "
            f"--policy {shlex.quote(allowed)}",
        )
    elif Verdict.UNCLEAR in found:
        check.not_checked.append(f"the policy of the topic's key: read whether it lets {_SERVICE} use it")


def _with_statement(
    policy: Mapping[str, Any], target: Target, *, action: str | list[str], resource: str
) -> str:
    """Return the policy with one more statement. It holds no character that steers a terminal."""
    statement = {
        "Sid": f"AlarmsOf{''.join(filter(str.isalnum, target.stage))}",
        "Effect": "Allow",
        "Principal": {"Service": _SERVICE},
        "Action": action,
        "Resource": resource,
        "Condition": {"StringEquals": {"aws:SourceAccount": target.account}},
    }
    present = policy.get("Statement", [])
    statements = present if isinstance(present, list) else [present]
    changed = {"Version": "2012-10-17", **policy, "Statement": [*statements, statement]}
    return json.dumps(changed, separators=(",", ":"))

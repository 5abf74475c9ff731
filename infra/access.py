"""Permissions of producers: in this account a policy or a grant, for other accounts resource policies."""

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from .contract import REQUEST_DETAIL_TYPE, RESULT_SOURCE
from .options import Options
from .parts import Parts
from .stage import parameter_path

# A producer cannot publish a result. It also cannot publish a request under the function's source: the rule
# on the bus would ignore such a request silently.
_REQUESTS_ONLY = {
    "StringEquals": {"events:detail-type": REQUEST_DETAIL_TYPE},
    "ForAllValues:StringNotEquals": {"events:source": RESULT_SOURCE},
}


class ProducerPolicy(iam.ManagedPolicy):
    """Everything that a producer in this account needs, for each event source."""

    def __init__(
        self, scope: Construct, construct_id: str, *, statements: Sequence[iam.PolicyStatement]
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Permissions of a producer of messages, for every event source",
            statements=[*statements],
        )


def queue_statements(parts: Parts) -> Sequence[iam.PolicyStatement]:
    """Return what a producer that sends through the queue may do."""
    return [
        iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[parts.queues.messages.queue_arn]),
        parts.key.use_through_sqs(),
    ]


def producer_statements(name: str, parts: Parts) -> Sequence[iam.PolicyStatement]:
    """Return what a producer may do, for each event source that the sender has, and to find the sender."""
    stack = cdk.Stack.of(parts.key)
    parameters = stack.format_arn(service="ssm", resource=f"parameter{parameter_path(name)}")
    statements = [
        iam.PolicyStatement(actions=["ssm:GetParametersByPath"], resources=[parameters]),
        *queue_statements(parts),
        iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[parts.sender.alias.function_arn]),
        iam.PolicyStatement(
            actions=["events:PutEvents"],
            resources=[parts.routing.bus.event_bus_arn],
            conditions=_REQUESTS_ONLY,
        ),
    ]
    if parts.token_key is not None:
        statements.append(parts.token_key.seal())
    if parts.api is not None:
        methods = [parts.api.queue_method.method_arn, parts.api.synchronous_method.method_arn]
        statements.append(iam.PolicyStatement(actions=["execute-api:Invoke"], resources=methods))
    if parts.workflow is not None:
        state_machine = parts.workflow.state_machine.state_machine_arn
        statements.append(iam.PolicyStatement(actions=["states:StartExecution"], resources=[state_machine]))
    return statements


def grant(scope: Construct, grantee: iam.IGrantable, statements: Sequence[iam.PolicyStatement]) -> iam.Grant:
    """Give a role, user, group or resource of the account of `scope` the permissions of some statements.

    For any other, the grant has no success. The CDK would report one for a principal that it does not know,
    and for an imported role of another account.
    """
    principal = grantee.grant_principal
    if isinstance(principal, iam.UnknownPrincipal):
        return iam.Grant.drop(grantee, "Send messages")
    accounts = {cdk.Stack.of(scope).account, principal.principal_account or ""} - {""}
    if len(accounts) > 1 and not any(map(cdk.Token.is_unresolved, accounts)):
        return iam.Grant.drop(grantee, "Send messages")
    given = [
        iam.Grant.add_to_principal(
            grantee=grantee,
            actions=statement.actions,
            resource_arns=statement.resources,
            conditions=statement.conditions or None,
        )
        for statement in statements
    ]
    combined, *rest = given
    for other in rest:
        combined = combined.combine(other)
    return combined


def admit_other_accounts(options: Options, parts: Parts) -> None:
    """Let the producers of the option `producer_principals` in, by the policy of each resource.

    They also need a policy in their own account. The API has its resource policy from the start. A state
    machine cannot have one.
    """
    if not options.producer_principals:
        return
    principals = [iam.ArnPrincipal(arn) for arn in options.producer_principals]
    producers: dict[str, Any] = {"sid": "Producers", "principals": principals}
    parts.queues.messages.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["sqs:SendMessage"], resources=[parts.queues.messages.queue_arn], **producers
        )
    )
    parts.key.add_to_resource_policy(parts.key.use_through_sqs().copy(resources=["*"], **producers))
    if parts.token_key is not None:
        parts.token_key.add_to_resource_policy(parts.token_key.seal().copy(resources=["*"], **producers))
    parts.routing.bus.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["events:PutEvents"],
            resources=[parts.routing.bus.event_bus_arn],
            conditions=_REQUESTS_ONLY,
            **producers,
        )
    )
    for number, principal in enumerate(principals):
        # The ARN of another construct is known later, and cannot be an id
        known = number if cdk.Token.is_unresolved(principal.arn) else principal.arn
        parts.sender.alias.add_permission(f"Producer {known}", principal=principal)

"""Permissions of producers: in this account a policy or a grant, for other accounts resource policies."""

from collections.abc import Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from .contract import REQUEST_DETAIL_TYPE, RESULT_SOURCE
from .data_key import DataKey
from .event_routing import EventRouting
from .message_api import MessageApi
from .message_queues import MessageQueues
from .options import Options
from .send_workflow import SendWorkflow
from .sender_function import SenderFunction
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


def queue_statements(*, key: DataKey, queues: MessageQueues) -> Sequence[iam.PolicyStatement]:
    """Return what a producer that sends through the queue may do."""
    return [
        iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queues.messages.queue_arn]),
        key.use_through_sqs(),
    ]


def producer_statements(
    *,
    name: str,
    key: DataKey,
    queues: MessageQueues,
    routing: EventRouting,
    sender: SenderFunction,
    api: MessageApi | None,
    workflow: SendWorkflow | None,
) -> Sequence[iam.PolicyStatement]:
    """Return what a producer may do, for each event source that the sender has, and to find the sender."""
    stack = cdk.Stack.of(key)
    parameters = stack.format_arn(service="ssm", resource=f"parameter{parameter_path(name)}")
    statements = [
        iam.PolicyStatement(actions=["ssm:GetParametersByPath"], resources=[parameters]),
        *queue_statements(key=key, queues=queues),
        iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[sender.alias.function_arn]),
        iam.PolicyStatement(
            actions=["events:PutEvents"],
            resources=[routing.bus.event_bus_arn],
            conditions=_REQUESTS_ONLY,
        ),
    ]
    if api is not None:
        methods = [api.queue_method.method_arn, api.synchronous_method.method_arn]
        statements.append(iam.PolicyStatement(actions=["execute-api:Invoke"], resources=methods))
    if workflow is not None:
        state_machine = workflow.state_machine.state_machine_arn
        statements.append(iam.PolicyStatement(actions=["states:StartExecution"], resources=[state_machine]))
    return statements


def grant(grantee: iam.IGrantable, statements: Sequence[iam.PolicyStatement]) -> iam.Grant:
    """Give a role, user, group or resource of this account the permissions of some statements."""
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


def admit_other_accounts(
    options: Options,
    *,
    key: DataKey,
    queues: MessageQueues,
    routing: EventRouting,
    sender: SenderFunction,
) -> None:
    """Let the producers of the option `producer_principals` in, by the policy of each resource.

    They also need a policy in their own account. The API has its resource policy from the start. A state
    machine cannot have one.
    """
    if not options.producer_principals:
        return
    principals = [iam.ArnPrincipal(arn) for arn in options.producer_principals]
    producers: dict[str, Any] = {"sid": "Producers", "principals": principals}
    queues.messages.add_to_resource_policy(
        iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[queues.messages.queue_arn], **producers)
    )
    key.add_to_resource_policy(key.use_through_sqs().copy(resources=["*"], **producers))
    routing.bus.add_to_resource_policy(
        iam.PolicyStatement(
            actions=["events:PutEvents"],
            resources=[routing.bus.event_bus_arn],
            conditions=_REQUESTS_ONLY,
            **producers,
        )
    )
    for number, principal in enumerate(principals):
        # The ARN of another construct is known later, and cannot be an id
        known = number if cdk.Token.is_unresolved(principal.arn) else principal.arn
        sender.alias.add_permission(f"Producer {known}", principal=principal)

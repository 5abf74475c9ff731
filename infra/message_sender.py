"""The whole sender: its parts, how they are connected, and what each may do."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from .access import (
    ProducerPolicy,
    admit_other_accounts,
    grant,
    producer_statements,
    queue_statements,
)
from .addresses import Parameters
from .contract import RESULT_DETAIL_TYPES, RESULT_SOURCE
from .data_key import DataKey
from .event_routing import EventRouting
from .message_api import MessageApi
from .message_queues import MessageQueues
from .monitoring import Monitoring
from .options import InvalidOptionsError, Options
from .outcome_lookup import OutcomeLookup
from .parts import Parts
from .results import Outcome
from .results_function import ResultsFunction
from .rollout import Rollout
from .send_workflow import SendWorkflow
from .sender_function import SenderFunction
from .stage import LONGEST_NAME, ROLLBACK_ALARMS, check_name
from .token_key import TokenKey

OUTCOMES: Final[Mapping[Outcome, str]] = dict(zip(Outcome, RESULT_DETAIL_TYPES, strict=True))
"""The outcomes of a message, and the detail type of each on the event bus."""


class MessageSender(Construct):
    """Delivers chat messages to Amazon Connect: queues, event bus, function, API, state machine, monitoring.

    Args:
        name: The first part of every physical name: of queues, alarms, the dashboard, the namespace of the
            metrics, the state machine, the API, log groups, key aliases and Systems Manager parameters. At
            most 66 letters, digits and hyphens, unique in its account and Region. By default, it comes from
            the names of the stack and of the construct. Another name makes another queue, so never change it.
        options: By default, every option has its default.

    Attributes:
        name: The name, for producers and commands that find the sender by it.
        message_queue: Requests wait here. The queue is FIFO, with the ContactId as message group.
        dead_letter_queue: Messages that failed.
        rejected_queue: Copies of rejected messages.
        unpublished_results_queue: Results that the event bus did not accept.
        events_dead_letter_queue: Events that did not reach the function, or that it failed on.
        bus: The event bus for requests and results.
        function: The function that sends the messages.
        alias: The alias of the function, for direct invocations.
        key: The KMS key that encrypts queues, logs and settings.
        producer_policy: A managed policy with the permissions of `grant_send`.
        token_key: The KMS key for sealed connection tokens. None if the options leave it out.
        api: The REST API. None if the options leave it out.
        state_machine: Sends one message. None if the options leave it out.
        dashboard: None if the options leave monitoring out.
        outputs: The addresses for producers, by the names in `OUTPUTS`, for outputs of your stack.

    Raises:
        InvalidOptionsError: The name is not valid, or `options` is something else than `Options`.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str | None = None,
        options: Options | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        if options is None:
            options = Options()
        elif not isinstance(options, Options):
            raise InvalidOptionsError(f"options is {options!r}; accepted: Options(...), or None")
        if name is None:
            name = cdk.Names.unique_resource_name(self, max_length=LONGEST_NAME, separator="-")
        _check(name)

        parts = self._build(name, options)
        _let_send(parts)
        _let_publish_again(parts)
        _let_complete_tasks(self, parts, options)
        # The state machine and the API put messages on the queue
        if parts.workflow is not None:
            parts.workflow.state_machine.add_to_role_policy(parts.key.use_through_sqs())
        if parts.api is not None:
            parts.queues.messages.grant(parts.api.role, "sqs:SendMessage")
            parts.api.role.add_to_principal_policy(parts.key.use_through_sqs())

        self._outcomes = Construct(self, "Outcomes")  # the ids of its rules are those of the application
        self._queue_producers = queue_statements(parts)
        self._producers = producer_statements(name, parts)
        producers = ProducerPolicy(self, "ProducerPolicy", statements=self._producers)
        admit_other_accounts(options, parts)

        self.name = name
        self.message_queue: sqs.Queue = parts.queues.messages
        self.dead_letter_queue: sqs.Queue = parts.queues.dead_letter
        self.rejected_queue: sqs.Queue = parts.queues.rejected
        self.unpublished_results_queue: sqs.Queue = parts.queues.unpublished_results
        self.events_dead_letter_queue: sqs.Queue = parts.queues.events_dead_letter
        self.bus: events.EventBus = parts.routing.bus
        self.function: lambda_.Function = parts.sender.function
        self.alias: lambda_.Alias = parts.sender.alias
        self.key: kms.Key = parts.key
        self.token_key: kms.Key | None = parts.token_key
        self.producer_policy: iam.ManagedPolicy = producers
        self.api: apigateway.RestApi | None = parts.api.api if parts.api else None
        self.state_machine: sfn.StateMachine | None = parts.workflow.state_machine if parts.workflow else None
        self.dashboard = self._monitor(name, parts, options) if options.monitoring else None

        self.outputs = _addresses(parts, producers)
        Parameters(self, "Parameters", name=name, values=self.outputs)

    def grant_send(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let a role, user, group or resource of this account send messages by every event source.

        For a producer in another account, see the option `producer_principals`. The synthesis warns you if
        the CDK cannot change the policies of the grantee. It does not warn you of a role that you imported
        with `mutable=False`: attach `producer_policy` to it yourself.
        """
        return self._grant("grant_send", grantee, self._producers)

    def grant_send_to_queue(self, grantee: iam.IGrantable) -> iam.Grant:
        """Let it put messages on the queue, and nothing else: such as the role of a schedule or of a pipe.

        It warns you as `grant_send` does.
        """
        return self._grant("grant_send_to_queue", grantee, self._queue_producers)

    def on_outcome(
        self,
        construct_id: str,
        *,
        target: events.IRuleTarget,
        outcomes: Collection[Outcome | Literal["SENT", "REJECTED", "FAILED"]] = tuple(Outcome),
        scope: Construct | None = None,
    ) -> events.Rule:
        """Send the results with some outcomes to a target, such as `aws_events_targets.SqsQueue(queue)`.

        EventBridge delivers each result at least once, in any order.

        Args:
            scope: Where the rule is created, by default in the sender. If the target is in another stack of
                the same account and Region, give that stack: its queue or function permits the rule, so the
                two stacks would depend on each other.

        Raises:
            InvalidOptionsError: An outcome is unknown, or there is none.
        """
        try:
            chosen = {Outcome(outcome) for outcome in outcomes}
        except (TypeError, ValueError):
            chosen = set()
        if not chosen:
            raise InvalidOptionsError(
                f"outcomes is {outcomes!r}; accepted: a list with some of {', '.join(OUTCOMES)}"
            )
        named = [outcome for outcome in OUTCOMES if outcome in chosen]
        return events.Rule(
            self._outcomes if scope is None else scope,
            construct_id,
            description=f"Results with the outcome {', '.join(named)}",
            event_bus=self.bus,
            event_pattern=events.EventPattern(
                source=[RESULT_SOURCE],
                detail_type=[OUTCOMES[outcome] for outcome in named],
            ),
            targets=[target],
        )

    def _grant(
        self, method: str, grantee: iam.IGrantable, statements: Sequence[iam.PolicyStatement]
    ) -> iam.Grant:
        given = grant(self, grantee, statements)
        if not given.success:
            # A principal is no construct, and an imported role is one by its properties only
            grantee_name = getattr(getattr(grantee, "node", None), "path", type(grantee).__name__)
            cdk.Annotations.of(self).add_warning_v2(
                f"connect-message-sender:{method}",
                f"{method} gives {grantee_name} nothing: this application cannot change its policies. Attach "
                "producer_policy or a part of it; for another account, use the option producer_principals",
            )
        return given

    def _build(self, name: str, options: Options) -> Parts:
        key = DataKey(self, "DataKey", name=name, options=options)
        token_key = TokenKey(self, "TokenKey", name=name, options=options) if options.sealed_tokens else None
        queues = MessageQueues(self, "MessageQueues", name=name, key=key, options=options)
        routing = EventRouting(self, "EventRouting", queues=queues)
        sender = SenderFunction(
            self,
            "Sender",
            name=name,
            key=key,
            token_key=token_key,
            queues=queues,
            bus=routing.bus,
            options=options,
        )
        requests = routing.route_requests(to=sender, options=options)
        results = ResultsFunction(
            self,
            "Results",
            name=name,
            key=key,
            queues=queues,
            bus=routing.bus,
            sender=sender,
            options=options,
        )
        api = lookup = workflow = None
        if options.http_api:
            api = MessageApi(
                self, "MessageApi", name=name, key=key, queues=queues, sender=sender, options=options
            )
            if options.outcome_lookup:
                lookup = OutcomeLookup(
                    self, "OutcomeLookup", key=key, bus=routing.bus, results=results, api=api, options=options
                )
        if options.workflow:
            workflow = SendWorkflow(
                self, "SendWorkflow", name=name, key=key, queues=queues, sender=sender, options=options
            )
        return Parts(
            key=key,
            token_key=token_key,
            queues=queues,
            routing=routing,
            requests=requests,
            sender=sender,
            results=results,
            api=api,
            lookup=lookup,
            workflow=workflow,
        )

    def _monitor(self, name: str, parts: Parts, options: Options) -> cloudwatch.Dashboard:
        monitoring = Monitoring(self, "Monitoring", name=name, parts=parts, options=options)
        Rollout(
            self,
            "Rollout",
            alias=parts.sender.alias,
            alarms=[monitoring.alarm(alarm) for alarm in ROLLBACK_ALARMS],
            options=options,
        )
        if options.retain_data and options.alarm_topic_arn is None:
            cdk.Annotations.of(self).add_warning_v2(
                "connect-message-sender:alarmTopic",
                "The alarms notify nobody: set the option alarm_topic_arn to the ARN of an SNS topic, or "
                'to "none"',
            )
        return monitoring.dashboard


def _addresses(parts: Parts, producers: ProducerPolicy) -> Mapping[str, str]:
    queues, sender, api, workflow = parts.queues, parts.sender, parts.api, parts.workflow
    addresses = {
        "MessageQueueUrl": queues.messages.queue_url,
        "DeadLetterQueueUrl": queues.dead_letter.queue_url,
        "RejectedQueueUrl": queues.rejected.queue_url,
        "UnpublishedResultsQueueUrl": queues.unpublished_results.queue_url,
        "EventsDeadLetterQueueUrl": queues.events_dead_letter.queue_url,
        "EventBusName": parts.routing.bus.event_bus_name,
        "FunctionName": sender.function.function_name,
        "FunctionAliasArn": sender.alias.function_arn,
        "ApiUrl": api.api.url if api else None,
        "StateMachineArn": workflow.state_machine.state_machine_arn if workflow else None,
        "DataKeyArn": parts.key.key_arn,
        "TokenKeyArn": parts.token_key.key_arn if parts.token_key else None,
        "ProducerPolicyArn": producers.managed_policy_arn,
        "OutcomeReaderPolicyArn": parts.lookup.readers.managed_policy_arn if parts.lookup else None,
    }
    return {output: value for output, value in addresses.items() if value}


def _let_send(parts: Parts) -> None:
    """Let the function receive messages, publish results and copy messages."""
    role, queues, key = parts.sender.role, parts.queues, parts.key
    # The function receives messages from the queue, and enqueues messages of events for a retry
    queues.messages.grant(
        role,
        "sqs:ReceiveMessage",
        "sqs:DeleteMessage",
        "sqs:ChangeMessageVisibility",
        "sqs:GetQueueAttributes",
        "sqs:SendMessage",
    )
    role.add_to_principal_policy(_publish_results(parts.routing))
    # The function copies messages and results to these queues, and Lambda sends failed events. Calls of
    # Amazon Connect need no permission.
    queues.dead_letter.grant(role, "sqs:SendMessage")
    queues.rejected.grant(role, "sqs:SendMessage")
    queues.unpublished_results.grant(role, "sqs:SendMessage")
    queues.events_dead_letter.grant(role, "sqs:SendMessage")
    role.add_to_principal_policy(key.use_through_sqs())
    role.add_to_principal_policy(key.read_environment())
    parts.sender.log_group.grant_write(role)
    if parts.token_key is not None:
        role.add_to_principal_policy(parts.token_key.unseal())


def _let_publish_again(parts: Parts) -> None:
    """Let the second function consume the results that the bus refused, and publish them."""
    role, key = parts.results.role, parts.key
    parts.queues.unpublished_results.grant(
        role, "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"
    )
    role.add_to_principal_policy(_publish_results(parts.routing))
    # It puts nothing on a queue
    role.add_to_principal_policy(key.use_through_sqs().copy(actions=["kms:Decrypt"]))
    role.add_to_principal_policy(key.read_environment())
    parts.results.log_group.grant_write(role)


def _publish_results(routing: EventRouting) -> iam.PolicyStatement:
    """Return the permission to publish results, and nothing under another source."""
    return iam.PolicyStatement(
        actions=["events:PutEvents"],
        resources=[routing.bus.event_bus_arn],
        conditions={
            # The condition key can have several values. ForAllValues also holds when there are none.
            "ForAllValues:StringEquals": {"events:source": RESULT_SOURCE},
            "Null": {"events:source": "false"},
        },
    )


def _let_complete_tasks(scope: Construct, parts: Parts, options: Options) -> None:
    """Let the function complete the tasks of state machines that wait for a message.

    This is a policy apart from the role: the role comes before the function, and the function before the
    state machine.
    """
    own = [parts.workflow.state_machine.state_machine_arn] if parts.workflow else []
    if not (own or options.task_state_machine_arns):
        return
    policy = iam.Policy(scope, "TaskCallbacks", roles=[parts.sender.role])
    policy.add_statements(
        iam.PolicyStatement(
            actions=["states:SendTaskSuccess", "states:SendTaskFailure"],
            resources=[*own, *options.task_state_machine_arns],
        )
    )
    for arn in own:
        # Step Functions encrypts the output of a task in the name of the function
        policy.add_statements(
            iam.PolicyStatement(
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[parts.key.key_arn],
                conditions={"StringEquals": {"kms:EncryptionContext:aws:states:stateMachineArn": arn}},
            )
        )


def _check(name: object) -> None:
    if cdk.Token.is_unresolved(name):
        raise InvalidOptionsError("name is known only at deployment; accepted: a text of your code")
    try:
        check_name(name)
    except ValueError as error:
        raise InvalidOptionsError(f"name is {name!r}; {error}") from None

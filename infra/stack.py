"""The whole service: its parts, how they are connected, and what each may do."""

from collections.abc import Mapping
from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.access import ProducerPolicy, admit_other_accounts
from infra.contract import RESULT_SOURCE
from infra.data_key import DataKey
from infra.event_routing import EventRouting
from infra.message_api import MessageApi
from infra.message_queues import MessageQueues
from infra.monitoring import Monitoring
from infra.options import StageOptions
from infra.rollout import Rollout
from infra.send_workflow import SendWorkflow
from infra.sender_function import SenderFunction
from infra.stage import ROLLBACK_ALARMS

OUTPUTS: Final[Mapping[str, str]] = {
    "MessageQueueUrl": "The messages queue. Producers put requests here",
    "DeadLetterQueueUrl": "The dead-letter queue: messages that failed",
    "RejectedQueueUrl": "The rejected queue: copies of rejected messages",
    "UnpublishedResultsQueueUrl": "The unpublished-results queue: results that the event bus did not accept",
    "EventsDeadLetterQueueUrl": (
        "The events dead-letter queue: events that did not reach the function or that it failed on"
    ),
    "EventBusName": "The event bus for requests and results",
    "FunctionName": "The function that sends the messages",
    "FunctionAliasArn": "The alias of the function, for direct invocations",
    "ApiUrl": "The base URL of the REST API. It ends with a slash",
    "StateMachineArn": "The state machine that sends one message",
    "DataKeyArn": "The KMS key that encrypts queues, logs and settings",
    "ProducerPolicyArn": "The managed policy for producers in this account",
}
"""The outputs and their descriptions. `docs/reference/stack.md` shows them."""


class ConnectMessageSender(cdk.Stack):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: str,
        options: StageOptions,
        env: cdk.Environment | None = None,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            env=env,
            description="Delivers chat messages to Amazon Connect",
            # CloudFormation passes them on to all resources that can have tags
            tags={**options.tags, "project": "connect-message-sender", "stage": stage},
            termination_protection=options.retain_data,
        )

        key = DataKey(self, "DataKey", options=options)
        queues = MessageQueues(self, "MessageQueues", key=key, options=options)
        routing = EventRouting(self, "EventRouting", queues=queues)
        sender = SenderFunction(self, "Sender", key=key, queues=queues, bus=routing.bus, options=options)
        requests = routing.route_requests(to=sender, options=options)
        api = MessageApi(self, "MessageApi", key=key, queues=queues, sender=sender, options=options)
        workflow = SendWorkflow(self, "SendWorkflow", key=key, queues=queues, sender=sender, options=options)
        monitoring = Monitoring(
            self,
            "Monitoring",
            key=key,
            queues=queues,
            bus=routing.bus,
            requests=requests,
            sender=sender,
            api=api,
            workflow=workflow,
            options=options,
        )
        Rollout(
            self,
            "Rollout",
            alias=sender.alias,
            alarms=[monitoring.alarm(name) for name in ROLLBACK_ALARMS],
            options=options,
        )

        # The function receives messages from the queue, and enqueues messages of events for a retry
        queues.messages.grant(
            sender.role,
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:ChangeMessageVisibility",
            "sqs:GetQueueAttributes",
            "sqs:SendMessage",
        )
        # The function publishes results, and cannot publish under another source
        sender.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["events:PutEvents"],
                resources=[routing.bus.event_bus_arn],
                conditions={
                    # The condition key can have several values. ForAllValues also holds when there are none.
                    "ForAllValues:StringEquals": {"events:source": RESULT_SOURCE},
                    "Null": {"events:source": "false"},
                },
            )
        )
        # The function copies messages and results to these queues, and Lambda sends failed events. Calls of
        # Amazon Connect need no permission.
        queues.dead_letter.grant(sender.role, "sqs:SendMessage")
        queues.rejected.grant(sender.role, "sqs:SendMessage")
        queues.unpublished_results.grant(sender.role, "sqs:SendMessage")
        queues.events_dead_letter.grant(sender.role, "sqs:SendMessage")
        sender.role.add_to_principal_policy(key.use_through_sqs())
        sender.role.add_to_principal_policy(key.read_environment())
        sender.log_group.grant_write(sender.role)

        # The function completes the tasks of state machines that wait for a message. This is a policy apart
        # from the role: the role comes before the function, and the function before the state machine.
        state_machine_arn = workflow.state_machine.state_machine_arn
        iam.Policy(
            self,
            "TaskCallbacks",
            roles=[sender.role],
            statements=[
                iam.PolicyStatement(
                    actions=["states:SendTaskSuccess", "states:SendTaskFailure"],
                    resources=[state_machine_arn, *options.task_state_machine_arns],
                ),
                # Step Functions encrypts the output of a task in the name of the function
                iam.PolicyStatement(
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=[key.key_arn],
                    conditions={
                        "StringEquals": {
                            "kms:EncryptionContext:aws:states:stateMachineArn": state_machine_arn
                        }
                    },
                ),
            ],
        )

        # The state machine and the API put messages on the queue
        workflow.state_machine.add_to_role_policy(key.use_through_sqs())
        queues.messages.grant(api.role, "sqs:SendMessage")
        api.role.add_to_principal_policy(key.use_through_sqs())

        producers = ProducerPolicy(
            self,
            "ProducerPolicy",
            key=key,
            queues=queues,
            routing=routing,
            sender=sender,
            api=api,
            workflow=workflow,
        )
        admit_other_accounts(options, key=key, queues=queues, routing=routing, sender=sender)

        values = {
            "MessageQueueUrl": queues.messages.queue_url,
            "DeadLetterQueueUrl": queues.dead_letter.queue_url,
            "RejectedQueueUrl": queues.rejected.queue_url,
            "UnpublishedResultsQueueUrl": queues.unpublished_results.queue_url,
            "EventsDeadLetterQueueUrl": queues.events_dead_letter.queue_url,
            "EventBusName": routing.bus.event_bus_name,
            "FunctionName": sender.function.function_name,
            "FunctionAliasArn": sender.alias.function_arn,
            "ApiUrl": api.api.url,
            "StateMachineArn": state_machine_arn,
            "DataKeyArn": key.key_arn,
            "ProducerPolicyArn": producers.managed_policy_arn,
        }
        for name, value in values.items():
            cdk.CfnOutput(self, name, value=value, description=OUTPUTS[name])

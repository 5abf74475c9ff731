"""The whole service: what there is, how it is wired, and who may do what."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.data_key import DataKey
from infra.event_routing import REQUEST_DETAIL_TYPE, RESULT_SOURCE, EventRouting
from infra.message_api import MessageApi
from infra.message_queues import MessageQueues
from infra.monitoring import Monitoring
from infra.options import StageOptions
from infra.send_workflow import SendWorkflow
from infra.sender_function import TIMEOUT, SenderFunction


class ConnectMessageSender(cdk.Stack):
    def __init__(self, scope: Construct, construct_id: str, *, stage: str, options: StageOptions) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Delivers chat messages to Amazon Connect",
            tags={"project": "connect-message-sender", "stage": stage},  # CloudFormation tags all that can be
            termination_protection=options.retain_data,
        )

        key = DataKey(self, "DataKey", removal_policy=options.removal_policy)
        queues = MessageQueues(self, "MessageQueues", key=key, consumer_timeout=TIMEOUT, options=options)
        routing = EventRouting(self, "EventRouting", key=key, dead_letters=queues.events_dead_letter)
        sender = SenderFunction(self, "Sender", key=key, queues=queues, bus=routing.bus, options=options)
        requests = routing.route_requests(
            to=sender.alias, dead_letters=queues.events_dead_letter, options=options
        )
        api = MessageApi(
            self, "MessageApi", key=key, queue=queues.messages, function=sender.alias, options=options
        )
        workflow = SendWorkflow(
            self, "SendWorkflow", key=key, queues=queues, function=sender.alias, options=options
        )
        Monitoring(
            self,
            "Monitoring",
            queues=queues,
            bus=routing.bus,
            requests=requests,
            sender=sender,
            api=api,
            workflow=workflow,
            options=options,
        )

        # The sender takes messages from the queue, and puts there those of events that cannot be sent now ...
        queues.messages.grant(
            sender.role,
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:ChangeMessageVisibility",
            "sqs:GetQueueAttributes",
            "sqs:SendMessage",
        )
        # ... publishes results, and cannot publish under another name ...
        sender.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["events:PutEvents"],
                resources=[routing.bus.event_bus_arn],
                conditions={
                    # A key of many values, for which ForAllValues also holds when there are none
                    "ForAllValues:StringEquals": {"events:source": RESULT_SOURCE},
                    "Null": {"events:source": "false"},
                },
            )
        )
        # ... and puts aside what waits for a person. SendMessage in Amazon Connect takes no IAM permission.
        queues.dead_letter.grant(sender.role, "sqs:SendMessage")
        queues.rejected.grant(sender.role, "sqs:SendMessage")
        queues.unpublished_results.grant(sender.role, "sqs:SendMessage")
        queues.events_dead_letter.grant(sender.role, "sqs:SendMessage")
        key.grant(sender.role, "kms:Decrypt", "kms:GenerateDataKey")
        sender.log_group.grant_write(sender.role)

        # It answers the tasks of state machines that wait for a message. Not by the role's own policy: that
        # comes before the function, and the function before the state machine.
        iam.Policy(
            self,
            "TaskCallbacks",
            roles=[sender.role],
            statements=[
                iam.PolicyStatement(
                    actions=["states:SendTaskSuccess", "states:SendTaskFailure"],
                    resources=[workflow.state_machine.state_machine_arn, *options.task_state_machine_arns],
                ),
                # What a task is answered with is encrypted in the name of who answers
                iam.PolicyStatement(
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=[key.key_arn],
                    conditions={
                        "StringEquals": {
                            "kms:EncryptionContext:aws:states:stateMachineArn": (
                                workflow.state_machine.state_machine_arn
                            )
                        }
                    },
                ),
            ],
        )

        # The API puts messages on the queue, and the state machine does
        through_sqs = {"StringEquals": {"kms:ViaService": f"sqs.{self.region}.amazonaws.com"}}
        workflow.state_machine.add_to_role_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[key.key_arn],
                conditions=through_sqs,
            )
        )
        queues.messages.grant(api.role, "sqs:SendMessage")
        api.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=[key.key_arn],
                conditions=through_sqs,
            )
        )

        # Requests only: a producer cannot publish a result. Nor can it send a request in the function's name,
        # which the rule would leave aside in silence.
        requests_only = {
            "StringEquals": {"events:detail-type": REQUEST_DETAIL_TYPE},
            "ForAllValues:StringNotEquals": {"events:source": RESULT_SOURCE},
        }
        producer_policy = iam.ManagedPolicy(
            self,
            "ProducerPolicy",
            description="What a producer of messages needs, whichever way they go in",
            statements=[
                iam.PolicyStatement(
                    actions=["sqs:SendMessage"],
                    resources=[queues.messages.queue_arn],
                ),
                iam.PolicyStatement(
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=[key.key_arn],
                    conditions=through_sqs,
                ),
                iam.PolicyStatement(
                    actions=["lambda:InvokeFunction"],
                    resources=[sender.alias.function_arn],
                ),
                iam.PolicyStatement(
                    actions=["events:PutEvents"],
                    resources=[routing.bus.event_bus_arn],
                    conditions=requests_only,
                ),
                iam.PolicyStatement(
                    actions=["execute-api:Invoke"],
                    resources=[api.queue_method.method_arn, api.synchronous_method.method_arn],
                ),
                iam.PolicyStatement(
                    actions=["states:StartExecution"],
                    resources=[workflow.state_machine.state_machine_arn],
                ),
            ],
        )

        # Producers in other accounts need the same of each resource, beside a policy of their own. The API
        # has its resource policy from the start; a state machine can have none.
        if options.producer_principals:
            producers = [iam.ArnPrincipal(arn) for arn in options.producer_principals]
            queues.messages.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="Producers",
                    principals=producers,
                    actions=["sqs:SendMessage"],
                    resources=[queues.messages.queue_arn],
                )
            )
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="Producers",
                    principals=producers,
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=["*"],
                    conditions=through_sqs,
                )
            )
            routing.bus.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="Producers",
                    principals=producers,
                    actions=["events:PutEvents"],
                    resources=[routing.bus.event_bus_arn],
                    conditions=requests_only,
                )
            )
            for producer in producers:
                sender.alias.add_permission(f"Producer {producer.arn}", principal=producer)

        for name, value in {
            "MessageQueueUrl": queues.messages.queue_url,
            "DeadLetterQueueUrl": queues.dead_letter.queue_url,
            "RejectedQueueUrl": queues.rejected.queue_url,
            "UnpublishedResultsQueueUrl": queues.unpublished_results.queue_url,
            "EventsDeadLetterQueueUrl": queues.events_dead_letter.queue_url,
            "EventBusName": routing.bus.event_bus_name,
            "FunctionName": sender.function.function_name,
            "FunctionAliasArn": sender.alias.function_arn,
            "ApiUrl": api.api.url,
            "StateMachineArn": workflow.state_machine.state_machine_arn,
            "DataKeyArn": key.key_arn,
            "ProducerPolicyArn": producer_policy.managed_policy_arn,
        }.items():
            cdk.CfnOutput(self, name, value=value)

"""A state machine that sends a message: how to use the queue and the function from Step Functions."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.gates import UNTRACED, acknowledge
from infra.message_queues import MessageQueues
from infra.options import StageOptions

# The function's errors: the names of its classes, which Step Functions takes as names of errors
RETRYABLE_ERRORS = (
    "ThrottledError",
    "ServiceUnavailableError",
    "ConnectionFailedError",
    "DeadlineExceededError",
)
REJECTED_ERRORS = (
    *("InvalidRequestError", "ServiceValidationError", "AccessDeniedError"),
    *("ExpiredError", "ProcessingRejectedError", "UnexpectedResponseError"),
)

# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
_INVOCATION_ERRORS = (
    *("Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"),
    *("Lambda.TooManyRequestsException", "Lambda.ClientExecutionTimeoutException"),
)

# After at most 2, 4, 8, 16, 32 seconds, then 60 seconds nine times: ten minutes in all, half of it on average
_INVOCATION_RETRIES = 14

# Twice the retries' waits and the function's timeouts
_INVOCATIONS_TIMEOUT = cdk.Duration.minutes(35)

# After at most 1, 2, 4, 8, 16 seconds
_QUEUE_RETRIES = 5

# Of a list, JSONata would merge the items: one message, made of many
_IS_ONE_REQUEST = "$type($states.input) = 'object'"

# A ContactId that keeps the rule of the contract is a message group. Any other goes to the function, which
# says what is wrong with it, and so does a TaskToken: the one that this machine waits with is its own.
_HAS_MESSAGE_GROUP = (
    "{% $type($states.input.ContactId) = 'string' and $not($exists($states.input.TaskToken))"
    " ? $contains($states.input.ContactId, /^[A-Za-z0-9-]{1,128}$/) : false %}"
)

# Each try brings another task token, and so does a redrive of the execution, which counts its tries anew:
# under one id the queue would drop the second message. At most 128 characters.
_DEDUPLICATION_ID = (
    "{% $hash($states.context.Execution.Id, 'SHA-256')"
    " & '-' & $states.context.State.RetryCount & '-' & $states.context.Execution.RedriveCount %}"
)


class SendWorkflow(Construct):
    """The state machine: its input is the message request, its output the function's result.

    A message with a ContactId goes through the queue, in order with the others of its chat, and its task
    waits until the outcome is final. One without has no order, and is sent by an invocation of the function.

    The input holds the connection token, and so does the execution's history, encrypted with the key. The
    output and the logs do not hold it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.Key,
        queues: MessageQueues,
        function: lambda_.IFunction,
        options: StageOptions,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)

        # The last receive in the retry window may be lost with its invocation, and so may the one after it.
        # What takes longer is not lost: its outcome is published, but this execution does not wait for it.
        task_timeout = cdk.Duration.seconds(
            60 * options.retry_window_minutes + 2 * queues.visibility_timeout.to_seconds()
        )

        rejected = sfn.Fail.jsonata(
            self,
            "Rejected",
            comment="The message can never be sent as it is. The place for what a chat does then.",
            error="{% $states.input.Error %}",
            cause="{% $states.input.Cause %}",
        )

        wait_for_outcome = tasks.SqsSendMessage.jsonata(
            self,
            "SendToQueue",
            comment="The function answers the task when the outcome is final",
            # Without its key, for which the task would be granted more than it needs
            queue=sqs.Queue.from_queue_attributes(
                self, "Queue", queue_arn=queues.messages.queue_arn, queue_url=queues.messages.queue_url
            ),
            integration_pattern=sfn.IntegrationPattern.WAIT_FOR_TASK_TOKEN,
            message_body=sfn.TaskInput.from_text(
                f"{{% {_IS_ONE_REQUEST}"
                " ? $merge([$states.input, {'TaskToken': $states.context.Task.Token}])"
                " : $error('The input must be one request: a JSON object') %}"
            ),
            message_group_id="{% $states.input.ContactId %}",
            message_deduplication_id=_DEDUPLICATION_ID,
            task_timeout=sfn.Timeout.duration(task_timeout),
        )
        # The outcome is final: what is given up lies in the dead-letter queue
        wait_for_outcome.add_retry(errors=[*RETRYABLE_ERRORS, *REJECTED_ERRORS], max_attempts=0)
        # Any other is an error of SQS. If the queue has taken the message after all, it comes twice under one
        # ClientToken, and is shown once. A timeout is not among them: the outcome is not known then.
        wait_for_outcome.add_retry(
            errors=["States.TaskFailed"],
            interval=cdk.Duration.seconds(1),
            backoff_rate=2,
            max_attempts=_QUEUE_RETRIES,
            jitter_strategy=sfn.JitterType.FULL,
        )
        wait_for_outcome.add_catch(rejected, errors=[*REJECTED_ERRORS])

        invoke = tasks.LambdaInvoke.jsonata(
            self,
            "SendMessage",
            lambda_function=function,
            payload=sfn.TaskInput.from_text("{% $states.input %}"),
            outputs="{% $states.result.Payload %}",
            retry_on_service_exceptions=False,  # they are among those below
        )
        invoke.add_retry(
            errors=[*RETRYABLE_ERRORS, *_INVOCATION_ERRORS],
            interval=cdk.Duration.seconds(2),
            backoff_rate=2,
            max_delay=cdk.Duration.seconds(60),
            max_attempts=_INVOCATION_RETRIES,
            jitter_strategy=sfn.JitterType.FULL,
        )
        invoke.add_catch(rejected, errors=[*REJECTED_ERRORS])

        # In a state of its own, before the task: each retry has the same, so that the message is sent once
        make_client_token = sfn.Pass.jsonata(
            self,
            "MakeClientToken",
            comment="The request's own ClientToken, if it has one, takes precedence",
            outputs="{% $merge([{'ClientToken': $uuid()}, $states.input]) %}",
        )
        one_request = (
            sfn.Choice.jsonata(self, "IsOneRequest")
            .when(sfn.Condition.jsonata(f"{{% {_IS_ONE_REQUEST} %}}"), make_client_token)
            .otherwise(
                sfn.Fail.jsonata(
                    self,
                    "NotOneRequest",
                    error="InvalidRequestError",
                    cause="The input must be one request: a JSON object",
                )
            )
        )
        choose_way = (
            sfn.Choice.jsonata(self, "HasMessageGroup")
            .when(sfn.Condition.jsonata(_HAS_MESSAGE_GROUP), wait_for_outcome)
            .otherwise(invoke)
        )
        make_client_token.next(choose_way)

        self.log_group = logs.LogGroup(
            self,
            "Logs",
            encryption_key=key,
            retention=options.log_retention,
            removal_policy=options.removal_policy,
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            # Encryption takes a name that is known beforehand: the role's right to the key is bound to it
            state_machine_name=f"{stack.stack_name}-send",
            state_machine_type=sfn.StateMachineType.STANDARD,
            comment="Sends one chat message to Amazon Connect",
            definition_body=sfn.DefinitionBody.from_chainable(one_request),
            query_language=sfn.QueryLanguage.JSONATA,
            timeout=task_timeout.plus(_INVOCATIONS_TIMEOUT),  # more than either way may take
            encryption_configuration=sfn.CustomerManagedEncryptionConfiguration(key),
            logs=sfn.LogOptions(
                destination=self.log_group,
                level=sfn.LogLevel.ALL,
                include_execution_data=False,
            ),
            tracing_enabled=options.tracing,
        )
        acknowledge(
            self.state_machine,
            "AwsSolutions-IAM5[Resource::*]",
            because="Neither the delivery of logs nor X-Ray knows resources",
        )
        if not options.tracing:
            acknowledge(
                self.state_machine,
                "AwsSolutions-SF2",
                "Serverless-StepFunctionStateMachineXray",
                because=UNTRACED,
            )

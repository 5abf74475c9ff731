"""The state machine that sends a message from Step Functions."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from .gates import UNTRACED, acknowledge
from .message_queues import MessageQueues
from .options import Options
from .retention import log_group
from .sender_function import SenderFunction

# The names of the function's exception classes. Step Functions uses them as names of errors.
RETRYABLE_ERRORS = (
    "ThrottledError",
    "ServiceUnavailableError",
    "ConnectionFailedError",
    "KeyUnavailableError",
    "DeadlineExceededError",
)
REJECTED_ERRORS = (
    *("InvalidRequestError", "TokenUnreadableError", "ServiceValidationError", "AccessDeniedError"),
    *("ExpiredError", "ProcessingRejectedError", "UnexpectedResponseError"),
)

# https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
_INVOCATION_ERRORS = (
    *("Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"),
    *("Lambda.TooManyRequestsException", "Lambda.ClientExecutionTimeoutException"),
)

# Waits of at most 2, 4, 8, 16, 32 seconds, then nine times 60: ten minutes in all, on average half of that
_INVOCATION_RETRIES = 14

# Twice the sum of these waits and the function's timeouts
_INVOCATIONS_TIMEOUT = cdk.Duration.minutes(35)

# Waits of at most 1, 2, 4, 8, 16 seconds
_QUEUE_RETRIES = 5

# JSONata would merge the items of a list into one message
_IS_ONE_REQUEST = "$type($states.input) = 'object'"

# A valid ContactId is a message group. Requests with any other go to the function, which reports the error.
# So do requests with a TaskToken: this state machine waits with its own.
_HAS_MESSAGE_GROUP = (
    "{% $type($states.input.ContactId) = 'string' and $not($exists($states.input.TaskToken))"
    " ? $contains($states.input.ContactId, /^[A-Za-z0-9-]{1,128}$/) : false %}"
)

# Every attempt has a new task token. So has every redrive of the execution, which restarts the count of
# retries. With one id for all, the queue would drop the second message. At most 128 characters.
_DEDUPLICATION_ID = (
    "{% $hash($states.context.Execution.Id, 'SHA-256')"
    " & '-' & $states.context.State.RetryCount & '-' & $states.context.Execution.RedriveCount %}"
)


class SendWorkflow(Construct):
    """The state machine: its input is the message request, its output the function's result.

    A message with a ContactId goes through the queue, in order with the others of its chat. Its task waits
    until the outcome is final. A message without one has no order: the state machine invokes the function.

    The input and the execution's history contain the connection token. The key encrypts the history. The
    output and the logs do not contain the token.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        key: kms.Key,
        queues: MessageQueues,
        sender: SenderFunction,
        options: Options,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)

        # The last receive in the retry window can be lost with its invocation, and so can the one after it.
        # If a message takes longer, its outcome is still published, but this execution no longer waits.
        task_timeout = cdk.Duration.seconds(
            60 * options.retry_window_minutes + 2 * queues.visibility_timeout.to_seconds()
        )

        rejected = sfn.Fail.jsonata(
            self,
            "Rejected",
            comment="The message can never be sent. Put here what your chat should do then.",
            error="{% $states.input.Error %}",
            cause="{% $states.input.Cause %}",
        )

        wait_for_outcome = tasks.SqsSendMessage.jsonata(
            self,
            "SendToQueue",
            comment="The function completes the task when the outcome is final",
            # Without its key: with it the CDK would grant the task more than it needs
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
        # These outcomes are final. A message whose retries are exhausted is in the dead-letter queue.
        wait_for_outcome.add_retry(errors=[*RETRYABLE_ERRORS, *REJECTED_ERRORS], max_attempts=0)
        # All other errors are those of SQS. If SQS accepted the message nevertheless, the retry has the same
        # ClientToken and the chat shows it once. A timeout is not retried: the outcome is not known.
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
            lambda_function=sender.alias,
            payload=sfn.TaskInput.from_text("{% $states.input %}"),
            outputs="{% $states.result.Payload %}",
            retry_on_service_exceptions=False,  # they are listed below
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

        # Before the task, so that every retry has the same ClientToken and the message is sent once
        make_client_token = sfn.Pass.jsonata(
            self,
            "MakeClientToken",
            comment="A ClientToken in the request takes precedence",
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

        # Log delivery adds every log group to a policy of limited size, unless its name has this prefix:
        # https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-cwl
        # The id of the stack is another after a deletion, so a log group that was kept is not in the way.
        stack_uuid = cdk.Fn.select(2, cdk.Fn.split("/", stack.stack_id))
        self.log_group = log_group(
            self,
            "Logs",
            key=key,
            options=options,
            name=f"/aws/vendedlogs/states/{name}-{stack_uuid}",
        )
        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            # The role's permission to use the key names the state machine, so the name must be fixed
            state_machine_name=f"{name}-send",
            state_machine_type=sfn.StateMachineType.STANDARD,
            comment="Sends one chat message to Amazon Connect",
            definition_body=sfn.DefinitionBody.from_chainable(one_request),
            query_language=sfn.QueryLanguage.JSONATA,
            timeout=task_timeout.plus(_INVOCATIONS_TIMEOUT),  # longer than both ways can take
            encryption_configuration=sfn.CustomerManagedEncryptionConfiguration(key),
            logs=sfn.LogOptions(
                destination=self.log_group,
                level=sfn.LogLevel.ALL,
                include_execution_data=False,
            ),
            tracing_enabled=options.traced,
        )
        acknowledge(
            self.state_machine,
            "AwsSolutions-IAM5[Resource::*]",
            because="Log delivery and X-Ray have no resource types",
        )
        if not options.traced:
            acknowledge(
                self.state_machine,
                "AwsSolutions-SF2",
                "Serverless-StepFunctionStateMachineXray",
                because=UNTRACED,
            )

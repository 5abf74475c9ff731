"""A state machine that sends a message: how to invoke the function from Step Functions."""

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.gates import UNTRACED, acknowledge
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
_RETRIES = 14

# Twice the retries' waits and the function's timeouts
_TIMEOUT = cdk.Duration.minutes(35)


class SendWorkflow(Construct):
    """The state machine: its input is the message request, its output the function's result.

    The input holds the connection token, and so does the execution's history, encrypted with the key. The
    output and the logs do not hold it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.Key,
        function: lambda_.IFunction,
        options: StageOptions,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)

        # In a state of its own, before the task: each retry has the same, so that the message is sent once
        make_client_token = sfn.Pass(
            self,
            "MakeClientToken",
            comment="The request's own ClientToken, if it has one, takes precedence",
            parameters={
                "Made": {"ClientToken": sfn.JsonPath.uuid()},
                "Request": sfn.JsonPath.entire_payload,
            },
        )
        send_message = tasks.LambdaInvoke(
            self,
            "SendMessage",
            lambda_function=function,
            payload=sfn.TaskInput.from_json_path_at("States.JsonMerge($.Made, $.Request, false)"),
            output_path="$.Payload",
            retry_on_service_exceptions=False,  # they are among those below
        )
        send_message.add_retry(
            errors=[*RETRYABLE_ERRORS, *_INVOCATION_ERRORS],
            interval=cdk.Duration.seconds(2),
            backoff_rate=2,
            max_delay=cdk.Duration.seconds(60),
            max_attempts=_RETRIES,
            jitter_strategy=sfn.JitterType.FULL,
        )
        send_message.add_catch(
            sfn.Fail(
                self,
                "Rejected",
                comment="The message can never be sent as it is. The place for what a chat does then.",
                error_path="$.Error",
                cause_path="$.Cause",
            ),
            errors=[*REJECTED_ERRORS],
        )

        self.state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            # Encryption takes a name that is known beforehand: the role's right to the key is bound to it
            state_machine_name=f"{stack.stack_name}-send",
            state_machine_type=sfn.StateMachineType.STANDARD,
            comment="Sends one chat message to Amazon Connect",
            definition_body=sfn.DefinitionBody.from_chainable(make_client_token.next(send_message)),
            timeout=_TIMEOUT,
            encryption_configuration=sfn.CustomerManagedEncryptionConfiguration(key),
            logs=sfn.LogOptions(
                destination=logs.LogGroup(
                    self,
                    "Logs",
                    encryption_key=key,
                    retention=options.log_retention,
                    removal_policy=options.removal_policy,
                ),
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

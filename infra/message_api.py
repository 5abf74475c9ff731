"""The REST API: one route puts messages on the queue, the other invokes the function."""

import json
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from .api_models import GATEWAY_ERRORS, QUEUE_FAILED, QUEUED_REQUIRES, request_model
from .contract import REQUEST_SCHEMA
from .gates import UNTRACED, acknowledge
from .message_queues import MessageQueues
from .options import Options
from .retention import log_group
from .sender_function import SenderFunction

# The call of SQS. API Gateway does not read the value of a reference as template again. URL-encoding leaves
# nothing in it that could start another parameter, header or JSON value. One line, because API Gateway would
# send a line break, too.
_SEND_MESSAGE = (
    "Action=SendMessage"
    "&MessageGroupId=$util.urlEncode($input.path('$.ContactId'))"
    # A caller can set requestId, but not this one. It is Base64, and SQS accepts all of its characters. Not
    # shortened: SQS would drop a message whose id was cut to that of another.
    "&MessageDeduplicationId=$util.urlEncode($context.extendedRequestId)"
    # The original text. json('$') would drop repeated keys, which the function must see to refuse them.
    "&MessageBody=$util.urlEncode($input.body)"
)
_MESSAGE_ID = "$input.path('$.SendMessageResponse.SendMessageResult.MessageId')"
_ACCEPTED = f'{{"MessageId": "{_MESSAGE_ID}"}}'

# No body, no header and no path as sent. Also not what API Gateway says about a refused body
# (`$context.error.message`, `validationErrorString`): it can quote the connection token.
_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "extendedRequestId": "$context.extendedRequestId",
    "requestTime": "$context.requestTime",
    "caller": "$context.identity.userArn",
    "sourceIp": "$context.identity.sourceIp",
    "tlsVersion": "$context.tlsVersion",
    "cipherSuite": "$context.cipherSuite",
    "httpMethod": "$context.httpMethod",
    "resourcePath": "$context.resourcePath",
    "status": "$context.status",
    "errorType": "$context.error.responseType",
    "integrationStatus": "$context.integration.status",
    "integrationLatency": "$context.integration.latency",
    "responseLatency": "$context.responseLatency",
}

STAGE = "v1"

# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-override-request-response-parameters.html
_LOCATION = f'#set($context.responseOverride.header.Location = "/{STAGE}/messages/{_MESSAGE_ID}")'

_JSON = "application/json"

# API Gateway compares the whole Content-Type with the keys of the request templates. .NET, OkHttp and Spring
# send the charset.
_JSON_SPELLINGS = (
    _JSON,
    *(f"{_JSON};{space}charset={charset}" for space in (" ", "") for charset in ("utf-8", "UTF-8")),
)

# The model for every Content-Type. Without a model for its Content-Type, a body is not validated:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-method-request-validation.html
_ANY_TYPE = "$default"

# TLS 1.2 and 1.3, with every cipher of the policy TLS_1_2. The default of a Regional API is TLS 1.0:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies-list.html
_TLS_POLICY = "SecurityPolicy_TLS13_1_2_PQ_2025_09"

# The way from BASIC to STRICT interrupts nothing. The way back makes the API unavailable for 15 minutes:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies.html
_ENDPOINT_ACCESS = "BASIC"

_LOG_POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"


def _resource_policy(options: Options) -> iam.PolicyDocument | None:
    """Return the policy for producers in other accounts and for source addresses, if options name any."""
    statements = []
    if options.producer_principals:
        statements.append(
            iam.PolicyStatement(
                principals=[iam.ArnPrincipal(arn) for arn in options.producer_principals],
                actions=["execute-api:Invoke"],
                resources=[f"execute-api:/{STAGE}/POST/messages", f"execute-api:/{STAGE}/POST/messages/sync"],
            )
        )
    if options.api_source_cidrs:
        statements.append(
            iam.PolicyStatement(
                effect=iam.Effect.DENY,
                principals=[iam.AnyPrincipal()],
                actions=["execute-api:Invoke"],
                resources=["execute-api:/*"],
                conditions={"NotIpAddress": {"aws:SourceIp": [*options.api_source_cidrs]}},
            )
        )
    return iam.PolicyDocument(statements=statements) if statements else None


class MessageApi(Construct):
    """A REST API with IAM authorization. Its role has no permissions until the sender grants them."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        key: kms.IKey,
        queues: MessageQueues,
        sender: SenderFunction,
        options: Options,
    ) -> None:
        super().__init__(scope, construct_id)

        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"))
        self.access_log = log_group(self, "AccessLog", key=key, options=options)
        self.api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=name,  # otherwise every API is called `Api`
            description="Accepts chat messages for Amazon Connect",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            policy=_resource_policy(options),
            default_method_options=apigateway.MethodOptions(
                authorization_type=apigateway.AuthorizationType.IAM
            ),
            # The role by which API Gateway writes logs belongs to the account and serves all its APIs. An
            # account has one per Region, so a second stack must not set it again.
            cloud_watch_role=options.manage_api_gateway_account,
            cloud_watch_role_removal_policy=(
                cdk.RemovalPolicy.RETAIN if options.manage_api_gateway_account else None
            ),
            deploy_options=apigateway.StageOptions(
                stage_name=STAGE,
                access_log_destination=apigateway.LogGroupLogDestination(self.access_log),
                access_log_format=apigateway.AccessLogFormat.custom(json.dumps(_ACCESS_LOG)),
                logging_level=apigateway.MethodLoggingLevel.OFF,
                data_trace_enabled=False,
                tracing_enabled=options.traced,
                # Stops a runaway caller before it fills the queue
                throttling_rate_limit=100,
                throttling_burst_limit=200,
                method_options={
                    # The function gets no more calls than Amazon Connect accepts. Its burst is 1.5 times
                    # the quota.
                    "/messages/sync/POST": apigateway.MethodDeploymentOptions(
                        throttling_rate_limit=options.send_quota_per_second,
                        throttling_burst_limit=options.send_quota_per_second * 3 // 2,
                    ),
                },
            ),
        )
        # The CDK's own RestApi has no parameters for them
        resource = cast("apigateway.CfnRestApi", self.api.node.default_child)
        resource.security_policy = _TLS_POLICY
        resource.endpoint_access_mode = _ENDPOINT_ACCESS
        acknowledge(
            self.api,
            "AwsSolutions-APIG6",
            because="Execution logs can contain the connection token. The access log cannot",
        )
        acknowledge(
            self.api, "AwsSolutions-COG4", because="Producers are machines: IAM authorizes every method"
        )
        if options.manage_api_gateway_account:
            acknowledge(
                self.api,
                f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{_LOG_POLICY}]",
                because="The role belongs to the account and serves all its APIs. AWS defines what it needs",
            )
        if not options.traced:
            acknowledge(self.api, "Serverless-APIGWXrayEnabled", because=UNTRACED)
        if options.api_web_acl_arn is None:
            acknowledge(
                self.api,
                "AwsSolutions-APIG3",
                because="IAM admits known producers only. The option api_web_acl_arn adds a web ACL",
            )
        else:
            wafv2.CfnWebACLAssociation(
                self,
                "WebAcl",
                resource_arn=self.api.deployment_stage.stage_arn,
                web_acl_arn=options.api_web_acl_arn,
            )
        self.api.node.try_remove_child("Endpoint")  # an output: the stack has its own

        for response_type, error in GATEWAY_ERRORS.items():
            self.api.add_gateway_response(
                response_type,
                type=apigateway.ResponseType.of(response_type),
                status_code=None if error.status is None else str(error.status),
                templates={_JSON: error.body},
            )

        queued_message = self._model("QueuedMessage", also_required=QUEUED_REQUIRES)
        self._messages = messages = self.api.root.add_resource("messages")
        self.queue_method = messages.add_method(
            "POST",
            self._queue_integration(queues, _LOCATION + _ACCEPTED if options.outcome_lookup else _ACCEPTED),
            request_validator=self.api.add_request_validator(
                "Body", validate_request_body=True, validate_request_parameters=True
            ),
            request_models=dict.fromkeys((_JSON, _ANY_TYPE), queued_message),
            method_responses=[
                apigateway.MethodResponse(status_code="202"),
                apigateway.MethodResponse(status_code=str(QUEUE_FAILED.status)),
            ],
        )
        # Without a model: the function's answer to a wrong body names field and rule, API Gateway's cannot
        self.synchronous_method = messages.add_resource("sync").add_method(
            "POST", apigateway.LambdaIntegration(sender.alias, allow_test_invoke=False)
        )

    def add_lookup(self, function: lambda_.IFunction) -> apigateway.Method:
        """Add the route that answers with the outcome of a message. The function gets the request."""
        return self._messages.add_resource("{id}").add_method(
            "GET", apigateway.LambdaIntegration(function, allow_test_invoke=False)
        )

    def _model(self, name: str, *, also_required: str) -> apigateway.IModel:
        schema = request_model(REQUEST_SCHEMA, also_required=also_required)
        # The CDK's own Model accepts a schema only in the classes of the CDK
        model = apigateway.CfnModel(
            self, name, rest_api_id=self.api.rest_api_id, content_type=_JSON, schema=schema
        )
        # Unlike the CDK's own Model, this one does not redeploy the API when it changes
        deployment = cast("apigateway.Deployment", self.api.latest_deployment)
        deployment.node.add_dependency(model)
        deployment.add_to_logical_id({name: schema})
        return apigateway.Model.from_model_name(self, f"{name}Model", model.ref)

    def _queue_integration(self, queues: MessageQueues, accepted: str) -> apigateway.AwsIntegration:
        return apigateway.AwsIntegration(
            service="sqs",
            path=f"{cdk.Stack.of(self).account}/{queues.messages.queue_name}",
            options=apigateway.IntegrationOptions(
                credentials_role=self.role,
                passthrough_behavior=apigateway.PassthroughBehavior.NEVER,
                request_parameters={
                    "integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"
                },
                request_templates=dict.fromkeys(_JSON_SPELLINGS, _SEND_MESSAGE),
                integration_responses=[
                    # Without a pattern it is for every status of SQS but 200
                    apigateway.IntegrationResponse(
                        status_code=str(QUEUE_FAILED.status), response_templates={_JSON: QUEUE_FAILED.body}
                    ),
                    apigateway.IntegrationResponse(
                        status_code="202", selection_pattern="200", response_templates={_JSON: accepted}
                    ),
                ],
            ),
        )

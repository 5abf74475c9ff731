import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from infra.api_models import request_model
from infra.contract import REQUEST_SCHEMA
from tests.infra.iam import allows, resolve
from tests.infra.template import (
    ACCESS_LOG,
    ALIAS,
    API,
    API_ROLE,
    API_STAGE,
    EVERYTHING,
    KEY,
    MESSAGES,
    QUEUE_METHOD,
    SYNCHRONOUS_METHOD,
    Synthesize,
    Template,
    arn,
    properties,
    ref,
)
from tests.infra.vtl import render

ASSOCIATION = "AWS::WAFv2::WebACLAssociation"

HOSTILE = [
    "&MessageGroupId=other&MessageBody=other",
    "a=b&c+d%20e%%2526;f",
    "%26Action=DeleteQueue",
    "line\nbreak\r\n\ttab \"quote\" 'quote' back\\slash",
    "\N{GRINNING FACE} \N{RIGHT-TO-LEFT OVERRIDE}emoji\N{RIGHT-TO-LEFT MARK} \N{ZERO WIDTH SPACE}",
    "$input.body ${context.requestId} #set($group = 'other') #foreach ## #*",
]


def integration(template: Template, method: str) -> dict[str, Any]:
    return dict(properties(template, method)["Integration"])


def request_template(template: Template) -> str:
    return str(integration(template, QUEUE_METHOD)["RequestTemplates"]["application/json"])


def account_resources(template: Template) -> list[str]:
    """Return the logical ids of the account's API Gateway settings and of the role in them."""
    return [
        *template.of_type("AWS::ApiGateway::Account"),
        *(
            name
            for name, role in template.of_type("AWS::IAM::Role").items()
            if "AmazonAPIGatewayPushToCloudWatchLogs" in str(role)
        ),
    ]


def responses(template: Template) -> dict[str | None, dict[str, Any]]:
    """Return the responses of the queue route by the status of SQS. None is for all others."""
    return {
        response.get("SelectionPattern"): response
        for response in integration(template, QUEUE_METHOD)["IntegrationResponses"]
    }


def call_of_sqs(template: str, *, body: str) -> list[tuple[str, str]]:
    """Render the template for a body and return the parameters that SQS reads."""
    names = {"input.body": body, "context.extendedRequestId": "JKJaX+/LvHcESHA="}
    return parse_qsl(render(template, names), keep_blank_values=True, strict_parsing=True)


def test_api_is_regional(template: Template) -> None:
    assert properties(template, API)["EndpointConfiguration"] == {"Types": ["REGIONAL"]}


def test_every_method_is_authorized_by_iam(template: Template) -> None:
    methods = template.of_type("AWS::ApiGateway::Method")

    authorization = {name: method["Properties"]["AuthorizationType"] for name, method in methods.items()}

    assert authorization == {QUEUE_METHOD: "AWS_IAM", SYNCHRONOUS_METHOD: "AWS_IAM"}


def test_api_accepts_tls_1_2_and_1_3_only(template: Template) -> None:
    api = properties(template, API)

    # https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies-list.html
    assert api["SecurityPolicy"] == "SecurityPolicy_TLS13_1_2_PQ_2025_09"
    # API Gateway refuses a policy of this name without a mode
    assert api["EndpointAccessMode"] == "BASIC"


def test_model_of_the_contract_validates_the_body_of_the_queue_route(template: Template) -> None:
    declared = properties(template, QUEUE_METHOD)
    models = declared["RequestModels"]
    model = properties(template, models["application/json"]["Ref"])
    validator = properties(template, declared["RequestValidatorId"]["Ref"])

    # A body whose Content-Type has no model is not validated. `$default` is for all others.
    assert models == dict.fromkeys(("application/json", "$default"), models["application/json"])
    assert model["ContentType"] == "application/json"
    assert model["Schema"] == request_model(REQUEST_SCHEMA, also_required="ContactId")
    assert validator["ValidateRequestBody"] is True
    assert validator["ValidateRequestParameters"] is True


def test_function_itself_validates_the_body_of_the_synchronous_route(template: Template) -> None:
    declared = properties(template, SYNCHRONOUS_METHOD)

    # Its answer names field and rule. That of API Gateway is the same for every body.
    assert "RequestModels" not in declared
    assert "RequestValidatorId" not in declared
    assert len(template.of_type("AWS::ApiGateway::Model")) == 1


def test_deployment_changes_with_a_model(dev: Template) -> None:
    deployment = dev.resources[properties(dev, API_STAGE)["DeploymentId"]["Ref"]]

    assert {*dev.of_type("AWS::ApiGateway::Model")} <= {*deployment["DependsOn"]}


def test_queue_route_puts_the_message_on_the_queue_with_its_own_role(template: Template) -> None:
    declared = integration(template, QUEUE_METHOD)

    assert declared["Type"] == "AWS"
    assert declared["Credentials"] == arn(API_ROLE)
    assert declared["Uri"]["Fn::Join"][1][-4:] == [
        ":sqs:path/",
        ref("AWS::AccountId"),
        "/",
        {"Fn::GetAtt": [MESSAGES, "QueueName"]},
    ]


def test_queue_route_accepts_only_json_and_sends_a_form(template: Template) -> None:
    declared = integration(template, QUEUE_METHOD)

    assert declared["PassthroughBehavior"] == "NEVER"
    assert declared["RequestTemplates"] == dict.fromkeys(
        (
            "application/json",
            "application/json; charset=utf-8",
            "application/json;charset=utf-8",
            "application/json; charset=UTF-8",
            "application/json;charset=UTF-8",
        ),
        request_template(template),
    )
    assert declared["RequestParameters"] == {
        "integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"
    }


def test_template_of_the_queue_route_is_one_line_and_encodes_every_value(template: Template) -> None:
    assert request_template(template) == (
        "Action=SendMessage"
        "&MessageGroupId=$util.urlEncode($input.path('$.ContactId'))"
        "&MessageDeduplicationId=$util.urlEncode($context.extendedRequestId)"
        "&MessageBody=$util.urlEncode($input.body)"
    )


@pytest.fixture(scope="module")
def queue_template(dev: Template) -> str:
    return request_template(dev)


@given(
    content=st.text(),
    contact_id=st.text(),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 0, 2]),
)
@example(content="".join(HOSTILE), contact_id="".join(HOSTILE), ascii_only=False, indent=None)
def test_queue_receives_exactly_the_body_that_was_sent(
    queue_template: str, content: str, contact_id: str, ascii_only: bool, indent: int | None
) -> None:
    request = {"Content": content, "ContactId": contact_id}
    body = json.dumps(request, ensure_ascii=ascii_only, indent=indent)

    parameters = call_of_sqs(queue_template, body=body)

    assert parameters == [
        ("Action", "SendMessage"),
        ("MessageGroupId", contact_id),
        ("MessageDeduplicationId", "JKJaX+/LvHcESHA="),
        ("MessageBody", body),
    ]


@pytest.mark.parametrize(
    "body",
    [
        ' {"ContactId" :\n"contact-1"}\r\n',
        '{"ContactId": "other", "ContactId": "contact-1"}',
        '{"ContactId": "\\u0063ontact-1", "Content": "\\/ \\ud83d\\ude00"}',
    ],
)
def test_queue_receives_the_original_text_of_the_body(queue_template: str, body: str) -> None:
    parameters = dict(call_of_sqs(queue_template, body=body))

    assert parameters["MessageBody"] == body
    assert parameters["MessageGroupId"] == "contact-1"


def test_answer_contains_only_the_message_id_of_sqs(template: Template) -> None:
    answer_of_sqs = {"SendMessageResponse": {"SendMessageResult": {"MessageId": "219f8380-5770"}}}

    accepted = responses(template)["200"]

    answer = render(
        accepted["ResponseTemplates"]["application/json"], {"input.body": json.dumps(answer_of_sqs)}
    )
    assert accepted["StatusCode"] == "202"
    assert json.loads(answer) == {"MessageId": "219f8380-5770"}


def test_every_other_status_of_sqs_becomes_a_502(template: Template) -> None:
    by_status = responses(template)

    assert by_status.keys() == {"200", None}
    assert by_status[None]["StatusCode"] == "502"
    assert json.loads(by_status[None]["ResponseTemplates"]["application/json"]) == {
        "Code": "ServiceUnavailable",
        "Reason": "The queue did not accept the message",
        "ClientToken": None,
    }


def test_synchronous_route_goes_to_the_alias(template: Template) -> None:
    declared = integration(template, SYNCHRONOUS_METHOD)

    assert declared["Type"] == "AWS_PROXY"
    assert declared["Uri"]["Fn::Join"][1][-3:] == [
        ":lambda:path/2015-03-31/functions/",
        ref(ALIAS),
        "/invocations",
    ]


def test_only_the_synchronous_route_may_invoke_the_alias(template: Template) -> None:
    permissions = [
        permission["Properties"]
        for permission in template.of_type("AWS::Lambda::Permission").values()
        if permission["Properties"]["Principal"] == "apigateway.amazonaws.com"
    ]

    [permission] = permissions
    assert permission["FunctionName"] == ref(ALIAS)
    assert permission["SourceArn"]["Fn::Join"][1][-4:] == [
        ref(API),
        "/",
        ref(API_STAGE),
        "/POST/messages/sync",
    ]


@pytest.mark.parametrize(
    ("response_type", "code", "status"),
    [
        ("DEFAULT_4XX", "InvalidRequest", None),
        ("DEFAULT_5XX", "ServiceUnavailable", None),
        ("BAD_REQUEST_BODY", "InvalidRequest", "400"),
        ("ACCESS_DENIED", "NotAuthorized", "403"),
        ("EXPIRED_TOKEN", "NotAuthorized", "403"),
        ("INVALID_SIGNATURE", "NotAuthorized", "403"),
        ("MISSING_AUTHENTICATION_TOKEN", "NotAuthorized", "403"),
        ("REQUEST_TOO_LARGE", "InvalidRequest", "413"),
        ("UNSUPPORTED_MEDIA_TYPE", "InvalidRequest", "415"),
        ("THROTTLED", "Throttled", "429"),
        ("INTEGRATION_FAILURE", "ServiceUnavailable", "502"),
        ("INTEGRATION_TIMEOUT", "DeadlineExceeded", "504"),
    ],
)
def test_error_of_api_gateway_has_a_code(
    template: Template, response_type: str, code: str, status: str | None
) -> None:
    [declared] = [
        response["Properties"]
        for response in template.of_type("AWS::ApiGateway::GatewayResponse").values()
        if response["Properties"]["ResponseType"] == response_type
    ]

    body = json.loads(declared["ResponseTemplates"]["application/json"])

    assert declared["RestApiId"] == ref(API)
    assert declared.get("StatusCode") == status
    assert body.keys() == {"Code", "Reason", "ClientToken"}
    assert body["Code"] == code


def test_access_log_has_no_body_no_header_and_no_validation_error(template: Template) -> None:
    setting = properties(template, API_STAGE)["AccessLogSetting"]

    assert setting["DestinationArn"]["Fn::Join"][1][-1] == ref(ACCESS_LOG)
    assert json.loads(setting["Format"]) == {
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


def test_access_log_is_encrypted_and_kept_for_the_days_of_the_stage(changed: Template) -> None:
    assert properties(changed, ACCESS_LOG) == {"KmsKeyId": arn(KEY), "RetentionInDays": 30}


def test_role_for_the_api_logs_of_the_account_outlives_the_stack(dev: Template) -> None:
    account, role = (dev.resources[name] for name in account_resources(dev))

    # Another API of the account may log by it
    assert (account["DeletionPolicy"], role["DeletionPolicy"]) == ("Retain", "Retain")


def test_account_settings_of_api_gateway_are_only_made_on_request(synthesize: Synthesize) -> None:
    with_them, without = (synthesize("prod", manage_api_gateway_account=managed) for managed in (True, False))

    assert account_resources(with_them) == [
        "MessageApiAccount6AC8EE7B",
        "MessageApiCloudWatchRole45F3D724",
    ]
    assert account_resources(without) == []
    # The stage needs the role before it can log
    assert "MessageApiAccount6AC8EE7B" in with_them.resources[API_STAGE]["DependsOn"]
    assert "DependsOn" not in without.resources[API_STAGE]


def test_routes_are_throttled_and_log_nothing_from_a_request(template: Template) -> None:
    settings = properties(template, API_STAGE)["MethodSettings"]

    throttled = {
        setting["ResourcePath"]: (setting["ThrottlingRateLimit"], setting["ThrottlingBurstLimit"])
        for setting in settings
        if "ThrottlingRateLimit" in setting
    }
    assert throttled == {"/*": (100, 200), "/~1messages~1sync": (10, 15)}
    assert [setting["DataTraceEnabled"] for setting in settings] == [False] * len(settings)
    assert {setting.get("LoggingLevel", "OFF") for setting in settings} == {"OFF"}


def test_synchronous_route_is_throttled_at_the_quota_of_the_stage(changed: Template) -> None:
    settings = properties(changed, API_STAGE)["MethodSettings"]

    [sync] = [item for item in settings if item.get("ResourcePath") == "/~1messages~1sync"]
    assert (sync["ThrottlingRateLimit"], sync["ThrottlingBurstLimit"]) == (51, 76)


def test_api_is_traced_if_the_stage_says_so(dev: Template, changed: Template) -> None:
    traced = [properties(template, API_STAGE)["TracingEnabled"] for template in (dev, changed)]

    assert traced == [False, True]


def test_api_has_no_policy_and_no_web_acl_by_default(template: Template) -> None:
    assert "Policy" not in properties(template, API)
    assert template.of_type(ASSOCIATION) == {}


def test_web_acl_of_the_option_protects_the_stage(changed: Template) -> None:
    [association] = changed.of_type(ASSOCIATION).values()

    assert association["Properties"]["WebACLArn"] == EVERYTHING["api_web_acl_arn"]
    assert resolve(association["Properties"]["ResourceArn"]) == (
        f"arn:aws:apigateway:eu-central-1::/restapis/<{API}>/stages/<{API_STAGE}>"
    )


PRODUCER = "arn:aws:iam::444455556666:role/team/producer"


def resource_policy(template: Template) -> list[dict[str, Any]]:
    return list(properties(template, API)["Policy"]["Statement"])


@pytest.mark.parametrize(
    ("route", "allowed"),
    [("POST/messages", True), ("POST/messages/sync", True), ("GET/messages", False), ("POST/other", False)],
)
def test_producers_of_the_option_may_call_the_routes(changed: Template, route: str, allowed: bool) -> None:
    invoke = ("execute-api:Invoke", f"execute-api:/v1/{route}")
    policy = [statement for statement in resource_policy(changed) if statement["Effect"] == "Allow"]

    assert allows(policy, *invoke, principal=PRODUCER) is allowed


@pytest.mark.parametrize(
    ("address", "allowed"), [("203.0.113.7", True), ("2001:db8::7", True), ("198.51.100.7", False)]
)
def test_only_addresses_of_the_option_may_call(changed: Template, address: str, allowed: bool) -> None:
    [deny] = [statement for statement in resource_policy(changed) if statement["Effect"] == "Deny"]
    allow = deny | {"Effect": "Allow", "Condition": {}}  # as the caller's own policy does

    context = {"aws:SourceIp": address}

    assert (
        allows(
            [allow, deny],
            "execute-api:Invoke",
            "execute-api:/v1/POST/messages",
            principal="*",
            context=context,
        )
        is allowed
    )


def test_change_of_the_resource_policy_is_deployed(synthesize: Synthesize, dev: Template) -> None:
    changed = synthesize("dev", producer_principals=[PRODUCER])

    deployments = {properties(template, API_STAGE)["DeploymentId"]["Ref"] for template in (dev, changed)}

    assert len(deployments) == 2

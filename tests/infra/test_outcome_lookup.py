"""Outcome by id: its table, its rule, its route, and that nothing of it exists by default."""

import json
from typing import Any

import pytest

from infra.contract import RESULT_DETAIL_TYPES
from infra.options import Options
from tests.infra.event_pattern import matches
from tests.infra.iam import Statement, allows
from tests.infra.template import (
    API,
    API_STAGE,
    BUS,
    FUNCTION,
    KEY,
    LOOKUP_METHOD,
    OUTCOME_READER_POLICY,
    OUTCOME_RULE,
    OUTCOMES,
    PRODUCER_POLICY,
    QUEUE_METHOD,
    RESULTS_FUNCTION,
    RESULTS_ROLE_POLICY,
    Synthesize,
    Template,
    arn,
    properties,
    ref,
    regional_arn,
)
from tests.infra.vtl import render

ROUTES = f"arn:aws:execute-api:eu-central-1:123456789012:<{API}>/<{API_STAGE}>"
MESSAGE_ID = "219f8380-5770-4cc2-8c3e-5c715e145f5e"


@pytest.fixture(scope="module")
def kept(synthesize: Synthesize) -> Template:
    """A stage that keeps outcomes, with the defaults of all other options."""
    return synthesize("dev", outcome_lookup=True)


def statements(template: Template, policy: str) -> list[Statement]:
    return list(properties(template, policy)["PolicyDocument"]["Statement"])


def test_table_is_encrypted_with_the_key_and_deletes_old_outcomes(kept: Template) -> None:
    assert properties(kept, OUTCOMES) == {
        "AttributeDefinitions": [{"AttributeName": "Id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "Id", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": arn(KEY)},
        "TimeToLiveSpecification": {"AttributeName": "ExpiresAt", "Enabled": True},
    }


def test_stage_that_keeps_its_data_keeps_the_table(kept: Template, synthesize: Synthesize) -> None:
    prod = synthesize("prod", outcome_lookup=True)

    policies = [each.resources[OUTCOMES]["DeletionPolicy"] for each in (kept, prod)]

    assert policies == ["Delete", "RetainExceptOnCreate"]


@pytest.mark.parametrize(("stage", "days"), [("kept", "7"), ("changed", "30")])
def test_only_results_knows_the_table(request: pytest.FixtureRequest, stage: str, days: str) -> None:
    template: Template = request.getfixturevalue(stage)

    results, sender = (
        properties(template, function)["Environment"]["Variables"]
        for function in (RESULTS_FUNCTION, FUNCTION)
    )

    assert results["OUTCOME_TABLE_NAME"] == ref(OUTCOMES)
    assert results["OUTCOME_RETENTION_DAYS"] == days
    assert not [name for name in sender if name.startswith("OUTCOME")]


def test_results_may_only_get_and_put_items(kept: Template, dev: Template) -> None:
    added = [
        each
        for each in statements(kept, RESULTS_ROLE_POLICY)
        if each not in statements(dev, RESULTS_ROLE_POLICY)
    ]

    table, key = sorted(added, key=lambda each: str(each["Action"]))
    assert table == {
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem", "dynamodb:PutItem"],
        "Resource": arn(OUTCOMES),
    }
    endpoint = {"Fn::Join": ["", ["dynamodb.", ref("AWS::Region"), ".amazonaws.com"]]}
    assert key["Resource"] == arn(KEY)
    assert key["Condition"] == {"StringEquals": {"kms:ViaService": endpoint}}
    assert not [action for action in key["Action"] if "*" in action or not action.startswith("kms:")]


def test_no_other_identity_may_use_the_table(changed: Template) -> None:
    users = {
        name
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for name in changed.of_type(kind)
        if "dynamodb" in json.dumps(statements(changed, name))
        or OUTCOMES in json.dumps(statements(changed, name))
    }

    assert users == {RESULTS_ROLE_POLICY}


@pytest.mark.parametrize("detail_type", [*RESULT_DETAIL_TYPES, "SendMessage Requested", "Other"])
def test_rule_selects_results_and_nothing_else(kept: Template, detail_type: str) -> None:
    pattern = properties(kept, OUTCOME_RULE)["EventPattern"]
    result = {"source": "connect-message-sender", "detail-type": detail_type}

    assert matches(pattern, result) is (detail_type in RESULT_DETAIL_TYPES)
    assert not matches(pattern, result | {"source": "shop"})


def test_rule_hands_results_to_the_function_for_a_day(kept: Template) -> None:
    rule = properties(kept, OUTCOME_RULE)

    [target] = rule["Targets"]
    assert rule["EventBusName"] == ref(BUS)
    assert target["Arn"] == arn(RESULTS_FUNCTION)
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185}


def test_only_the_rule_and_the_route_may_invoke_the_function(kept: Template) -> None:
    permissions = [
        each["Properties"]
        for each in kept.of_type("AWS::Lambda::Permission").values()
        if each["Properties"]["FunctionName"] == arn(RESULTS_FUNCTION)
    ]

    assert {each["Principal"]: each["SourceArn"] for each in permissions} == {
        "events.amazonaws.com": arn(OUTCOME_RULE),
        "apigateway.amazonaws.com": regional_arn(
            "execute-api", ref(API), "/", ref(API_STAGE), "/GET/messages/*"
        ),
    }
    assert len(permissions) == 2


def test_route_authorizes_with_iam_and_goes_to_the_function(kept: Template) -> None:
    method = properties(kept, LOOKUP_METHOD)
    resource = properties(kept, method["ResourceId"]["Ref"])

    assert (method["HttpMethod"], resource["PathPart"]) == ("GET", "{id}")
    assert method["AuthorizationType"] == "AWS_IAM"
    assert method["Integration"]["Type"] == "AWS_PROXY"
    assert method["Integration"]["Uri"]["Fn::Join"][1][-2:] == [arn(RESULTS_FUNCTION), "/invocations"]


def test_route_has_the_throttling_of_the_stage(kept: Template) -> None:
    settings = properties(kept, API_STAGE)["MethodSettings"]

    throttled = {each["ResourcePath"]: each["ThrottlingRateLimit"] for each in settings}
    assert throttled == {"/*": 100, "/~1messages~1sync": 10}


@pytest.mark.parametrize(
    ("policy", "route", "allowed"),
    [
        (OUTCOME_READER_POLICY, f"GET/messages/{MESSAGE_ID}", True),
        (OUTCOME_READER_POLICY, "POST/messages", False),
        (OUTCOME_READER_POLICY, "POST/messages/sync", False),
        (OUTCOME_READER_POLICY, f"DELETE/messages/{MESSAGE_ID}", False),
        (PRODUCER_POLICY, f"GET/messages/{MESSAGE_ID}", False),
        (PRODUCER_POLICY, "POST/messages", True),
    ],
)
def test_readers_look_up_and_producers_send(kept: Template, policy: str, route: str, allowed: bool) -> None:
    assert allows(statements(kept, policy), "execute-api:Invoke", f"{ROUTES}/{route}") is allowed


def test_policy_of_readers_has_one_permission(kept: Template) -> None:
    [statement] = statements(kept, OUTCOME_READER_POLICY)

    assert statement["Action"] == "execute-api:Invoke"
    assert kept.outputs["OutcomeReaderPolicyArn"]["Value"] == ref(OUTCOME_READER_POLICY)


def test_other_accounts_may_not_look_up_outcomes(changed: Template) -> None:
    api = properties(changed, API)["Policy"]["Statement"]
    routes = [resource for each in api if each["Effect"] == "Allow" for resource in each["Resource"]]

    assert routes == ["execute-api:/v1/POST/messages", "execute-api:/v1/POST/messages/sync"]


def test_202_says_where_the_outcome_will_be(kept: Template) -> None:
    answer, names = accepted(kept)

    assert json.loads(answer) == {"MessageId": MESSAGE_ID}
    assert names["context.responseOverride.header.Location"] == f"/v1/messages/{MESSAGE_ID}"


def test_202_has_no_location_by_default(template: Template) -> None:
    answer, names = accepted(template)

    assert json.loads(answer) == {"MessageId": MESSAGE_ID}
    assert not [name for name in names if "responseOverride" in name]


def accepted(template: Template) -> tuple[str, dict[str, str]]:
    """Return the body of the 202, and the variables that its template has set."""
    [response] = [
        each
        for each in properties(template, QUEUE_METHOD)["Integration"]["IntegrationResponses"]
        if each["StatusCode"] == "202"
    ]
    body: dict[str, Any] = {"SendMessageResponse": {"SendMessageResult": {"MessageId": MESSAGE_ID}}}
    names = {"input.body": json.dumps(body)}
    return render(response["ResponseTemplates"]["application/json"], names), names


def test_another_route_makes_another_deployment_of_the_api(kept: Template, dev: Template) -> None:
    # Without it, the route would exist only in the console
    deployments = {name for each in (kept, dev) for name in each.of_type("AWS::ApiGateway::Deployment")}

    assert len(deployments) == 2


def test_it_is_off_by_default_and_costs_nothing(template: Template) -> None:
    added = {OUTCOMES, OUTCOME_RULE, OUTCOME_READER_POLICY, LOOKUP_METHOD}

    assert not Options().outcome_lookup
    assert added & template.resources.keys() == set()
    assert template.of_type("AWS::DynamoDB::Table") == {}
    assert "OutcomeReaderPolicyArn" not in template.outputs


def test_the_send_path_does_not_know_of_it(kept: Template, dev: Template) -> None:
    # As they were written: the fixtures are shared with tests that may change their copies
    with_it, without = (json.loads(template.path.read_text())["Resources"] for template in (kept, dev))

    # Nothing of the sender changes, not even its version
    changed = {
        name: (with_it.get(name), without.get(name))
        for name in with_it.keys() | without.keys()
        if with_it.get(name) != without.get(name)
        if name.startswith(("Sender", "MessageQueues", "EventRouting", "SendWorkflow"))
    }

    assert changed == {}

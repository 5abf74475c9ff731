"""The key of sealed tokens: producers only encrypt, the function only decrypts, each for one chat."""

import json

import pytest

from infra.options import Options
from tests.infra.iam import Context, Statement, allows
from tests.infra.template import (
    EVERYTHING,
    FUNCTION,
    PRODUCER_POLICY,
    RESULTS_ROLE_POLICY,
    ROLE_POLICY,
    TOKEN_KEY,
    Synthesize,
    Template,
    arn,
    properties,
    ref,
)

FOR_ONE_CHAT = {
    "ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["ContactId"]},
    "Null": {"kms:EncryptionContextKeys": "false"},
}
CONTACT_ID: Context = {"kms:EncryptionContextKeys": ["ContactId"]}
ACTIONS = ("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "CreateGrant")


@pytest.fixture(scope="module")
def sealed(synthesize: Synthesize) -> Template:
    return synthesize("dev", sealed_tokens=True)


def statements(template: Template, policy: str) -> list[Statement]:
    return list(properties(template, policy)["PolicyDocument"]["Statement"])


def key_policy(template: Template) -> list[Statement]:
    return list(properties(template, TOKEN_KEY)["KeyPolicy"]["Statement"])


@pytest.mark.parametrize(
    ("policy", "action"), [(PRODUCER_POLICY, "kms:Encrypt"), (ROLE_POLICY, "kms:Decrypt")]
)
def test_producer_and_function_have_one_permission_each(sealed: Template, policy: str, action: str) -> None:
    of_the_key = [each for each in statements(sealed, policy) if each["Resource"] == arn(TOKEN_KEY)]

    assert of_the_key == [
        {"Effect": "Allow", "Action": action, "Resource": arn(TOKEN_KEY), "Condition": FOR_ONE_CHAT}
    ]


def test_nobody_else_may_use_it(changed: Template) -> None:
    users = [
        name
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy")
        for name in changed.of_type(kind)
        if TOKEN_KEY in json.dumps(statements(changed, name))
    ]

    assert sorted(users) == sorted([PRODUCER_POLICY, ROLE_POLICY])
    assert RESULTS_ROLE_POLICY not in users


@pytest.mark.parametrize(("policy", "allowed"), [(PRODUCER_POLICY, {"Encrypt"}), (ROLE_POLICY, {"Decrypt"})])
def test_producer_encrypts_and_function_decrypts(sealed: Template, policy: str, allowed: set[str]) -> None:
    found = {
        action
        for action in ACTIONS
        if allows(statements(sealed, policy), f"kms:{action}", arn(TOKEN_KEY), context=CONTACT_ID)
    }

    assert found == allowed


@pytest.mark.parametrize("keys", [None, ["ContactId", "Stage"], ["Stage"], ["contactid"]], ids=str)
@pytest.mark.parametrize(
    ("policy", "action"), [(PRODUCER_POLICY, "kms:Encrypt"), (ROLE_POLICY, "kms:Decrypt")]
)
def test_encryption_context_is_the_contact_id_and_nothing_else(
    sealed: Template, policy: str, action: str, keys: list[str] | None
) -> None:
    context: Context = {} if keys is None else {"kms:EncryptionContextKeys": keys}

    assert not allows(statements(sealed, policy), action, arn(TOKEN_KEY), context=context)


@pytest.mark.parametrize("producer", EVERYTHING["producer_principals"])
def test_producers_of_the_option_may_only_encrypt_for_one_chat(changed: Template, producer: str) -> None:
    found = {
        action
        for action in ACTIONS
        if allows(key_policy(changed), f"kms:{action}", principal=producer, context=CONTACT_ID)
    }

    assert found == {"Encrypt"}
    assert not allows(key_policy(changed), "kms:Encrypt", principal=producer)


def test_key_policy_admits_only_the_account_without_the_option(sealed: Template) -> None:
    [account] = key_policy(sealed)

    assert account["Principal"] == {
        "AWS": {"Fn::Join": ["", ["arn:", ref("AWS::Partition"), ":iam::", ref("AWS::AccountId"), ":root"]]}
    }


def test_key_rotates_and_has_a_name_that_is_free_again_after_a_deletion(changed: Template) -> None:
    [alias] = [
        each
        for each in changed.of_type("AWS::KMS::Alias").values()
        if each["Properties"]["TargetKeyId"] == arn(TOKEN_KEY)
    ]

    assert properties(changed, TOKEN_KEY)["EnableKeyRotation"] is True
    assert alias["Properties"]["AliasName"] == "alias/ConnectMessageSender-dev-tokens"
    assert alias.get("DeletionPolicy", "Delete") == "Delete"


def test_stage_that_keeps_its_data_keeps_the_key(changed: Template, synthesize: Synthesize) -> None:
    prod = synthesize("prod", sealed_tokens=True)

    policies = [each.resources[TOKEN_KEY]["DeletionPolicy"] for each in (changed, prod)]

    assert policies == ["Delete", "RetainExceptOnCreate"]


def test_function_knows_the_key_by_its_arn(sealed: Template) -> None:
    assert properties(sealed, FUNCTION)["Environment"]["Variables"]["TOKEN_KEY_ARN"] == arn(TOKEN_KEY)
    assert sealed.outputs["TokenKeyArn"]["Value"] == arn(TOKEN_KEY)


def test_it_is_off_by_default(template: Template) -> None:
    assert not Options().sealed_tokens
    assert TOKEN_KEY not in template.resources
    assert len(template.of_type("AWS::KMS::Key")) == 1
    assert "TOKEN_KEY_ARN" not in properties(template, FUNCTION)["Environment"]["Variables"]

import pytest

from infra.contract import RESULT_SOURCE
from message_sender import result
from tests.infra.event_pattern import matches
from tests.infra.template import (
    ALIAS,
    BUS,
    EVENTS_DEAD_LETTER,
    FUNCTION,
    REQUESTS,
    Template,
    arn,
    properties,
    ref,
)


def test_rule_matches_requests_and_never_our_own_results(template: Template) -> None:
    rule = properties(template, REQUESTS)

    assert rule["EventBusName"] == ref(BUS)
    assert rule["State"] == "ENABLED"
    assert rule["EventPattern"] == {
        "detail-type": ["SendMessage Requested"],
        "source": [{"anything-but": ["connect-message-sender"]}],
    }


@pytest.mark.parametrize("detail_type", ["Message Sent", "Message Rejected", "Message Failed"])
def test_result_never_matches_the_rule(template: Template, detail_type: str) -> None:
    pattern = properties(template, REQUESTS)["EventPattern"]
    published = {"source": result.RESULT_SOURCE, "detail-type": detail_type, "detail": {}}
    disguised = published | {"detail-type": "SendMessage Requested"}

    assert not matches(pattern, published)
    assert not matches(pattern, disguised)


@pytest.mark.parametrize("source", ["shop", "aws.events", "connect-message-sender.shop"])
def test_rule_matches_requests_from_any_other_source(template: Template, source: str) -> None:
    pattern = properties(template, REQUESTS)["EventPattern"]

    assert matches(pattern, {"source": source, "detail-type": "SendMessage Requested", "detail": {}})
    assert not matches(pattern, {"source": source, "detail-type": "Order Placed", "detail": {}})


def test_bus_has_no_key_of_the_stack_so_no_dead_letter_is_ciphertext(template: Template) -> None:
    assert properties(template, BUS).keys() == {"Name"}


def test_stack_and_function_agree_on_the_source_of_results() -> None:
    assert RESULT_SOURCE == result.RESULT_SOURCE


def test_rule_invokes_the_alias_until_the_retry_window_is_over(changed: Template) -> None:
    assert properties(changed, REQUESTS)["Targets"] == [
        {
            "Id": "Target0",
            "Arn": ref(ALIAS),
            "RetryPolicy": {"MaximumEventAgeInSeconds": 30 * 60, "MaximumRetryAttempts": 185},
            "DeadLetterConfig": {"Arn": arn(EVENTS_DEAD_LETTER)},
        }
    ]


def test_only_this_rule_of_eventbridge_may_invoke_the_alias(template: Template) -> None:
    permissions = [
        permission["Properties"]
        for permission in template.of_type("AWS::Lambda::Permission").values()
        if permission["Properties"]["Principal"] == "events.amazonaws.com"
    ]

    assert permissions == [
        {
            "Action": "lambda:InvokeFunction",
            "FunctionName": ref(ALIAS),
            "Principal": "events.amazonaws.com",
            "SourceArn": arn(REQUESTS),
        }
    ]


def test_event_that_the_function_fails_on_goes_to_the_events_dead_letter_queue(changed: Template) -> None:
    [invocation] = changed.of_type("AWS::Lambda::EventInvokeConfig").values()

    assert invocation["Properties"] == {
        "FunctionName": ref(FUNCTION),
        "Qualifier": properties(changed, ALIAS)["Name"],
        "MaximumEventAgeInSeconds": 30 * 60,
        "MaximumRetryAttempts": 2,
        "DestinationConfig": {"OnFailure": {"Destination": arn(EVENTS_DEAD_LETTER)}},
    }


def test_invocation_is_configured_after_the_alias_is_created(template: Template) -> None:
    # The name of the alias is no reference to it
    [invocation] = template.of_type("AWS::Lambda::EventInvokeConfig").values()

    assert ALIAS in invocation["DependsOn"]

"""The additions to the emulator fit the pinned version, or raise an error."""

from __future__ import annotations

import json
import queue
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox import emulator_gaps
from sandbox.emulator_gaps import (
    UnknownEmulatorError,
    accept_age,
    accept_metric_math,
    accept_without_effect,
    add_context_variables,
    find_stack_of_resource,
    keep_event_time,
    limit_concurrency,
    override_response_headers,
    serve_apis_here,
)

if TYPE_CHECKING:
    from collections.abc import Callable

REQUIREMENTS = Path(__file__).parents[2] / "sandbox/requirements-emulator.txt"


def render(template: str, body_str: str, params_map: dict[str, str], context: object = None) -> str:
    del body_str, params_map, context
    return template


def test_version_is_the_pinned_one() -> None:
    pinned = re.search(r"^ministack==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)

    assert pinned
    assert pinned[1] == emulator_gaps.VERSION


def test_missing_function_is_an_error() -> None:
    with pytest.raises(UnknownEmulatorError, match="has no _render_request_template_v1"):
        add_context_variables({})


def test_function_with_other_parameters_is_an_error() -> None:
    with pytest.raises(UnknownEmulatorError, match="has no _render_request_template_v1"):
        add_context_variables({"_render_request_template_v1": lambda template: template})


def test_addition_without_effect_is_an_error() -> None:
    with pytest.raises(UnknownEmulatorError, match="renders mapping templates in another way"):
        add_context_variables({"_render_request_template_v1": render})


def api_gateway(template: str) -> dict[str, Any]:
    """Return a module whose templates only set a value, like `Location = value`."""
    module: dict[str, Any] = {"variables": {}}

    def respond(  # the parameters of MiniStack's function
        integration: object,
        backend_status: int,
        backend_text: str,
        accept: str,
        request_params: object,
        context: object = None,
    ) -> tuple[int, dict[str, str], bytes]:
        del integration, backend_text, accept, request_params
        module["_vtl_set"](template, {"context": context, "vars": module["variables"]})
        return backend_status, {"Content-Type": "application/json"}, b"{}"

    def set_variable(inner: str, st: dict[str, Any]) -> None:
        name, _, value = inner.partition("=")
        st["vars"][name] = value

    def value(expr: str, st: object) -> str:
        del st
        return expr.strip(' "')

    module |= {
        "_service_integration_response": respond,
        "_vtl_set": set_variable,
        "_vtl_value": value,
    }
    return module


def test_template_sets_a_header_of_the_response() -> None:
    module = api_gateway('$context.responseOverride.header.Location = "/v1/messages/m-1"')
    override_response_headers(module)

    answer = module["_service_integration_response"]({}, 202, "", "application/json", {}, None)

    assert answer == (202, {"Content-Type": "application/json", "Location": "/v1/messages/m-1"}, b"{}")


def test_template_still_sets_variables() -> None:
    module = api_gateway("$name = value")
    override_response_headers(module)

    answer = module["_service_integration_response"]({}, 202, "", "application/json", {}, None)

    assert answer == (202, {"Content-Type": "application/json"}, b"{}")
    assert module["variables"] == {"$name ": " value"}


def event_bridge() -> dict[str, Any]:
    """Return a module that answers the times of its events."""
    module: dict[str, Any] = {"_now_ts": lambda: 5.0}

    def put(data: dict[str, Any], allow_aws_source: bool = False) -> list[float]:  # noqa: FBT002  # MiniStack's
        del allow_aws_source
        return [module["_now_ts"]() for _ in data["Entries"]]

    module["_put_events"] = put
    return module


@pytest.mark.parametrize(
    ("entries", "times"), [([{"Time": 3.0}], [3.0]), ([{}], [5.0]), ([{"Time": 3.0}, {}], [5.0, 5.0])]
)
def test_event_that_is_alone_keeps_its_time(entries: list[dict[str, float]], times: list[float]) -> None:
    module = event_bridge()
    keep_event_time(module)

    assert module["_put_events"]({"Entries": entries}) == times
    assert module["_now_ts"]() == 5.0


def test_events_wait_while_four_invocations_of_their_function_run() -> None:
    started: queue.SimpleQueue[int] = queue.SimpleQueue()
    ended = threading.Semaphore(0)

    def execute(func: object, event: dict[str, int]) -> None:
        assert func == "record"
        started.put(event["number"])
        ended.acquire()

    eventbridge: dict[str, Any] = {"_dispatch_to_lambda": lambda arn, payload: (arn, payload)}
    lambda_ = {
        "_get_func_record_for_ref": lambda function_ref: (function_ref, "config", "name"),
        "_execution_record_for_config": lambda func, config: func and config and "record",
        "_execute_function_with_config_scope": execute,
    }
    limit_concurrency(eventbridge, lambda_)

    for number in range(6):
        eventbridge["_dispatch_to_lambda"]("arn", json.dumps({"number": number}))
    first = {started.get(timeout=10) for _ in range(4)}
    with pytest.raises(queue.Empty):
        started.get(timeout=0.1)
    ended.release(6)
    others = {started.get(timeout=10) for _ in range(2)}

    assert first | others == set(range(6))


def test_stack_is_found_by_one_of_its_resources() -> None:
    stacks = {
        "other": {"StackName": "other", "_resources": {"Queue": {"PhysicalResourceId": "queue"}}},
        "chat": {"StackName": "chat", "_resources": {"Sender": {"PhysicalResourceId": "function"}}},
    }
    handlers: dict[str, Any] = {
        "_describe_stack_resources": lambda params: params.get("StackName"),
        "_ACTION_HANDLERS": {},
    }
    find_stack_of_resource(handlers, {"_stacks": stacks})
    describe = handlers["_ACTION_HANDLERS"]["DescribeStackResources"]

    assert describe({"PhysicalResourceId": ["function"]}) == ["chat"]
    assert describe({"PhysicalResourceId": ["unknown"]}) is None
    assert describe({"StackName": ["other"]}) == ["other"]


def cloudformation(put: Callable[..., Any]) -> dict[str, Any]:
    return {
        "_cw_metric_alarm_put": put,
        "get_region": lambda: "us-east-1",
        "get_account_id": lambda: "000000000000",
    }


def test_alarm_on_metric_math_gets_a_name_and_an_arn() -> None:
    emulator = cloudformation(lambda name, props: (name, props))
    accept_metric_math(emulator)

    created = emulator["_cw_metric_alarm_put"]("Late", {"Metrics": [{"Expression": "a / b"}]})

    assert created == ("Late", {"Arn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:Late"})


def test_other_alarm_is_created_by_the_emulator() -> None:
    emulator = cloudformation(lambda name, props: (name, props))
    accept_metric_math(emulator)

    created = emulator["_cw_metric_alarm_put"]("Late", {"MetricName": "Age"})

    assert created == ("Late", {"MetricName": "Age"})


def test_alarm_function_with_other_parameters_is_an_error() -> None:
    with pytest.raises(UnknownEmulatorError, match="has no _cw_metric_alarm_put"):
        accept_metric_math(cloudformation(lambda alarm: alarm))


def test_resource_of_an_accepted_type_gets_a_name_and_an_arn() -> None:
    emulator = cloudformation(lambda name, props: (name, props)) | {"_RESOURCE_HANDLERS": {"AWS::X::Y": {}}}
    accept_without_effect(emulator, "AWS::CloudWatch::CompositeAlarm")
    handler = emulator["_RESOURCE_HANDLERS"]["AWS::CloudWatch::CompositeAlarm"]

    created = handler["create"]("Burn", {"AlarmName": "dev-Burn"}, "dev")

    assert created == ("dev-Burn", {"Arn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:dev-Burn"})
    assert handler["update"]("dev-Burn", {}, {}, "dev")[0] == "dev-Burn"
    assert handler["delete"]("dev-Burn", {}) is None
    assert "AWS::X::Y" in emulator["_RESOURCE_HANDLERS"]


@pytest.mark.parametrize("handlers", [None, {"AWS::CloudWatch::CompositeAlarm": {}}])
def test_type_that_the_emulator_knows_or_no_table_of_types_is_an_error(handlers: object) -> None:
    emulator = {"_RESOURCE_HANDLERS": handlers}

    with pytest.raises(UnknownEmulatorError, match=r"AWS::CloudWatch::CompositeAlarm"):
        accept_without_effect(emulator, "AWS::CloudWatch::CompositeAlarm")


def sqs() -> dict[str, Any]:
    messages: list[dict[str, Any]] = []

    def send(data: dict[str, Any], qurl: str) -> dict[str, Any]:
        messages.append({"id": f"{qurl}-{len(messages)}", "sent_at": 1000.0, "body": data["MessageBody"]})
        return {"MessageId": messages[-1]["id"]}

    return {
        "_act_send_message": send,
        "_HANDLERS": {"SendMessage": send},
        "_get_q": lambda _: {"messages": messages},
        "_queues_lock": threading.Lock(),
    }


def test_message_can_be_older_than_it_is() -> None:
    module = sqs()
    accept_age(module)
    aged = {"SecondsAgo": {"DataType": "Number", "StringValue": "600"}}

    for attributes in (None, aged):
        module["_HANDLERS"]["SendMessage"]({"MessageBody": "m", "MessageSystemAttributes": attributes}, "q")

    assert [message["sent_at"] for message in module["_get_q"]("q")["messages"]] == [1000.0, 400.0]


def test_other_dispatch_of_send_message_is_an_error() -> None:
    module = sqs() | {"_HANDLERS": {}}

    with pytest.raises(UnknownEmulatorError, match="dispatches SendMessage in another way"):
        accept_age(module)


def resolve(  # the parameters of MiniStack's function
    value: object,
    resources: object,
    params: object,
    conditions: object,
    mappings: object,
    stack_name: str,
    stack_id: str,
) -> object:
    del resources, params, conditions, mappings, stack_name, stack_id
    return value


def test_address_of_an_api_is_local() -> None:
    engine, stacks = {"_resolve_refs": resolve}, {"_resolve_refs": resolve}
    serve_apis_here(engine, stacks, endpoint="http://127.0.0.1:4566")

    rest: Any = ({}, {}, {}, {}, "stack", "stack-id")
    url = stacks["_resolve_refs"]("https://a1b2.execute-api.eu-west-1.amazonaws.com/v1/", *rest)
    arn = engine["_resolve_refs"]("arn:aws:execute-api:eu-west-1:0:a1b2/*", *rest)

    assert url == "http://127.0.0.1:4566/_aws/execute-api/a1b2/v1/"
    assert arn == "arn:aws:execute-api:eu-west-1:0:a1b2/*"


def test_module_with_another_resolver_is_an_error() -> None:
    with pytest.raises(UnknownEmulatorError, match="resolves references in another way"):
        serve_apis_here({"_resolve_refs": resolve}, {}, endpoint="http://127.0.0.1:4566")

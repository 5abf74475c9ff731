"""`python emulator_gaps.py`: start MiniStack, with additions that this stack needs.

The interpreter of MiniStack's virtual environment runs this file by its path, so it imports only the standard
library and MiniStack. It replaces private functions in the namespaces of MiniStack's modules, for one pinned
version. Each addition raises an UnknownEmulatorError if a function is missing or has another signature.

The local stack adapts the emulator, never the deployed stack. Review this file when the version changes.
"""

from __future__ import annotations

import base64
import importlib
import importlib.metadata
import inspect
import json
import os
import re
import secrets
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "1.5.33"  # a test compares it with requirements-emulator.txt
_AT_ONCE = 4


class UnknownEmulatorError(Exception):
    """MiniStack differs from the version that this file was written for."""


def main() -> None:
    version = importlib.metadata.version("ministack")
    if version != VERSION:
        raise UnknownEmulatorError(f"MiniStack is {version}, but the additions are for {VERSION}")
    api_gateway = vars(importlib.import_module("ministack.services.apigateway_v1"))
    add_context_variables(api_gateway)
    override_response_headers(api_gateway)
    eventbridge = vars(importlib.import_module("ministack.services.eventbridge"))
    keep_event_time(eventbridge)
    limit_concurrency(eventbridge, vars(importlib.import_module("ministack.services.lambda_svc")))
    cloudformation = vars(importlib.import_module("ministack.services.cloudformation.provisioners"))
    accept_metric_math(cloudformation)
    accept_without_effect(cloudformation, "AWS::CloudWatch::CompositeAlarm", "AWS::Logs::QueryDefinition")
    serve_apis_here(
        vars(importlib.import_module("ministack.services.cloudformation.engine")),
        vars(importlib.import_module("ministack.services.cloudformation.stacks")),
        endpoint=f"http://{os.environ['BIND_HOST']}:{os.environ['GATEWAY_PORT']}",
    )
    find_stack_of_resource(
        vars(importlib.import_module("ministack.services.cloudformation.handlers")),
        vars(importlib.import_module("ministack.services.cloudformation")),
    )
    accept_age(vars(importlib.import_module("ministack.services.sqs")))
    importlib.import_module("ministack.app").main()


def add_context_variables(api_gateway: dict[str, Any]) -> None:
    """Add `$context.extendedRequestId` to mapping templates.

    Without it there is no deduplication id, and SQS refuses every message.
    """
    render = _function(api_gateway, "_render_request_template_v1", "template, body_str, params_map, context")

    def render_with_context(
        template: str, body: str, params: dict[str, str], context: dict[str, Any] | None = None
    ) -> str:
        context = {} if context is None else context
        # 16 characters of the Base64 alphabet, as in API Gateway
        context.setdefault("extendedRequestId", base64.b64encode(secrets.token_bytes(11)).decode())
        return str(render(template, body, params, context))

    api_gateway["_render_request_template_v1"] = render_with_context

    context: dict[str, Any] = {}
    if render_with_context("$context.extendedRequestId", "", {}, context) != context["extendedRequestId"]:
        raise UnknownEmulatorError("MiniStack renders mapping templates in another way")


def override_response_headers(api_gateway: dict[str, Any]) -> None:
    """Let a mapping template set `$context.responseOverride.header.<name>`: the 202 has a `Location` so."""
    respond = _function(
        api_gateway,
        "_service_integration_response",
        "integration, backend_status, backend_text, accept, request_params, context",
    )
    set_variable = _function(api_gateway, "_vtl_set", "inner, st")
    value_of = _function(api_gateway, "_vtl_value", "expr, st")
    header = re.compile(r"\s*\$context\.responseOverride\.header\.([A-Za-z0-9-]+)\s*=(.*)", re.DOTALL)

    def set_header_or_variable(inner: str, state: dict[str, Any]) -> None:
        if assignment := header.fullmatch(inner):
            state["context"]["responseOverride"]["header"][assignment[1]] = value_of(assignment[2], state)
        else:
            set_variable(inner, state)

    def respond_with_headers(  # noqa: PLR0917  # the parameters of MiniStack's function
        integration: dict[str, Any],
        status: int,
        text: str,
        accept: str,
        params: dict[str, str],
        context: dict[str, Any] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        headers: dict[str, str] = {}
        context = {**(context or {}), "responseOverride": {"header": headers}}
        answered, mapped, body = respond(integration, status, text, accept, params, context)
        return answered, {**mapped, **headers}, body

    api_gateway["_vtl_set"] = set_header_or_variable
    api_gateway["_service_integration_response"] = respond_with_headers


def keep_event_time(eventbridge: dict[str, Any]) -> None:
    """Keep the `Time` of an event that is alone in its PutEvents: the function takes its age from it."""
    put = _function(eventbridge, "_put_events", "data, allow_aws_source")
    now = _function(eventbridge, "_now_ts", "")
    given = threading.local()

    def given_time_or_now() -> float:
        return float(getattr(given, "time", None) or now())

    def put_with_time(data: dict[str, Any], allow_aws_source: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002  # MiniStack's
        entries = data.get("Entries", [])
        given.time = entries[0].get("Time") if len(entries) == 1 else None
        try:
            return put(data, allow_aws_source)
        finally:
            given.time = None

    eventbridge["_now_ts"] = given_time_or_now
    eventbridge["_put_events"] = put_with_time


def limit_concurrency(eventbridge: dict[str, Any], lambda_: dict[str, Any]) -> None:
    """Let EventBridge invoke a function at most four times at once. Other events wait, as in Lambda's queue.

    Two hundred results at once would start as many processes, and none of them would start in time.
    """
    _function(eventbridge, "_dispatch_to_lambda", "arn, payload")
    find = _function(lambda_, "_get_func_record_for_ref", "function_ref")
    scope = _function(lambda_, "_execution_record_for_config", "func, config")
    execute = _function(lambda_, "_execute_function_with_config_scope", "func, event")
    slots: dict[str, threading.Semaphore] = {}

    def execute_in_turn(arn: str, record: object, event: object) -> None:
        with slots.setdefault(arn, threading.Semaphore(_AT_ONCE)):
            execute(record, event)

    def dispatch(arn: str, payload: str) -> None:
        function, config, _ = find(arn)
        if function and config:
            arguments = (arn, scope(function, config), json.loads(payload))
            threading.Thread(target=execute_in_turn, args=arguments, daemon=True).start()

    eventbridge["_dispatch_to_lambda"] = dispatch


def accept_metric_math(cloudformation: dict[str, Any]) -> None:
    """Let CloudFormation accept an alarm on metric math, for which MiniStack refuses the whole stack.

    The alarm is not created: it has no state, and DescribeAlarms does not list it. No local code needs it.
    """
    put = _function(cloudformation, "_cw_metric_alarm_put", "name, props")

    def put_unless_math(name: str, properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
        if "Metrics" in properties:
            owner = f"{cloudformation['get_region']()}:{cloudformation['get_account_id']()}"
            return name, {"Arn": f"arn:aws:cloudwatch:{owner}:alarm:{name}"}
        created: tuple[str, dict[str, str]] = put(name, properties)
        return created

    cloudformation["_cw_metric_alarm_put"] = put_unless_math


def accept_without_effect(cloudformation: dict[str, Any], *types: str) -> None:
    """Let CloudFormation accept resources of these types, for which MiniStack refuses the whole stack.

    They are not created. No local code needs them.
    """
    handlers = cloudformation.get("_RESOURCE_HANDLERS")
    if not isinstance(handlers, dict) or {*types} & handlers.keys():
        raise UnknownEmulatorError(f"MiniStack has no table of handlers, or handles {' and '.join(types)}")

    def create(logical_id: str, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
        name = properties.get("AlarmName", logical_id)
        owner = f"{cloudformation['get_region']()}:{cloudformation['get_account_id']()}"
        return name, {"Arn": f"arn:aws:cloudwatch:{owner}:alarm:{name}"}

    def update(
        physical_id: str, _old: dict[str, Any], _new: dict[str, Any], _stack: str
    ) -> tuple[str, dict[str, str]]:
        return create(physical_id, {}, "")

    def delete(_physical_id: str, _properties: dict[str, Any]) -> None: ...

    handlers |= {name: {"create": create, "update": update, "delete": delete} for name in types}


def serve_apis_here(*modules: dict[str, Any], endpoint: str) -> None:
    """Let CloudFormation resolve the address of a REST API to the emulator, not to a host on AWS.

    The output and the parameter `ApiUrl` work so, for every program that reads them.
    """
    address = re.compile(r"https://(\w+)\.execute-api\.[^/]+/")
    parameters = "value, resources, params, conditions, mappings, stack_name, stack_id"
    resolve = _function(modules[0], "_resolve_refs", parameters)

    def resolve_here(*arguments: Any) -> Any:  # noqa: ANN401  # MiniStack's
        value = resolve(*arguments)
        return address.sub(rf"{endpoint}/_aws/execute-api/\1/", value) if isinstance(value, str) else value

    for module in modules:
        if module.get("_resolve_refs") is not resolve:
            raise UnknownEmulatorError("MiniStack resolves references in another way")
        module["_resolve_refs"] = resolve_here


def find_stack_of_resource(handlers: dict[str, Any], cloudformation: dict[str, Any]) -> None:
    """Let DescribeStackResources find the stack by the PhysicalResourceId of one of its resources."""
    describe = _function(handlers, "_describe_stack_resources", "params")

    def describe_found(params: dict[str, Any]) -> Any:  # noqa: ANN401  # MiniStack's
        [physical_id] = params.get("PhysicalResourceId", [""])
        for stack in cloudformation["_stacks"].values() if physical_id else ():
            resources = stack.get("_resources", {}).values()
            if any(resource.get("PhysicalResourceId") == physical_id for resource in resources):
                return describe({**params, "StackName": [stack["StackName"]]})
        return describe(params)

    handlers["_ACTION_HANDLERS"]["DescribeStackResources"] = describe_found


def accept_age(sqs: dict[str, Any]) -> None:
    """Let SendMessage accept a message that waits for longer already: the system attribute `SecondsAgo`.

    The console shows the end of the retry window without that wait. AWS has no such attribute.
    """
    send = _function(sqs, "_act_send_message", "data, qurl")

    def send_aged(data: dict[str, Any], qurl: str) -> dict[str, Any]:
        age = (data.get("MessageSystemAttributes") or {}).get("SecondsAgo")
        with sqs["_queues_lock"]:  # or a consumer could receive it with its true age
            result: dict[str, Any] = send(data, qurl)
            if age is not None:
                queue = sqs["_get_q"](data.get("QueueUrl", qurl))
                (message,) = [each for each in queue["messages"] if each["id"] == result["MessageId"]]
                message["sent_at"] -= float(age["StringValue"])
        return result

    if sqs["_HANDLERS"].get("SendMessage") is not send:
        raise UnknownEmulatorError("MiniStack dispatches SendMessage in another way")
    sqs["_HANDLERS"]["SendMessage"] = send_aged


def _function(module: dict[str, Any], name: str, parameters: str) -> Callable[..., Any]:
    function: Callable[..., Any] | None = module.get(name)
    if function is None or ", ".join(inspect.signature(function).parameters) != parameters:
        raise UnknownEmulatorError(f"MiniStack has no {name}({parameters})")
    return function


if __name__ == "__main__":
    main()

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
import secrets
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "1.5.33"  # a test compares it with requirements-emulator.txt


class UnknownEmulatorError(Exception):
    """MiniStack differs from the version that this file was written for."""


def main() -> None:
    version = importlib.metadata.version("ministack")
    if version != VERSION:
        raise UnknownEmulatorError(f"MiniStack is {version}, but the additions are for {VERSION}")
    add_context_variables(vars(importlib.import_module("ministack.services.apigateway_v1")))
    cloudformation = vars(importlib.import_module("ministack.services.cloudformation.provisioners"))
    accept_metric_math(cloudformation)
    accept_without_effect(cloudformation, "AWS::CloudWatch::CompositeAlarm", "AWS::Logs::QueryDefinition")
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

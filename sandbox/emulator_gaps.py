"""`python emulator_gaps.py`: start MiniStack with what it lacks for this stack.

Run by the interpreter that MiniStack is installed for, by its path: standard library and MiniStack only. It
replaces private functions of one pinned version, so it looks first whether they are what it expects, and
then whether what it adds works. Anything else is an error: a gap must not open again in silence.
"""

from __future__ import annotations

import base64
import importlib
import importlib.metadata
import inspect
import re
import secrets
from typing import Any

VERSION = "1.5.33"  # that of requirements-emulator.txt, which a test compares

# What is replaced, and the parameters that it has
_REPLACED_IN_API_GATEWAY = {
    "_render_request_template_v1": ["template", "body_str", "params_map", "context"],
    "_vtl_set": ["inner", "st"],
}
_REPLACED_IN_CLOUDFORMATION = {"_cw_metric_alarm_put": ["name", "props"]}
_HEADER_OVERRIDE = re.compile(r"\s*\$context\.requestOverride\.header\.(\w+)\s*=(.*)", re.DOTALL)


class UnknownEmulatorError(Exception):
    """MiniStack is not as it was when this was written."""


def main() -> None:
    version = importlib.metadata.version("ministack")
    if version != VERSION:
        raise UnknownEmulatorError(f"MiniStack is {version}, and its gaps are known of {VERSION} only")
    fill_gaps(importlib.import_module("ministack.services.apigateway_v1"))
    let_metric_math_pass(importlib.import_module("ministack.services.cloudformation.provisioners"))
    importlib.import_module("ministack.app").main()


def fill_gaps(api_gateway: Any) -> None:  # noqa: ANN401  # a module that this project does not have
    """Give mapping templates the two parts of `$context` that MiniStack does not know.

    `extendedRequestId`: without it there is no de-duplication id, and SQS refuses every message.
    `requestOverride.header`, which a request's template sets and the answer's template reads.

    Raises:
        UnknownEmulatorError: The functions are not there, or not as they were.
    """
    _expect(api_gateway, _REPLACED_IN_API_GATEWAY)
    render, set_variable = api_gateway._render_request_template_v1, api_gateway._vtl_set  # noqa: SLF001  # see above

    def render_with_context(
        template: str, body: str, params: dict[str, str], context: dict[str, Any] | None = None
    ) -> str:
        # One object for the templates of a request and of its answer
        context = {} if context is None else context
        context.setdefault("extendedRequestId", _extended_request_id())
        context.setdefault("requestOverride", {"header": {}})
        rendered: str = render(template, body, params, context)
        return rendered

    def set_variable_or_header(inner: str, state: dict[str, Any]) -> None:
        if override := _HEADER_OVERRIDE.fullmatch(inner):
            value = api_gateway._vtl_value(override[2], state)  # noqa: SLF001  # see above
            state["context"]["requestOverride"]["header"][override[1]] = value
        else:
            set_variable(inner, state)

    api_gateway._render_request_template_v1 = render_with_context  # noqa: SLF001  # see above
    api_gateway._vtl_set = set_variable_or_header  # noqa: SLF001  # see above
    _try_out(api_gateway)


def let_metric_math_pass(cloudformation: Any) -> None:  # noqa: ANN401  # a module that this project does not have
    """Let CloudFormation take an alarm on metric math, which MiniStack refuses and with it the whole stack.

    Such an alarm is in no state there, and DescribeAlarms does not know it. No alarm matters locally.

    Raises:
        UnknownEmulatorError: The function is not there, or not as it was.
    """
    _expect(cloudformation, _REPLACED_IN_CLOUDFORMATION)
    put = cloudformation._cw_metric_alarm_put  # noqa: SLF001  # see above

    def put_unless_math(name: str, properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
        if "Metrics" in properties:
            owner = f"{cloudformation.get_region()}:{cloudformation.get_account_id()}"
            return name, {"Arn": f"arn:aws:cloudwatch:{owner}:alarm:{name}"}
        created: tuple[str, dict[str, str]] = put(name, properties)
        return created

    cloudformation._cw_metric_alarm_put = put_unless_math  # noqa: SLF001  # see above


def _expect(module: Any, functions: dict[str, list[str]]) -> None:  # noqa: ANN401  # see above
    for name, parameters in functions.items():
        function = getattr(module, name, None)
        if function is None or list(inspect.signature(function).parameters) != parameters:
            raise UnknownEmulatorError(f"MiniStack has no {name}({', '.join(parameters)})")


def _try_out(api_gateway: Any) -> None:  # noqa: ANN401  # a module that this project does not have
    context: dict[str, Any] = {}
    render = api_gateway._render_request_template_v1  # noqa: SLF001  # see above
    asked = render(
        "#set($context.requestOverride.header.Name = 'value')$context.extendedRequestId", "", {}, context
    )
    answered = render("$context.requestOverride.header.Name", "", {}, context)
    if (asked, answered) != (context["extendedRequestId"], "value"):
        raise UnknownEmulatorError("MiniStack renders mapping templates in another way")


def _extended_request_id() -> str:
    """Make one as API Gateway's are: 16 characters of Base64, all of its alphabet."""
    return base64.b64encode(secrets.token_bytes(11)).decode()


if __name__ == "__main__":
    main()

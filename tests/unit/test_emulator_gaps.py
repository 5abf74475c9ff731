"""What the emulator lacks is added to the version that is known, or not at all."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import emulator_gaps
from sandbox.emulator_gaps import UnknownEmulatorError, fill_gaps, let_metric_math_pass

REQUIREMENTS = Path(__file__).parents[2] / "sandbox/requirements-emulator.txt"


def render(template: str, body_str: str, params_map: dict[str, str], context: Any = None) -> str:  # noqa: ANN401, ARG001  # as the emulator has it
    return template


def set_variable(inner: str, st: dict[str, Any]) -> None: ...


def test_the_version_is_the_one_that_is_installed() -> None:
    pinned = re.search(r"^ministack==(\S+)", REQUIREMENTS.read_text(), re.MULTILINE)

    assert pinned
    assert pinned[1] == emulator_gaps.VERSION


def test_a_function_that_is_gone_is_an_error() -> None:
    emulator = SimpleNamespace(_render_request_template_v1=render)

    with pytest.raises(UnknownEmulatorError, match="has no _vtl_set"):
        fill_gaps(emulator)


def test_a_function_with_other_parameters_is_an_error() -> None:
    emulator = SimpleNamespace(_render_request_template_v1=lambda template: template, _vtl_set=set_variable)

    with pytest.raises(UnknownEmulatorError, match="has no _render_request_template_v1"):
        fill_gaps(emulator)


def test_an_addition_that_has_no_effect_is_an_error() -> None:
    emulator = SimpleNamespace(_render_request_template_v1=render, _vtl_set=set_variable)

    with pytest.raises(UnknownEmulatorError, match="renders mapping templates in another way"):
        fill_gaps(emulator)


def cloudformation(put: Any) -> SimpleNamespace:  # noqa: ANN401  # a function, of the right parameters or not
    return SimpleNamespace(
        _cw_metric_alarm_put=put, get_region=lambda: "us-east-1", get_account_id=lambda: "000000000000"
    )


def test_an_alarm_on_metric_math_has_a_name_and_an_arn() -> None:
    emulator = cloudformation(lambda name, props: (name, props))
    let_metric_math_pass(emulator)

    created = vars(emulator)["_cw_metric_alarm_put"]("Late", {"Metrics": [{"Expression": "a / b"}]})

    assert created == ("Late", {"Arn": "arn:aws:cloudwatch:us-east-1:000000000000:alarm:Late"})


def test_any_other_alarm_is_the_emulators_own_matter() -> None:
    emulator = cloudformation(lambda name, props: (name, props))
    let_metric_math_pass(emulator)

    created = vars(emulator)["_cw_metric_alarm_put"]("Late", {"MetricName": "Age"})

    assert created == ("Late", {"MetricName": "Age"})


def test_an_alarm_function_with_other_parameters_is_an_error() -> None:
    with pytest.raises(UnknownEmulatorError, match="has no _cw_metric_alarm_put"):
        let_metric_math_pass(cloudformation(lambda alarm: alarm))

"""What the documents say is what the code does."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from infra.options import StageOptions
from message_sender.errors import DeliveryError
from scripts.render_docs import README, render
from tests.support.schemas import RESULT_SCHEMA
from tests.unit.test_errors import leaves

ROOT = Path(__file__).parents[2]


def test_the_table_of_fields_is_that_of_the_schema() -> None:
    assert README.read_text() == render(README.read_text()), "run `make docs`"


def test_the_example_of_a_result_keeps_the_schema() -> None:
    [example] = re.findall(r'```json\n(\{"Version".*?)\n```', README.read_text(), re.DOTALL)

    Draft7Validator(RESULT_SCHEMA).validate(json.loads(example))


def test_every_code_is_in_the_readme() -> None:
    listed = re.findall(
        r"^\| `(\w+)` \| (?:REJECTED|tried again, then FAILED) \|", README.read_text(), re.MULTILINE
    )

    assert sorted(f"{code}Error" for code in listed) == sorted(
        leaf.__name__ for leaf in leaves(DeliveryError)
    )


def test_every_option_is_in_the_readme_with_its_values() -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    stages: dict[str, dict[str, Any]] = context["stages"]

    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\S+) \|", README.read_text(), re.MULTILINE)

    def shown(value: object) -> str:
        return "–" if value in (None, []) else str(value).lower() if isinstance(value, bool) else str(value)

    options = {name: (dev, prod) for name, dev, prod in rows if name in stages["dev"]}
    assert set(options) == {option.name for option in fields(StageOptions)}
    assert options == {
        name: (shown(stages["dev"][name]), shown(stages["prod"][name])) for name in stages["dev"]
    }


def test_every_json_of_the_readme_can_be_pasted() -> None:
    readme = README.read_text()
    arguments = re.findall(r"--(?:data|payload|input) '(\{.*?\})'", readme, re.DOTALL)
    [entries] = re.findall(r"<<'END'\n(.*?)\nEND\n", readme, re.DOTALL)

    requests = [json.loads(argument) for argument in arguments]
    requests += [json.loads(entry["Detail"]) for entry in json.loads(entries)]

    assert len(requests) == 4
    for request in requests:
        assert set(request) >= {"ConnectionToken", "ContentType", "Content", "ClientToken"}


PIN = re.compile(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", re.MULTILINE)


def pins(file: str) -> dict[str, str]:
    return {name.lower(): version for name, version in PIN.findall((ROOT / file).read_text())}


@pytest.mark.parametrize("file", ["requirements-dev.txt", "lambda_src/requirements.txt"])
def test_the_requirements_agree(file: str) -> None:
    ours, theirs = pins("requirements.txt"), pins(file)

    shared = ours.keys() & theirs.keys()

    assert len(shared) >= 7
    assert {name: theirs[name] for name in shared} == {name: ours[name] for name in shared}


def test_the_asset_has_no_requirement_that_the_tests_do_not_run_with() -> None:
    assert pins("lambda_src/requirements.txt").items() <= pins("requirements-dev.txt").items()


def test_the_lambda_runtime_of_the_local_stack_has_the_botocore_of_the_tests() -> None:
    assert pins("sandbox/requirements-runtime.txt")["botocore"] == pins("requirements-dev.txt")["botocore"]


def test_the_version_is_one() -> None:
    from message_sender import __version__  # noqa: PLC0415  # what is tested

    assert f'version = "{__version__}"' in (ROOT / "pyproject.toml").read_text()

"""The stack follows the rules of cdk-nag, of the CDK itself and of cfn-lint. Each of them can fail."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs

import app
from infra.options import StageOptions
from tests.infra.conftest import synthesize_into
from tests.infra.template import CHANGED, EVERYTHING, Finding, Synthesize, Template

ROOT = Path(app.__file__).parent

STAGES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "dev": ("dev", {}),
    "a stage without options": ("test", {}),
    "prod": ("prod", {}),
    "dev with other options": ("dev", EVERYTHING | CHANGED),
    "prod with other options": ("prod", EVERYTHING | CHANGED),
}


@pytest.fixture(scope="module", params=STAGES)
def checked(request: pytest.FixtureRequest, synthesize: Synthesize) -> Template:
    stage, options = STAGES[request.param]
    return synthesize(stage, **options)


def test_rules_are_checked_with_another_value_for_every_option(context: dict[str, Any]) -> None:
    dev = stage_values("dev", context)

    same = {name for name, value in dev.items() if (EVERYTHING | CHANGED).get(name, value) == value}

    # `retain_data` is true in prod, and tests/infra/test_message_sender.py leaves the parts out
    assert same == {"retain_data", "http_api", "workflow", "monitoring"}


def stage_values(stage: str, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every option of a stage, as JSON has it."""
    options = StageOptions.of_stage(stage, context["stages"])
    values = {field.name: getattr(options, field.name) for field in fields(options)}
    return {name: [*value] if isinstance(value, tuple) else value for name, value in values.items()}


def test_every_finding_is_acknowledged(checked: Template) -> None:
    assert checked.packs >= {"AwsSolutions", "Serverless"}
    assert checked.findings == set()


def test_every_acknowledgement_answers_a_finding(checked: Template) -> None:
    assert checked.unused_acknowledgements == set()


def test_packs_of_rules_can_fail(context: dict[str, Any], tmp_path: Path) -> None:
    synthesize_into(
        tmp_path,
        context,
        add=lambda stack: sqs.Queue(stack, "Control", encryption=sqs.QueueEncryption.UNENCRYPTED),
    )

    path = "ConnectMessageSender-dev/Control/Resource"
    assert Template(tmp_path).findings >= {
        Finding("AwsSolutions::AwsSolutions-SQS4", path),
        Finding("Serverless::Serverless-SQSRedrivePolicy", path),
    }


def test_validation_by_the_cdk_can_fail_and_ends_a_synthesis_without_cdk_nag(
    context: dict[str, Any], tmp_path: Path
) -> None:
    application = cdk.App(context=context, outdir=str(tmp_path))
    stack = app.build(application)
    cdk.CfnResource(stack, "Control", type="AWS::SQS::Queue", properties={"VisibilityTimeout": "soon"})

    with pytest.raises(RuntimeError, match=r"^ValidationFailed"):
        application.synth()

    assert {finding.rule.rpartition("::")[2] for finding in Template(tmp_path).findings} == {"F3012"}


def test_cfn_lint_finds_the_fault_of_the_control_and_no_other(synthesize: Synthesize, tmp_path: Path) -> None:
    # One process, because most of the time is its start. These two have every kind of resource.
    templates = [synthesize("dev"), synthesize("prod", **EVERYTHING, **CHANGED)]
    body = json.loads(templates[0].path.read_text())
    body["Resources"]["Control"] = {"Type": "AWS::SQS::Queue", "Properties": {"Visibility": 1}}
    control = tmp_path / "control.template.json"
    control.write_text(json.dumps(body))

    linted = subprocess.run(
        [
            *(sys.executable, "-c", "from cfnlint.runner import main; main()", "--format", "json"),
            *(str(template.path) for template in templates),
            str(control),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    found = [(match["Filename"], match["Rule"]["Id"]) for match in json.loads(linted.stdout)]
    assert linted.returncode != 0
    assert set(found) == {(str(control), "E3002")}

"""The rules of others that the stack keeps: cdk-nag, the CDK's own validation, cfn-lint. Each can fail."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import aws_cdk as cdk
import cdk_nag
import pytest
from aws_cdk import aws_sqs as sqs
from aws_cdk.assertions import Template

import app
from tests.infra.template import EVERYTHING, Configure

ROOT = Path(app.__file__).parent
REPORT = "validation-report.json"


class Finding(NamedTuple):
    rule: str
    construct: str


class Checked(NamedTuple):
    """What came of a synthesis with all rules."""

    template: Path
    report: Mapping[str, Any]
    acknowledged: set[Finding]
    """Where, rather than of what."""

    @property
    def packs(self) -> set[str]:
        return {pack["pluginName"] for pack in self.report["pluginReports"]}

    @property
    def findings(self) -> set[Finding]:
        return {
            Finding(f"{pack['pluginName']}::{violation['ruleName']}", construct["constructPath"])
            for pack in self.report["pluginReports"]
            for violation in pack["violations"]
            for construct in violation["violatingConstructs"]
        }

    @property
    def answered(self) -> set[Finding]:
        return {
            Finding(violation["acknowledgedId"], violation["acknowledgedAt"])
            for pack in self.report["pluginReports"]
            for violation in pack.get("suppressedViolations", [])
        }


def check(application: cdk.App) -> Checked:
    """Synthesize with cdk-nag; the CDK adds its own rules. A finding is an error of the synthesis."""
    packs = (cdk_nag.AwsSolutionsChecks(application), cdk_nag.ServerlessChecks(application))
    cdk.Validations.of(application).add_plugins(*packs)
    acknowledged = {
        Finding(rule, construct.node.path)
        for construct in application.node.find_all()
        for entry in construct.node.metadata
        if entry.type == cdk.Validations.ACKNOWLEDGED_RULES_METADATA_KEY
        for rule in entry.data
    }
    try:
        application.synth()
    except RuntimeError as error:
        if not str(error).startswith("ValidationFailed"):
            raise
    assembly = Path(application.outdir)
    (template,) = assembly.glob("*.template.json")
    return Checked(template, json.loads((assembly / REPORT).read_text()), acknowledged)


def lint(template: Path) -> subprocess.CompletedProcess[str]:
    """Run cfn-lint as its settings in this repository say."""
    return subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), template],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


STAGES: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "dev": ("dev", {}),
    "prod": ("prod", {}),
    "dev with everything": ("dev", EVERYTHING),
    "prod with everything": ("prod", EVERYTHING),
}


@pytest.fixture(scope="module", params=STAGES)
def checked(
    request: pytest.FixtureRequest, configure: Configure, tmp_path_factory: pytest.TempPathFactory
) -> Checked:
    stage, options = STAGES[request.param]
    outdir = tmp_path_factory.mktemp("cdk.out")
    application = cdk.App(context=configure(stage, **options), outdir=str(outdir))
    app.build(application)
    return check(application)


@pytest.fixture
def application(configure: Configure, tmp_path: Path) -> cdk.App:
    """For the controls: what is wrong is to be added to its stack."""
    return cdk.App(context=configure("dev"), outdir=str(tmp_path))


def test_every_option_that_adds_something_is_checked(context: dict[str, Any]) -> None:
    nothing: list[object] = [None, [], False]
    of_itself = {name for name, value in context["stages"]["dev"].items() if value in nothing}

    assert of_itself - EVERYTHING.keys() == {"retain_data"}  # true in prod


def test_nothing_is_found_that_is_not_acknowledged(checked: Checked) -> None:
    assert checked.packs >= {"AwsSolutions", "Serverless"}
    assert checked.findings == set()


def test_every_acknowledgement_answers_a_finding(checked: Checked) -> None:
    assert checked.acknowledged - checked.answered == set()


def test_cfn_lint_finds_nothing(checked: Checked) -> None:
    linted = lint(checked.template)

    assert (linted.stdout, linted.returncode) == ("", 0)


def test_packs_of_rules_can_fail(application: cdk.App) -> None:
    stack = app.build(application)
    sqs.Queue(stack, "Control", encryption=sqs.QueueEncryption.UNENCRYPTED)

    checked = check(application)

    path = "ConnectMessageSender-dev/Control/Resource"
    assert checked.findings >= {
        Finding("AwsSolutions::AwsSolutions-SQS4", path),
        Finding("Serverless::Serverless-SQSRedrivePolicy", path),
    }


def test_validation_by_the_cdk_can_fail_and_ends_a_synthesis_without_cdk_nag(application: cdk.App) -> None:
    stack = app.build(application)
    cdk.CfnResource(stack, "Control", type="AWS::SQS::Queue", properties={"VisibilityTimeout": "soon"})

    with pytest.raises(RuntimeError, match=r"^ValidationFailed"):
        application.synth()

    report = json.loads((Path(application.outdir) / REPORT).read_text())
    found = [violation["ruleName"] for pack in report["pluginReports"] for violation in pack["violations"]]
    assert found == ["F3012"]


def test_cfn_lint_can_fail(dev: Template, tmp_path: Path) -> None:
    template = dev.to_json()
    template["Resources"]["Control"] = {"Type": "AWS::SQS::Queue", "Properties": {"Visibility": 1}}
    changed = tmp_path / "changed.template.json"
    changed.write_text(json.dumps(template))

    linted = lint(changed)

    assert linted.returncode != 0
    assert "E3002" in linted.stdout

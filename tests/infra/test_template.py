"""`make template` writes the stack of `cdk synth` for the AWS CLI and for other tools."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import cloudformation_include

import app
from infra.options import InvalidOptionsError
from scripts import template as command
from scripts.template import LONGEST_TEMPLATE, PACKAGE, ROOT, TEMPLATE, Written, write
from tests.infra.template import FUNCTION, RESULTS_FUNCTION, Template

EXAMPLES = ROOT / "examples" / "without-cdk"
CFN_LINT = ROOT / ".venv" / "bin" / "cfn-lint"
# CloudFormation takes a longer template from S3 only
LONGEST_BODY = 51_200

Write = Callable[[str], tuple[Path, Written]]


@pytest.fixture(scope="module")
def bundled(context: dict[str, Any]) -> dict[str, Any]:
    """The context with which the package is built, and a stage with what a template cannot say.

    `prod` requires a package with compiled modules, and this machine may lack the interpreter.
    """
    tagged = {"tags": {"owner": "chat team"}, "region": "eu-central-1", "account": "123456789012"}
    stages = context["stages"] | {"tagged": context["stages"]["dev"] | tagged}
    rest = {name: value for name, value in context.items() if name != "aws:cdk:bundling-stacks"}
    return rest | {"stages": stages}


@pytest.fixture(scope="module")
def written(bundled: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Write:
    """Return a function that writes the template of a stage, as a user has it: with its package."""
    done: dict[str, tuple[Path, Written]] = {}

    def write_once(stage: str) -> tuple[Path, Written]:
        if stage not in done:
            folder = tmp_path_factory.mktemp(stage)
            done[stage] = (folder, write(bundled | {"stage": stage}, folder))
        return done[stage]

    return write_once


def read(folder: Path) -> dict[str, Any]:
    template: dict[str, Any] = json.loads((folder / TEMPLATE).read_text())
    return template


def packaged(folder: Path) -> dict[str, Any]:
    """Return the template as `aws cloudformation package` changes it."""
    template = read(folder)
    for resource in template["Resources"].values():
        if resource.get("Properties", {}).get("Code") == PACKAGE:
            resource["Properties"]["Code"] = {"S3Bucket": "artifacts", "S3Key": "package"}
    return template


def test_resources_are_those_of_cdk_synth_apart_from_the_address_of_the_package(
    written: Write, bundled: dict[str, Any], tmp_path: Path
) -> None:
    application = cdk.App(context=bundled | {"stage": "dev"}, outdir=str(tmp_path))
    app.build(application)
    application.synth()
    synthesized = Template(tmp_path)
    template = read(written("dev")[0])

    expected = {name: without_cdk_metadata(each) for name, each in synthesized.resources.items()}
    codes = [expected[function]["Properties"]["Code"] for function in (FUNCTION, RESULTS_FUNCTION)]
    for function in (FUNCTION, RESULTS_FUNCTION):
        expected[function]["Properties"]["Code"] = PACKAGE

    assert codes[0].keys() == {"S3Bucket", "S3Key"}
    assert codes[0] == codes[1]
    assert template["Resources"] == expected
    assert template["Outputs"] == synthesized.outputs


def without_cdk_metadata(resource: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        name: value for name, value in resource.get("Metadata", {}).items() if not name.startswith("aws:cdk:")
    }
    rest = {name: value for name, value in resource.items() if name != "Metadata"}
    return rest | ({"Metadata": metadata} if metadata else {})


def test_template_needs_no_bootstrapped_region_and_has_no_metadata_of_the_cdk(written: Write) -> None:
    folder, _ = written("dev")
    text = (folder / TEMPLATE).read_text()

    assert read(folder).keys() == {"Description", "Resources", "Outputs"}
    assert "aws:cdk" not in text
    assert "aws:asset" not in text
    assert "cdk-" not in text
    assert "Bootstrap" not in text


def test_template_is_too_long_for_a_body_and_short_enough_for_s3(written: Write) -> None:
    folder, _ = written("dev")

    assert LONGEST_BODY < (folder / TEMPLATE).stat().st_size < LONGEST_TEMPLATE / 2


def test_package_is_that_of_cdk_synth(written: Write, asset: Path) -> None:
    folder, _ = written("dev")

    with zipfile.ZipFile(folder / PACKAGE) as package:
        names = package.namelist()
        files = {name: hashlib.sha256(package.read(name)).digest() for name in names}
        modes = {entry.external_attr >> 16 for entry in package.infolist()}

    assert files == {
        path.relative_to(asset).as_posix(): hashlib.sha256(path.read_bytes()).digest()
        for path in asset.rglob("*")
        if path.is_file()
    }
    assert modes == {0o100644}


def test_same_sources_give_the_same_bytes(
    written: Write, bundled: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = written("dev")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    previous = os.umask(0o077)

    try:
        write(bundled | {"stage": "dev"}, tmp_path)
    finally:
        os.umask(previous)

    for name in (TEMPLATE, PACKAGE):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_stage_says_what_a_template_cannot(written: Write) -> None:
    _, dev = written("dev")
    folder, tagged = written("tagged")

    assert dev == Written(
        stack_name="ConnectMessageSender-dev",
        tags={"project": "connect-message-sender", "stage": "dev"},
        protected=False,
    )
    assert tagged.tags == {"owner": "chat team", "project": "connect-message-sender", "stage": "tagged"}
    # The account and the Region of the stage are a part of its template
    assert "123456789012" in (folder / TEMPLATE).read_text()


def test_commands_for_tags_and_protection_are_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    stack = Written(stack_name="ConnectMessageSender-x", tags={"owner": "chat team"}, protected=True)
    monkeypatch.setattr(command, "write", lambda _context, _output: stack)

    command.main(["--stage=x", f"--output={tmp_path}"])

    printed = capsys.readouterr().out
    assert (
        "--stack-name ConnectMessageSender-x --capabilities CAPABILITY_IAM --tags 'owner=chat team'\n"
        in printed
    )
    assert "--enable-termination-protection --stack-name ConnectMessageSender-x\n" in printed


def test_prod_is_protected(context: dict[str, Any], tmp_path: Path) -> None:
    written = write(context | {"stage": "prod"}, tmp_path)

    assert written.protected
    assert read(tmp_path)["Resources"][FUNCTION]["Properties"]["Code"] == PACKAGE


def test_stage_that_is_not_complete_ends_in_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^cdk\.json: stages\.prod has retain_data, so it needs account"):
        command.main(["--stage=prod"])


def test_unknown_stage_is_refused(context: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InvalidOptionsError, match="unknown stage"):
        write(context | {"stage": "other"}, tmp_path)


def test_cfn_lint_accepts_the_packaged_template(written: Write, tmp_path: Path) -> None:
    template = tmp_path / "packaged.json"
    template.write_text(json.dumps(packaged(written("dev")[0])))

    lint(template)


def test_sam_accepts_the_example_with_the_template_beside_it(written: Write, tmp_path: Path) -> None:
    shutil.copytree(written("dev")[0], tmp_path / "template")
    example = Path(shutil.copy(EXAMPLES / "sam.yaml", tmp_path / "template.yaml"))

    lint(example)
    example.write_text(example.read_text().replace("Handler: app.lambda_handler", "Handlers: app"))
    with pytest.raises(AssertionError, match="Handler"):
        lint(example)


def lint(template: Path) -> None:
    run = subprocess.run(
        [CFN_LINT, "--config-file", ROOT / ".cfnlintrc.yaml", template],
        capture_output=True,
        text=True,
        check=False,
        cwd=template.parent,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_cdk_app_can_include_the_packaged_template(written: Write, tmp_path: Path) -> None:
    folder, _ = written("dev")
    (tmp_path / "packaged.json").write_text(json.dumps(packaged(folder)))
    application = cdk.App(outdir=str(tmp_path / "cdk.out"))
    stack = cdk.Stack(application, "Sender")

    included = cloudformation_include.CfnInclude(
        stack, "Template", template_file=str(tmp_path / "packaged.json")
    )

    assert included.get_output("ProducerPolicyArn").value
    template = application.synth().get_stack_by_name("Sender").template
    assert sorted_dependencies(template["Resources"]) == sorted_dependencies(packaged(folder)["Resources"])
    assert template["Outputs"] == read(folder)["Outputs"]


def sorted_dependencies(resources: dict[str, Any]) -> dict[str, Any]:
    """CfnInclude writes dependencies in its own order, and one without a list."""

    def listed(names: str | list[str]) -> list[str]:
        return [names] if isinstance(names, str) else sorted(names)

    return {name: each | {"DependsOn": listed(each.get("DependsOn", []))} for name, each in resources.items()}


def test_examples_refer_to_outputs_that_the_template_has(written: Write) -> None:
    outputs = read(written("dev")[0])["Outputs"]
    texts = [path.read_text() for path in EXAMPLES.iterdir()]

    named = {
        name for text in texts for name in re.findall(r"""(?:Outputs\.|outputs\["|getOutput\(')(\w+)""", text)
    }

    assert len(named) >= 2
    assert named <= outputs.keys()

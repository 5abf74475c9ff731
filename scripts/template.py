"""Write a template and a function package of a stage, for `aws cloudformation package` and `deploy`.

usage: python -m scripts.template --stage=STAGE [--output=FOLDER]
`make template` runs it. The same sources give the same bytes. The template has the resources of `cdk synth`,
but no parameter, rule and metadata of the CDK: it needs no bootstrapped Region. `Code` is a local file.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aws_cdk as cdk

import app
from infra.options import InvalidOptionsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
TEMPLATE: Final = "template.json"
PACKAGE: Final = "function.zip"

# The longest template that CloudFormation takes from S3. As a body, it takes 51,200 bytes:
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
LONGEST_TEMPLATE: Final = 1_000_000

# The first time that a ZIP file can have
_NO_TIME: Final = (1980, 1, 1, 0, 0, 0)
_READABLE_FILE: Final = 0o100644 << 16
# https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.cx_api-readme.html
_ASSET_PATH: Final = "aws:asset:path"
_CDK_METADATA: Final = ("aws:asset:", "aws:cdk:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a template cannot say: the arguments of `aws cloudformation deploy` for the same stack."""

    stack_name: str
    tags: Mapping[str, str]
    protected: bool


def write(context: Mapping[str, Any], output: Path) -> Written:
    """Write the template and the package of the stage in a context into a folder.

    Raises:
        InvalidOptionsError: The stage is unknown, or its options are not valid or not complete.
    """
    return write_stack(app.build, context, output)


def write_stack(build: Callable[[cdk.App], cdk.Stack], context: Mapping[str, Any], output: Path) -> Written:
    """Write the template and the package of the stack that a function adds to an application.

    All functions of the stack have the same package.
    """
    with tempfile.TemporaryDirectory() as folder:
        application = cdk.App(
            context={**context, "aws:cdk:enable-asset-metadata": True, "aws:cdk:enable-path-metadata": False},
            outdir=folder,
            analytics_reporting=False,
            # Without a check of the Region's bootstrap version
            default_stack_synthesizer=cdk.DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        stack = build(application)
        artifact = application.synth().get_stack_by_name(stack.stack_name)
        template: dict[str, Any] = artifact.template
        output.mkdir(parents=True, exist_ok=True)
        for resource in template["Resources"].values():
            if path := resource.get("Metadata", {}).get(_ASSET_PATH):
                _zip(Path(folder, path), output / PACKAGE)
                resource["Properties"]["Code"] = PACKAGE
            _drop_metadata(resource)
        (output / TEMPLATE).write_text(f"{json.dumps(template, indent=1)}\n", encoding="utf-8")
        return Written(
            stack_name=artifact.stack_name,
            tags=artifact.tags,
            protected=bool(artifact.termination_protection),
        )


def _zip(folder: Path, file: Path) -> None:
    """Pack a folder without anything that depends on the time or on this user."""
    with zipfile.ZipFile(file, "w") as package:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _NO_TIME)
            entry.external_attr = _READABLE_FILE
            entry.create_system = 3  # Unix: otherwise the bits of the mode mean nothing
            package.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def _drop_metadata(resource: dict[str, Any]) -> None:
    metadata = resource.pop("Metadata", {})
    if kept := {name: value for name, value in metadata.items() if not name.startswith(_CDK_METADATA)}:
        resource["Metadata"] = kept


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the template of a stage, and print how to deploy it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.template", description=__doc__)
    parser.add_argument("--stage", required=True, help="a stage in cdk.json")
    parser.add_argument("--output", type=Path, default=ROOT / "template", help="the folder of the files")
    parsed = parser.parse_args(arguments)
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    try:
        written = write(context | {"stage": parsed.stage}, parsed.output)
    except InvalidOptionsError as error:
        sys.exit(f"cdk.json: {error}")
    folder = os.path.relpath(parsed.output)
    tags = shlex.join(f"{name}={value}" for name, value in sorted(written.tags.items()))
    sys.stdout.write(
        f"The template is {folder}/{TEMPLATE}, and the function's package is {folder}/{PACKAGE}\n"
        f"Deploy it with --stack-name {written.stack_name} --capabilities CAPABILITY_IAM --tags {tags}\n"
        "docs/how-to/use-without-cdk.md has the whole command\n"
    )
    if written.protected:
        sys.stdout.write(
            "Then run: aws cloudformation update-termination-protection --enable-termination-protection "
            f"--stack-name {written.stack_name}\n"
        )


if __name__ == "__main__":
    main()

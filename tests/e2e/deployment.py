"""Deploys a template of `make template` into the emulator with the AWS CLI, as the how-to says."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from scripts.template import TEMPLATE, Written
from tests.e2e.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.emulator import Emulator

AWS = ROOT / ".sandbox" / "venv-awscli" / "bin" / "aws"
BUCKET = "artifacts"


def deploy(emulator: Emulator, written: Written, folder: Path) -> None:
    """Package and deploy the template in a folder."""
    subprocess.run(["make", ".sandbox/venv-awscli/.installed"], cwd=ROOT, check=True)
    tags = ["--tags", *(f"{name}={value}" for name, value in written.tags.items())] if written.tags else []
    for arguments in (
        ["s3", "mb", f"s3://{BUCKET}"],
        [
            *("cloudformation", "package", "--template-file", TEMPLATE, "--s3-bucket", BUCKET),
            *("--use-json", "--output-template-file", "packaged.json"),
        ],
        [
            *("cloudformation", "deploy", "--template-file", "packaged.json", "--s3-bucket", BUCKET),
            *("--stack-name", written.stack_name, "--capabilities", "CAPABILITY_IAM", *tags),
        ],
    ):
        run = subprocess.run(
            [str(AWS), *arguments],
            cwd=folder,
            env=emulator.environ(home=folder / "home"),
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
        )
        assert run.returncode == 0, run.stdout + run.stderr

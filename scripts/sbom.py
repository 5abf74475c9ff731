"""Write a software bill of materials (SBOM) of a stage's deployment package, in CycloneDX's JSON.

usage: python -m scripts.sbom --stage=STAGE [--output=FOLDER]
`make sbom` runs it. The same package gives the same bytes, so the file is published and not committed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.options import InvalidOptionsError, StageOptions
from infra.python_asset import PythonAsset
from infra.sender_function import RUNTIME
from infra.stage import stack_name
from infra.wheels import AssetBuildError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
_PYTHON: Final = ROOT / ".sandbox" / "venv-sbom" / "bin" / "python"


class SbomError(Exception):
    """The tool failed. The message is what it wrote."""


def sbom(package: Path) -> str:
    """Return the SBOM of a folder with a deployment package.

    Raises:
        SbomError: The tool failed.
    """
    environ = os.environ | {"PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        described = Path(folder) / "pyproject.toml"
        described.write_text(_described(tomllib.loads((ROOT / "pyproject.toml").read_text())))
        command = (
            *(_PYTHON, "-I", "-m", "cyclonedx_py", "environment"),
            *("--output-reproducible", "--validate", "--spec-version=1.6"),
            *("--pyproject", described),
            # It lists the packages on the path of an interpreter: without `site`, those on PYTHONPATH alone
            *("-S", _PYTHON),
        )
        done = subprocess.run(command, cwd=package, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SbomError(done.stderr.strip())
    return done.stdout


def _described(pyproject: Mapping[str, Any]) -> str:
    """Describe the project with the dependencies of the function, in place of those of the library."""
    project = {key: pyproject["project"][key] for key in ("name", "version", "description", "license")}
    project["dependencies"] = pyproject["dependency-groups"]["asset"]
    # A text or a list of texts is the same in JSON and in TOML
    return "\n".join(["[project]", *(f"{key} = {json.dumps(value)}" for key, value in project.items())])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the SBOM of a stage beside the stack's template."""
    parser = argparse.ArgumentParser(prog="python -m scripts.sbom", description=__doc__)
    parser.add_argument("--stage", required=True, help="a stage in cdk.json")
    parser.add_argument("--output", type=Path, default=ROOT / "cdk.out", help="the folder of the file")
    parsed = parser.parse_args(arguments)
    stages = json.loads((ROOT / "cdk.json").read_text())["context"]["stages"]
    try:
        options = StageOptions.of_stage(parsed.stage, stages)
        asset = PythonAsset(
            ROOT / "lambda_src",
            python_version=RUNTIME.name.removeprefix("python"),
            with_tracer=options.tracing == "subsegments",
        )
        with tempfile.TemporaryDirectory() as folder:
            asset.copy_modules(Path(folder))
            written = sbom(Path(folder))
    except InvalidOptionsError as error:
        sys.exit(f"cdk.json: {error}")
    except (AssetBuildError, SbomError) as error:
        sys.exit(str(error))
    parsed.output.mkdir(parents=True, exist_ok=True)
    file = parsed.output / f"{stack_name(parsed.stage)}.cdx.json"
    file.write_text(f"{written.rstrip()}\n")
    sys.stdout.write(f"The SBOM is in {os.path.relpath(file)}\n")


if __name__ == "__main__":
    main()

"""Runs the deployed function in `awslambdaric`, the Python runtime client of AWS Lambda.

The emulator's own worker for Python functions loses the type of an error. But the emulator can run the
`bootstrap` of a custom runtime, as Lambda does, and serves it the Lambda Runtime API.
"""

from __future__ import annotations

import io
import shlex
import zipfile
from typing import TYPE_CHECKING

import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from types_boto3_lambda import LambdaClient
    from types_boto3_lambda.literals import RuntimeType
    from types_boto3_lambda.type_defs import FunctionConfigurationTypeDef

    from infra.outputs import StackOutputs
    from sandbox.emulator import Emulator

CUSTOM_RUNTIME: RuntimeType = "provided.al2023"
_ALIAS = "live"


def has_awslambdaric(python: Path) -> bool:
    """Return whether a virtual environment has awslambdaric, which has wheels for Linux only."""
    return any(python.parent.parent.glob("lib/python*/site-packages/awslambdaric"))


def run_in_awslambdaric(emulator: Emulator, stack: StackOutputs, *, python: Path) -> None:
    """Add a bootstrap that runs awslambdaric to the function, and move the alias to the new version.

    Args:
        python: of a virtual environment with the packages of the Lambda runtime. The function can import its
            own package, these, and nothing else.
    """
    lambda_: LambdaClient = emulator.client("lambda")
    configuration = lambda_.get_function(FunctionName=stack.function_name)["Configuration"]
    files = {"bootstrap": _bootstrap(configuration, python).encode()}
    _update_package(lambda_, stack, files, runtime=CUSTOM_RUNTIME)


def update_code(emulator: Emulator, stack: StackOutputs, source: Path) -> None:
    """Replace the deployed modules of a Python package, and move the alias to the new version.

    The function's dependencies do not change.
    """
    files = {str(path.relative_to(source.parent)): path.read_bytes() for path in source_files(source)}
    _update_package(emulator.client("lambda"), stack, files, instead_of=f"{source.name}/")


def source_files(source: Path) -> list[Path]:
    """List the files of a Python package that are deployed."""
    return [
        path
        for path in sorted(source.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and not path.name.startswith(".")
    ]


def with_files(package: bytes, files: Mapping[str, bytes], *, instead_of: str | None = None) -> bytes:
    """Add files to a package, and remove those whose names start with `instead_of`."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(package)) as old,
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            if instead_of is None or not entry.filename.startswith(instead_of):
                new.writestr(entry, old.read(entry), zipfile.ZIP_DEFLATED)
        for name, data in files.items():
            new.writestr(name, data)
    return content.getvalue()


def _update_package(
    lambda_: LambdaClient,
    stack: StackOutputs,
    files: Mapping[str, bytes],
    *,
    instead_of: str | None = None,
    runtime: RuntimeType | None = None,
) -> None:
    name = stack.function_name
    location = lambda_.get_function(FunctionName=name)["Code"]["Location"]
    package = urllib3.request("GET", location, timeout=10.0).data
    lambda_.update_function_code(FunctionName=name, ZipFile=with_files(package, files, instead_of=instead_of))
    if runtime is not None:
        lambda_.update_function_configuration(FunctionName=name, Runtime=runtime)
    version = lambda_.publish_version(FunctionName=name)["Version"]
    lambda_.update_alias(FunctionName=name, Name=_ALIAS, FunctionVersion=version)


def _bootstrap(configuration: FunctionConfigurationTypeDef, python: Path) -> str:
    """Write the script that starts the runtime. It sets what Lambda sets and the emulator does not."""
    logging = configuration.get("LoggingConfig", {})
    environ = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration['Runtime']}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
        "AWS_LAMBDA_LOG_LEVEL": logging.get("ApplicationLogLevel", ""),
    }
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in environ.items() if value)
    # The emulator starts it in the folder of the function's package, where -m looks for modules first
    return f'#!/bin/sh\nexport {exports}\nexec {shlex.quote(str(python))} -m awslambdaric "$_HANDLER"\n'

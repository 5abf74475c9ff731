"""Runs the deployed function in `awslambdaric`, the runtime client that AWS Lambda itself uses for Python.

The emulator has a worker of its own for Python functions, which loses the type of an error. But it starts a
custom runtime's `bootstrap` as Lambda would, and serves it the Lambda Runtime API.
"""

from __future__ import annotations

import io
import shlex
import zipfile
from typing import TYPE_CHECKING, Any

import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.outputs import StackOutputs
    from sandbox.emulator import Emulator

CUSTOM_RUNTIME = "provided.al2023"
_ALIAS = "live"


def has_awslambdaric(python: Path) -> bool:
    """Tell whether the runtime's virtual environment has it: there are wheels for Linux only."""
    return any(python.parent.parent.glob("lib/python*/site-packages/awslambdaric"))


def run_in_awslambdaric(emulator: Emulator, stack: StackOutputs, *, python: Path) -> None:
    """Give the function a bootstrap that runs awslambdaric, and move the alias to that version of it.

    Args:
        python: of a virtual environment with what the Lambda runtime brings, so that the function finds its
            own package, that, and nothing else.
    """
    lambda_ = emulator.client("lambda")
    function = lambda_.get_function(FunctionName=stack.function_name)
    bootstrap = _bootstrap(function["Configuration"], python)
    package = with_files(_package(function), {"bootstrap": bootstrap.encode()})
    lambda_.update_function_code(FunctionName=stack.function_name, ZipFile=package)
    lambda_.update_function_configuration(FunctionName=stack.function_name, Runtime=CUSTOM_RUNTIME)
    _move_alias(lambda_, stack)


def update_code(emulator: Emulator, stack: StackOutputs, source: Path) -> None:
    """Put the modules of a Python package in the place of those that are deployed, and move the alias.

    The function's dependencies stay as they were deployed.
    """
    lambda_ = emulator.client("lambda")
    function = lambda_.get_function(FunctionName=stack.function_name)
    files = {str(path.relative_to(source.parent)): path.read_bytes() for path in source_files(source)}
    package = with_files(_package(function), files, instead_of=f"{source.name}/")
    lambda_.update_function_code(FunctionName=stack.function_name, ZipFile=package)
    _move_alias(lambda_, stack)


def source_files(source: Path) -> list[Path]:
    """List the files of a Python package that are deployed."""
    return [
        path
        for path in sorted(source.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and not path.name.startswith(".")
    ]


def _package(function: Mapping[str, Any]) -> bytes:
    data: bytes = urllib3.request("GET", function["Code"]["Location"], timeout=10.0).data
    return data


def with_files(package: bytes, files: Mapping[str, bytes], *, instead_of: str | None = None) -> bytes:
    """Write a package anew with some files added, and without those whose names begin with `instead_of`."""
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


def _move_alias(lambda_: Any, stack: StackOutputs) -> None:  # noqa: ANN401  # boto3 makes its clients at run time
    version = lambda_.publish_version(FunctionName=stack.function_name)["Version"]
    lambda_.update_alias(FunctionName=stack.function_name, Name=_ALIAS, FunctionVersion=version)


def _bootstrap(configuration: dict[str, Any], python: Path) -> str:
    """Write the script that stands for the runtime: it sets what Lambda sets and the emulator does not."""
    logging = configuration.get("LoggingConfig", {})
    environ = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{configuration['Runtime']}",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
        "AWS_LAMBDA_LOG_LEVEL": logging.get("ApplicationLogLevel", ""),
    }
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in environ.items() if value)
    # The emulator starts it in the folder of the function's package, and -m looks for modules there first
    return f'#!/bin/sh\nexport {exports}\nexec {shlex.quote(str(python))} -m awslambdaric "$_HANDLER"\n'

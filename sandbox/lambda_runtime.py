"""Runs the deployed functions in `awslambdaric`, the Python runtime client of AWS Lambda. Updates their code.

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


def run_in_awslambdaric(emulator: Emulator, stack: StackOutputs, *, python: Path) -> bool:
    """Add a bootstrap that runs awslambdaric to both functions, and move the alias to the new version.

    Return False without awslambdaric, which has wheels for Linux only.

    Args:
        python: of a virtual environment with the packages of the Lambda runtime. A function can import its
            own package, these, and nothing else.
    """
    if not any(python.parent.parent.glob("lib/python*/site-packages/awslambdaric")):
        return False
    lambda_: LambdaClient = emulator.client("lambda")
    for configuration in _functions(lambda_, stack):
        files = {"bootstrap": bootstrap(configuration, python).encode()}
        _update_package(lambda_, stack, configuration["FunctionName"], files, runtime=CUSTOM_RUNTIME)
    return True


class CodeWatch:
    """Compares a Python package with the state that was deployed last: at first, the present one."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._known = self._state()

    def update(self, emulator: Emulator, outputs: StackOutputs) -> bool:
        """Deploy the code if it has changed. Return whether it was deployed.

        Raises:
            SyntaxError: A module is not valid Python. Nothing was deployed.
        """
        try:
            state = self._state()
            if state == self._known:
                return False
            self._known = state
            for path in state:
                if path.suffix == ".py":
                    compile(path.read_bytes(), path, "exec", dont_inherit=True)
            files = {str(path.relative_to(self._source.parent)): path.read_bytes() for path in state}
            replaced = f"{self._source.name}/"
            lambda_: LambdaClient = emulator.client("lambda")
            for configuration in _functions(lambda_, outputs):
                _update_package(lambda_, outputs, configuration["FunctionName"], files, instead_of=replaced)
        except FileNotFoundError:  # an editor is just replacing a file: the next call finds the change
            self._known = {}
            return False
        return True

    def _state(self) -> Mapping[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in source_files(self._source)}


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


def _functions(lambda_: LambdaClient, stack: StackOutputs) -> list[FunctionConfigurationTypeDef]:
    """Return the functions that put events on the stack's bus: the sender function, and `Results`."""
    pages = lambda_.get_paginator("list_functions").paginate()
    return [
        configuration
        for configuration in pages.search("Functions[]")
        if configuration.get("Environment", {}).get("Variables", {}).get("EVENT_BUS_NAME")
        == stack.event_bus_name
    ]


def _update_package(
    lambda_: LambdaClient,
    stack: StackOutputs,
    name: str,
    files: Mapping[str, bytes],
    *,
    instead_of: str | None = None,
    runtime: RuntimeType | None = None,
) -> None:
    location = lambda_.get_function(FunctionName=name)["Code"]["Location"]
    package = urllib3.request("GET", location, timeout=10.0).data
    lambda_.update_function_code(FunctionName=name, ZipFile=with_files(package, files, instead_of=instead_of))
    if runtime is not None:
        lambda_.update_function_configuration(FunctionName=name, Runtime=runtime)
    if name == stack.function_name:  # the other one has no alias
        version = lambda_.publish_version(FunctionName=name)["Version"]
        lambda_.update_alias(FunctionName=name, Name=_ALIAS, FunctionVersion=version)


def bootstrap(configuration: FunctionConfigurationTypeDef, python: Path) -> str:
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

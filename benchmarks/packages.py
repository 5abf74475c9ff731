"""The folders from which the handlers run: deployment packages, and the contents of the Lambda runtime."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
BASELINES: Final = Path(__file__).parent / "baselines"
_SCHEMA: Final = ROOT / "lambda_src" / "message_sender" / "schemas" / "send_message_request.json"
_RUNTIME: Final = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")
_OURS: Final = "message_sender"


def deployed_asset(assembly: Path) -> Path:
    """Return the function's package in a cloud assembly: the files that the CDK would upload."""
    (module,) = assembly.glob(f"asset.*/{_OURS}")
    return module.parent


class Packages:
    """Creates the folders, compiled by the interpreter that will run them.

    Attributes:
        ours: The function's deployment package. `ours_uncompiled`: the same without `.pyc`.
        plain: The handlers that need only boto3.
        powertools: The handler that needs Powertools, with the function's own version of it.
            `powertools_uncompiled`: the same without `.pyc`.
        runtime: boto3, botocore and their dependencies, the last entry of the path.
    """

    def __init__(self, folder: Path, *, asset: Path, python: str) -> None:
        self.ours, self.ours_uncompiled = folder / "ours", folder / "ours-uncompiled"
        self.powertools, self.powertools_uncompiled = folder / "powertools", folder / "powertools-uncompiled"
        self.plain, self.runtime = folder / "plain", folder / "runtime"
        _copy(asset, self.ours)
        _copy(BASELINES, self.plain)
        _copy(asset, self.powertools, without=(_OURS, "urllib3"))
        for file in (BASELINES / "boto3_powertools.py", _SCHEMA):
            shutil.copy(file, self.powertools)
        _copy_runtime(self.runtime)
        _copy(self.ours, self.ours_uncompiled)
        _copy(self.powertools, self.powertools_uncompiled)
        compiled = map(str, [self.ours, self.plain, self.powertools, self.runtime])
        compile_all = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *compiled]
        subprocess.run(compile_all, check=True)


def zipped_parts(folder: Path) -> dict[str, int]:
    """Return the bytes of a folder as a zip file, by package and kind of file.

    The sum is the size of the zip file, its directory included.
    """
    content = io.BytesIO()
    parts: dict[str, int] = {}
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder)
            archive.write(file, name)
            part = f"{_package_of(name)}, {'bytecode' if file.suffix == '.pyc' else 'sources'}"
            parts[part] = parts.get(part, 0) + archive.getinfo(name.as_posix()).compress_size
    parts["directory of the zip file"] = len(content.getvalue()) - sum(parts.values())
    return parts


def _package_of(name: Path) -> str:
    """Return the package of a file: `six.py` and `six-1.17.dist-info` belong to `six`."""
    if name.parts[0] == "__pycache__":
        return name.name.partition(".")[0]
    return name.parts[0].partition("-")[0].removesuffix(".py")


def _copy(source: Path, target: Path, *, without: tuple[str, ...] = ()) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", *without)
    shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)


def _copy_runtime(target: Path) -> None:
    for name in _RUNTIME:
        for file in distribution(name).files or ():
            if file.suffix != ".pyc" and ".." not in file.parts:
                copy = target / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), copy)

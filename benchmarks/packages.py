"""The folders that the handlers run from: deployment packages, and what the Lambda runtime brings."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PEERS: Final = Path(__file__).parent / "baselines"
_SCHEMA: Final = ROOT / "lambda_src" / "message_sender" / "schemas" / "send_message_request.json"
_RUNTIME: Final = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")
_OURS: Final = "message_sender"


def deployed_asset(assembly: Path) -> Path:
    """Return the function's package in a cloud assembly: what the CDK would upload."""
    (module,) = assembly.glob(f"asset.*/{_OURS}")
    return module.parent


class Packages:
    """Lays the folders out, compiled by the interpreter that will run them.

    Attributes:
        ours: The function's deployment package.
        ours_uncompiled: The same without `.pyc`.
        plain: The handlers that need nothing but boto3.
        powertools: The handler that needs Powertools, and what Powertools needs: the function's own versions.
        powertools_uncompiled: The same without `.pyc`.
        runtime: boto3, botocore and what they need, which the Lambda runtime brings: the last on the path.
    """

    def __init__(self, folder: Path, *, asset: Path, python: str) -> None:
        self.ours = folder / "ours"
        self.ours_uncompiled = folder / "ours-uncompiled"
        self.plain = folder / "plain"
        self.powertools = folder / "powertools"
        self.powertools_uncompiled = folder / "powertools-uncompiled"
        self.runtime = folder / "runtime"
        _copy(asset, self.ours)
        _copy(PEERS, self.plain)
        _copy(asset, self.powertools, left_out=(_OURS, "urllib3"))
        shutil.copy(PEERS / "boto3_powertools.py", self.powertools)
        shutil.copy(_SCHEMA, self.powertools)
        _copy_runtime(self.runtime)
        _copy(self.ours, self.ours_uncompiled)
        _copy(self.powertools, self.powertools_uncompiled)
        compiled = [self.ours, self.plain, self.powertools, self.runtime]
        subprocess.run(
            [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *map(str, compiled)],
            check=True,
        )


def zipped_parts(folder: Path) -> dict[str, int]:
    """Return the bytes that a folder takes as a zip file, by package and kind of file.

    Files are compressed one by one, so the parts add up to the whole, with the zip file's own directory.
    """
    content = io.BytesIO()
    parts: dict[str, int] = {}
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder)
            archive.write(file, name)
            part = f"{_part(name)}, {'bytecode' if file.suffix == '.pyc' else 'sources'}"
            parts[part] = parts.get(part, 0) + archive.getinfo(name.as_posix()).compress_size
    parts["names and places in the zip file"] = len(content.getvalue()) - sum(parts.values())
    return parts


def _part(name: Path) -> str:
    """Return the package that a file belongs to: `six.py` and `six-1.17.dist-info` to `six`."""
    if name.parts[0] == "__pycache__":
        return name.name.partition(".")[0]
    return name.parts[0].partition("-")[0].removesuffix(".py")


def _copy(source: Path, target: Path, *, left_out: tuple[str, ...] = ()) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", *left_out)
    shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)


def _copy_runtime(target: Path) -> None:
    for name in _RUNTIME:
        for file in distribution(name).files or ():
            if file.suffix != ".pyc" and ".." not in file.parts:
                copy = target / file
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), copy)

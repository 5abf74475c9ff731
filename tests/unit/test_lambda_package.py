"""The deployed package with other code in it."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

from sandbox.lambda_runtime import source_files, with_files

if TYPE_CHECKING:
    from pathlib import Path


def package(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/"), text)
    return content.getvalue()


def files_of(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert len(archive.namelist()) == len(set(archive.namelist()))
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_files_are_added() -> None:
    changed = with_files(package(sender__handler="old"), {"bootstrap": b"#!/bin/sh"})

    assert files_of(changed) == {"sender/handler": "old", "bootstrap": "#!/bin/sh"}


def test_a_folder_is_replaced_and_the_rest_stays() -> None:
    old = package(bootstrap="#!/bin/sh", urllib3__pool="pool", sender__handler="old", sender__gone="gone")

    changed = with_files(old, {"sender/handler": b"new"}, instead_of="sender/")

    assert files_of(changed) == {"bootstrap": "#!/bin/sh", "urllib3/pool": "pool", "sender/handler": "new"}


def test_the_files_of_the_source_are_those_that_are_deployed(tmp_path: Path) -> None:
    for name in ("handler.py", "schemas/request.json", "__pycache__/handler.pyc", ".handler.py.swp"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()

    assert source_files(tmp_path) == [tmp_path / "handler.py", tmp_path / "schemas/request.json"]

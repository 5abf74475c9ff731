import re
from pathlib import Path

import pytest

from scripts.render_stack import LICENCES, NotPermissiveError, licences


def add_package(folder: Path, name: str, *metadata: str) -> None:
    (folder / f"{name}-1.0.dist-info").mkdir()
    (folder / f"{name}-1.0.dist-info" / "METADATA").write_text(
        "\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *metadata, ""])
    )


def test_document_lists_every_package(asset_with_tracer: Path) -> None:
    assert LICENCES.read_text() == licences(asset_with_tracer), "run `make docs`"


def test_text_of_every_licence_is_in_the_package(asset_with_tracer: Path) -> None:
    packages = [*asset_with_tracer.glob("*.dist-info")]

    assert packages
    assert [package.name for package in packages if not [*package.rglob("LICENSE*")]] == []


@pytest.mark.parametrize(
    ("stated", "named"),
    [
        ("License-Expression: MIT", "MIT"),
        ("License: Apache License 2.0", "Apache-2.0"),
        ("License: BSD-3-Clause", "BSD-3-Clause"),
    ],
)
def test_licence_has_its_spdx_name(tmp_path: Path, stated: str, named: str) -> None:
    add_package(tmp_path, "dependency", stated)

    assert f"| dependency | 1.0 | {named} |" in licences(tmp_path)


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (["License-Expression: GPL-3.0-only"], "GPL-3.0-only"),
        (["License-Expression: MIT AND LGPL-2.1-or-later"], "MIT AND LGPL-2.1-or-later"),
        (["License: Proprietary"], "Proprietary"),
        ([], "no licence"),
    ],
)
def test_licence_that_is_not_permissive_is_refused(tmp_path: Path, stated: list[str], said: str) -> None:
    add_package(tmp_path, "dependency", *stated)

    with pytest.raises(NotPermissiveError, match=rf"^dependency 1\.0: {re.escape(said)}$"):
        licences(tmp_path)

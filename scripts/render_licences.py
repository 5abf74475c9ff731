"""List what ships with the function, and under which licences: docs/licences.md, by the packages' metadata.

usage: python scripts/render_licences.py        `make docs`; a test fails while there is something to write
"""

from __future__ import annotations

import sys
import tempfile
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from importlib.metadata import Distribution

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, Python looks for modules beside it only

from infra.python_asset import CACHE, PythonAsset  # noqa: E402  # see above
from infra.sender_function import RUNTIME  # noqa: E402  # see above

DOCUMENT: Final = ROOT / "docs" / "licences.md"

PERMISSIVE: Final = frozenset(
    {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"}
)

# Of metadata from before there were SPDX expressions
_SPDX: Final = {"Apache License 2.0": "Apache-2.0"}

_HEAD: Final = """\
# Licences

What the function's deployment package holds beside the project's own modules (MIT, [LICENSE](../LICENSE)):
written by `make docs` from the packages' metadata. A test refuses any licence that is not permissive.
botocore and boto3 come with the Lambda runtime and are not shipped.

| Package | Version | Licence | Its text, in the package |
|---|---|---|---|
"""


class NotPermissiveError(Exception):
    """A package ships under a licence that is not known to be permissive; the message names both."""


def render(package: Path) -> str:
    """Return the document for a deployment package.

    Raises:
        NotPermissiveError: What is distributed with the function would be bound by more than a notice.
    """
    found = sorted(distributions(path=[str(package)]), key=lambda found: found.name.lower())
    rows = [
        f"| {each.name} | {each.version} | {licence(each)} | {', '.join(_texts(package, each))} |"
        for each in found
    ]
    return _HEAD + "\n".join(rows) + "\n"


def licence(distribution: Distribution) -> str:
    """Return the licence of a package as SPDX names it.

    Raises:
        NotPermissiveError: It is not known to be permissive.
    """
    metadata = distribution.metadata
    fields = ("License-Expression", "License")
    stated = next((metadata[field] for field in fields if field in metadata), "no licence")
    named = _SPDX.get(stated, stated)
    if named not in PERMISSIVE:
        raise NotPermissiveError(f"{distribution.name} {distribution.version}: {stated}")
    return named


def _texts(package: Path, distribution: Distribution) -> list[str]:
    folder = package / f"{distribution.name.replace('-', '_')}-{distribution.version}.dist-info"
    names = ("LICENSE", "LICENSE.txt", "NOTICE", "AUTHORS")
    return [f"`{path.relative_to(package)}`" for path in sorted(folder.rglob("*")) if path.name in names]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        version = RUNTIME.name.removeprefix("python")
        PythonAsset(ROOT / "lambda_src", python_version=version, cache=CACHE).build(Path(folder))
        DOCUMENT.write_text(render(Path(folder)))

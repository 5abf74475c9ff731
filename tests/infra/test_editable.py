"""What the build backend makes for an editable installation, and what the package says of itself."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str) -> str:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel of `pip install --editable .` into a folder."""
    folder = tmp_path_factory.mktemp("site")
    build = "import sys; from hatchling.build import build_editable; print(build_editable(sys.argv[1]))"
    wheel = run("-c", build, str(folder)).splitlines()[-1]
    with zipfile.ZipFile(folder / wheel) as archive:
        archive.extractall(folder)
    return folder


def test_editable_installation_imports_the_files_of_the_clone(site: Path) -> None:
    program = (
        "import site, sys; site.addsitedir(sys.argv[1]); from connect_message_sender import contract;"
        "print(contract.__file__, contract.FUNCTION_SOURCES)"
    )

    # Without the packages of this environment, which imports the same link
    module, sources = run("-I", "-S", "-c", program, str(site)).split()

    assert Path(module).resolve() == ROOT / "infra" / "contract.py"
    assert Path(sources) == ROOT / "lambda_src"


def test_description_of_the_package_has_no_link_into_the_repository(site: Path) -> None:
    [metadata] = site.glob("*.dist-info/METADATA")
    _, _, description = metadata.read_text().partition("\n\n")

    assert "MessageSender" in description
    assert re.findall(r"\]\((?!https://)", description) == []

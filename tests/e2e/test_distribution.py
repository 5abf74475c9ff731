"""The wheel in the project of somebody else: an empty environment, and a folder outside the repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.python_asset import PythonAsset
from infra.sender_function import RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation

ROOT = Path(__file__).parents[2]
EMBEDDED = Path(__file__).with_name("embedded")
APP, OPTIONS = Path("examples/cdk_app.py"), Path("examples/cdk_options.py")
CDK = ROOT / "node_modules/.bin/cdk"
PACKAGES = {"infra": "connect_message_sender", "lambda_src": "connect_message_sender/lambda_src"}

WHEEL_BYTES = 210_000

pytestmark = pytest.mark.e2e


def run(
    *command: str | Path, folder: Path = ROOT, environ: Mapping[str, str] | None = None, text: str = ""
) -> str:
    """Run a command that must succeed. Return its whole output."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=environ,
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as `pip install .` does, with the pinned build backend of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, ROOT)
    [wheel] = folder.iterdir()
    return wheel


def installed(wheel: Path, folder: Path, *, extra: str = "") -> Path:
    """Install the wheel into an empty virtual environment, with the versions of this project."""
    requirements = folder.with_suffix(".txt")
    requirements.write_text(
        f"connect-message-sender{extra} @ {wheel.as_uri()}\n-c {ROOT / 'requirements-dev.txt'}\n"
    )
    run("sh", ROOT / "scripts/create-venv.sh", sys.executable, folder, requirements)
    return folder / "bin/python"


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed(wheel, tmp_path_factory.mktemp("project") / "venv", extra="[cdk]")


def files(folder: Path) -> dict[Path, int]:
    """Return the files of a folder and their times, without modules that Python compiled on import."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }


@pytest.fixture(scope="module")
def project(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthesize the application of the how-to as the only file of a project, without a feature flag."""
    project = tmp_path_factory.mktemp("app")
    (project / "app.py").write_bytes((ROOT / APP).read_bytes())
    packages = python.parents[1] / "lib"
    before = files(packages)

    output = synthesize(python, project)

    assert output.strip().splitlines()[:1] == [
        "Bundling asset Chat/MessageSender/Sender/Function/Code/Stage..."
    ]
    assert files(packages) == before
    compiled = {path.parent for path in packages.rglob("lambda_src/**/*.pyc")}
    assert compiled == set(), "the sources of the function were compiled in place"
    return project


def synthesize(python: Path, project: Path) -> str:
    """Run the CDK CLI in a project. Return its output."""
    environ = {
        **os.environ,
        # uv, where it is in the environment of the tests alone
        "PATH": os.pathsep.join((str(python.parent), str(Path(sys.executable).parent), os.environ["PATH"])),
        "XDG_CACHE_HOME": str(project / "cache"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
    }
    return run(
        *(CDK, "synth", "--quiet", "--no-notices", "--no-color", "--app", "python app.py"),
        folder=project,
        environ=environ,
    )


def test_wheel_has_the_files_of_the_repository_and_no_others(wheel: Path) -> None:
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", *PACKAGES).split()
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}

    ours = {name: content for name, content in contents.items() if ".dist-info/" not in name}
    others = {Path(name).name for name in contents.keys() - ours.keys()}

    assert ours == {
        str(Path(PACKAGES[top], *rest)): (ROOT / name).read_bytes()
        for name in listed
        for top, *rest in [Path(name).parts]
    }
    assert others == {"METADATA", "WHEEL", "RECORD", "LICENSE"}
    assert wheel.stat().st_size <= WHEEL_BYTES


def test_package_does_not_depend_on_what_built_it(project: Path, tmp_path: Path) -> None:
    [asset] = (project / "cdk.out").glob("asset.*")

    PythonAsset(ROOT / "lambda_src", python_version=RUNTIME.name.removeprefix("python")).build(tmp_path)

    assert {path.relative_to(asset): path.read_bytes() for path in asset.rglob("*") if path.is_file()} == {
        path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()
    }


def test_two_senders_in_a_stack_give_no_warning(python: Path, project: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_bytes((EMBEDDED / "two_senders.py").read_bytes())
    (tmp_path / "examples").mkdir()
    (tmp_path / OPTIONS).write_bytes((ROOT / OPTIONS).read_bytes())
    # The feature flags that `cdk init` recommends, and the dependencies that the other project has installed
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    del context["stages"]
    (tmp_path / "cdk.json").write_text(json.dumps({"context": context}))
    (tmp_path / "cache").symlink_to(project / "cache")

    output = synthesize(python, tmp_path).splitlines()

    no_interpreter = "python3.13 is not installed: the package has no .pyc files"
    assert [line for line in output if not line.startswith(("Bundling asset Chat/", no_interpreter))] == []


@pytest.fixture
def deployed(project: Path, stack: LocalStack, tmp_path: Path) -> Iterator[str]:
    """Deploy the application into the emulator. Return the name of its stack and sender."""
    environ = {**stack.emulator.environ(home=tmp_path / "home"), "CDK_DISABLE_CLI_TELEMETRY": "true"}
    stack.children.run(
        [str(CDK), "deploy", "--no-notices", "--app", str(project / "cdk.out"), "--require-approval=never"],
        output=tmp_path / "cdk.log",
        environ=environ,
        folder=project,
        timeout=180,
    )
    yield "Chat"
    stack.emulator.client("cloudformation").delete_stack(StackName="Chat")


def test_message_of_the_installed_producer_is_in_the_chat(
    deployed: str, python: Path, stack: LocalStack, alice: Conversation, tmp_path: Path
) -> None:
    request = {
        "connection_token": alice.chat.connection_token,
        "contact_id": alice.chat.contact_id,
        "content": "Your parcel is on its way.",
    }

    message_id = run(
        *(python, "-I", EMBEDDED / "send.py", deployed),
        folder=tmp_path,
        environ=stack.emulator.environ(home=tmp_path),
        text=json.dumps(request),
    )

    assert message_id.strip()
    deadline = time.monotonic() + 60
    while not alice.texts and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alice.texts == ["Your parcel is on its way."]


def test_public_names_have_types_in_another_project(python: Path, tmp_path: Path) -> None:
    sources = (ROOT / APP, ROOT / OPTIONS, EMBEDDED / "public_types.py")
    checked = [tmp_path / source.name for source in sources]
    for source, copy in zip(sources, checked, strict=True):
        copy.write_bytes(source.read_bytes())

    imported = re.findall(r"^from aws_cdk import (\w+)", "".join(map(Path.read_text, sources)), re.MULTILINE)
    (tmp_path / "mypy.ini").write_text(CONFIGURATION.format(",".join(f"aws_cdk.{name}" for name in imported)))
    run(sys.executable, "-m", "mypy", "--python-executable", python, *checked, folder=tmp_path)


# An expression of the type Any would be a name without a type. The modules of the CDK that are not imported
# would take a minute.
CONFIGURATION = """
[mypy]
strict = true
disallow_any_expr = true
[mypy-aws_cdk.*]
follow_imports = skip
[mypy-aws_cdk,{}]
follow_imports = normal
"""

WITHOUT_CDK = """
import importlib.util, sys
from connect_message_sender.producer import Producer
assert importlib.util.find_spec("aws_cdk") is None
try:
    from connect_message_sender import MessageSender
except ImportError as error:
    print(error)
"""


def test_without_the_extra_the_producer_works_and_the_construct_names_it(wheel: Path, tmp_path: Path) -> None:
    python = installed(wheel, tmp_path / "venv")

    output = run(python, "-I", "-c", WITHOUT_CDK, folder=tmp_path)

    assert output == "MessageSender needs the AWS CDK: install connect-message-sender[cdk]\n"

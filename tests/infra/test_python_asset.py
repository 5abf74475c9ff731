import importlib.util
import marshal
import os
import shutil
import sys
from pathlib import Path

import pytest

import app
from infra.python_asset import CACHE, AssetBuildError, PythonAsset, compile_modules, find_python
from infra.sender_function import RUNTIME

SOURCE = Path(app.__file__).parent / "lambda_src"


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_package_holds_the_modules_of_the_function(asset: Path) -> None:
    modules = {
        path.relative_to(SOURCE)
        for path in (SOURCE / "message_sender").rglob("*")
        if path.suffix in {".py", ".json"}
    }

    assert {path for path in modules if not (asset / path).is_file()} == set()


def test_package_holds_the_dependencies_and_nothing_that_the_runtime_brings(asset: Path) -> None:
    packages = {
        path.name for path in asset.iterdir() if not path.name.endswith((".dist-info", "__pycache__"))
    }

    assert packages == {
        "aws_lambda_powertools",
        "aws_xray_sdk",
        "fastjsonschema",
        "jmespath",
        "message_sender",
        "typing_extensions.py",
        "urllib3",
        "wrapt",
    }


def test_package_holds_no_native_code(asset: Path) -> None:
    native = [name for name in files(asset) if name.endswith((".so", ".pyd", ".dylib"))]

    assert native == []


def test_package_holds_nothing_of_the_machine_that_built_it(asset: Path) -> None:
    of_the_machine = {"INSTALLER", "RECORD", "REQUESTED", "bin", "tests"}

    names = {part for name in files(asset) for part in Path(name).parts}

    assert names & of_the_machine == set()
    assert [name for name in names if name.endswith(".pyi")] == []


def test_package_holds_compiled_modules_of_the_runtimes_version_or_none(asset: Path) -> None:
    compiled = {path.name for path in asset.rglob("*.pyc")}
    modules = {f"{path.stem}.cpython-313.pyc" for path in asset.rglob("*.py")}

    assert compiled == (modules if find_python("3.13") else set())


def test_same_sources_give_the_same_bytes(asset: Path, tmp_path: Path) -> None:
    source, cache, output = tmp_path / "source", tmp_path / "cache", tmp_path / "output"
    for original, copy in ((SOURCE, source), (CACHE, cache)):
        shutil.copytree(original, copy)
        disturb(copy)

    PythonAsset(source, python_version="3.13", cache=cache).build(output)

    assert files(output) == files(asset)


def disturb(folder: Path) -> None:
    """Leave the traces of another machine, another moment and another umask."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.name == "RECORD":
            path.write_text("another pip's record\n")
        if path.suffix == ".py":
            compiled = path.parent / "__pycache__" / f"{path.stem}.cpython-313.pyc"
            compiled.parent.mkdir(exist_ok=True)
            compiled.touch()
        os.utime(path, (0, 0))
        path.chmod(0o600)


def test_second_build_needs_no_package_index(
    asset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    PythonAsset(SOURCE, python_version="3.13", cache=CACHE).build(tmp_path)

    assert files(tmp_path) == files(asset)


def test_failed_installation_is_an_error_and_is_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    cache = tmp_path / "cache"
    (tmp_path / "requirements.txt").write_text(f"no-such-package==1.0 --hash=sha256:{'0' * 64}\n")

    with pytest.raises(
        AssetBuildError, match=r"(?s)^pip could not install .+requirements\.txt:.+no-such-package"
    ):
        PythonAsset(tmp_path, python_version="3.13", cache=cache).build(tmp_path / "output")

    assert [*cache.iterdir()] == []


THIS_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def packaged(tmp_path: Path, module: str, *, python_version: str) -> Path:
    """Build a function of one module, without dependencies."""
    source, output = tmp_path / "source", tmp_path / "output"
    (source / "message_sender").mkdir(parents=True)
    (source / "message_sender" / "module.py").write_text(module)
    (source / "requirements.txt").touch()
    PythonAsset(source, python_version=python_version, cache=tmp_path / "cache").build(output)
    return output


def test_interpreter_of_the_version_that_is_running_is_found() -> None:
    assert find_python(THIS_VERSION) == sys.executable


def test_interpreter_on_the_path_is_found_if_it_is_of_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = executable(tmp_path / "python3.99", "echo cpython 3.99")
    executable(tmp_path / "python3.98", "echo cpython 3.97")
    executable(tmp_path / "python3.96", "echo 'pyenv: python3.96: command not found' >&2; exit 127")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    found = [find_python(version) for version in ("3.99", "3.98", "3.96", "3.95")]

    assert found == [str(python), None, None, None]


def test_package_is_compiled_by_an_interpreter_of_its_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = packaged(tmp_path, "answer = 42", python_version=THIS_VERSION)

    assert [path.relative_to(output).parts[:2] for path in output.rglob("*.pyc")] == [
        ("message_sender", "__pycache__")
    ]
    assert capsys.readouterr().err == ""


def test_package_without_such_an_interpreter_is_not_compiled_and_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = packaged(tmp_path, "answer = 42", python_version="3.99")

    assert [*output.rglob("*.pyc")] == []
    assert capsys.readouterr().err == (
        "No python3.99 on this machine: the function is packaged without .pyc files, "
        "and compiles its modules at every cold start\n"
    )


def test_module_that_does_not_compile_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        AssetBuildError, match=r"(?s)^.+ could not compile the package:.+module\.py.+SyntaxError"
    ):
        packaged(tmp_path, "def", python_version=THIS_VERSION)


def test_compiled_modules_are_the_same_wherever_and_by_whom_they_are_built(
    asset: Path, tmp_path: Path
) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "some" / "where" / "else"
    for folder in (here, elsewhere):
        shutil.copytree(asset, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in elsewhere.rglob("*.py"):
        os.utime(path, (0, 0))

    compile_modules(here, python=sys.executable)
    before = os.umask(0o077)
    try:
        compile_modules(elsewhere, python=sys.executable)
    finally:
        os.umask(before)

    assert len([*here.rglob("*.pyc")]) == len([*here.rglob("*.py")])
    assert files(here) == files(elsewhere)


def test_compiled_module_is_valid_for_ever_and_names_its_file_in_lambda(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("raise ValueError")

    compile_modules(tmp_path, python=sys.executable)

    [compiled] = (path.read_bytes() for path in tmp_path.rglob("*.pyc"))
    assert compiled[:4] == importlib.util.MAGIC_NUMBER
    assert compiled[4:8] == (1).to_bytes(4, "little")  # a hash instead of a time, and not to be checked
    assert marshal.loads(compiled[16:]).co_filename == "/var/task/module.py"  # noqa: S302  # made here


def test_runtime_of_the_function_decides_the_version(asset: Path, tmp_path: Path) -> None:
    version = RUNTIME.name.removeprefix("python")

    PythonAsset(SOURCE, python_version=version, cache=CACHE).build(tmp_path)

    assert files(tmp_path) == files(asset)

import os
import shutil
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest

import app
from infra.python_asset import CACHE, AssetBuildError, PythonAsset

SOURCE = Path(app.__file__).parent / "lambda_src"


@pytest.fixture(scope="module")
def asset(context: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The deployment package as the CDK stages it."""
    assembly = tmp_path_factory.mktemp("cdk.out")
    app.build(cdk.App(context=context, outdir=str(assembly)))
    (asset,) = assembly.glob("asset.*")
    return asset


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
    packages = {path.name for path in asset.iterdir() if not path.name.endswith(".dist-info")}

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
    of_the_machine = {"__pycache__", "INSTALLER", "RECORD", "REQUESTED", "bin", "tests"}

    names = {part for name in files(asset) for part in Path(name).parts}

    assert names & of_the_machine == set()
    assert [name for name in names if name.endswith((".pyc", ".pyi"))] == []


def test_package_holds_the_licence_of_every_dependency(asset: Path) -> None:
    unlicensed = [folder.name for folder in asset.glob("*.dist-info") if not [*folder.rglob("LICEN[CS]E*")]]

    assert unlicensed == []


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

"""The software bill of materials lists exactly the packages that are deployed."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import sbom as command
from scripts.sbom import ROOT, SbomError, sbom


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    """Install the tool, also if you run pytest without make."""
    subprocess.run(["make", ".sandbox/venv-sbom/.installed"], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def document(asset: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(sbom(asset))
    return document


def listed(document: dict[str, Any]) -> set[str]:
    return {component["purl"] for component in document["components"]}


def contained(package: Path) -> set[str]:
    """Return the package URLs of what pip has installed into a folder."""
    names = [path.name.removesuffix(".dist-info") for path in package.glob("*.dist-info")]
    parts = [name.rpartition("-") for name in names]
    return {f"pkg:pypi/{re.sub('[-_.]+', '-', name).lower()}@{version}" for name, _, version in parts}


def test_every_package_is_listed_and_no_other(document: dict[str, Any], asset: Path) -> None:
    assert listed(document) == contained(asset)
    assert len(document["components"]) == len(contained(asset))


def test_package_for_subsegments_lists_the_xray_sdk(
    document: dict[str, Any], asset_with_tracer: Path
) -> None:
    traced = json.loads(sbom(asset_with_tracer))

    assert listed(traced) == contained(asset_with_tracer)
    added = {name.partition("@")[0] for name in listed(traced) - listed(document)}
    assert added == {"pkg:pypi/aws-xray-sdk", "pkg:pypi/wrapt"}


def test_every_package_has_a_licence(asset_with_tracer: Path) -> None:
    components = json.loads(sbom(asset_with_tracer))["components"]

    assert [component["name"] for component in components if not component.get("licenses")] == []


def test_it_describes_this_project_and_its_dependencies(document: dict[str, Any]) -> None:
    root = document["metadata"]["component"]

    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert f'version = "{root["version"]}"' in (ROOT / "pyproject.toml").read_text()
    assert (root["name"], root["type"]) == ("connect-message-sender", "application")
    depends = {item["ref"]: item.get("dependsOn", []) for item in document["dependencies"]}
    assert {name.partition("==")[0] for name in depends[root["bom-ref"]]} == {
        *("aws_lambda_powertools", "fastjsonschema", "urllib3")
    }


def test_same_package_gives_the_same_bytes_anywhere(asset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "another folder"
    shutil.copytree(asset, copy)

    assert sbom(copy) == sbom(asset)
    assert str(tmp_path) not in sbom(copy)


def test_package_of_a_stage_is_listed_beside_its_template(
    asset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.main(["--stage=dev", f"--output={tmp_path / 'cdk.out'}"])

    file = tmp_path / "cdk.out" / "ConnectMessageSender-dev.cdx.json"
    assert json.loads(file.read_text()) == json.loads(sbom(asset))
    assert file.name in capsys.readouterr().out


def test_stage_without_options_has_an_sbom(
    asset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyproject.toml", "lambda_src"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "cdk.json").write_text('{"context": {"stages": {"test": {}}}}')
    monkeypatch.setattr(command, "ROOT", tmp_path)

    command.main(["--stage=test", f"--output={tmp_path}"])

    written = json.loads((tmp_path / "ConnectMessageSender-test.cdx.json").read_text())
    assert listed(written) == contained(asset)


def test_unknown_stage_is_an_error_of_one_line() -> None:
    with pytest.raises(SystemExit, match=r"^cdk\.json: unknown stage 'test'; accepted: "):
        command.main(["--stage=test"])


def test_failure_of_the_tool_is_reported(asset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "_PYTHON", Path(shutil.which("false") or "false"))
    with pytest.raises(SbomError):
        sbom(asset)

"""The function's deployment package: its modules and their pinned dependencies, built without Docker.

The dependencies are pure Python, so one package serves every architecture and any machine can build it. The
same sources give the same bytes: whatever pip notes about the machine and the moment is left out.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

CACHE = Path(__file__).parent.parent / ".cdk-cache"
_PACKAGE = "message_sender"

# Patterns of the names, of files and folders, that the function never needs
_LEFT_OUT = (
    *("__pycache__", "*.pyc"),  # of this machine's Python, not of the function's
    *("INSTALLER", "RECORD", "REQUESTED", "direct_url.json"),  # pip's notes about its own installation
    *("bin", "*.c", "*.pyi"),  # command line tools, sources of extensions, type stubs
    *(".*", "tests"),  # what editors and tools leave beside our modules
)


class AssetBuildError(Exception):
    """The deployment package could not be built; the message says why."""


def python_code(source: Path, *, runtime: lambda_.Runtime) -> lambda_.Code:
    """Return the code of a source folder, which holds the package and its `requirements.txt`."""
    return lambda_.Code.from_asset(
        str(source),
        # What is built again without a change is not deployed again
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(
            image=runtime.bundling_image,  # required, but never pulled: the local bundling builds or raises
            local=PythonAsset(source, python_version=runtime.name.removeprefix("python"), cache=CACHE),
        ),
    )


@jsii.implements(cdk.ILocalBundling)
class PythonAsset:
    """Builds the deployment package of a source folder.

    What pip installed is kept in the cache until the requirements change: only the first build after that
    needs the package index.
    """

    def __init__(self, source: Path, *, python_version: str, cache: Path) -> None:
        self._source = source
        self._python_version = python_version
        self._cache = cache

    def try_bundle(self, output_dir: str, *_args: object, **_options: object) -> bool:
        """Build for the CDK, which would turn to Docker if this returned False instead of raising."""
        self.build(Path(output_dir))
        return True

    def build(self, output: Path) -> None:
        """Write the package into a folder.

        Raises:
            AssetBuildError: pip could not install the dependencies.
        """
        _copy(self._dependencies(), output)
        _copy(self._source / _PACKAGE, output / _PACKAGE)

    def _dependencies(self) -> Path:
        requirements = self._source / "requirements.txt"
        digest = hashlib.sha256(self._python_version.encode() + requirements.read_bytes()).hexdigest()
        installed = self._cache / digest
        if not installed.exists():
            self._cache.mkdir(parents=True, exist_ok=True)
            # Renamed when complete: an interrupted pip leaves nothing behind that a later build would trust
            with tempfile.TemporaryDirectory(dir=self._cache) as unfinished:
                target = Path(unfinished, "target")
                _pip_install(requirements, target, python_version=self._python_version)
                try:
                    target.rename(installed)
                except OSError:
                    if not installed.exists():  # no other build was faster
                        raise
        return installed


def _pip_install(requirements: Path, target: Path, *, python_version: str) -> None:
    """Install pure Python wheels only, exactly those whose hashes the requirements list."""
    command = (
        *(sys.executable, "-m", "pip", "install"),
        *("--quiet", "--no-color", "--no-input", "--disable-pip-version-check"),
        *("--requirement", str(requirements), "--require-hashes", "--no-deps"),
        *("--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"),
        *("--python-version", python_version, "--no-compile", "--target", str(target)),
    )
    pip = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # no shell, no input
    if pip.returncode != 0:
        raise AssetBuildError(f"pip could not install {requirements}:\n{pip.stderr.strip()}")


def _copy(source: Path, output: Path) -> None:
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if path.is_dir() or any(fnmatch(part, pattern) for part in name.parts for pattern in _LEFT_OUT):
            continue
        copy = output / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o644)  # Lambda reads it as another user, whatever this one's umask is

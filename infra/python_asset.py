"""The function's deployment package: its modules and their pinned dependencies, built without Docker.

The dependencies are pure Python, so any machine can build one package for every architecture. The same
sources give the same bytes: the package has none of pip's notes about machine and time.

If Python in the version of the runtime is installed, the package also has the compiled modules. Lambda's file
system is read-only, so without them every cold start compiles all imported modules.
"""

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from importlib.metadata import distributions
from pathlib import Path
from typing import Literal

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

Compiled = Literal["required", "preferred"]

CACHE = Path(__file__).parent.parent / ".cdk-cache"
_PACKAGE = "message_sender"

# The folder into which Lambda unpacks the package. Tracebacks show it.
_TASK_ROOT = "/var/task"

# Patterns of names of files and folders that the function never needs
_LEFT_OUT = (
    *("__pycache__", "*.pyc"),  # for the Python of this machine, not of the function
    *("INSTALLER", "RECORD", "REQUESTED", "direct_url.json"),  # pip's notes about its own installation
    *("bin", "*.c", "*.pyi"),  # command line tools, sources of extensions, type stubs
    *(".*", "tests"),  # files of editors and tools
)


# Asks an interpreter for its version: the shim of a version manager may have none behind it
_WHICH_PYTHON = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"

# Settings of the package index and of the connection to it. No other setting may shape the package.
_INDEX_SETTINGS = frozenset(
    {
        *("index-url", "pypi-url", "extra-index-url", "no-index", "find-links"),
        *("trusted-host", "cert", "client-cert", "proxy", "keyring-provider"),
        *("timeout", "default-timeout", "retries"),
    }
)

_LISTED_SETTING = re.compile(r"^([a-z:]+)\.([a-z-]+)=(.*)$", re.MULTILINE)
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)


class AssetBuildError(Exception):
    """The deployment package could not be built. The message says why."""


def python_code(source: Path, *, runtime: lambda_.Runtime, compiled: Compiled = "preferred") -> lambda_.Code:
    """Return the code of a source folder with the package and its `requirements.txt`.

    Args:
        compiled: Whether a package without compiled modules is an error, or a warning.
    """
    return lambda_.Code.from_asset(
        str(source),
        # A build without a change is not deployed again
        asset_hash_type=cdk.AssetHashType.OUTPUT,
        bundling=cdk.BundlingOptions(
            image=runtime.bundling_image,  # required but never pulled: the local bundling builds or raises
            local=PythonAsset(
                source,
                python_version=runtime.name.removeprefix("python"),
                cache=CACHE,
                compiled=compiled,
            ),
        ),
    )


@jsii.implements(cdk.ILocalBundling)
class PythonAsset:
    """Builds the deployment package of a source folder.

    The cache keeps the installed packages until the requirements change. Only the first build after a change
    needs the package index. The name of a cache entry contains a digest of its files. An entry that does not
    match is built again.
    """

    def __init__(
        self, source: Path, *, python_version: str, cache: Path, compiled: Compiled = "preferred"
    ) -> None:
        self._source = source
        self._python_version = python_version
        self._cache = cache
        self._compiled = compiled

    def try_bundle(self, output_dir: str, *_args: object, **_options: object) -> bool:
        """Build for the CDK. It would use Docker if this returned False instead of raising."""
        self.build(Path(output_dir))
        return True

    def build(self, output: Path) -> None:
        """Write the package into a folder, compiled if an interpreter of its version is found.

        Raises:
            AssetBuildError: pip could not install all dependencies, a module could not be compiled, or no
                interpreter was found and the package has to be compiled.
        """
        _copy(self._dependencies(), output)
        _copy(self._source / _PACKAGE, output / _PACKAGE)
        python = find_python(self._python_version)
        if python is None:
            missing = (
                f"python{self._python_version} is not installed: the package has no .pyc files, and the "
                "function compiles its modules at every cold start"
            )
            if self._compiled == "required":
                raise AssetBuildError(f"{missing}. This stage requires them")
            _say(missing)
        else:
            compile_modules(output, python=python)

    def _dependencies(self) -> Path:
        requirements = self._source / "requirements.txt"
        key = hashlib.sha256(self._python_version.encode() + requirements.read_bytes()).hexdigest()
        for installed in self._cache.glob(f"{key}-*"):
            if installed.name == f"{key}-{_digest(installed)}":
                return installed
            _say(f"The files of {installed} have changed: installing its packages again")
            if installed.is_dir() and not installed.is_symlink():
                shutil.rmtree(installed, ignore_errors=True)  # another build may remove it at the same time
            else:
                installed.unlink(missing_ok=True)
        self._cache.mkdir(parents=True, exist_ok=True)
        # Renamed when complete, so that no build uses the result of an interrupted pip
        with tempfile.TemporaryDirectory(dir=self._cache) as unfinished:
            target = Path(unfinished, "target")
            _pip_install(requirements, target, python_version=self._python_version)
            installed = self._cache / f"{key}-{_digest(target)}"
            try:
                target.rename(installed)
            except OSError:
                if not installed.exists():  # no other build was faster
                    raise
        return installed


def find_python(version: str) -> str | None:
    """Return an interpreter of a minor version: the running one, or `python<version>` on the PATH."""
    for python in (sys.executable, shutil.which(f"python{version}")):
        if python and _run((python, "-I", "-c", _WHICH_PYTHON)).stdout.split() == ["cpython", version]:
            return python
    return None


def compile_modules(folder: Path, *, python: str) -> None:
    """Put a `.pyc` beside each module, for an interpreter of the same minor version.

    The same modules and interpreter give the same bytes in any folder: they contain no time, and the paths of
    Lambda. Python does not compare them with their sources, which never change in Lambda.

    Raises:
        AssetBuildError: A module is not valid for this version.
    """
    command = (
        *(python, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(folder), "-p", _TASK_ROOT, str(folder)),
    )
    compilation = _run(command)
    if compilation.returncode != 0:
        raise AssetBuildError(f"{python} could not compile the package:\n{compilation.stdout.strip()}")


def _run(
    command: tuple[str, ...], *, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    # Lambda reads the files as another user, so they must not depend on this user's umask
    return subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022, env=environ)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _pip_install(requirements: Path, target: Path, *, python_version: str) -> None:
    """Install pure Python wheels, only those whose hashes the requirements list."""
    command = (
        *(sys.executable, "-I", "-m", "pip", "install"),
        *("--quiet", "--no-color", "--no-input", "--disable-pip-version-check"),
        *("--requirement", str(requirements), "--require-hashes", "--no-deps"),
        *("--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"),
        *("--python-version", python_version, "--no-compile", "--target", str(target)),
    )
    pip = _run(command, environ=_pip_environ())
    if pip.returncode != 0:
        raise AssetBuildError(f"pip could not install {requirements}:\n{pip.stderr.strip()}")
    pinned = {(_normalized(name), version) for name, version in _PINNED.findall(requirements.read_text())}
    installed = {(_normalized(found.name), found.version) for found in distributions(path=[str(target)])}
    if missing := sorted(f"{name}=={version}" for name, version in pinned - installed):
        raise AssetBuildError(f"pip did not install all of {requirements}: {', '.join(missing)} missing")


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pip_environ() -> dict[str, str]:
    """Return the environment of this process without settings of pip, except those of the package index."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "PIP_CONFIG_FILE" or name.removeprefix("PIP_").lower().replace("_", "-") in _INDEX_SETTINGS
    }
    # Otherwise settings in a configuration file could hide other settings, or themselves
    listing = {
        **dict.fromkeys(("PIP_QUIET", "PIP_ISOLATED", "PIP_USER", "PIP_GLOBAL", "PIP_SITE"), "0"),
        "PIP_LOG": os.devnull,
        "PIP_PYTHON": sys.executable,
    }
    pip = _run((sys.executable, "-I", "-m", "pip", "config", "list"), environ=environ | kept | listing)
    if pip.returncode != 0:
        raise AssetBuildError(f"pip could not list its settings:\n{pip.stderr.strip()}")
    listed = _LISTED_SETTING.findall(pip.stdout)
    for wanted in ("global", "install", ":env:"):  # pip prefers the later ones and ignores empty values
        environ |= {
            f"PIP_{name.replace('-', '_').upper()}": ast.literal_eval(value)
            for section, name, value in listed
            if section == wanted and name in _INDEX_SETTINGS and value != "''"
        }
    return environ | {"PIP_CONFIG_FILE": os.devnull}  # pip reads no configuration file


def _files(folder: Path) -> Iterator[Path]:
    """Yield the relative names of the files that the function may need, in order."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_dir() and not any(fnmatch(part, left) for part in name.parts for left in _LEFT_OUT):
            yield name


def _digest(folder: Path) -> str:
    """Return a digest of the files in a folder. It is empty if a file cannot be read."""
    digest = hashlib.sha256()
    try:
        for name in _files(folder):
            content = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            digest.update(f"{name.as_posix()}\0{content}\0".encode())
    except OSError:
        return ""
    return digest.hexdigest()


def _copy(source: Path, output: Path) -> None:
    for name in _files(source):
        copy = output / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, copy)
        copy.chmod(0o644)  # files in the cache have this user's umask

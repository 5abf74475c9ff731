"""The function's deployment package: its modules and their pinned dependencies, built without Docker.

The dependencies are pure Python, so one package serves every architecture and any machine can build it. The
same sources give the same bytes: whatever pip notes about the machine and the moment is left out.

Where the runtime's own version of Python is at hand, the package holds the compiled modules too. Lambda's
file system is read-only, so without them every cold start compiles all that it imports.
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

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

CACHE = Path(__file__).parent.parent / ".cdk-cache"
_PACKAGE = "message_sender"

# Where Lambda unpacks the package: the paths in a traceback
_TASK_ROOT = "/var/task"

# Patterns of the names, of files and folders, that the function never needs
_LEFT_OUT = (
    *("__pycache__", "*.pyc"),  # of this machine's Python, not of the function's
    *("INSTALLER", "RECORD", "REQUESTED", "direct_url.json"),  # pip's notes about its own installation
    *("bin", "*.c", "*.pyi"),  # command line tools, sources of extensions, type stubs
    *(".*", "tests"),  # what editors and tools leave beside our modules
)


# What an interpreter says of itself; the shim of a version manager may stand for none at all
_WHICH_PYTHON = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"

# Settings that name the package index and the way to it. No other setting may shape the package.
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
    needs the package index. The name of an entry holds a digest of its files. An entry that does not match is
    built again.
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
        """Write the package into a folder, compiled if an interpreter of its version is found.

        Raises:
            AssetBuildError: pip could not install all dependencies, or a module could not be compiled.
        """
        _copy(self._dependencies(), output)
        _copy(self._source / _PACKAGE, output / _PACKAGE)
        python = find_python(self._python_version)
        if python is None:
            _say(
                f"No python{self._python_version} on this machine: the function is packaged without .pyc "
                "files, and compiles its modules at every cold start"
            )
        else:
            compile_modules(output, python=python)

    def _dependencies(self) -> Path:
        requirements = self._source / "requirements.txt"
        key = hashlib.sha256(self._python_version.encode() + requirements.read_bytes()).hexdigest()
        for installed in self._cache.glob(f"{key}-*"):
            if installed.name == f"{key}-{_digest(installed)}":
                return installed
            _say(f"The files of {installed} have changed: its packages are installed again")
            if installed.is_dir() and not installed.is_symlink():
                shutil.rmtree(installed, ignore_errors=True)  # another build may be removing it too
            else:
                installed.unlink(missing_ok=True)
        self._cache.mkdir(parents=True, exist_ok=True)
        # Renamed when complete: an interrupted pip leaves nothing behind that a later build would trust
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
    """Find an interpreter of a minor version: the one that is running, or `python<version>` on the PATH."""
    for python in (sys.executable, shutil.which(f"python{version}")):
        if python and _run((python, "-I", "-c", _WHICH_PYTHON)).stdout.split() == ["cpython", version]:
            return python
    return None


def compile_modules(folder: Path, *, python: str) -> None:
    """Put a `.pyc` beside each module, for an interpreter of the same minor version.

    The same modules give the same bytes from the same interpreter, wherever the folder is: no time is in
    them, and the paths are those in Lambda. Unchecked, since nothing ever changes there: Python does not even
    look at the sources.

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
    # Lambda reads what is written as another user, whatever this one's umask is
    return subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022, env=environ)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _pip_install(requirements: Path, target: Path, *, python_version: str) -> None:
    """Install pure Python wheels only, exactly those whose hashes the requirements list."""
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
    """Return this process's environment with no other settings of pip than those of the package index."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "PIP_CONFIG_FILE" or name.removeprefix("PIP_").lower().replace("_", "-") in _INDEX_SETTINGS
    }
    # Otherwise settings in a configuration file could hide others, or even themselves
    listing = {
        **dict.fromkeys(("PIP_QUIET", "PIP_ISOLATED", "PIP_USER", "PIP_GLOBAL", "PIP_SITE"), "0"),
        "PIP_LOG": os.devnull,
        "PIP_PYTHON": sys.executable,
    }
    pip = _run((sys.executable, "-I", "-m", "pip", "config", "list"), environ=environ | kept | listing)
    if pip.returncode != 0:
        raise AssetBuildError(f"pip could not list its settings:\n{pip.stderr.strip()}")
    listed = _LISTED_SETTING.findall(pip.stdout)
    for wanted in ("global", "install", ":env:"):  # pip prefers the later ones, and ignores empty values
        environ |= {
            f"PIP_{name.replace('-', '_').upper()}": ast.literal_eval(value)
            for section, name, value in listed
            if section == wanted and name in _INDEX_SETTINGS and value != "''"
        }
    return environ | {"PIP_CONFIG_FILE": os.devnull}  # which keeps pip from reading any


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that the function may need, by their names in the folder, in order."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_dir() and not any(fnmatch(part, left) for part in name.parts for left in _LEFT_OUT):
            yield name


def _digest(folder: Path) -> str:
    """Return a digest of the files in a folder, empty if one of them cannot be read."""
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
        copy.chmod(0o644)  # the cache is of this user's umask

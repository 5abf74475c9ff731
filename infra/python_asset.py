"""The function's deployment package: its modules and their pinned dependencies, built without Docker.

The dependencies are pure Python, so any machine can build one package for every architecture. The same
sources give the same bytes: the package has no notes of pip or uv about machine and time.

If Python in the version of the runtime is installed, the package also has the compiled modules. Lambda's file
system is read-only, so without them every cold start compiles all imported modules. A stage can require them.
For the same reason it has the compiled schema of requests, and Amazon's root authorities in their own file.

The AWS X-Ray SDK is in maintenance, so only a stage that asks for subsegments ships it. Source:
https://docs.aws.amazon.com/xray/latest/devguide/xray-sdk-daemon-timeline.html
"""

import hashlib
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_

from .amazon_roots import amazon_roots
from .wheels import AssetBuildError, find_uv, install_wheels, run

Compiled = Literal["required", "preferred"]

_PACKAGE = "message_sender"

# `message_sender/tls.py` reads it
_AMAZON_ROOTS = Path(_PACKAGE, "amazon_roots.pem")

# `message_sender/schema.py` imports it
_RULES = Path(_PACKAGE, "request_rules.py")
_COMPILE_RULES = """import sys
sys.path.insert(0, sys.argv[1])
from message_sender.schema import rules_as_code
sys.stdout.write(rules_as_code())"""

# The folder into which Lambda unpacks the package. Tracebacks show it.
_TASK_ROOT = "/var/task"

# Patterns of names of files and folders that the function never needs
_LEFT_OUT = (
    *("__pycache__", "*.pyc"),  # for the Python of this machine, not of the function
    *("INSTALLER", "RECORD", "REQUESTED", "direct_url.json"),  # notes of pip and uv about their installation
    *("uv_cache.json", "uv_build.json"),  # the same, of uv alone
    *("WHEEL", "top_level.txt", "py.typed"),  # for installers and type checkers
    *("bin", "*.c", "*.pyi"),  # command line tools, sources of extensions, type stubs
    "emscripten",  # the part of urllib3 for browsers
    *(".*", "tests"),  # files of editors and tools
)


# Asks an interpreter for its version: the shim of a version manager may have none behind it
_WHICH_PYTHON = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2])"


def python_code(
    source: Path, *, runtime: lambda_.Runtime, with_tracer: bool, compiled: Compiled = "preferred"
) -> lambda_.Code:
    """Return the code of a source folder with the package and its requirements.

    Args:
        with_tracer: Include what Powertools' Tracer needs: `requirements-tracing.txt`.
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
                with_tracer=with_tracer,
                compiled=compiled,
            ),
        ),
    )


@jsii.implements(cdk.ILocalBundling)
class PythonAsset:
    """Builds the deployment package of a source folder.

    The cache keeps the installed packages until the requirements change. Only the first build after a change
    needs the package index. The name of a cache entry contains a digest of its files. An entry that does not
    match is built again. Nothing is written into the source folder, which may be read-only.

    Args:
        cache: By default a folder in the user's cache folder.
    """

    def __init__(
        self,
        source: Path,
        *,
        python_version: str,
        cache: Path | None = None,
        with_tracer: bool = False,
        compiled: Compiled = "preferred",
    ) -> None:
        names = ("requirements.txt", "requirements-tracing.txt") if with_tracer else ("requirements.txt",)
        self._source = source
        self._requirements = tuple(source / name for name in names)
        self._python_version = python_version
        self._cache = cache or user_cache()
        self._compiled = compiled

    def try_bundle(self, output_dir: str, *_args: object, **_options: object) -> bool:
        """Build for the CDK. It would use Docker if this returned False, and print a traceback of exceptions.

        Raises:
            SystemExit: The package could not be built. The message says why.
        """
        try:
            self.build(Path(output_dir))
        except AssetBuildError as error:
            raise SystemExit(str(error)) from None
        return True

    def build(self, output: Path) -> None:
        """Write the package into a folder, compiled if an interpreter of its version is found.

        Raises:
            AssetBuildError: A dependency could not be installed, a module could not be compiled, or no
                interpreter was found and the package has to be compiled.
        """
        python = find_python(self._python_version)
        if python is None and self._compiled == "required":
            raise AssetBuildError(
                f"python{self._python_version} is not installed, and retain_data requires a package with "
                f".pyc files. Install it:\n  {_installation(self._python_version)}"
            )
        if python is None:
            _say(
                f"python{self._python_version} is not installed: the package has no .pyc files, and the "
                "function compiles its modules at every cold start"
            )
        self.copy_modules(output)
        if python is not None:
            compile_modules(output, python=python)

    def copy_modules(self, output: Path) -> None:
        """Write the package into a folder, without compiled modules.

        Raises:
            AssetBuildError: A dependency could not be installed.
        """
        contents = b"".join(requirements.read_bytes() for requirements in self._requirements)
        # The digest in the name of an entry depends on these patterns. Another version may have others.
        key = hashlib.sha256(f"{self._python_version}{_LEFT_OUT}".encode() + contents).hexdigest()
        if installed := self._cached(key):
            _copy(installed, output)
        else:
            with self._unfinished() as folder:
                target = Path(folder, "target")
                install_wheels(self._requirements, target, python_version=self._python_version)
                _copy(target, output)
                self._keep(target, key)
        _copy(self._source / _PACKAGE, output / _PACKAGE)
        _write_rules(output)
        if roots := amazon_roots():
            _write(output / _AMAZON_ROOTS, roots)
        else:
            _say(
                "No certificate bundle with Amazon's root authorities is installed: the function reads all "
                f"authorities at every cold start. Install one:\n  {sys.executable} -m pip install certifi"
            )

    def _cached(self, key: str) -> Path | None:
        for installed in self._cache.glob(f"{key}-*"):
            if installed.name == f"{key}-{_digest(installed)}":
                return installed
            _say(f"The files of {installed} have changed: installing its packages again")
            if installed.is_dir() and not installed.is_symlink():
                shutil.rmtree(installed, ignore_errors=True)  # another build may remove it at the same time
            else:
                with suppress(OSError):
                    installed.unlink()
        return None

    def _unfinished(self) -> tempfile.TemporaryDirectory[str]:
        """Return a new folder in the cache. If the cache cannot be written, it is elsewhere."""
        try:
            self._cache.mkdir(parents=True, exist_ok=True)
            return tempfile.TemporaryDirectory(dir=self._cache)
        except OSError as error:
            _say(f"{self._cache}: {error.strerror}. Without a cache, each build installs the packages again")
            return tempfile.TemporaryDirectory()

    def _keep(self, target: Path, key: str) -> None:
        """Rename a complete installation, so that no build uses the result of an interrupted one."""
        if target.is_relative_to(self._cache):
            installed = self._cache / f"{key}-{_digest(target)}"
            try:
                target.rename(installed)
            except OSError:
                if not installed.exists():  # no other build was faster
                    raise


def _write_rules(output: Path) -> None:
    """Write the compiled schema of requests as a module, by the package's own version of the compiler."""
    if not (output / _RULES).with_name("schema.py").is_file():
        return
    compilation = run((sys.executable, "-I", "-B", "-c", _COMPILE_RULES, str(output)))
    if compilation.returncode != 0:
        raise AssetBuildError(f"The schema of requests could not be compiled:\n{compilation.stderr.strip()}")
    _write(output / _RULES, compilation.stdout)


def _write(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o644)  # whatever this user's umask


def user_cache(*, platform: str = sys.platform) -> Path:
    """Return the folder of this project in the user's cache folder, by the rules of the platform.

    `XDG_CACHE_HOME` has precedence on every platform, if it is an absolute path.
    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home: no folder can be created there, so there is no cache
        home = Path(os.devnull)
    folders = {
        "darwin": home / "Library" / "Caches",
        "win32": Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"),
    }
    chosen = Path(os.environ.get("XDG_CACHE_HOME", ""))
    folder = chosen if chosen.is_absolute() else folders.get(platform, home / ".cache")
    return folder / "connect-message-sender"


def find_python(version: str) -> str | None:
    """Return an interpreter of a minor version.

    It is the running one, `python<version>` on the PATH, or one that uv has installed. Nothing is downloaded.
    """
    for find in (lambda _: sys.executable, _on_the_path, _installed_by_uv):
        python = find(version)
        if python and run((python, "-I", "-c", _WHICH_PYTHON)).stdout.split() == ["cpython", version]:
            return python
    return None


def _on_the_path(version: str) -> str | None:
    return shutil.which(f"python{version}")


def _installed_by_uv(version: str) -> str | None:
    # Managed: otherwise uv would stop at a shim on the PATH that has no interpreter behind it
    options = ("--managed-python", "--no-python-downloads", "--no-project", "--no-config")
    uv = find_uv()
    return run((uv, "python", "find", *options, version)).stdout.strip() if uv else None


def _installation(version: str) -> str:
    """Return the line for a shell that installs an interpreter where `find_python` finds it."""
    uv = find_uv()
    install = shlex.join((uv or str(Path(sys.executable).with_name("uv")), "python", "install", version))
    return install if uv else f"{shlex.join((sys.executable, '-m', 'pip', 'install', 'uv'))} && {install}"


def compile_modules(folder: Path, *, python: str) -> None:
    """Put a `.pyc` beside each module, for an interpreter of the same minor version.

    The same modules and interpreter give the same bytes in any folder: they contain no time, and the paths of
    Lambda. Python does not compare them with their sources, which never change in Lambda. Every release of a
    minor version can load them: they have one magic number.

    Raises:
        AssetBuildError: A module is not valid for this version.
    """
    command = (
        *(python, "-I", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"),
        *("-s", str(folder), "-p", _TASK_ROOT, str(folder)),
    )
    compilation = run(command)
    if compilation.returncode != 0:
        raise AssetBuildError(f"{python} could not compile the package:\n{compilation.stdout.strip()}")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


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

"""Installs the pinned dependencies of a deployment package: pure Python wheels, by pip or by uv.

Both give the same files: only a wheel whose hash is pinned is installed. Virtual environments of uv have no
pip. pip is preferred, because it has an option for pure Python.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path

# Settings of the package index and of the connection to it. No other setting may shape the package.
_INDEX_SETTINGS = frozenset(
    {
        *("index-url", "pypi-url", "extra-index-url", "no-index", "find-links"),
        *("trusted-host", "cert", "client-cert", "proxy", "keyring-provider"),
        *("timeout", "default-timeout", "retries"),
    }
)

# The same in the environment of uv: https://docs.astral.sh/uv/reference/environment/
_INDEX_VARIABLES_OF_UV = (
    *("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX", "UV_FIND_LINKS"),
    *("UV_KEYRING_PROVIDER", "UV_INSECURE_HOST", "UV_HTTP_", "UV_REQUEST_TIMEOUT"),
    *("UV_OFFLINE", "UV_CONFIG_FILE", "UV_NO_CONFIG"),
)

# No package has wheels for it, so uv takes the pure ones. It has no other way to ask for them.
_PLATFORM_WITHOUT_WHEELS = "x86_64-apple-ios-simulator"

_PIP = (
    *("install", "--quiet", "--no-color", "--no-input", "--disable-pip-version-check"),
    *("--require-hashes", "--no-deps", "--no-compile"),
    *("--only-binary", ":all:", "--platform", "any", "--implementation", "py", "--abi", "none"),
)
_UV = (
    *("pip", "install", "--quiet", "--color", "never", "--no-cache", "--no-python-downloads"),
    *("--require-hashes", "--no-deps", "--no-compile-bytecode", "--link-mode", "copy"),
    *("--only-binary", ":all:", "--python-platform", _PLATFORM_WITHOUT_WHEELS),
)

_LISTED_SETTING = re.compile(r"^([a-z:]+)\.([a-z-]+)=(.*)$", re.MULTILINE)
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;]+)", re.MULTILINE)
_COMPILED_FOR = re.compile(r"^Tag: (.+-.+-(?!any$).+)$", re.MULTILINE)


class AssetBuildError(Exception):
    """The deployment package could not be built. The message says why."""


def install_wheels(requirements: tuple[Path, ...], target: Path, *, python_version: str) -> None:
    """Install pure Python wheels into a folder, only those whose hashes the requirements list.

    Raises:
        AssetBuildError: They could not all be installed, one is not pure Python, or neither pip nor uv is
            installed.
    """
    files = [f"--requirement={file}" for file in requirements]
    names = " and ".join(map(str, requirements))
    pip = (sys.executable, "-I", "-m", "pip")
    command: tuple[str, ...]
    if run((sys.executable, "-I", "-c", "import pip")).returncode == 0:
        installer, command, environ = "pip", (*pip, *_PIP), _pip_environ()
    elif uv := find_uv():
        installer, command, environ = "uv", (uv, *_UV, "--python", sys.executable), _uv_environ()
    else:
        raise AssetBuildError(
            "The function's package is built with pip or uv, and neither is installed. Install pip:\n"
            f"  {sys.executable} -m ensurepip"
        )
    install = (*command, *files, "--python-version", python_version, "--target", str(target))
    installation = run(install, environ=environ)
    if installation.returncode != 0:
        raise AssetBuildError(f"{installer} could not install {names}:\n{installation.stderr.strip()}")
    found = [*distributions(path=[str(target)])]
    texts = "\n".join(file.read_text() for file in requirements)
    pinned = {(_normalized(name), version) for name, version in _PINNED.findall(texts)}
    if missing := pinned - {(_normalized(each.name), each.version) for each in found}:
        listed = ", ".join(sorted(f"{name}=={version}" for name, version in missing))
        raise AssetBuildError(f"{installer} did not install all of {names}: {listed} missing")
    for each in found:
        if tag := _COMPILED_FOR.search(each.read_text("WHEEL") or ""):
            raise AssetBuildError(
                f"{installer} installed {each.name} {each.version} for {tag[1]}, which is not pure Python"
            )


def find_uv() -> str | None:
    """Return uv: the one of this environment, or the one on the PATH."""
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


def run(
    command: tuple[str, ...], *, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, and return its output."""
    # Lambda reads the files as another user, so they must not depend on this user's umask
    return subprocess.run(command, capture_output=True, text=True, check=False, umask=0o022, env=environ)


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
    pip = run((sys.executable, "-I", "-m", "pip", "config", "list"), environ=environ | kept | listing)
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


def _uv_environ() -> dict[str, str]:
    """Return the same for uv, which reads its configuration files.

    Settings in these files cannot change the package: the options of the command and the hashes precede them.
    Some can stop the installation, such as one that forbids wheels.
    """
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("UV_") or name.startswith(_INDEX_VARIABLES_OF_UV)
    }
    # The certificates of the system, as pip uses them. Earlier versions of uv know only the second name.
    return environ | {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1"}

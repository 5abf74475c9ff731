import hashlib
import importlib.util
import json
import marshal
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import Mock

import pytest

import app
from benchmarks.contenders import zipped_parts
from infra import amazon_roots, python_asset
from infra.python_asset import PythonAsset, compile_modules, find_python, user_cache
from infra.sender_function import RUNTIME
from infra.wheels import AssetBuildError
from message_sender.schema import SCHEMA
from message_sender.tls import AMAZON_ROOTS
from tests.support.lambda_events import request

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


VERDICTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import fastjsonschema
from message_sender import request, schema
def verdict(text, validate):
    request.validator = lambda: validate
    found = request.parse_request(text, client_token=None).request
    return getattr(found, "reason", None)
texts = json.load(sys.stdin)
own = request.validator()
compiled = fastjsonschema.compile(schema._rules(), use_default=False)
def of_the_library(fields):
    try:
        compiled(fields)
    except fastjsonschema.JsonSchemaValueException as error:
        found = {name: getattr(error, name) for name in ("value", "name", "definition", "rule")}
        raise schema.ViolationError(error.message, **found)
print(own.__module__)
print(json.dumps([[verdict(text, each) for text in texts] for each in (own, of_the_library)]))
"""


def test_package_holds_the_compiled_schema(asset: Path) -> None:
    valid = request()
    texts = [
        json.dumps(each)
        for name, rule in SCHEMA["properties"].items()
        for each in (
            {key: value for key, value in valid.items() if key != name},
            *(valid | {name: value} for value in (None, 1, 0.5, "", "\n", "é", {}, {"": "a"}, {"a": 1})),
            valid | {name: "x" * (rule.get("maxLength", 0) + 1)},
            valid | {f"{name}s": "a"},
        )
    ]

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", VERDICTS, str(asset)],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )

    module, verdicts = done.stdout.splitlines()
    own, compiled = json.loads(verdicts)
    assert module == "message_sender.request_rules"
    assert own == compiled
    assert len({*own}) > 30


def test_package_without_a_valid_schema_is_not_built(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(SOURCE, source)
    schema = source / "message_sender" / "schemas" / "send_message_request.json"
    schema.write_text(schema.read_text().replace('"type": "object"', '"type": "no such type"', 1))

    with pytest.raises(AssetBuildError, match=r"^The schema of requests could not be compiled:\n"):
        PythonAsset(source, python_version="3.13").copy_modules(tmp_path / "output")


def test_package_holds_the_root_authorities_of_amazon(asset: Path) -> None:
    roots = asset / "message_sender" / "amazon_roots.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    context.load_verify_locations(cafile=roots)

    assert AMAZON_ROOTS.name == roots.name
    subjects = [f"{root['subject']}" for root in context.get_ca_certs()]
    names = {name for name in ROOTS for subject in subjects if name in subject}
    assert (len(subjects), names) == (5, ROOTS)


ROOTS = {
    *(f"Amazon Root CA {number}" for number in range(1, 5)),
    "Starfield Services Root Certificate Authority - G2",
}


@pytest.mark.parametrize("bundle", [*amazon_roots._bundles()], ids=lambda file: file.parent.name)  # noqa: SLF001
def test_every_bundle_gives_the_same_roots(
    asset: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing, copy = tmp_path / "missing.pem", tmp_path / "copy.pem"
    copy.write_bytes(bundle.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.setattr(amazon_roots, "_bundles", lambda: [missing, tmp_path, copy])

    assert amazon_roots.amazon_roots() == (asset / "message_sender" / "amazon_roots.pem").read_text()


@pytest.mark.parametrize("damage", [("MIID", "MIIE"), ("-----BEGIN", "-----BEGUN"), (None, None)])
def test_package_without_a_bundle_of_all_roots_has_none(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    damage: tuple[str | None, str | None],
) -> None:
    roots = amazon_roots.amazon_roots()
    assert roots is not None
    old, new = damage
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(roots.replace(old, new) if old and new else roots[: len(roots) // 2])
    monkeypatch.setattr(amazon_roots, "_bundles", lambda: [bundle])

    PythonAsset(SOURCE, python_version="3.13").copy_modules(tmp_path / "output")

    assert not (tmp_path / "output" / "message_sender" / "amazon_roots.pem").exists()
    assert "No certificate bundle with Amazon's root authorities is installed" in capsys.readouterr().err


def packages(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith((".dist-info", "__pycache__"))}


def test_package_holds_the_dependencies_without_those_of_the_runtime(asset: Path) -> None:
    assert packages(asset) == {
        "aws_lambda_powertools",
        "fastjsonschema",
        "jmespath",
        "message_sender",
        "typing_extensions.py",
        "urllib3",
    }


def test_only_the_package_for_subsegments_holds_the_xray_sdk(asset: Path, asset_with_tracer: Path) -> None:
    assert packages(asset_with_tracer) == packages(asset) | {"aws_xray_sdk", "wrapt"}


def test_compiled_package_is_at_most_2_9_mb(asset: Path, tmp_path: Path) -> None:
    compiled = tmp_path / "compiled"
    shutil.copytree(asset, compiled)

    compile_modules(compiled, python=find_python("3.13") or sys.executable)

    assert sum(zipped_parts(compiled).values()) <= 2_900_000


LOADED = """
import sys
sys.path.insert(0, sys.argv[1])
from message_sender import handler
unused = {"aws_xray_sdk", "wrapt", "botocore", "fastjsonschema", "decimal"}
print(callable(handler.lambda_handler), sorted(unused & set(sys.modules)))
"""


@pytest.mark.parametrize("tracing", ["off", "active"])
def test_package_without_the_xray_sdk_needs_nothing_else(asset: Path, tracing: str) -> None:
    environ = {
        **{name: f"https://sqs.test/{name}" for name in QUEUE_URLS},
        "AWS_REGION": "eu-central-1",
        "EVENT_BUS_NAME": "bus",
        "TRACING": tracing,
        "LAMBDA_TASK_ROOT": str(asset),
    }

    # Without the packages of this environment
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", LOADED, str(asset)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("True []\n", "")


QUEUE_URLS = (
    *("MESSAGE_QUEUE_URL", "DEAD_LETTER_QUEUE_URL"),
    *("REJECTED_QUEUE_URL", "UNPUBLISHED_RESULTS_QUEUE_URL"),
)


def test_package_holds_no_native_code(asset_with_tracer: Path) -> None:
    native = [name for name in files(asset_with_tracer) if name.endswith((".so", ".pyd", ".dylib"))]

    assert native == []


def test_package_holds_no_trace_of_the_machine_that_built_it(asset: Path) -> None:
    of_the_machine = {"uv_cache.json", "INSTALLER", "RECORD", "REQUESTED", "bin", "tests"}

    names = {part for name in files(asset) for part in Path(name).parts}

    assert names & of_the_machine == set()
    assert [name for name in names if name.endswith(".pyi")] == []


def test_package_holds_modules_compiled_for_the_runtime_or_none(asset: Path) -> None:
    compiled = {path.name for path in asset.rglob("*.pyc")}
    modules = {f"{path.stem}.cpython-313.pyc" for path in asset.rglob("*.py")}

    assert compiled == (modules if find_python("3.13") else set())


def test_same_sources_give_the_same_bytes(asset: Path, tmp_path: Path) -> None:
    source, cache, output = tmp_path / "source", tmp_path / "cache", tmp_path / "output"
    for original, copy in ((SOURCE, source), (user_cache(), cache)):
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


def test_second_build_for_the_runtime_needs_no_package_index(
    asset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    version = RUNTIME.name.removeprefix("python")

    PythonAsset(SOURCE, python_version=version).build(tmp_path)

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


@dataclass
class Wheelhouse:
    """A function of one dependency, whose wheel is all that its package index has."""

    source: Path
    links: Path
    cache: Path

    def build(self, output: Path) -> dict[str, bytes]:
        PythonAsset(self.source, python_version="3.99", cache=self.cache).build(output)
        return {name: content for name, (_, content) in files(output).items()}

    @property
    def entry(self) -> Path:
        [entry] = self.cache.iterdir()
        return entry


PACKAGE = {
    "message_sender/__init__.py": b"",
    "message_sender/amazon_roots.pem": (amazon_roots.amazon_roots() or "").encode(),
    "demo/__init__.py": b"answer = 42\n",
    "demo-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
}


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def wheel(folder: Path, *, tag: str, stated: str = "", more: Mapping[str, bytes] | None = None) -> Path:
    """Write a wheel of the package.

    Args:
        stated: The tag that the wheel states inside, if it is another than that of its name.
    """
    file = folder / f"demo-1.0-{tag}.whl"
    contents = {name: content for name, content in PACKAGE.items() if name.startswith("demo")} | {
        "demo-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: %s\n"
        % (stated or tag).encode(),
        **(more or {}),
    }
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.writestr("demo-1.0.dist-info/RECORD", "".join(f"{name},,\n" for name in archive.namelist()))
    return file


@pytest.fixture
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheelhouse:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    house = Wheelhouse(tmp_path / "source", tmp_path / "links", tmp_path / "cache")
    house.links.mkdir()
    pure = wheel(house.links, tag="py3-none-any")
    (house.source / "message_sender").mkdir(parents=True)
    (house.source / "message_sender" / "__init__.py").touch()
    (house.source / "requirements.txt").write_text(f"demo==1.0 \\\n    --hash=sha256:{sha256(pure)}\n")
    return house


def test_tracer_adds_its_own_requirements(
    wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse.links))
    requirements = wheelhouse.source / "requirements.txt"
    requirements.rename(wheelhouse.source / "requirements-tracing.txt")
    requirements.touch()
    with_tracer = PythonAsset(
        wheelhouse.source, python_version="3.99", cache=wheelhouse.cache, with_tracer=True
    )

    without = wheelhouse.build(tmp_path / "without")
    with_tracer.build(tmp_path / "with")

    assert without == {name: content for name, content in PACKAGE.items() if "demo" not in name}
    assert {name: content for name, (_, content) in files(tmp_path / "with").items()} == PACKAGE


@pytest.fixture
def without_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment as uv makes it: with Python, without pip, and here with uv."""
    for name in [name for name in os.environ if name.startswith("UV_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "venv"
    python = executable(
        folder / "python", f'case "$*" in *"import pip") exit 1;; esac\nexec {sys.executable} "$@"'
    )
    (folder / "uv").symlink_to(Path(sys.executable).with_name("uv"))
    monkeypatch.setattr("sys.executable", str(python))
    return folder


def test_uv_builds_the_same_package_where_there_is_no_pip(
    wheelhouse: Wheelhouse, without_pip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(wheelhouse.links))

    package = wheelhouse.build(tmp_path / "output")

    assert package == PACKAGE
    assert sorted(path.name for path in without_pip.iterdir()) == ["python", "uv"]


@pytest.mark.usefixtures("without_pip")
def test_only_the_index_settings_of_uv_shape_the_package(
    wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    constraint = tmp_path / "constraints.txt"
    constraint.write_text("demo==2.0\n")
    elsewhere = tmp_path / "elsewhere"
    for name, value in {
        **dict.fromkeys(("CONSTRAINT", "OVERRIDE", "BUILD_CONSTRAINT"), str(constraint)),
        **dict.fromkeys(("TARGET", "PREFIX", "CACHE_DIR", "PROJECT", "WORKING_DIR"), str(elsewhere)),
        **dict.fromkeys(("COMPILE_BYTECODE", "NO_VERIFY_HASHES", "SYSTEM_PYTHON", "PREVIEW"), "1"),
        "EXCLUDE_NEWER": "2006-01-01",
        "LINK_MODE": "symlink",
    }.items():
        monkeypatch.setenv(f"UV_{name}", value)
    configuration = tmp_path / "uv.toml"
    configuration.write_text(
        f"""
        no-index = true
        find-links = ["{wheelhouse.links}"]
        compile-bytecode = true
        link-mode = "symlink"
        [pip]
        target = "{elsewhere}"
        no-deps = false
        verify-hashes = false
        python-platform = "windows"
        python-version = "3.8"
        """
    )
    monkeypatch.setenv("UV_CONFIG_FILE", str(configuration))

    package = wheelhouse.build(tmp_path / "output")

    assert package == PACKAGE
    assert not elsewhere.exists()
    assert [path for path in wheelhouse.entry.rglob("*") if path.is_symlink()] == []


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_a_wheel_with_compiled_modules_is_not_installed(
    wheelhouse: Wheelhouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    installer: str,
) -> None:
    if installer == "uv":
        request.getfixturevalue("without_pip")
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, str(wheelhouse.links))
    tag = "cp399-abi3-manylinux_2_17_x86_64"
    compiled = wheel(wheelhouse.links, tag=tag, more={"demo/fast.abi3.so": b""})
    requirements = wheelhouse.source / "requirements.txt"
    requirements.write_text(f"{requirements.read_text().rstrip()} \\\n    --hash=sha256:{sha256(compiled)}\n")

    package = wheelhouse.build(tmp_path / "output")
    # A name that does not say what is in it
    pure = wheel(wheelhouse.links, tag="py3-none-any", stated=tag)
    requirements.write_text(f"demo==1.0 --hash=sha256:{sha256(pure)}\n")
    with pytest.raises(AssetBuildError, match=rf"^{installer} installed demo 1\.0 for {tag}, which is not"):
        wheelhouse.build(tmp_path / "again")

    assert package == PACKAGE


def test_neither_pip_nor_uv_is_an_error_with_the_line_that_installs_pip(
    wheelhouse: Wheelhouse, without_pip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (without_pip / "uv").unlink()
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(AssetBuildError) as refused:
        wheelhouse.build(tmp_path / "output")

    assert str(refused.value).splitlines() == [
        "The function's package is built with pip or uv, and neither is installed. Install pip:",
        f"  {without_pip}/python -m ensurepip",
    ]


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-tracing.txt"])
def test_no_requirement_depends_on_the_machine_that_builds(file: str) -> None:
    pins = re.findall(r"^[^\s#-].*", (SOURCE / file).read_text(), re.MULTILINE)

    assert pins
    assert [pin for pin in pins if ";" in pin] == []


def hostile_settings(tmp_path: Path) -> dict[str, str]:
    """Each of these changes what `pip install` or `pip config list` does."""
    constraint = tmp_path / "constraints.txt"
    constraint.write_text("demo==2.0\n")
    elsewhere = str(tmp_path / "elsewhere")
    return {
        **dict.fromkeys(
            ("root", "prefix", "target", "src", "log", "report", "python", "cache-dir"), elsewhere
        ),
        **dict.fromkeys(("user", "dry-run", "require-virtualenv", "isolated", "pre", "global"), "1"),
        **dict.fromkeys(("constraint", "requirement", "build-constraint"), str(constraint)),
        "quiet": "3",
        "no-binary": ":all:",
        "python-version": "2.7",
        "platform": "win32",
        "abi": "cp27",
        "editable": elsewhere,
        "implementation": "jy",
        "compile": "1",
        "no-clean": "1",
    }


@pytest.mark.parametrize("place", ["environment", "global", "install"])
def test_only_the_index_settings_of_pip_shape_the_package(
    wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    settings = hostile_settings(tmp_path) | {"no-index": "1", "find-links": str(wheelhouse.links)}
    if place == "environment":
        for name, value in settings.items():
            monkeypatch.setenv(f"PIP_{name.replace('-', '_').upper()}", value)
    else:
        configuration = tmp_path / "pip.conf"
        configuration.write_text(
            "\n".join((f"[{place}]", *(f"{name} = {value}" for name, value in settings.items())))
        )
        monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))

    package = wheelhouse.build(tmp_path / "output")

    assert package == PACKAGE
    assert not (tmp_path / "elsewhere").exists()


LISTED = r"""
For variant 'global', will try loading 'pip.conf'
:env:.cert='/env/cert.pem'
:env:.config-file='/env/pip.conf'
:env:.index-url=''
:env:.quiet='0'
download.proxy='http://download'
global.cert='/global/cert.pem'
global.constraint='/global/constraints.txt'
global.extra-index-url='https://one\nhttps://two'
global.index-url='https://global'
global.proxy='http://global'
install.no-deps='1'
install.proxy="http://it's"
install.find-links='/links'
"""


def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, install: str, config: str = "") -> None:
    """Put scripts in the place of `pip install` and `pip config list`."""
    (tmp_path / "listed").write_text(LISTED)
    list_settings = config or f"cat {tmp_path}/listed"
    script = f"""
    case "$*" in
    *"import pip") ;;
    *"pip config list") {list_settings};;
    *pip*) {install};;
    esac"""
    monkeypatch.setattr("sys.executable", str(executable(tmp_path / "python", script)))


def test_only_settings_of_the_index_reach_pip(
    wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip(tmp_path, monkeypatch, install=f"env >{tmp_path}/environ; exit 1")
    monkeypatch.setenv("PIP_ROOT", "/elsewhere")
    monkeypatch.setenv("OTHER", "kept")

    with pytest.raises(AssetBuildError):
        wheelhouse.build(tmp_path / "output")

    environ = (tmp_path / "environ").read_text()
    assert "OTHER=kept\n" in environ
    assert sorted(re.findall(r"^PIP_.*(?:\nhttps.*)?", environ, re.MULTILINE)) == [
        "PIP_CERT=/env/cert.pem",
        f"PIP_CONFIG_FILE={os.devnull}",
        "PIP_EXTRA_INDEX_URL=https://one\nhttps://two",
        "PIP_FIND_LINKS=/links",
        "PIP_INDEX_URL=https://global",
        "PIP_PROXY=http://it's",
    ]


def test_settings_that_pip_cannot_list_are_an_error(
    wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip(tmp_path, monkeypatch, install="exit 1", config="echo broken >&2; exit 1")

    with pytest.raises(AssetBuildError, match=r"^pip could not list its settings:\nbroken$"):
        wheelhouse.build(tmp_path / "output")


def test_installation_that_lacks_a_pinned_package_is_an_error_and_is_not_cached(
    wheelhouse: Wheelhouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip(tmp_path, monkeypatch, install="exit 0")

    with pytest.raises(AssetBuildError, match=r"^pip did not install all of .+: demo==1\.0 missing$"):
        wheelhouse.build(tmp_path / "output")

    assert [*wheelhouse.cache.iterdir()] == []


def change(entry: Path) -> None:
    (entry / "demo" / "__init__.py").write_text("answer = 43\n")


def remove(entry: Path) -> None:
    (entry / "demo" / "__init__.py").unlink()


def add(entry: Path) -> None:
    (entry / "demo" / "more.py").touch()


def rename(entry: Path) -> None:
    (entry / "demo" / "__init__.py").rename(entry / "demo" / "__main__.py")


def empty(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.mkdir()


def test_cache_entry_is_used_again_unless_it_was_changed(
    wheelhouse: Wheelhouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as with_index:
        with_index.setenv("PIP_NO_INDEX", "1")
        with_index.setenv("PIP_FIND_LINKS", str(wheelhouse.links))
        wheelhouse.build(tmp_path / "first")
        change(wheelhouse.entry)

        package = wheelhouse.build(tmp_path / "second")

    assert package == PACKAGE
    assert f"The files of {wheelhouse.entry} have changed" in capsys.readouterr().err
    pip(tmp_path, monkeypatch, install="exit 1")
    assert wheelhouse.build(tmp_path / "third") == PACKAGE
    intact = wheelhouse.cache
    for damage in (change, remove, add, rename, empty):
        wheelhouse.cache = tmp_path / damage.__name__
        shutil.copytree(intact, wheelhouse.cache)
        damage(wheelhouse.entry)
        with pytest.raises(AssetBuildError, match=r"^pip could not install"):
            wheelhouse.build(tmp_path / "fourth")


def test_versions_that_leave_out_other_files_do_not_remove_the_cache_entries_of_each_other(
    wheelhouse: Wheelhouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as other_version:
        other_version.setenv("PIP_NO_INDEX", "1")
        other_version.setenv("PIP_FIND_LINKS", str(wheelhouse.links))
        wheelhouse.build(tmp_path / "first")
        other_version.setattr(python_asset, "_LEFT_OUT", (*python_asset._LEFT_OUT, "METADATA"))  # noqa: SLF001  # a version with one more
        package = wheelhouse.build(tmp_path / "second")

    assert package.keys() == PACKAGE.keys() - {"demo-1.0.dist-info/METADATA"}
    assert wheelhouse.build(tmp_path / "third") == PACKAGE
    assert "have changed" not in capsys.readouterr().err


def test_without_a_cache_that_can_be_written_each_build_installs_the_packages_again(
    wheelhouse: Wheelhouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheelhouse.links))
    (temporary := tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (tmp_path / "file").touch()
    wheelhouse.cache = tmp_path / "file" / "cache"

    packages = [wheelhouse.build(tmp_path / name) for name in ("first", "second")]

    assert packages == [PACKAGE, PACKAGE]
    warning = (
        f"{wheelhouse.cache}: Not a directory. Without a cache, each build installs the packages again\n"
    )
    assert capsys.readouterr().err.count(warning) == 2
    assert [*temporary.iterdir()] == []


@pytest.mark.parametrize(
    ("environ", "platform", "folder"),
    [
        ({}, "linux", "home/.cache"),
        ({}, "darwin", "home/Library/Caches"),
        ({}, "win32", "home/AppData/Local"),
        ({"LOCALAPPDATA": "local"}, "win32", "local"),
        ({"LOCALAPPDATA": "local"}, "linux", "home/.cache"),
        ({"XDG_CACHE_HOME": "xdg"}, "linux", "xdg"),
        ({"XDG_CACHE_HOME": "xdg"}, "darwin", "xdg"),
    ],
)
def test_cache_is_in_the_cache_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], platform: str, folder: str
) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"HOME": "home"} | environ).items():
        monkeypatch.setenv(name, str(tmp_path / value))

    assert user_cache(platform=platform) == tmp_path / folder / "connect-message-sender"


def test_cache_folder_that_is_not_absolute_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")

    assert user_cache(platform="linux") == tmp_path / ".cache/connect-message-sender"


def test_user_without_a_home_has_no_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError("Could not determine home directory.")))

    with pytest.raises(NotADirectoryError):
        user_cache(platform="linux").mkdir(parents=True)


THIS_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of builds without dependencies."""
    return tmp_path_factory.mktemp("cache")


def packaged(tmp_path: Path, cache: Path, module: str, *, python_version: str) -> Path:
    """Build a function of one module, without dependencies."""
    source, output = tmp_path / "source", tmp_path / "output"
    (source / "message_sender").mkdir(parents=True)
    (source / "message_sender" / "module.py").write_text(module)
    (source / "requirements.txt").touch()
    PythonAsset(source, python_version=python_version, cache=cache).build(output)
    return output


def test_running_interpreter_is_found_by_its_version() -> None:
    assert find_python(THIS_VERSION) == sys.executable


def test_interpreter_of_the_version_is_found_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = executable(tmp_path / "python3.99", "echo cpython 3.99")
    executable(tmp_path / "python3.98", "echo cpython 3.97")
    executable(tmp_path / "python3.96", "echo 'pyenv: python3.96: command not found' >&2; exit 127")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    found = [find_python(version) for version in ("3.99", "3.98", "3.96", "3.95")]

    assert found == [str(python), None, None, None]


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv that has installed Python 3.99 and 3.98, of which the latter is another one. The only one."""
    installed = executable(tmp_path / "managed" / "3.99", "echo cpython 3.99")
    executable(tmp_path / "managed" / "3.98", "echo cpython 3.97")
    script = f"""
    case "$*" in
    "python find --managed-python --no-python-downloads --no-project --no-config 3.9"[89])
        for version; do :; done
        echo "{installed.parent}/$version";;
    *) echo "$*" >>{tmp_path}/other-commands; exit 2;;
    esac"""
    monkeypatch.setenv("PATH", str(executable(tmp_path / "path" / "uv", script).parent))
    interpreter = executable(tmp_path / "venv" / "python", f'PATH=/usr/bin:/bin exec {sys.executable} "$@"')
    monkeypatch.setattr("sys.executable", str(interpreter))
    return tmp_path / "path" / "uv"


@pytest.mark.usefixtures("uv")
def test_interpreter_that_uv_has_installed_is_found_and_none_is_downloaded(tmp_path: Path) -> None:
    found = [find_python(version) for version in ("3.99", "3.98")]

    assert found == [str(tmp_path / "managed" / "3.99"), None]
    assert not (tmp_path / "other-commands").exists()


def test_uv_of_the_environment_is_preferred(uv: Path, tmp_path: Path) -> None:
    uv.rename(tmp_path / "venv" / "uv")
    executable(uv, "exit 2")

    assert find_python("3.99") == str(tmp_path / "managed" / "3.99")


def refusal(tmp_path: Path, *, python_version: str) -> str:
    """Return why a package that has to be compiled is not built."""
    asset = PythonAsset(
        tmp_path / "source", python_version=python_version, cache=tmp_path / "cache", compiled="required"
    )
    with pytest.raises(AssetBuildError) as refused:
        asset.build(tmp_path / "output")
    assert not (tmp_path / "output").exists()
    with pytest.raises(SystemExit, match=re.escape(str(refused.value))):
        asset.try_bundle(str(tmp_path / "output"))
    return str(refused.value)


def test_package_that_has_to_be_compiled_is_refused_with_the_line_that_installs_the_interpreter(
    uv: Path, tmp_path: Path
) -> None:
    with_uv = refusal(tmp_path, python_version="3.98")
    uv.unlink()
    without_uv = refusal(tmp_path, python_version="3.98")

    venv = shlex.quote(str(tmp_path / "venv"))
    assert with_uv == (
        "python3.98 is not installed, and retain_data requires a package with .pyc files. Install it:\n"
        f"  {shlex.quote(str(uv))} python install 3.98"
    )
    assert without_uv.splitlines()[1:] == [
        f"  {venv}/python -m pip install uv && {venv}/uv python install 3.98",
    ]


def test_package_that_has_to_be_compiled_is_built_with_an_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "message_sender").mkdir()
    (tmp_path / "message_sender" / "__init__.py").touch()
    (tmp_path / "requirements.txt").touch()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    cache, output = tmp_path / "cache", tmp_path / "output"

    PythonAsset(tmp_path, python_version=THIS_VERSION, cache=cache, compiled="required").build(output)

    assert len([*output.rglob("*.pyc")]) == 1


def test_package_is_compiled_by_an_interpreter_of_its_version(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = packaged(tmp_path, cache, "answer = 42", python_version=THIS_VERSION)

    assert [path.relative_to(output).parts[:2] for path in output.rglob("*.pyc")] == [
        ("message_sender", "__pycache__")
    ]
    assert capsys.readouterr().err == ""


def test_package_is_not_compiled_without_such_an_interpreter_and_one_line_says_so(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = packaged(tmp_path, cache, "answer = 42", python_version="3.99")

    assert [*output.rglob("*.pyc")] == []
    assert capsys.readouterr().err == (
        "python3.99 is not installed: the package has no .pyc files, and the function "
        "compiles its modules at every cold start\n"
    )


def test_module_that_does_not_compile_is_an_error(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(
        AssetBuildError, match=r"(?s)^.+ could not compile the package:.+module\.py.+SyntaxError"
    ):
        packaged(tmp_path, cache, "def", python_version=THIS_VERSION)


def test_compiled_modules_depend_on_neither_folder_nor_user(asset: Path, tmp_path: Path) -> None:
    here, elsewhere = tmp_path / "here", tmp_path / "some" / "where" / "else"
    for folder in (here, elsewhere):
        shutil.copytree(asset / "urllib3", folder, ignore=shutil.ignore_patterns("__pycache__"))
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


def test_compiled_module_is_never_checked_and_names_its_file_in_lambda(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("raise ValueError")

    compile_modules(tmp_path, python=sys.executable)

    [compiled] = (path.read_bytes() for path in tmp_path.rglob("*.pyc"))
    assert compiled[:4] == importlib.util.MAGIC_NUMBER
    assert compiled[4:8] == (1).to_bytes(4, "little")  # a hash instead of a time, and not to be checked
    assert marshal.loads(compiled[16:]).co_filename == "/var/task/module.py"  # noqa: S302  # made here

"""The measured handlers: the function as deployed, and the baselines that users would write instead."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Final

from benchmarks.processes import FOLDER, Worker
from tests.support.kms import TOKEN_KEY_ARN

if TYPE_CHECKING:
    from pathlib import Path

OURS: Final = "ours"
LOOP: Final = "boto3 loop"
POWERTOOLS: Final = "Powertools"
THREADS: Final = "threads"
JAVASCRIPT: Final = "JavaScript"
INTERPRETER: Final = "interpreter alone"
UNCOMPILED: Final = ", no .pyc"
TRACED: Final = ", tracing"
WITH_KEY: Final = ", sealed tokens"
OTHER_AUTHORITY: Final = ", another authority"
COLD_OVER_TLS: Final = (OURS, OURS + OTHER_AUTHORITY, LOOP, POWERTOOLS)
COLD: Final = (
    *(name + variant for name in (OURS, POWERTOOLS) for variant in ("", UNCOMPILED, TRACED)),
    LOOP,
    INTERPRETER,
)
WARM_OVER_TLS: Final = (OURS, LOOP, POWERTOOLS, THREADS, JAVASCRIPT)
WARM: Final = (*WARM_OVER_TLS, OURS + TRACED, POWERTOOLS + TRACED)
BATCHES_OF_ONE: Final = (OURS, LOOP)

_MODULES: Final = {  # with `lambda_handler`, and the packages that contain them
    INTERPRETER: ("-", "plain"),
    OURS: ("message_sender.handler", "ours"),
    LOOP: ("boto3_loop", "plain"),
    POWERTOOLS: ("boto3_powertools", "powertools"),
    THREADS: ("boto3_threads", "plain"),
}
_FIRST_ROOTS: Final = "message_sender/amazon_roots.pem"
"""The authorities that the function loads first. It loads all others when these do not verify a server."""
_TRUSTED: Final = ", stub trusted first"
_RUNTIME: Final = ("boto3", "botocore", "s3transfer", "jmespath", "python-dateutil", "six", "urllib3")
_QUEUES: Final = ("MESSAGE", "DEAD_LETTER", "REJECTED", "UNPUBLISHED_RESULTS")
_ASSEMBLY: Final = FOLDER.parent / ".sandbox" / "cdk.out"  # with the files that the CDK would upload
_BASELINES: Final = FOLDER / "baselines"
_SCHEMA: Final = FOLDER.parent / "lambda_src" / "message_sender" / "schemas" / "send_message_request.json"
_ENVIRON: Final = {
    "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLE" * 30,
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_LAMBDA_FUNCTION_NAME": "sender",
    "EVENT_BUS_NAME": "results",
    "POWERTOOLS_SERVICE_NAME": "connect-message-sender",
    "POWERTOOLS_METRICS_NAMESPACE": "Benchmark",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
    "LANG": "en_US.UTF-8",
}


class Contenders:
    """Starts the contenders by their names, in packages that the measured interpreter has compiled.

    Args:
        folder: Gets the packages. `runtime` holds boto3, botocore and their dependencies.
        with_tracer: The function's package for the tracing of subsegments.
        authority: The certificate of the stub's authority.
        ca_bundle: Has this one, and all authorities that a Lambda function trusts.
    """

    def __init__(
        self, folder: Path, *, with_tracer: Path, python: str, log: Path, authority: Path, ca_bundle: Path
    ) -> None:
        self._folder, self._python, self._log, self._ca_bundle = folder, python, log, f"{ca_bundle}"
        (module,) = _ASSEMBLY.glob("asset.*/message_sender")
        ours, traced, powertools, plain, runtime = (
            folder / name for name in ("ours", f"ours{TRACED}", "powertools", "plain", "runtime")
        )
        _copy(module.parent, ours)
        _copy(with_tracer, traced)
        _copy(_BASELINES, plain)
        # The function's own version of Powertools
        _copy(with_tracer, powertools, without=("message_sender", "urllib3"))
        for file in (_BASELINES / "boto3_powertools.py", _SCHEMA):
            shutil.copy(file, powertools)
        for installed in (file for name in _RUNTIME for file in distribution(name).files or ()):
            if installed.suffix != ".pyc" and ".." not in installed.parts:
                (runtime / installed).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(installed.locate(), runtime / installed)
        for package in (ours, powertools):
            _copy(package, folder / f"{package.name}{UNCOMPILED}")
        compile_all = [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
        subprocess.run([*compile_all, *map(str, (ours, traced, plain, powertools, runtime))], check=True)
        trust_first(authority, shutil.copytree(ours, folder / f"ours{_TRUSTED}"))
        self.ours = ours

    def start(self, name: str, *, endpoint: str) -> Worker:
        """Start a worker that calls the services at one URL."""
        command, environ = self.command(name, endpoint=endpoint)
        return Worker(command, environ=environ, log=self._log)

    def command(self, name: str, *, endpoint: str) -> tuple[list[str], dict[str, str]]:
        """Return the command and the environment of a worker."""
        over_tls = endpoint.startswith("https:")
        if name == JAVASCRIPT:
            package, node = self._folder, shutil.which("node") or "node"
            command = [node, f"{FOLDER / 'worker.mjs'}", f"{_BASELINES / 'javascript.mjs'}"]
        else:  # without site packages or writing .pyc files; like in Lambda, output is not buffered
            module, folder = _MODULES[name.partition(",")[0]]
            if name.endswith(UNCOMPILED):
                folder += UNCOMPILED
            elif name == OURS + TRACED:
                folder += TRACED
            elif name == OURS and over_tls:
                folder += _TRUSTED
            package = self._folder / folder
            worker = [self._python, "-I", "-S", "-B", "-u", f"{FOLDER / 'worker.py'}", module]
            command = [*worker, f"{package}", f"{self._folder / 'runtime'}"]
        environ = _ENVIRON | {
            "AWS_ENDPOINT_URL": endpoint,
            # Another host, as on AWS: it takes a connection of its own
            "AWS_ENDPOINT_URL_EVENTBRIDGE": endpoint.replace("//localhost:", "//127.0.0.1:"),
            **{f"{queue}_QUEUE_URL": f"{endpoint}/000000000000/{queue}" for queue in _QUEUES},
            "LAMBDA_TASK_ROOT": f"{package}",
            "TRACING": "subsegments" if name.endswith(TRACED) else "off",
            "POWERTOOLS_TRACE_DISABLED": "false" if name.endswith(TRACED) else "true",  # for the baseline
        }
        if name.endswith(WITH_KEY):
            environ["TOKEN_KEY_ARN"] = TOKEN_KEY_ARN
        if over_tls:  # the system's authorities for ours, and instead of the SDK's own file for boto3
            variable = "SSL_CERT_FILE" if name.startswith(OURS) else "AWS_CA_BUNDLE"
            environ |= dict.fromkeys((variable, "NODE_EXTRA_CA_CERTS"), self._ca_bundle)
        return command, environ


def _copy(source: Path, target: Path, *, without: tuple[str, ...] = ()) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", *without))


def trust_first(authority: Path, package: Path) -> None:
    """Let the function in a package find this authority at once, like Amazon's. Most calls need no other."""
    roots = package / _FIRST_ROOTS
    if roots.exists():  # else it loads all authorities at init
        shutil.copyfile(authority, roots)


def zipped_parts(folder: Path) -> dict[str, int]:
    """Return the bytes of a folder as a zip file, by package and kind of file.

    The sum is the size of the zip file, its directory included.
    """
    content = io.BytesIO()
    parts: dict[str, int] = {}
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder)
            archive.write(file, name)
            part = f"{_package_of(name)}, {'bytecode' if file.suffix == '.pyc' else 'sources'}"
            parts[part] = parts.get(part, 0) + archive.getinfo(name.as_posix()).compress_size
    parts["directory of the zip file"] = len(content.getvalue()) - sum(parts.values())
    return parts


def _package_of(name: Path) -> str:
    """Return the package of a file: `six.py` and `six-1.17.dist-info` belong to `six`."""
    if name.parts[0] == "__pycache__":
        return name.name.partition(".")[0]
    return name.parts[0].partition("-")[0].removesuffix(".py")

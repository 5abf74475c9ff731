"""The AWS emulator, MiniStack, on loopback only, and what it takes to talk to it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import urllib3
from botocore.config import Config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.processes import ChildProcesses

ACCOUNT = "000000000000"
REGION = "us-east-1"
SECRET_ACCESS_KEY = "local"  # noqa: S105  # the emulator takes any

_LAUNCHER = Path(__file__).with_name("emulator_gaps.py")
_START_TIMEOUT = 30.0
_HTTP_OK = 200


class PortTakenError(Exception):
    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} on 127.0.0.1 is taken by another program")
        self.port = port


@dataclass(frozen=True, slots=True)
class Emulator:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environ(self, *, home: Path) -> dict[str, str]:
        """Build the environment in which any AWS tool talks to the emulator, and to nothing else.

        Built anew rather than from this process's own, which may hold real credentials, a profile or a proxy.

        Args:
            home: for what the tool writes into its home and temporary folders. Created if it is not there.
        """
        temporary = home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "AWS_ACCESS_KEY_ID": ACCOUNT,  # the emulator takes the account from here
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.url,
        }

    def client(self, service: str) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            # A call is made once: a repeated Invoke would be another message
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60),
        )


def start_emulator(
    children: ChildProcesses,
    *,
    python: Path,
    folder: Path,
    port: int | None = None,
    function_environ: Mapping[str, str],
) -> Emulator:
    """Start the emulator with nothing in it; it keeps its state in memory.

    Args:
        python: of the virtual environment that MiniStack is installed in.
        folder: for all that the emulator writes.
        port: None takes a free one.
        function_environ: what every function finds in its environment: MiniStack passes its own on.

    Raises:
        PortTakenError: The port is not free.
        ProcessError: The emulator does not start.
    """
    emulator = Emulator(_free_port(port))
    child = children.start(
        # Isolated: neither this folder's modules nor PYTHONPATH are the emulator's
        [str(python), "-I", str(_LAUNCHER)],
        output=folder / "emulator.log",
        folder=folder,
        environ={
            **emulator.environ(home=folder / "emulator"),
            **function_environ,
            "GATEWAY_PORT": str(emulator.port),
            "MINISTACK_REGION": REGION,
            # It listens on every interface unless told otherwise, and offers more than HTTP
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # It looks for containers of its own to remove where there is a Docker daemon
            "DOCKER_HOST": f"unix://{folder / 'no-docker.sock'}",
        },
    )
    child.wait_until(lambda: _is_ready(emulator), timeout=_START_TIMEOUT)
    return emulator


def _free_port(wanted: int | None) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what is just closing is free
        try:
            probe.bind(("127.0.0.1", wanted or 0))
        except OSError:
            raise PortTakenError(wanted or 0) from None
        port: int = probe.getsockname()[1]
        return port


def _is_ready(emulator: Emulator) -> bool:
    try:
        response = urllib3.request("GET", f"{emulator.url}/_ministack/ready", retries=False, timeout=2.0)
    except urllib3.exceptions.HTTPError:
        return False
    return response.status == _HTTP_OK

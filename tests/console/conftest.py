"""A running sandbox with its console, and a browser that opens it."""

from __future__ import annotations

import json
import platform
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from sandbox.local_stack import addresses_in
from tests.e2e.programs import ROOT, Program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.local_stack import Addresses

_BROWSER = Path(__file__).with_name("browser.mjs")


@dataclass(frozen=True)
class RunningConsole:
    """The console, as a program that has its address."""

    url: str
    folder: Path
    http: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, timeout=60.0)
    )

    @property
    def stack(self) -> Addresses:
        return addresses_in(self.folder)

    def post(self, action: str, body: object, **headers: str) -> urllib3.BaseHTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.http.request(
            "POST",
            f"{self.url}do/{action}",
            body=json.dumps(body),
            headers={"content-type": "application/json", **named},
        )

    def ask(self, action: str, **arguments: object) -> Any:  # noqa: ANN401  # any JSON
        response = self.post(action, arguments)
        assert response.status == 200, response.data
        return response.json()


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningConsole]:
    subprocess.run(["make", "prepare"], cwd=ROOT, check=True)
    program = Program("sandbox.live", tmp_path_factory.mktemp("console"))
    with program.start() as process:
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if "Messages, retries and errors" in line:
                break
        rest = threading.Thread(target=process.stdout.read)  # or the pipe would fill
        rest.start()
        try:
            [url] = re.findall(r"http://127\.0\.0\.1:\d+/\S+/$", said, re.MULTILINE)
            yield RunningConsole(url, program.folder)
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(timeout=30)
            rest.join()
    assert process.stderr
    assert status == 0
    assert program.left_behind == []


class Browser:
    """Chromium, which visits the console as `browser.mjs` describes.

    Args:
        pictures: A folder for them.
    """

    def __init__(self, url: str, pictures: Path) -> None:
        self._process = subprocess.Popen(
            ["node", str(_BROWSER), url, str(pictures)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.version = self._answer()

    def visit(self, name: str, /, **arguments: object) -> Any:  # noqa: ANN401  # any JSON
        """Return what a visit in a new page returns. It fails if the page writes an error to its console."""
        assert self._process.stdin
        print(json.dumps([name, arguments]), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:  # noqa: ANN401  # any JSON
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"the browser ended with status {self._process.wait(timeout=30)}"
        said = json.loads(line)
        assert "answer" in said, said["problem"]
        return said["answer"]

    def close(self) -> int:
        """Close the browser. Return the status of its process."""
        self._process.communicate(timeout=30)
        return self._process.returncode


@pytest.fixture(scope="session")
def chromium() -> None:
    """Skip where there is no browser, before anything is started."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip("not tested here: @sparticuz/chromium has a browser for Linux on x86-64 only")
    for package in ("@sparticuz/chromium", "puppeteer-core", "axe-core"):
        if not (ROOT / "node_modules" / package).exists():
            pytest.skip(f"not tested here: {package} is not installed (make node_modules/.dev-installed)")


@pytest.fixture(scope="session")
def browser(
    chromium: None,  # noqa: ARG001  # first, or a console would start for nothing
    console: RunningConsole,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Browser]:
    browser = Browser(console.url, tmp_path_factory.mktemp("pictures"))
    try:
        yield browser
    finally:
        status = browser.close()
    assert status == 0

"""docs/how-to/practise-on-call.md and the pages that it leads to, as a reader pastes their commands.

Only the defect is left out: it would change this repository.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING

import pytest
import urllib3

from sandbox.local_stack import addresses_in
from tests.e2e.programs import ROOT
from tests.e2e.test_sandbox import running_sandbox
from tests.e2e.test_workflow import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.test_sandbox import Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("stack")]

PAGES = ("runbook", "how-to/practise-on-call", "how-to/pause-and-resume", "how-to/deploy")
BLOCKS = [
    block
    for page in PAGES
    for block in re.findall(
        r"^```sh\n(.*?)^```$", (ROOT / f"docs/{page}.md").read_text(), re.MULTILINE | re.DOTALL
    )
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    subprocess.run(["make", ".sandbox/venv-awscli/.installed"], cwd=ROOT, check=True)
    with running_sandbox(tmp_path_factory.mktemp("on-call")) as sandbox:
        yield sandbox


def block(text: str) -> str:
    """Return the first block with a text, for the sandbox."""
    found = next(each for each in BLOCKS if text in each)
    return str(found).replace("STAGE=prod", "STAGE=dev").replace("eu-central-1", "us-east-1")


def paste(sandbox: Sandbox, *blocks: str) -> str:
    """Paste blocks into a shell of their own. Those of make use the folder of this sandbox."""
    chats = f"{ROOT}/.venv/bin/python -m sandbox.live.chats --folder {sandbox.program.folder} fault"
    lines = [*sandbox.exports, "set -e", block("out() {"), *blocks]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines).replace("make fault KIND=", f"{chats} ")],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{ROOT}/.sandbox/venv-awscli/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Page:
    """The console's page, as its buttons use it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._url = (sandbox.program.folder / "console.url").read_text()
        self._participant = addresses_in(sandbox.program.folder).participant

    def click(self, action: str, **arguments: object) -> str:
        answer = urllib3.request("POST", f"{self._url}do/{action}", json=arguments)
        assert answer.status == 200, answer.data
        return str(answer.json())

    def write(self, chat: str, text: str) -> None:
        self.click("send", chat=chat, text=text, content_type="text/plain", source="queue")

    def texts(self, chat: str) -> list[str | None]:
        return [item.content for item in self._participant.messages(chat)]


def test_paused_queue_delivers_in_order_after_it_is_resumed(sandbox: Sandbox) -> None:
    page = Page(sandbox)
    chat = page.click("open_chat")
    mapping = block("MAPPING=$(")

    paste(sandbox, mapping, block("--no-enabled"))
    for text in ("one", "two"):
        page.write(chat, text)
    waiting = page.texts(chat)
    paste(sandbox, mapping, block("--enabled"))

    assert waiting == []
    wait_until(lambda: page.texts(chat) == ["one", "two"])


def test_messages_of_an_outage_arrive_when_it_is_over(sandbox: Sandbox) -> None:
    page = Page(sandbox)
    chat = page.click("open_chat")

    paste(sandbox, block("KIND=outage"))
    for text in ("one", "two", "three"):
        page.write(chat, text)
    sandbox.line_with("retry")
    during = page.texts(chat)
    paste(sandbox, block("KIND=off"))

    assert during == []
    wait_until(lambda: page.texts(chat) == ["one", "two", "three"])


def test_dead_letter_is_looked_at_and_redriven(sandbox: Sandbox) -> None:
    page = Page(sandbox)

    page.click("scenario", name="fails", variant=None)
    sandbox.line_with("FAILED")
    page.click("stop")  # which ends its fault
    printed = paste(sandbox, block("ops redrive --stage dev --apply"))

    assert "1 to redrive" in printed
    assert "1 redriven" in printed
    assert "fails-" in sandbox.line_with("SENT")


def test_alias_moves_to_another_version(sandbox: Sandbox) -> None:
    printed = paste(sandbox, block("VERSION=41").replace("VERSION=41", "VERSION=1"))

    assert json.loads(printed[printed.index("{") :])["FunctionVersion"] == "1"

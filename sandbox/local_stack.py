"""The local stack: its parts, and how they are started."""

from __future__ import annotations

import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.outputs import StackOutputs
from infra.producer import Producer
from infra.result_watcher import ResultWatcher
from infra.results import MessageResult
from sandbox.emulator import (
    ACCOUNT,
    REGION,
    SECRET_ACCESS_KEY,
    SESSION,
    Emulator,
    start_emulator,
    wire_request_validators,
)
from sandbox.lambda_runtime import run_in_awslambdaric
from sandbox.participant_service.control import ParticipantControl
from sandbox.processes import NotStartedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from types_boto3_lambda import LambdaClient
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_logs.type_defs import FilteredLogEventTypeDef
    from types_boto3_sqs import SQSClient
    from types_boto3_stepfunctions import SFNClient

    from sandbox.processes import ChildProcesses

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".sandbox"

# Made by `make prepare`
_EMULATOR_PYTHON = FOLDER / "venv-emulator/bin/python"
RUNTIME_PYTHON = FOLDER / "venv-runtime/bin/python"
_CDK = ROOT / "node_modules/.bin/cdk"
_ASSEMBLY = FOLDER / "cdk.out"

_FIRST_FILE = "participant-service.log"  # its first line is the URL
_EMULATOR_FILE = "emulator.url"
_OUTPUTS_FILE = "outputs.json"
_START_TIMEOUT = 30.0
_DEPLOY_TIMEOUT = 180.0
_POLL_SECONDS = 0.1
_API_TIMEOUT = 30.0  # API Gateway answers within 29 seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepths:
    messages: int
    dead_letter: int
    rejected: int
    events_dead_letter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a local stack is."""

    emulator: Emulator
    outputs: StackOutputs
    participant: ParticipantControl

    @property
    def api_url(self) -> str:
        """The address of the REST API, without a slash at its end."""
        return self.outputs.api_url.rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStack(Addresses):
    """A running local stack.

    Attributes:
        results: Every result since the stack was started.
        has_error_types: Whether a direct caller gets the function's errors under their own names.
    """

    children: ChildProcesses = field(repr=False)
    producer: Producer
    results: ResultWatcher
    sqs: SQSClient = field(repr=False)
    lambda_: LambdaClient = field(repr=False)
    step_functions: SFNClient = field(repr=False)
    has_error_types: bool

    def queue_depths(self, *, timeout: float = 0.0) -> QueueDepths:
        """Count the messages in each queue, including those that a consumer is processing.

        Args:
            timeout: Seconds to wait until the message queue is empty.
        """
        outputs, deadline = self.outputs, time.monotonic() + timeout
        while self._depth(outputs.message_queue_url) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return QueueDepths(
            messages=self._depth(outputs.message_queue_url),
            dead_letter=self._depth(outputs.dead_letter_queue_url),
            rejected=self._depth(outputs.rejected_queue_url),
            events_dead_letter=self._depth(outputs.events_dead_letter_queue_url),
        )

    def call_api(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: str = ""
    ) -> urllib3.BaseHTTPResponse:
        """Make a signed call of the REST API, and return the whole answer."""
        request = AWSRequest(method, self.api_url + path, dict(headers or {}), body.encode())
        SigV4Auth(Credentials(ACCOUNT, SECRET_ACCESS_KEY), "execute-api", REGION).add_auth(request)
        return urllib3.request(
            method,
            self.api_url + path,
            body=request.data,
            headers=dict(request.headers),
            retries=False,
            timeout=_API_TIMEOUT,
        )

    def look_up(self, message_id: str) -> MessageResult | None:
        """Return the outcome that `GET /messages/{id}` answers. None if it is not known so far."""
        answer = self.call_api("GET", f"/messages/{quote(message_id, safe='')}")
        document: dict[str, Any] = answer.json()
        if (answer.status, document.get("Code")) == (HTTPStatus.NOT_FOUND, "OutcomeNotKnown"):
            return None
        return MessageResult.from_detail(document)

    def _depth(self, queue_url: str) -> int:
        answer = self.sqs.get_queue_attributes(
            QueueUrl=queue_url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )
        return sum(map(int, answer["Attributes"].values()))


def participant_service_in(folder: Path) -> ParticipantControl:
    """Return the participant service of the local stack that writes to a folder.

    Raises:
        FileNotFoundError: There is none.
    """
    return _participant_service_of(folder / _FIRST_FILE)


def _participant_service_of(log: Path) -> ParticipantControl:
    url, _, _ = log.read_text(encoding="utf-8").partition("\n")
    return ParticipantControl(url)


def addresses_in(folder: Path) -> Addresses:
    """Return the addresses of the local stack that writes to a folder.

    Raises:
        FileNotFoundError: There is none.
    """
    return Addresses(
        emulator=Emulator((folder / _EMULATOR_FILE).read_text(encoding="utf-8")),
        outputs=_outputs(folder / _OUTPUTS_FILE),
        participant=participant_service_in(folder),
    )


def function_log(
    emulator: Emulator, outputs: StackOutputs, *, since: int = 0
) -> Sequence[FilteredLogEventTypeDef]:
    """Return the events of the function's log, in the order of their time.

    Args:
        since: In milliseconds since the epoch.
    """
    lambda_: LambdaClient = emulator.client("lambda")
    function = lambda_.get_function_configuration(FunctionName=outputs.function_name)
    logs: CloudWatchLogsClient = emulator.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=function["LoggingConfig"]["LogGroup"], startTime=since
    )
    return sorted(pages.search("events[]"), key=itemgetter("timestamp"))


def start_local_stack(
    children: ChildProcesses,
    *,
    folder: Path,
    emulator_port: int | None = None,
    report: Callable[[str, str], None] = lambda _part, _text: None,
) -> LocalStack:
    """Start a local stack. `children` stops it.

    Args:
        folder: For all files that it writes. Files of an earlier local stack there are deleted first.
        emulator_port: None takes a free one.
        report: Gets the name of a part that is ready, and a description of it.

    Raises:
        NotStartedError: `make prepare` has not been run, the folder holds other files, or the port is taken.
        ProcessError: A part does not start, or the deployment failed.
    """
    for part in (_EMULATOR_PYTHON, RUNTIME_PYTHON, _CDK, _ASSEMBLY):
        if not part.exists():
            raise NotStartedError(f"{part.relative_to(ROOT)} does not exist. Make it with: make prepare")
    _make_empty(folder)

    participant = start_participant_service(children, folder / _FIRST_FILE)
    report("Participant service", participant.url)

    emulator = start_emulator(
        children,
        python=_EMULATOR_PYTHON,
        folder=folder,
        port=emulator_port,
        # The function reads its endpoint here, as AWS SDKs do. So the stack is deployed without a change.
        function_environ={"AWS_ENDPOINT_URL_CONNECTPARTICIPANT": participant.url},
    )
    (folder / _EMULATOR_FILE).write_text(emulator.url, encoding="utf-8")
    report("AWS emulator", f"MiniStack at {emulator.url}")

    outputs = _deploy(children, emulator, folder)
    report("Stack", "deployed by the AWS CDK CLI")

    if in_awslambdaric := run_in_awslambdaric(emulator, outputs, python=RUNTIME_PYTHON):
        report("Functions", "run in awslambdaric, Lambda's own runtime client")
    else:
        report("Functions", "run in the emulator, which loses the names of errors")

    sqs = emulator.client("sqs")
    # Not closed: its rule and its queue end with the emulator
    results = ResultWatcher(
        sqs=sqs,
        events=emulator.client("events"),
        event_bus_name=outputs.event_bus_name,
        name="sandbox-results",
    )
    results.open()
    return LocalStack(
        children=children,
        emulator=emulator,
        outputs=outputs,
        participant=participant,
        producer=Producer(outputs, session=SESSION, endpoint_url=emulator.url),
        results=results,
        sqs=sqs,
        lambda_=emulator.client("lambda"),
        step_functions=emulator.client("stepfunctions"),
        has_error_types=in_awslambdaric,
    )


def _make_empty(folder: Path) -> None:
    if folder.exists():
        if any(folder.iterdir()) and not (folder / _FIRST_FILE).exists():
            raise NotStartedError(f"{folder} holds files of something else: name another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def start_participant_service(children: ChildProcesses, log: Path) -> ParticipantControl:
    """Start a participant service. `children` stops it."""
    service = children.start([sys.executable, "-m", "sandbox.participant_service"], output=log, folder=ROOT)
    service.wait_until(lambda: "\n" in log.read_text(encoding="utf-8"), timeout=_START_TIMEOUT)
    return _participant_service_of(log)


def _deploy(children: ChildProcesses, emulator: Emulator, folder: Path) -> StackOutputs:
    """Bootstrap the emulator's account, and deploy what `cdk synth` made of app.py with the real CDK CLI."""
    outputs = folder / _OUTPUTS_FILE
    environ = {
        **emulator.environ(home=folder / "cdk"),
        "CDK_HOME": str(folder / "cdk"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
    }
    for arguments in (
        ["bootstrap", f"aws://{ACCOUNT}/{REGION}"],
        ["deploy", "--all", f"--app={_ASSEMBLY}", "--require-approval=never", f"--outputs-file={outputs}"],
    ):
        children.run(
            [str(_CDK), "--no-notices", "--no-color", *arguments],
            output=folder / "cdk.log",
            environ=environ,
            folder=folder,
            timeout=_DEPLOY_TIMEOUT,
        )
    deployed = _outputs(outputs)
    wire_request_validators(emulator, stack_name=deployed.stack_name)
    return deployed


def _outputs(file: Path) -> StackOutputs:
    """Read the file of outputs that the CDK CLI wrote."""
    ((stack_name, values),) = json.loads(file.read_text(encoding="utf-8")).items()
    return StackOutputs.from_mapping(stack_name, values)

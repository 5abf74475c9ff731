"""All of the local stack, and what one does with it: open a chat, send a message, see what comes of it."""

from __future__ import annotations

import json
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.api_client import ApiClient
from sandbox.deployment import StackOutputs, deploy
from sandbox.emulator import Emulator, start_emulator
from sandbox.lambda_runtime import has_awslambdaric, run_in_awslambdaric
from sandbox.participant_service.chats import CONTENT_TYPES
from sandbox.participant_service.control import ParticipantControl
from sandbox.results import ResultEvents

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from sandbox.processes import ChildProcesses

    Report = Callable[[str, str], None]
    """Gets the name of a part that is ready, and what there is to say of it."""

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".sandbox"
REQUEST_DETAIL_TYPE = "SendMessage Requested"

# Made by `make prepare`
_EMULATOR_PYTHON = FOLDER / "venv-emulator/bin/python"
_RUNTIME_PYTHON = FOLDER / "venv-runtime/bin/python"
_CDK = ROOT / "node_modules/.bin/cdk"
_ASSEMBLY = FOLDER / "cdk.out"

_FIRST_FILE = "participant-service.log"
_START_TIMEOUT = 30.0
_POLL_SECONDS = 0.1


class NotPreparedError(Exception):
    """Something that the local stack is made of is not installed."""


class ForeignFolderError(Exception):
    """The folder holds files that no local stack has written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenChat:
    contact_id: str
    participant_token: str = field(repr=False)
    connection_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a caller gets who waits: the result, or the name of the error.

    An error's payload is what the function raised; of an execution's, its error and cause.
    """

    payload: Mapping[str, Any]
    error_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepths:
    messages: int
    dead_letter: int
    rejected: int
    events_dead_letter: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStack:
    emulator: Emulator
    outputs: StackOutputs
    participant: ParticipantControl
    results: ResultEvents
    api: ApiClient
    sqs: Any = field(repr=False)
    lambda_: Any = field(repr=False)
    events: Any = field(repr=False)
    step_functions: Any = field(repr=False)
    has_error_types: bool
    """Whether the function's errors reach a direct caller under their own names: in awslambdaric they do."""

    def open_chat(self, *, ended: bool = False, content_types: Collection[str] = CONTENT_TYPES) -> OpenChat:
        """Start a chat and connect its customer, as the producer of messages would have done before."""
        chat = open_chat(self.participant, content_types=content_types)
        if ended:
            self.participant.end_chat(chat.contact_id)
        return chat

    def renew_connection(self, chat: OpenChat) -> OpenChat:
        """Connect the customer once more, as a producer does whose token is about to expire."""
        connection = self.participant.connect(chat.participant_token)
        return replace(chat, connection_token=connection.connection_token)

    def send_to_queue(self, body: str, *, group: str, deduplication_id: str) -> str:
        """Send a message to the queue and return its message id."""
        answer = self.sqs.send_message(
            QueueUrl=self.outputs.message_queue_url,
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=deduplication_id,
        )
        return str(answer["MessageId"])

    def invoke(self, request: Mapping[str, Any]) -> Answer:
        """Invoke the function directly, through its alias, and wait for the answer."""
        answer = self.lambda_.invoke(
            FunctionName=self.outputs.function_alias_arn, Payload=json.dumps(request)
        )
        payload = json.load(answer["Payload"])
        error_type = payload.get("errorType", "") if "FunctionError" in answer else None
        return Answer(payload=payload, error_type=error_type)

    def put_event(self, detail: str, *, source: str = "local-producer") -> str:
        """Put a request on the event bus and return the event's id."""
        answer = self.events.put_events(
            Entries=[
                {
                    "EventBusName": self.outputs.event_bus_name,
                    "Source": source,
                    "DetailType": REQUEST_DETAIL_TYPE,
                    "Detail": detail,
                }
            ]
        )
        return str(answer["Entries"][0]["EventId"])

    def start_execution(self, request: object, *, state_machine_arn: str | None = None) -> str:
        """Start the state machine with a request as its input, and return the execution's ARN.

        Args:
            state_machine_arn: None starts the stack's own.
        """
        answer = self.step_functions.start_execution(
            stateMachineArn=state_machine_arn or self.outputs.state_machine_arn, input=json.dumps(request)
        )
        return str(answer["executionArn"])

    def wait_for_execution(self, execution_arn: str, *, timeout: float = 60.0) -> Answer:
        """Wait for the end of an execution: its output, or the error that it failed with.

        Raises:
            TimeoutError: It did not end within the timeout, in seconds.
        """
        deadline = time.monotonic() + timeout
        execution = self.step_functions.describe_execution(executionArn=execution_arn)
        while execution["status"] == "RUNNING":
            if time.monotonic() > deadline:
                raise TimeoutError(f"The execution did not end within {timeout:g} seconds")
            time.sleep(_POLL_SECONDS)
            execution = self.step_functions.describe_execution(executionArn=execution_arn)
        if execution["status"] == "SUCCEEDED":
            return Answer(payload=json.loads(execution["output"]), error_type=None)
        error = {name: execution.get(name, "") for name in ("error", "cause")}
        return Answer(payload=error, error_type=error["error"])

    def queue_depths(self) -> QueueDepths:
        """Count the messages in each queue, those that a consumer has in its hands included."""
        return QueueDepths(
            messages=self._depth(self.outputs.message_queue_url),
            dead_letter=self._depth(self.outputs.dead_letter_queue_url),
            rejected=self._depth(self.outputs.rejected_queue_url),
            events_dead_letter=self._depth(self.outputs.events_dead_letter_queue_url),
        )

    def _depth(self, queue_url: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


def open_chat(participant: ParticipantControl, *, content_types: Collection[str] = CONTENT_TYPES) -> OpenChat:
    """Start a chat and connect its customer."""
    chat = participant.start_chat(content_types=content_types)
    connection = participant.connect(chat.participant_token)
    return OpenChat(
        contact_id=chat.contact_id,
        participant_token=chat.participant_token,
        connection_token=connection.connection_token,
    )


def participant_url_file(folder: Path) -> Path:
    """Return the file that holds the participant service's URL, once it is ready, of a local stack."""
    return folder / "participant-service.url"


@contextmanager
def local_stack(
    children: ChildProcesses,
    *,
    folder: Path,
    emulator_port: int | None = None,
    report: Report = lambda _part, _text: None,
) -> Iterator[LocalStack]:
    """Start everything; `children` stop it.

    Args:
        folder: for all that is written. What an earlier local stack wrote there is removed first.
        emulator_port: None takes a free one.

    Raises:
        NotPreparedError: `make prepare` has not been run.
        ForeignFolderError: The folder holds something else.
        PortTakenError: The port is not free.
        ProcessError: A part does not start, or the deployment failed.
    """
    for part in (_EMULATOR_PYTHON, _RUNTIME_PYTHON, _CDK, _ASSEMBLY):
        if not part.exists():
            raise NotPreparedError(f"{part.relative_to(ROOT)} is not there. It is made by: make prepare")
    _make_empty(folder)

    participant_url = _start_participant_service(children, folder)
    report("Participant service", participant_url)

    emulator = start_emulator(
        children,
        python=_EMULATOR_PYTHON,
        folder=folder,
        port=emulator_port,
        # Where SDKs look for an endpoint, and so does the function: the deployed stack is not bent
        function_environ={"AWS_ENDPOINT_URL_CONNECTPARTICIPANT": participant_url},
    )
    report("AWS emulator", f"MiniStack at {emulator.url}")

    outputs = deploy(children, emulator, cdk=_CDK, assembly=_ASSEMBLY, folder=folder)
    report("Stack", "deployed by the AWS CDK CLI")

    in_awslambdaric = has_awslambdaric(_RUNTIME_PYTHON)
    if in_awslambdaric:
        run_in_awslambdaric(emulator, outputs, python=_RUNTIME_PYTHON)
    report(
        "Function",
        "runs in awslambdaric, the runtime client of AWS Lambda"
        if in_awslambdaric
        else "runs in the emulator's own worker (awslambdaric is for Linux), which loses the type of errors",
    )
    with ParticipantControl(participant_url) as participant:
        yield LocalStack(
            emulator=emulator,
            outputs=outputs,
            participant=participant,
            results=ResultEvents(emulator, event_bus_name=outputs.event_bus_name),
            api=ApiClient(emulator, outputs.api_url),
            sqs=emulator.client("sqs"),
            lambda_=emulator.client("lambda"),
            events=emulator.client("events"),
            step_functions=emulator.client("stepfunctions"),
            has_error_types=in_awslambdaric,
        )


def _make_empty(folder: Path) -> None:
    if folder.exists():
        if any(folder.iterdir()) and not (folder / _FIRST_FILE).exists():
            raise ForeignFolderError(f"{folder} holds files of something else: name another folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def _start_participant_service(children: ChildProcesses, folder: Path) -> str:
    ready_file = participant_url_file(folder)
    service = children.start(
        [sys.executable, "-m", "sandbox.participant_service", "--ready-file", str(ready_file)],
        output=folder / _FIRST_FILE,
        folder=ROOT,
    )
    service.wait_until(ready_file.exists, timeout=_START_TIMEOUT)
    return ready_file.read_text(encoding="utf-8").strip()

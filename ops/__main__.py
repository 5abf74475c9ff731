"""Run a command on a deployed stack: `python -m ops --help`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from infra.outputs import OutputsError, read_outputs
from infra.producer import NotOfferedError
from infra.stage import stack_name
from message_sender.clock import SystemClock
from message_sender.errors import AwsCallError
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.task_callback import TaskCallback
from ops.aws import NO_RETRIES, SessionError, aws_client, open_session
from ops.command_line import parse
from ops.dead_letters import DeadLetterQueue
from ops.queue_reader import QueueReader
from ops.redrive import RedriveRun
from ops.report import Report
from ops.republish import RepublishRun
from ops.smoke.chat import ChatError
from ops.smoke.report import Report as SmokeReport
from ops.smoke.run import run as run_smoke_test
from ops.stack.printable import printable
from ops.stack.signals import stopped_by_signals

if TYPE_CHECKING:
    from argparse import Namespace

    import boto3
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.literals import QueueAttributeNameType

    from infra.outputs import StackOutputs
    from ops.redrive_policy import RedriveFilter
    from ops.smoke.run import Settings

_NOT_ALL_DONE = 1
_COULD_NOT_RUN = 2

_ADVICE = "Name another stage or Region, or deploy it:\n    make deploy STAGE="


@stopped_by_signals()
def main(arguments: list[str]) -> int:
    # A terminal that cannot show a character must not end the command
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # standard output is a text stream
    options = parse(arguments, os.environ)
    command = {"redrive": _redrive, "republish": _republish, "smoke": _smoke}[options.command]
    try:
        return 0 if command(options, open_session()) else _NOT_ALL_DONE
    except SystemExit:
        Report(sys.stdout).line("Stopped. You can run the same command again.")
        raise
    except (SessionError, OutputsError, ChatError, AwsCallError, BotoCoreError, ClientError) as error:
        # ClientError only from calls without a message or a token, so that its text quotes none
        sys.stderr.write(f"{printable(str(error), lines=not isinstance(error, ClientError))}\n")
        return _COULD_NOT_RUN


def _redrive(options: Namespace, session: boto3.Session) -> bool:
    report, redrive_filter = Report(sys.stdout), cast("RedriveFilter", options.redrive_filter)
    clock = SystemClock()
    queue = DeadLetterQueue(options.queue)
    outputs = _outputs(session, stack_name(options.stage), options.stage)
    queue_url = {
        DeadLetterQueue.DEAD_LETTER: outputs.dead_letter_queue_url,
        DeadLetterQueue.EVENTS: outputs.events_dead_letter_queue_url,
        DeadLetterQueue.REJECTED: outputs.rejected_queue_url,
    }[queue]
    client = session.client("sqs", config=NO_RETRIES)
    sqs = aws_client(session, "sqs")
    queues = Queues(
        sqs=sqs,
        message_queue_url=outputs.message_queue_url,
        dead_letter_queue_url=outputs.dead_letter_queue_url,
        rejected_queue_url=outputs.rejected_queue_url,
        unpublished_results_queue_url=outputs.unpublished_results_queue_url,
    )
    waiting = int(_attribute(client, queue_url, "ApproximateNumberOfMessages"))
    run = RedriveRun(
        queue=queue,
        reader=QueueReader(sqs, queue_url, clock=clock),
        queues=queues,
        publisher=Publisher(
            events=aws_client(session, "events"), event_bus_name=outputs.event_bus_name, queues=queues
        ),
        tasks=TaskCallback(step_functions=aws_client(session, "stepfunctions")),
        messages_queue_arn=_attribute(client, outputs.message_queue_url, "QueueArn"),
        redrive_filter=redrive_filter,
        dry_run=not options.apply,
        clock=clock,
        on_handled=report.dead_letter,
    )
    report.line(f"From     {queue_url} (messages: about {waiting})")
    report.line(f"To       {outputs.message_queue_url}")
    if redrive_filter.finalize:
        report.line(f"Results  {outputs.event_bus_name}")
        report.line(f"Copies   {outputs.dead_letter_queue_url}")
        report.line(f"         {outputs.rejected_queue_url}")
    return _run(run, report, waiting=waiting)


def _republish(options: Namespace, session: boto3.Session) -> bool:
    report = Report(sys.stdout)
    outputs = _outputs(session, stack_name(options.stage), options.stage)
    queue_url = outputs.unpublished_results_queue_url
    event_bus_name = outputs.event_bus_name.rpartition(":event-bus/")[2]
    _, partition, _, region, account, *_ = outputs.function_alias_arn.split(":")
    clock = SystemClock()
    run = RepublishRun(
        reader=QueueReader(aws_client(session, "sqs"), queue_url, clock=clock),
        events=aws_client(session, "events"),
        event_bus_name=event_bus_name,
        event_bus_arn=f"arn:{partition}:events:{region}:{account}:event-bus/{event_bus_name}",
        dry_run=not options.apply,
        clock=clock,
        on_result=report.result,
    )
    report.line(f"From  {queue_url}")
    report.line(f"To    {event_bus_name}")
    return _run(run, report)


def _run(run: RedriveRun | RepublishRun, report: Report, *, waiting: int = 0) -> bool:
    if run.dry_run:
        report.line("This is a dry run: it changes nothing. Add --apply to carry it out.")
    report.totals(run.run(), dry_run=run.dry_run, waiting=waiting)
    return run.totals.all_done


def _smoke(options: Namespace, session: boto3.Session) -> bool:
    report, settings = SmokeReport(sys.stdout), cast("Settings", options.settings)
    with report.progress() as progress:
        progress(f"Reading the outputs of {settings.stack_name}")
        outputs = _outputs(session, settings.stack_name, options.stage)
        try:
            outcome = run_smoke_test(
                settings, outputs, session, progress=progress, on_left_behind=report.left_behind
            )
        except NotOfferedError as error:
            raise OutputsError(settings.stack_name, f"{error} {_ADVICE}{options.stage}") from None
    report.run(outcome)
    return outcome.passed


def _outputs(session: boto3.Session, stack: str, stage: str) -> StackOutputs:
    try:
        return read_outputs(session.client("cloudformation"), stack)
    except OutputsError as error:
        raise OutputsError(error.stack_name, f"{error} {_ADVICE}{stage}") from None


def _attribute(client: SQSClient, queue_url: str, name: QueueAttributeNameType) -> str:
    return client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])["Attributes"][name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

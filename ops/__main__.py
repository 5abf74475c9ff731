"""Run a command on a deployed stack: `python -m ops --help`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, cast

from botocore.exceptions import BotoCoreError, ClientError

from infra.stage import stack_name
from message_sender.clock import SystemClock
from message_sender.errors import AwsCallError
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.task_callback import TaskCallback
from ops.aws import NO_RETRIES, aws_client
from ops.command_line import parse
from ops.dead_letters import DeadLetterQueue
from ops.queue_reader import QueueReader
from ops.redrive import RedriveRun
from ops.report import Report
from ops.republish import RepublishRun
from ops.smoke.chat import ChatError
from ops.smoke.deployment import DeploymentError, read_deployment
from ops.smoke.report import Report as SmokeReport
from ops.smoke.run import run as run_smoke_test
from ops.smoke.session import SessionError, open_session
from ops.stack.printable import printable
from ops.stack.signals import stopped_by_signals

if TYPE_CHECKING:
    from argparse import Namespace

    import boto3
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.literals import QueueAttributeNameType

    from ops.redrive_policy import RedriveFilter
    from ops.smoke.settings import Settings

_NOT_ALL_DONE = 1
_COULD_NOT_RUN = 2

_OUTPUTS = {
    DeadLetterQueue.DEAD_LETTER: "DeadLetterQueueUrl",
    DeadLetterQueue.EVENTS: "EventsDeadLetterQueueUrl",
    DeadLetterQueue.REJECTED: "RejectedQueueUrl",
}


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
    except (SessionError, DeploymentError, ChatError, AwsCallError, BotoCoreError, ClientError) as error:
        # ClientError only from calls without a message or a token, so that its text quotes none
        sys.stderr.write(f"{printable(str(error), lines=not isinstance(error, ClientError))}\n")
        return _COULD_NOT_RUN


def _redrive(options: Namespace, session: boto3.Session) -> bool:
    report, redrive_filter = Report(sys.stdout), cast("RedriveFilter", options.redrive_filter)
    clock = SystemClock()
    queue = DeadLetterQueue(options.queue)
    queue_url, messages_url, dead_letter_url, rejected_url, unpublished_url, bus = _outputs(
        session,
        options.stage,
        _OUTPUTS[queue],
        *("MessageQueueUrl", "DeadLetterQueueUrl", "RejectedQueueUrl", "UnpublishedResultsQueueUrl"),
        "EventBusName",
    )
    client = session.client("sqs", config=NO_RETRIES)
    sqs = aws_client(session, "sqs")
    queues = Queues(
        sqs=sqs,
        message_queue_url=messages_url,
        dead_letter_queue_url=dead_letter_url,
        rejected_queue_url=rejected_url,
        unpublished_results_queue_url=unpublished_url,
    )
    waiting = int(_attribute(client, queue_url, "ApproximateNumberOfMessages"))
    run = RedriveRun(
        queue=queue,
        reader=QueueReader(sqs, queue_url, clock=clock),
        queues=queues,
        publisher=Publisher(events=aws_client(session, "events"), event_bus_name=bus, queues=queues),
        tasks=TaskCallback(step_functions=aws_client(session, "stepfunctions")),
        messages_queue_arn=_attribute(client, messages_url, "QueueArn"),
        redrive_filter=redrive_filter,
        dry_run=not options.apply,
        clock=clock,
        on_handled=report.dead_letter,
    )
    report.line(f"From     {queue_url} (messages: about {waiting})")
    report.line(f"To       {messages_url}")
    if redrive_filter.finalize:
        report.line(f"Results  {bus}")
        report.line(f"Copies   {dead_letter_url}")
        report.line(f"         {rejected_url}")
    return _run(run, report, waiting=waiting)


def _republish(options: Namespace, session: boto3.Session) -> bool:
    report = Report(sys.stdout)
    queue_url, bus, function_arn = _outputs(
        session, options.stage, "UnpublishedResultsQueueUrl", "EventBusName", "FunctionAliasArn"
    )
    event_bus_name = bus.rpartition(":event-bus/")[2]
    _, partition, _, region, account, *_ = function_arn.split(":")
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
        deployment = read_deployment(session.client("cloudformation"), settings.stack_name)
        outcome = run_smoke_test(
            settings, deployment, session, progress=progress, left_behind=report.left_behind
        )
    report.run(outcome)
    return outcome.passed


def _outputs(session: boto3.Session, stage: str, *names: str) -> list[str]:
    name = stack_name(stage)
    outputs = read_deployment(session.client("cloudformation"), name).outputs
    if missing := [each for each in names if each not in outputs]:
        raise DeploymentError(
            f"The stack {name} has no output {missing[0]}. Deploy this version of it:\n"
            f"    make deploy STAGE={stage}"
        )
    return [outputs[each] for each in names]


def _attribute(client: SQSClient, queue_url: str, name: QueueAttributeNameType) -> str:
    return client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])["Attributes"][name]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

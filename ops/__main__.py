"""`python -m operations redrive|republish`, which `make redrive` and `make republish` run."""

from __future__ import annotations

import os
import sys
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.outputs import OutputsError, StackOutputs, read_outputs
from infra.stage import stack_name
from message_sender.clock import SystemClock
from message_sender.errors import AwsCallError
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.task_callback import TaskCallback
from ops.aws import CALLED_ONCE, BotoApi
from ops.dead_letters import DeadLetterQueue
from ops.queue_reader import QueueReader
from ops.redrive import Done, RedriveRun
from ops.report import Report, counted
from ops.republish import RepublishRun
from ops.settings import RedriveSettings, RepublishSettings, SettingsError
from ops.smoke.session import SessionError, open_session
from ops.stack.command import printable, stopped_by_signals

if TYPE_CHECKING:
    import boto3

_NOT_ALL_DONE = 1
_COULD_NOT_RUN = 2

_OUTPUTS = {
    DeadLetterQueue.DEAD_LETTER: "dead_letter_queue_url",
    DeadLetterQueue.EVENTS: "events_dead_letter_queue_url",
    DeadLetterQueue.REJECTED: "rejected_queue_url",
}


@stopped_by_signals()
def main(arguments: list[str]) -> int:
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # standard output is a text stream
    report = Report(sys.stdout)
    try:
        match arguments:
            case ["redrive"]:
                return _redrive(RedriveSettings.from_environ(os.environ), report)
            case ["republish"]:
                return _republish(RepublishSettings.from_environ(os.environ), report)
            case _:
                raise SettingsError("There are two commands:\n    make redrive\n    make republish")  # noqa: TRY301  # told like any other
    except SystemExit:
        report.line("Stopped. What was done is done; the same command does the rest.")
        raise
    except (SettingsError, SessionError, OutputsError, AwsCallError, BotoCoreError) as error:
        sys.stderr.write(f"{printable(str(error), lines=True)}\n")
    except ClientError as error:
        # Of calls that hold no message: the others are dealt with where they are made
        problem = f"{error.operation_name}: {error.response['Error']['Message']}"
        sys.stderr.write(f"{printable(problem)}\n")
    return _COULD_NOT_RUN


def _redrive(settings: RedriveSettings, report: Report) -> int:
    session = open_session()
    outputs = _outputs(session, settings.stage)
    client, clock, random = session.client("sqs", config=CALLED_ONCE), SystemClock(), SystemRandom().random
    sqs, events = BotoApi(client), BotoApi(session.client("events", config=CALLED_ONCE))
    step_functions = BotoApi(session.client("stepfunctions", config=CALLED_ONCE))
    queue_url, messages_url = getattr(outputs, _OUTPUTS[settings.queue]), outputs.message_queue_url
    waiting = int(_attribute(client, queue_url, "ApproximateNumberOfMessages"))
    queues = Queues(
        sqs=sqs,
        message_queue_url=messages_url,
        dead_letter_queue_url=outputs.dead_letter_queue_url,
        rejected_queue_url=outputs.rejected_queue_url,
        unpublished_results_queue_url=outputs.unpublished_results_queue_url,
        clock=clock,
        random=random,
    )
    run = RedriveRun(
        queue=settings.queue,
        reader=QueueReader(sqs, queue_url, clock=clock, random=random),
        queues=queues,
        publisher=Publisher(
            events=events, event_bus_name=outputs.event_bus_name, queues=queues, clock=clock, random=random
        ),
        tasks=TaskCallback(step_functions=step_functions, clock=clock, random=random),
        messages_queue_arn=_attribute(client, messages_url, "QueueArn"),
        rules=settings.rules,
        dry_run=settings.dry_run,
        clock=clock,
        tell=report.letter,
    )
    report.line(f"From  {queue_url}  (about {counted(waiting, 'letter')})")
    report.line(f"To    {messages_url}")
    if settings.rules.settle:
        report.line(f"      outcomes to the bus {outputs.event_bus_name}, their letters to")
        report.line(f"      {outputs.dead_letter_queue_url} and {outputs.rejected_queue_url}")
    if settings.dry_run:
        report.line("A dry run: nothing is changed. DRY_RUN=no does it.")
    totals = run.run()
    report.redriven(totals, dry_run=settings.dry_run, waiting=waiting)
    return 0 if totals.is_complete and not totals.count[Done.ERROR] else _NOT_ALL_DONE


def _republish(settings: RepublishSettings, report: Report) -> int:
    session = open_session()
    outputs = _outputs(session, settings.stage)
    queue_url = outputs.unpublished_results_queue_url
    event_bus_name = outputs.event_bus_name.rpartition(":event-bus/")[2]
    _, partition, _, region, account, *_ = outputs.function_alias_arn.split(":")
    clock, random = SystemClock(), SystemRandom().random
    sqs = BotoApi(session.client("sqs", config=CALLED_ONCE))
    run = RepublishRun(
        reader=QueueReader(sqs, queue_url, clock=clock, random=random),
        events=BotoApi(session.client("events", config=CALLED_ONCE)),
        event_bus_name=event_bus_name,
        event_bus_arn=f"arn:{partition}:events:{region}:{account}:event-bus/{event_bus_name}",
        dry_run=settings.dry_run,
        clock=clock,
        random=random,
        tell=report.result,
    )
    report.line(f"From  {queue_url}")
    report.line(f"To    {event_bus_name}")
    if settings.dry_run:
        report.line("A dry run: nothing is changed. DRY_RUN=no does it.")
    totals = run.run()
    report.republished(totals, dry_run=settings.dry_run)
    return 0 if totals.is_complete and not totals.errors else _NOT_ALL_DONE


def _outputs(session: boto3.Session, stage: str) -> StackOutputs:
    try:
        return read_outputs(session.client("cloudformation"), stack_name(stage))
    except OutputsError as error:
        advice = f"Name another stage or Region, or deploy it:\n    make deploy STAGE={stage}"
        raise OutputsError(error.stack_name, f"{error} {advice}") from None


def _attribute(client: Any, queue_url: str, name: str) -> str:  # noqa: ANN401  # boto3 has no types
    answer = client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])
    value: str = answer["Attributes"][name]
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

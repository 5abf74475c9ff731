"""`python -m operations redrive|republish`, which `make redrive` and `make republish` run."""

from __future__ import annotations

import os
import sys
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

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
from ops.smoke.deployment import DeploymentError, read_deployment
from ops.smoke.session import SessionError, open_session
from ops.stack.printable import printable
from ops.stack.signals import stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOT_ALL_DONE = 1
_COULD_NOT_RUN = 2

_OUTPUTS = {
    DeadLetterQueue.DEAD_LETTER: "DeadLetterQueueUrl",
    DeadLetterQueue.EVENTS: "EventsDeadLetterQueueUrl",
    DeadLetterQueue.REJECTED: "RejectedQueueUrl",
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
    except (SettingsError, SessionError, DeploymentError, AwsCallError, BotoCoreError) as error:
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
    queue_url, messages_url = outputs[_OUTPUTS[settings.queue]], outputs["MessageQueueUrl"]
    waiting = int(_attribute(client, queue_url, "ApproximateNumberOfMessages"))
    queues = Queues(
        sqs=sqs,
        message_queue_url=messages_url,
        dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
        rejected_queue_url=outputs["RejectedQueueUrl"],
        unpublished_results_queue_url=outputs["UnpublishedResultsQueueUrl"],
        clock=clock,
        random=random,
    )
    run = RedriveRun(
        queue=settings.queue,
        reader=QueueReader(sqs, queue_url, clock=clock, random=random),
        queues=queues,
        publisher=Publisher(
            events=events, event_bus_name=outputs["EventBusName"], queues=queues, clock=clock, random=random
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
        report.line(f"      outcomes to the bus {outputs['EventBusName']}, their letters to")
        report.line(f"      {outputs['DeadLetterQueueUrl']} and {outputs['RejectedQueueUrl']}")
    if settings.dry_run:
        report.line("A dry run: nothing is changed. DRY_RUN=no does it.")
    totals = run.run()
    report.redriven(totals, dry_run=settings.dry_run, waiting=waiting)
    return 0 if totals.is_complete and not totals.count[Done.ERROR] else _NOT_ALL_DONE


def _republish(settings: RepublishSettings, report: Report) -> int:
    session = open_session()
    outputs = _outputs(session, settings.stage)
    queue_url = outputs["UnpublishedResultsQueueUrl"]
    event_bus_name = outputs["EventBusName"].rpartition(":event-bus/")[2]
    _, partition, _, region, account, *_ = outputs["FunctionAliasArn"].split(":")
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


def _outputs(session: Any, stage: str) -> Mapping[str, str]:  # noqa: ANN401  # boto3 has no types
    name = stack_name(stage)
    outputs = read_deployment(session.client("cloudformation"), name).outputs
    needed = {
        *_OUTPUTS.values(),
        "MessageQueueUrl",
        "UnpublishedResultsQueueUrl",
        "EventBusName",
        "FunctionAliasArn",
    }
    if missing := sorted(needed - outputs.keys()):
        raise DeploymentError(
            f"The stack {name} has no output {missing[0]}. Deploy it as it is here:\n"
            f"    make deploy STAGE={stage}"
        )
    return outputs


def _attribute(client: Any, queue_url: str, name: str) -> str:  # noqa: ANN401  # boto3 has no types
    answer = client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=[name])
    value: str = answer["Attributes"][name]
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

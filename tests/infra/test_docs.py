"""The documents agree with the template of the stack."""

import re
from pathlib import Path

from scripts.render_stack import runbook
from tests.infra.template import PRODUCER_POLICY, Template, alarms, graphs, metrics_of, properties

DOCS = Path(__file__).parents[2] / "docs"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
SECURITY = (DOCS / "security.md").read_text(encoding="utf-8")


def test_alarms_of_the_runbook_are_up_to_date() -> None:
    assert runbook(OPERATIONS) == OPERATIONS, "run `make docs`"


def test_every_graph_of_the_dashboard_is_in_the_runbook_and_no_other(prod: Template) -> None:
    [table] = re.findall(r"^\| Graph \| Normal .*?\n\n", OPERATIONS, re.MULTILINE | re.DOTALL)

    listed = re.findall(r"^\| ([A-Z][^|]+) \|", table, re.MULTILINE)[1:]

    assert listed == [re.split(r"(?<=\?) |: ", title)[0] for title in graphs(prod)]


def test_cost_of_the_alarms_is_that_of_the_metrics_that_they_watch(prod: Template) -> None:
    watched = [len(metrics_of(alarm)) for alarm in alarms(prod).values()]
    cost = 0.1 * sum(watched)

    assert (
        f"| Alarms | {len(watched)}, which watch {sum(watched)} metrics | 0.10 a metric | {cost:.2f} |"
        in OPERATIONS
    )


def test_stack_has_every_output_that_a_command_uses(prod: Template) -> None:
    [queues] = re.findall(r"^for queue in (.*); do$", OPERATIONS, re.MULTILINE)

    asked = {*re.findall(r"\$\(out (\w+)\)", OPERATIONS), *(f"{queue}QueueUrl" for queue in queues.split())}

    assert "EventsDeadLetterQueueUrl" in asked
    assert asked <= prod.outputs.keys()


def test_runbook_lists_the_resources_that_outlive_the_stack(prod: Template) -> None:
    rows = re.findall(r"^\| `(AWS::\w+::\w+)` \| (\d+) \|", OPERATIONS, re.MULTILINE)

    retained = [
        resource["Type"]
        for resource in prod.resources.values()
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate"
        and resource["Type"] != "AWS::Lambda::Version"  # Lambda deletes it with its function
    ]

    assert {kind: int(count) for kind, count in rows} == {kind: retained.count(kind) for kind in retained}


def test_security_page_lists_every_queue(prod: Template) -> None:
    places = re.findall(r"^\| queue `(\w+)` \|", SECURITY, re.MULTILINE)

    # A logical id consists of the names of the constructs and a hash
    queues = [logical_id[:-8].removeprefix("MessageQueues") for logical_id in prod.of_type("AWS::SQS::Queue")]
    assert sorted(places) == sorted(queues)


def test_security_page_lists_the_permissions_of_a_producer(prod: Template) -> None:
    [table] = re.findall(r"^\*\*Producers\*\*.*?\n\n(.*?)\n\n", SECURITY, re.MULTILINE | re.DOTALL)
    listed = re.findall(r"`([a-z-]+:\w+)`", table)

    statements = properties(prod, PRODUCER_POLICY)["PolicyDocument"]["Statement"]
    actions = [
        action
        for statement in statements
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
    ]

    assert sorted(listed) == sorted(actions)

"""What the documents say of the stack is what its template has."""

import re
from pathlib import Path
from typing import Any

from tests.infra.template import PRODUCER_POLICY, Template, properties

DOCS = Path(__file__).parents[2] / "docs"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
SECURITY = (DOCS / "security.md").read_text(encoding="utf-8")


def alarms(template: Template) -> dict[str, Any]:
    """Return the alarms by their names without the stack's."""
    found = [alarm["Properties"] for alarm in template.of_type("AWS::CloudWatch::Alarm").values()]
    return {alarm["AlarmName"].removeprefix("ConnectMessageSender-prod-"): alarm for alarm in found}


def test_every_alarm_has_its_section_and_no_other_has_one(prod: Template) -> None:
    sections = re.findall(r"^### `(\w+)`\n\n(.*?)(?=^##)", OPERATIONS, re.MULTILINE | re.DOTALL)

    assert {name for name, _ in sections} == alarms(prod).keys()
    assert [name for name, text in sections if not re.search("Means:.*First:.*Then:", text, re.DOTALL)] == []


def test_every_alarm_is_in_the_table_that_says_when_it_goes_off(prod: Template) -> None:
    [table] = re.findall(r"^\| Alarm \| Goes off .*?\n\n", OPERATIONS, re.MULTILINE | re.DOTALL)

    listed = re.findall(r"\[`(\w+)`\]", table)

    assert sorted(listed) == sorted(alarms(prod))


def test_cost_of_the_alarms_is_that_of_what_they_watch(prod: Template) -> None:
    watched = [
        sum("MetricStat" in metric for metric in alarm["Metrics"]) if "Metrics" in alarm else 1
        for alarm in alarms(prod).values()
    ]

    assert f"| Alarms | {len(watched)}, which watch {sum(watched)} metrics |" in OPERATIONS


def test_every_output_that_a_command_asks_for_is_there(prod: Template) -> None:
    [queues] = re.findall(r"^for queue in (.*); do$", OPERATIONS, re.MULTILINE)

    asked = {*re.findall(r"\$\(out (\w+)\)", OPERATIONS), *(f"{queue}QueueUrl" for queue in queues.split())}

    assert "EventsDeadLetterQueueUrl" in asked
    assert asked <= prod.outputs.keys()


def test_what_outlives_the_stack_is_listed(prod: Template) -> None:
    rows = re.findall(r"^\| `(AWS::\w+::\w+)` \| (\d+) \|", OPERATIONS, re.MULTILINE)

    retained = [
        resource["Type"]
        for resource in prod.resources.values()
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate"
        and resource["Type"] != "AWS::Lambda::Version"  # goes with its function
    ]

    assert {kind: int(count) for kind, count in rows} == {kind: retained.count(kind) for kind in retained}


def test_every_queue_is_among_the_places_where_tokens_and_texts_rest(prod: Template) -> None:
    places = re.findall(r"^\| queue `(\w+)` \|", SECURITY, re.MULTILINE)

    # A logical id is the names of the constructs, and a hash
    queues = [logical_id[:-8].removeprefix("MessageQueues") for logical_id in prod.of_type("AWS::SQS::Queue")]
    assert sorted(places) == sorted(queues)


def test_rights_of_a_producer_are_listed(prod: Template) -> None:
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

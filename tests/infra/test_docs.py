"""The documents agree with the template of the stack."""

import json
import re
from pathlib import Path
from typing import Any

from infra.addresses import OUTPUTS
from infra.monitoring.metrics import OWN_METRICS
from infra.options import StageOptions
from scripts.render_contract import REFERENCE
from scripts.render_stack import RUNBOOK, STACK, runbook, stack
from tests.infra.template import PRODUCER_POLICY, Template, alarms, metrics_of, properties

ROOT = Path(__file__).parents[2]
HOW_TO = ROOT / "docs" / "how-to"


def queues_of(template: Template) -> dict[str, dict[str, Any]]:
    """Return the properties of each queue. A logical id has the names of the constructs and a hash."""
    return {
        logical_id[:-8].removeprefix("MessageQueues"): resource["Properties"]
        for logical_id, resource in template.of_type("AWS::SQS::Queue").items()
    }


def test_alarms_of_the_runbook_are_up_to_date() -> None:
    document = RUNBOOK.read_text(encoding="utf-8")

    assert runbook(document) == document, "run `make docs`"


def test_outputs_and_metrics_of_the_stack_are_up_to_date() -> None:
    document = STACK.read_text(encoding="utf-8")

    assert stack(document) == document, "run `make docs`"


def test_every_output_has_its_description(changed: Template) -> None:
    assert {name: output["Description"] for name, output in changed.outputs.items()} == OUTPUTS


def test_every_metric_of_the_stack_has_its_meaning(prod: Template) -> None:
    source = (ROOT / "lambda_src" / "message_sender" / "observability.py").read_text()
    counted = re.findall(r'_(?:count|add_seconds)\("(\w+)"', source)
    counted += re.findall(r'(?:Sent|Rejected|Failed): "(\w+)"', source)
    of_the_log = [
        transformation["MetricName"]
        for metric_filter in prod.of_type("AWS::Logs::MetricFilter").values()
        for transformation in metric_filter["Properties"]["MetricTransformations"]
    ]

    assert sorted({*counted, *of_the_log}) == sorted(OWN_METRICS)


def test_queues_of_the_stack_are_listed(prod: Template) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| ([^|]+) \| [^|]+ \| `(\w+)` \|$", STACK.read_text(), re.MULTILINE
    )
    stages = json.loads((ROOT / "cdk.json").read_text())["context"]["stages"]
    options = StageOptions.of_stage("prod", stages)

    listed = {
        name: (kind, key == "stack", getattr(options, option) * 86_400) for name, kind, key, option in rows
    }

    assert listed == {
        name: (
            "FIFO" if queue.get("FifoQueue") else "standard",
            "KmsMasterKeyId" in queue,
            queue["MessageRetentionPeriod"],
        )
        for name, queue in queues_of(prod).items()
    }


def test_cost_of_the_alarms_is_that_of_the_metrics_that_they_watch(prod: Template) -> None:
    watched = [len(metrics_of(alarm)) for alarm in alarms(prod).values()]
    cost = 0.1 * sum(watched)

    assert (
        f"| Alarms | {len(watched)}, which watch {sum(watched)} metrics | 0.10 a metric | {cost:.2f} |"
        in (REFERENCE / "cost.md").read_text()
    )


def test_stack_has_every_output_that_a_command_uses(prod: Template) -> None:
    text = "\n".join(page.read_text() for page in (RUNBOOK, *HOW_TO.glob("*.md")))
    [queues] = re.findall(r"^for queue in (.*); do$", text, re.MULTILINE)

    asked = {*re.findall(r"\$\(out (\w+)\)", text), *(f"{queue}QueueUrl" for queue in queues.split())}

    assert "EventsDeadLetterQueueUrl" in asked
    assert asked <= prod.outputs.keys()


def test_how_to_deploy_lists_the_resources_that_outlive_the_stack(prod: Template) -> None:
    text = (HOW_TO / "deploy.md").read_text()
    rows = re.findall(r"^\| `(AWS::\w+::\w+)` \| (\d+) \|", text, re.MULTILINE)

    retained = [
        resource["Type"]
        for resource in prod.resources.values()
        if resource.get("DeletionPolicy") == "RetainExceptOnCreate"
        and resource["Type"] != "AWS::Lambda::Version"  # Lambda deletes it with its function
    ]

    assert {kind: int(count) for kind, count in rows} == {kind: retained.count(kind) for kind in retained}


def test_security_page_lists_every_queue(prod: Template) -> None:
    text = (ROOT / "docs" / "explanation" / "security.md").read_text()

    places = re.findall(r"^\| queue `(\w+)` \|", text, re.MULTILINE)

    assert sorted(places) == sorted(queues_of(prod))


def test_permissions_of_a_producer_are_listed(changed: Template) -> None:
    [table] = re.findall(r"^### Producers\n(.*?)^### ", STACK.read_text(), re.MULTILINE | re.DOTALL)
    listed = re.findall(r"`([a-z-]+:[A-Z]\w+)`", table)

    statements = properties(changed, PRODUCER_POLICY)["PolicyDocument"]["Statement"]
    actions = [
        action
        for statement in statements
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
    ]

    assert sorted(listed) == sorted(actions)

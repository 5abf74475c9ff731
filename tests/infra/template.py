"""Synthesized templates, and what tests ask of them."""

import json
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

# Logical ids. A resource with data must keep its id: another id is another, empty resource.
KEY = "DataKey17AFBB84"
MESSAGES = "MessageQueuesMessagesECF1F791"
DEAD_LETTER = "MessageQueuesDeadLetterF36F826F"
REJECTED = "MessageQueuesRejectedD0E054CF"
UNPUBLISHED_RESULTS = "MessageQueuesUnpublishedResultsFAB48EC3"
EVENTS_DEAD_LETTER = "MessageQueuesEventsDeadLetterEFDBFF2E"
BUS = "EventRoutingBus9F80226D"
REQUESTS = "EventRoutingRequestsFBC138F0"
LOGS = "SenderLogs95A3634F"
ROLE = "SenderRole0DF9E891"
ROLE_POLICY = "SenderRoleDefaultPolicy3504308B"
FUNCTION = "SenderFunction8A49F898"
ALIAS = "SenderLiveDDA9CAAB"
MESSAGES_MAPPING = "SenderLiveMessages0F613CA5"
API = "MessageApiAAE5BCD6"
API_ROLE = "MessageApiRoleADB0FAD1"
API_ROLE_POLICY = "MessageApiRoleDefaultPolicyA0F247B3"
API_STAGE = "MessageApiDeploymentStagev17D364131"
QUEUE_METHOD = "MessageApimessagesPOSTA384AEFB"
SYNCHRONOUS_METHOD = "MessageApimessagessyncPOSTB2C14D81"
ACCESS_LOG = "MessageApiAccessLog2A19940E"
STATE_MACHINE = "SendWorkflowStateMachine66884965"
STATE_MACHINE_ROLE_POLICY = "SendWorkflowStateMachineRoleDefaultPolicy7E2C3E15"
WORKFLOW_LOGS = "SendWorkflowLogs9FED9DD5"
TASK_CALLBACKS_POLICY = "TaskCallbacks263B2F69"
PRODUCER_POLICY = "ProducerPolicy1E6909B0"
RESULTS_FUNCTION = "ResultsFunctionB6F89ECD"
RESULTS_MAPPING = "ResultsFunctionUnpublishedResultsAC81935D"
RESULTS_LOGS = "ResultsLogs1F33976D"
RESULTS_ROLE = "ResultsRoleFD8140CA"
RESULTS_ROLE_POLICY = "ResultsRoleDefaultPolicy89B9BF09"
TOKEN_KEY = "TokenKeyD1D1A236"
OUTCOMES = "OutcomeLookupOutcomes9953B8E6"
OUTCOME_RULE = "OutcomeLookupResults84465626"
LOOKUP_METHOD = "MessageApimessagesidGET355FE6A0"
OUTCOME_READER_POLICY = "OutcomeLookupReaderPolicy3670C457"

# What a stage with `retain_data` needs and the project's cdk.json leaves open
FILLED_IN: dict[str, Any] = {
    "account": "123456789012",
    "region": "eu-central-1",
    "alarm_topic_arn": "none",
}

# A value for each option that adds something to the stack
EVERYTHING: dict[str, Any] = {
    "tags": {"owner": "chat-team", "cost-centre": "4711"},
    "connect_region": "eu-west-2",
    "tracing": "subsegments",
    "task_state_machine_arns": ["arn:aws:states:eu-central-1:111122223333:stateMachine:orders"],
    "reserved_concurrency": 40,
    "snap_start": True,
    "vpc_subnet_ids": ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
    "vpc_security_group_ids": ["sg-0123456789abcdef0"],
    "producer_principals": ["arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:role/team/producer"],
    "api_web_acl_arn": "arn:aws:wafv2:eu-central-1:444455556666:regional/webacl/api/a1b2c3d4-0000-1111",
    "alarm_topic_arn": "arn:aws:sns:eu-central-1:111122223333:alarms",
    "api_source_cidrs": ["203.0.113.0/24", "2001:db8::/32"],
    "sealed_tokens": True,
    "maximum_age_minutes": 1440,
    "outcome_lookup": True,
    "outcome_retention_days": 30,
}

# A value for each other option, different from that of dev. `retain_data` is true in prod.
CHANGED: dict[str, Any] = {
    "account": "210987654321",
    "region": "eu-west-1",
    "rollout": "linear",
    "content_limits": "service",
    "log_level": "DEBUG",
    "log_retention_days": 30,
    "memory_size_mb": 1024,
    "maximum_concurrency": 30,
    "send_quota_per_second": 51,
    "message_retention_days": 3,
    "dead_letter_retention_days": 13,
    "retry_window_minutes": 30,
    "access_denied_percent": 35,
    "slo_percent": 98.5,
    "slo_seconds": 90,
    "manage_api_gateway_account": False,
}

VPC_OPTIONS = {name: EVERYTHING[name] for name in ("vpc_subnet_ids", "vpc_security_group_ids")}


class Finding(NamedTuple):
    """A rule of cdk-nag or of the CDK, and the construct that breaks it."""

    rule: str
    construct: str


class Template:
    """The template of one stack, and what its cloud assembly says beside it.

    The CDK writes account, Region and partition of a stage into its template. Here they are the pseudo
    parameters, as in the template of a stage without them, so that one expectation fits both.
    """

    def __init__(self, assembly: Path) -> None:
        self._assembly = assembly
        [self.stack] = [
            artifact
            for artifact in self._read("manifest.json")["artifacts"].values()
            if artifact["type"] == "aws:cloudformation:stack"
        ]
        self.path = assembly / self.stack["properties"]["templateFile"]
        self.body = _without_environment(self._read(self.path.name), self.stack["environment"])
        self.resources: Mapping[str, Any] = self.body["Resources"]
        self.outputs: Mapping[str, Any] = self.body["Outputs"]

    def of_type(self, kind: str) -> dict[str, Any]:
        return {name: resource for name, resource in self.resources.items() if resource["Type"] == kind}

    @cached_property
    def packs(self) -> set[str]:
        """The packs of rules that were applied."""
        return {pack["pluginName"] for pack in self._report}

    @cached_property
    def findings(self) -> set[Finding]:
        return {
            Finding(f"{pack['pluginName']}::{violation['ruleName']}", construct["constructPath"])
            for pack in self._report
            for violation in pack["violations"]
            for construct in violation["violatingConstructs"]
        }

    @cached_property
    def unused_acknowledgements(self) -> set[Finding]:
        """The acknowledgements in the stack that answer no finding, by where they are."""
        stated = json.loads((self._assembly / ACKNOWLEDGED).read_text())
        return {Finding(*entry) for entry in stated} - {
            Finding(violation["acknowledgedId"], violation["acknowledgedAt"])
            for pack in self._report
            for violation in pack.get("suppressedViolations", [])
        }

    @cached_property
    def _report(self) -> list[dict[str, Any]]:
        reports: list[dict[str, Any]] = self._read("validation-report.json")["pluginReports"]
        return reports

    def _read(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self._assembly / name).read_text(encoding="utf-8"))
        return content


def _without_environment(body: dict[str, Any], environment: str) -> dict[str, Any]:
    """Replace account, Region and partition of `aws://account/region` by pseudo parameters."""
    account, region = environment.removeprefix("aws://").split("/")
    if account == "unknown-account":
        return body
    parameters = {account: "AWS::AccountId", region: "AWS::Region", "aws": "AWS::Partition"}
    literal = re.compile(rf"({account}|{region}|(?<=arn:)aws(?=:))")

    def split(part: object) -> list[object]:
        if not isinstance(part, str):
            return [replace(part)]
        pieces = [piece for piece in literal.split(part) if piece]
        return [{"Ref": parameters[piece]} if piece in parameters else piece for piece in pieces]

    def replace(value: object) -> object:
        match value:
            case {"Fn::Join": ["", [*parts]]}:
                return {"Fn::Join": ["", [piece for part in parts for piece in split(part)]]}
            case str() if literal.search(value):
                return {"Fn::Join": ["", split(value)]} if len(split(value)) > 1 else split(value)[0]
            case dict():
                return {name: replace(part) for name, part in value.items()}
            case list():
                return [replace(part) for part in value]
        return value

    return {name: replace(part) for name, part in body.items()}


ACKNOWLEDGED = "acknowledged.json"
"""The file in which `synthesize` notes the acknowledgements."""


class Synthesize(Protocol):
    """Synthesizes a stage without its deployment package, some of its options changed."""

    def __call__(self, stage: str, **options: object) -> Template: ...


def properties(template: Template, logical_id: str) -> Mapping[str, Any]:
    declared: Mapping[str, Any] = template.resources[logical_id]["Properties"]
    return declared


def queue_policy(template: Template, queue: str) -> list[dict[str, Any]]:
    """Return the statements of all policies of a queue."""
    return [
        statement
        for policy in template.of_type("AWS::SQS::QueuePolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if policy["Properties"]["Queues"] == [ref(queue)]
    ]


def arn(logical_id: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [logical_id, "Arn"]}


def regional_arn(service: str, *resource: object) -> dict[str, list[object]]:
    """Return an ARN in the stack's account and Region, as the template has it."""
    account_and_region = [{"Ref": "AWS::Region"}, ":", {"Ref": "AWS::AccountId"}]
    start, *rest = resource
    end = [f":{start}", *rest] if isinstance(start, str) else [":", start, *rest]
    return {"Fn::Join": ["", ["arn:", {"Ref": "AWS::Partition"}, f":{service}:", *account_and_region, *end]]}


def ref(logical_id: str) -> dict[str, str]:
    return {"Ref": logical_id}


def alarms(template: Template) -> dict[str, Any]:
    """Return the alarms by name, without the prefix of the stack."""
    found = [alarm["Properties"] for alarm in template.of_type("AWS::CloudWatch::Alarm").values()]
    return {alarm["AlarmName"].partition("-")[2].partition("-")[2]: alarm for alarm in found}


def composite_alarms(template: Template) -> dict[str, Any]:
    """Return the composite alarms by name, without the prefix of the stack."""
    found = [alarm["Properties"] for alarm in template.of_type("AWS::CloudWatch::CompositeAlarm").values()]
    return {alarm["AlarmName"].partition("-")[2].partition("-")[2]: alarm for alarm in found}


def metrics_of(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the metric of an alarm, or those of its expression."""
    if "Metrics" not in alarm:
        return [{**alarm, "Dimensions": alarm.get("Dimensions", [])}]
    stats = [metric["MetricStat"] for metric in alarm["Metrics"] if "MetricStat" in metric]
    return [
        {"Dimensions": [], **stat["Metric"], "Period": stat["Period"], "Statistic": stat["Stat"]}
        for stat in stats
    ]


def dashboard(template: Template) -> dict[str, Any]:
    """Return the body of the dashboard. A reference becomes text such as `{'Ref': ...}`."""
    [resource] = template.of_type("AWS::CloudWatch::Dashboard").values()
    [_, parts] = resource["Properties"]["DashboardBody"]["Fn::Join"]
    body: dict[str, Any] = json.loads(
        "".join(part if isinstance(part, str) else json.dumps(part).replace('"', "'") for part in parts)
    )
    return body


def graphs(template: Template) -> dict[str, dict[str, Any]]:
    widgets = [
        widget["properties"] for widget in dashboard(template)["widgets"] if widget["type"] == "metric"
    ]
    return {widget["title"]: widget for widget in widgets}

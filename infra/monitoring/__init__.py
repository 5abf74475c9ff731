"""Metrics, alarms, the dashboard and saved queries of the logs."""

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.log_queries import API, FUNCTION, STATE_MACHINE
from infra.message_api import MessageApi
from infra.message_queues import MessageQueues
from infra.monitoring.alarms import Alarms
from infra.monitoring.dashboard import Dashboard
from infra.monitoring.metrics import ServiceMetrics
from infra.monitoring.queries import SavedQueries
from infra.options import StageOptions
from infra.send_workflow import SendWorkflow
from infra.sender_function import SenderFunction


class Monitoring(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey,
        queues: MessageQueues,
        bus: events.IEventBus,
        requests: events.Rule,
        sender: SenderFunction,
        api: MessageApi,
        workflow: SendWorkflow,
        options: StageOptions,
    ) -> None:
        super().__init__(scope, construct_id)
        metrics = ServiceMetrics(
            self,
            "Metrics",
            key=key,
            queues=queues,
            sender=sender,
            requests=requests,
            bus=bus,
            api=api,
            workflow=workflow,
            options=options,
        )
        alarms = Alarms(self, "Alarms", metrics=metrics, options=options)
        Dashboard(self, "Dashboard", metrics=metrics, alarms=alarms.all, options=options)
        SavedQueries(
            self,
            "Queries",
            logs_of={
                FUNCTION: sender.log_group,
                API: api.access_log,
                STATE_MACHINE: workflow.log_group,
            },
        )
        self._alarms = {alarm.node.id: alarm for alarm in alarms.all}

    def alarm(self, name: str) -> cloudwatch.IAlarm:
        """Return one of the alarms by its name in `ALARMS`."""
        return self._alarms[name]

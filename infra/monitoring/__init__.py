"""Metrics, alarms and the dashboard."""

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from constructs import Construct

from infra.message_api import MessageApi
from infra.message_queues import MessageQueues
from infra.monitoring.alarms import Alarms
from infra.monitoring.dashboard import Dashboard
from infra.monitoring.metrics import ServiceMetrics
from infra.options import StageOptions
from infra.send_workflow import SendWorkflow
from infra.sender_function import SenderFunction


class Monitoring(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
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
            queues=queues,
            sender=sender,
            requests=requests,
            bus=bus,
            api=api.api,
            workflow=workflow,
        )
        alarms = Alarms(self, "Alarms", metrics=metrics, options=options)
        Dashboard(self, "Dashboard", metrics=metrics, alarms=alarms.all, options=options)
        self._alarms = {alarm.node.id: alarm for alarm in alarms.all}

    def alarm(self, name: str) -> cloudwatch.Alarm:
        """Return one of the alarms by its name in `ALARMS`."""
        return self._alarms[name]

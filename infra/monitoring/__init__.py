"""Metrics, alarms, the dashboard and saved queries of the logs."""

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_logs as logs
from constructs import Construct

from ..log_queries import API, FUNCTION, STATE_MACHINE
from ..options import Options
from ..parts import Parts
from .alarms import Alarms
from .dashboard import Dashboard
from .metrics import ServiceMetrics
from .queries import SavedQueries


class Monitoring(Construct):
    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        parts: Parts,
        options: Options,
    ) -> None:
        super().__init__(scope, construct_id)
        metrics = ServiceMetrics(self, "Metrics", name=name, parts=parts, options=options)
        alarms = Alarms(self, "Alarms", name=name, metrics=metrics, options=options)
        self.dashboard = Dashboard(
            self, "Dashboard", name=name, metrics=metrics, alarms=alarms.all, options=options
        ).dashboard
        logs_of: dict[str, logs.ILogGroup] = {FUNCTION: parts.sender.log_group}
        if parts.api is not None:
            logs_of[API] = parts.api.access_log
        if parts.workflow is not None:
            logs_of[STATE_MACHINE] = parts.workflow.log_group
        SavedQueries(self, "Queries", name=name, logs_of=logs_of)
        self._alarms = {alarm.node.id: alarm for alarm in alarms.all}

    def alarm(self, name: str) -> cloudwatch.IAlarm:
        """Return one of the alarms by its name in `ALARMS`."""
        return self._alarms[name]

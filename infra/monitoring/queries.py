"""The saved queries of CloudWatch Logs Insights, in a folder with the name of the sender."""

from collections.abc import Mapping

from aws_cdk import aws_logs as logs
from constructs import Construct

from ..log_queries import QUERIES


class SavedQueries(Construct):
    def __init__(
        self, scope: Construct, construct_id: str, *, name: str, logs_of: Mapping[str, logs.ILogGroup]
    ) -> None:
        """Save the queries of `infra.log_queries`.

        Args:
            name: Of the folder.
            logs_of: The log of each part that a query names. Queries of other parts are left out.
        """
        super().__init__(scope, construct_id)
        for query in (query for query in QUERIES if query.log in logs_of):
            # The CDK's own QueryDefinition would take the text apart
            logs.CfnQueryDefinition(
                self,
                query.name.title().replace(" ", ""),
                # A slash makes a folder:
                # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html
                name=f"{name}/{query.name}",
                log_group_names=[logs_of[query.log].log_group_name],
                query_string="\n| ".join(query.text.split(" | ")),
            )

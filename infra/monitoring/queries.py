"""The saved queries of CloudWatch Logs Insights, in a folder with the name of the stack."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.log_queries import QUERIES


class SavedQueries(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, logs_of: Mapping[str, logs.ILogGroup]) -> None:
        """Save the queries of `infra.log_queries`.

        Args:
            logs_of: The log of each part that a query names.
        """
        super().__init__(scope, construct_id)
        for query in QUERIES:
            # The CDK's own QueryDefinition would take the text apart
            logs.CfnQueryDefinition(
                self,
                query.name.title().replace(" ", ""),
                # A slash makes a folder:
                # https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutQueryDefinition.html
                name=f"{cdk.Stack.of(self).stack_name}/{query.name}",
                log_group_names=[logs_of[query.log].log_group_name],
                query_string="\n| ".join(query.text.split(" | ")),
            )

"""How the alias moves to a new version: step by step, and back when an alarm goes off."""

from collections.abc import Mapping, Sequence
from typing import Final

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_codedeploy as codedeploy
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .gates import acknowledge
from .options import Options

_CONFIGURATIONS: Final[Mapping[str, codedeploy.ILambdaDeploymentConfig]] = {
    "linear": codedeploy.LambdaDeploymentConfig.LINEAR_10_PERCENT_EVERY_1_MINUTE,
    "canary": codedeploy.LambdaDeploymentConfig.CANARY_10_PERCENT_5_MINUTES,
}


class Rollout(Construct):
    """A CodeDeploy deployment at each change of the alias's version.

    The first deployment of a stack creates the alias, and involves no CodeDeploy: an update policy applies to
    updates only.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatepolicy.html
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        alias: lambda_.Alias,
        alarms: Sequence[cloudwatch.IAlarm],
        options: Options,
    ) -> None:
        super().__init__(scope, construct_id)
        if options.rollout == "none":
            return
        deployments = codedeploy.LambdaDeploymentGroup(
            self,
            "Deployments",
            application=codedeploy.LambdaApplication(self, "Application"),
            alias=alias,
            alarms=[*alarms],
            auto_rollback=codedeploy.AutoRollbackConfig(
                failed_deployment=True, stopped_deployment=True, deployment_in_alarm=True
            ),
            deployment_config=_CONFIGURATIONS[options.rollout],
        )
        acknowledge(
            deployments.role,
            "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSCodeDeployRoleForLambdaLimited]",
            because="AWS keeps the list of what CodeDeploy needs, and documents no smaller one",
        )

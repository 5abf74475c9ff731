"""Delete old versions of the function: each deployment that changes it publishes one, and none is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from ops.aws import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import StackTypeDef
    from types_boto3_lambda import LambdaClient

DEFAULT_KEEP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRun:
    """A run over the versions of a sender's function.

    It keeps the versions that an alias uses, also those with a weight, and the newest. Lambda, too, refuses
    to delete a version that an alias uses. CloudFormation deletes none: the stack retains them.

    Attributes:
        keep: How many of the newest versions to keep, at least one. The older of them are for a rollback.
    """

    cloudformation: CloudFormationClient
    lambda_: LambdaClient
    function_name: str
    keep: int
    dry_run: bool
    on_line: Callable[[str], None]

    def run(self) -> bool:
        """Delete the versions, or show them. Return whether all of them were deleted.

        Raises:
            CannotRunError: The stack of the function is just being deployed.
            ClientError: A call was refused.
        """
        name = self.function_name
        self._refuse_during_a_deployment()
        versions, in_use = self._versions(name), self._in_use(name)
        newest = {*versions[: self.keep]}
        self.on_line(f"Versions of {name}")
        if self.dry_run:
            self.on_line("This is a dry run: it changes nothing. Add --apply to carry it out.")
        self.on_line("")
        deleted = kept = failed = 0
        for version in versions:
            reason = in_use.get(version) or ("newest" if version in newest else "")
            if reason:
                kept += 1
                self.on_line(f"keep    {version:>5}  {reason}")
            elif error := self._delete(name, version):
                failed += 1
                self.on_line(f"error   {version:>5}  {error}")
            else:
                deleted += 1
                self.on_line(f"delete  {version:>5}")
        self.on_line("")
        counts = f"{deleted} to delete, {kept} to keep" if self.dry_run else f"{deleted} deleted, {kept} kept"
        self.on_line(f"{counts}, {failed} failed" if failed else counts)
        return not failed

    def _refuse_during_a_deployment(self) -> None:
        # A rollback needs the version from before the deployment. The stack can be another application's.
        resources = self.cloudformation.describe_stack_resources(PhysicalResourceId=self.function_name)
        stack = self._stack(resources["StackResources"][0]["StackId"])
        # The update of a nested stack ends before that of its root, which can still roll it back
        for each in (stack, self._stack(stack["RootId"])) if "RootId" in stack else (stack,):
            if each["StackStatus"].endswith("_IN_PROGRESS"):
                raise CannotRunError(
                    f"CloudFormation is changing the stack {each['StackName']}: {each['StackStatus']}. Wait "
                    "until it has finished."
                )

    def _stack(self, name: str) -> StackTypeDef:
        (stack,) = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
        return stack

    def _versions(self, name: str) -> list[str]:
        """Return the published versions, the newest first."""
        pages = self.lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=name)
        found = [each["Version"] for page in pages for each in page["Versions"]]
        return sorted((version for version in found if version.isdecimal()), key=int, reverse=True)

    def _in_use(self, name: str) -> dict[str, str]:
        """Return the aliases of each version that has one."""
        users: dict[str, list[str]] = {}
        for page in self.lambda_.get_paginator("list_aliases").paginate(FunctionName=name):
            for alias in page["Aliases"]:
                weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
                for version in (alias["FunctionVersion"], *weights):
                    users.setdefault(version, []).append(alias["Name"])
        return {version: f"alias {', '.join(aliases)}" for version, aliases in users.items()}

    def _delete(self, name: str, version: str) -> str:
        """Delete a version, unless this is a dry run. Return the code of the error, if Lambda refused."""
        if self.dry_run:
            return ""
        try:
            self.lambda_.delete_function(FunctionName=name, Qualifier=version)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return ""

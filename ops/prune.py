"""Delete old versions of the function: each deployment that changes it publishes one, and none is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from infra.outputs import read_outputs
from ops.aws import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_lambda import LambdaClient

DEFAULT_KEEP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRun:
    """A run over the versions of a stack's function.

    It keeps the versions that an alias uses, also those with a weight, and the newest. Lambda, too, refuses
    to delete a version that an alias uses. CloudFormation deletes none: the stack retains them.

    Attributes:
        keep: How many of the newest versions to keep, at least one. The older of them are for a rollback.
    """

    cloudformation: CloudFormationClient
    lambda_: LambdaClient
    stack_name: str
    keep: int
    dry_run: bool
    on_line: Callable[[str], None]

    def run(self) -> bool:
        """Delete the versions, or show them. Return whether all of them were deleted.

        Raises:
            OutputsError: The stack does not exist.
            CannotRunError: The stack is just being deployed.
            ClientError: A call was refused.
        """
        name = read_outputs(self.cloudformation, self.stack_name).function_name
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
        # A rollback needs the version from before the deployment
        (stack,) = self.cloudformation.describe_stacks(StackName=self.stack_name)["Stacks"]
        if stack["StackStatus"].endswith("_IN_PROGRESS"):
            raise CannotRunError(
                f"CloudFormation is changing the stack {self.stack_name}: {stack['StackStatus']}. Wait until "
                "it has finished."
            )

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

"""Which versions of the function `python -m ops prune` deletes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ops.aws import CannotRunError
from ops.prune import PruneRun
from tests.support.recorded_account import RecordedAccount, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

STACK = "ConnectMessageSender-dev"
FUNCTION = "ConnectMessageSender-dev-SenderFunction-1"
STACK_ID = f"arn:aws:cloudformation:eu-central-1:111122223333:stack/{STACK}/1"
ROOT_ID = "arn:aws:cloudformation:eu-central-1:111122223333:stack/Root/1"


def alias(name: str, version: str, **weights: float) -> dict[str, Any]:
    routing = {"RoutingConfig": {"AdditionalVersionWeights": weights}} if weights else {}
    return {"Name": name, "FunctionVersion": version, **routing}


class Function:
    """A function of the given versions in a deployed stack."""

    def __init__(self, *versions: int, aliases: list[dict[str, Any]]) -> None:
        self.refused: set[str] = set()
        self.stacks = {STACK_ID: self.stack()}
        self.lines: list[str] = []
        self._pages = [["$LATEST", *map(str, versions[:3])], [*map(str, versions[3:])]]
        self.account = RecordedAccount(
            {
                ("cloudformation", "DescribeStackResources"): self._resources,
                ("cloudformation", "DescribeStacks"): lambda asked: {
                    "Stacks": [self.stacks[asked["StackName"]]]
                },
                ("lambda", "ListVersionsByFunction"): self._list_versions,
                ("lambda", "ListAliases"): {"Aliases": aliases},
                ("lambda", "DeleteFunction"): self._delete,
            }
        )

    @staticmethod
    def stack(status: str = "UPDATE_COMPLETE", *, name: str = STACK, **others: str) -> dict[str, Any]:
        created = {"CreationTime": "2026-01-31T12:00:00Z"}
        return {"StackName": name, "StackStatus": status, **created, **others}

    @staticmethod
    def _resources(parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert parameters == {"PhysicalResourceId": FUNCTION}
        resource = {
            "StackId": STACK_ID,
            "LogicalResourceId": "Function",
            "ResourceType": "AWS::Lambda::Function",
            "Timestamp": "2026-01-31T12:00:00Z",
            "ResourceStatus": "UPDATE_COMPLETE",
        }
        return {"StackResources": [resource]}

    def _list_versions(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        page = int(parameters.get("Marker", 0))
        more = {"NextMarker": "1"} if page == 0 else {}
        return {"Versions": [{"Version": version} for version in self._pages[page]], **more}

    def _delete(self, parameters: Mapping[str, Any]) -> dict[str, Any] | Refusal:
        return Refusal("ResourceConflictException", 409) if parameters["Qualifier"] in self.refused else {}

    def prune(self, *, keep: int = 2, dry_run: bool = False) -> bool:
        self.lines = []
        run = PruneRun(
            cloudformation=self.account.client("cloudformation"),
            lambda_=self.account.client("lambda"),
            function_name=FUNCTION,
            keep=keep,
            dry_run=dry_run,
            on_line=self.lines.append,
        )
        return run.run()

    @property
    def deleted(self) -> list[dict[str, Any]]:
        return [parameters for _, name, _, parameters in self.account.calls if name == "DeleteFunction"]

    @property
    def deleted_versions(self) -> list[str]:
        return [parameters["Qualifier"] for parameters in self.deleted]


def test_oldest_versions_are_deleted() -> None:
    function = Function(*range(1, 12), aliases=[alias("live", "11")])

    assert function.prune(keep=5)

    assert function.deleted[0] == {"FunctionName": FUNCTION, "Qualifier": "6"}
    assert function.deleted_versions == ["6", "5", "4", "3", "2", "1"]
    assert function.lines[-1] == "6 deleted, 5 kept"


def test_version_that_an_alias_uses_is_kept_however_old() -> None:
    function = Function(*range(1, 8), aliases=[alias("live", "2"), alias("canary", "7", **{"3": 0.1})])

    function.prune(keep=1)

    assert function.deleted_versions == ["6", "5", "4", "1"]
    assert [line.split() for line in function.lines if line.startswith("keep")] == [
        ["keep", "7", "alias", "canary"],
        ["keep", "3", "alias", "canary"],
        ["keep", "2", "alias", "live"],
    ]


def test_version_is_deleted_by_its_number_and_never_the_function_itself() -> None:
    # Without a qualifier, DeleteFunction deletes the function
    function = Function(1, 2, 3, aliases=[alias("live", "3")])

    function.prune(keep=1)

    assert all(parameters["Qualifier"].isdecimal() for parameters in function.deleted)
    assert function.deleted_versions == ["2", "1"]


def test_dry_run_shows_the_same_and_deletes_nothing() -> None:
    function = Function(*range(1, 8), aliases=[alias("live", "7")])

    assert function.prune(dry_run=True)
    shown = [line for line in function.lines if line.startswith(("keep", "delete"))]
    last, calls = function.lines[-1], [*function.account.operations]
    function.prune()

    assert "DeleteFunction" not in calls
    assert shown == [line for line in function.lines if line.startswith(("keep", "delete"))]
    assert last == "5 to delete, 2 to keep"


def test_versions_are_ordered_as_numbers() -> None:
    function = Function(9, 10, 100, 11, aliases=[alias("live", "100")])

    function.prune(keep=2)

    assert function.deleted_versions == ["10", "9"]


def test_refused_deletion_is_reported_and_the_others_are_done() -> None:
    function = Function(*range(1, 6), aliases=[alias("live", "5")])
    function.refused = {"2"}

    assert not function.prune()

    assert function.deleted_versions == ["3", "2", "1"]
    assert "error       2  ResourceConflictException" in function.lines
    assert function.lines[-1] == "2 deleted, 2 kept, 1 failed"


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])
def test_nothing_is_deleted_during_a_deployment(status: str) -> None:
    function = Function(*range(1, 8), aliases=[alias("live", "7")])
    function.stacks = {STACK_ID: Function.stack(status)}

    with pytest.raises(CannotRunError, match=f"{STACK}: {status}"):
        function.prune()

    assert function.deleted == []


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"])
def test_nothing_is_deleted_while_the_root_of_a_nested_stack_can_roll_it_back(status: str) -> None:
    function = Function(*range(1, 8), aliases=[alias("live", "7")])
    function.stacks = {
        STACK_ID: Function.stack(RootId=ROOT_ID),
        ROOT_ID: Function.stack(status, name="Root"),
    }

    if status == "UPDATE_IN_PROGRESS":
        with pytest.raises(CannotRunError, match="Root: UPDATE_IN_PROGRESS"):
            function.prune()
    else:
        assert function.prune()

    assert function.deleted_versions == ([] if status == "UPDATE_IN_PROGRESS" else ["5", "4", "3", "2", "1"])

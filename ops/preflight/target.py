"""What `make deploy` would deploy, where, and by whom."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.options import InvalidOptionsError, StageOptions
from infra.stage import stack_name
from ops.aws import CannotRunError

if TYPE_CHECKING:
    from collections.abc import Mapping

CDK_JSON: Final = Path(__file__).parents[2] / "cdk.json"

_QUALIFIER: Final = "@aws-cdk/core:bootstrapQualifier"
DEFAULT_QUALIFIER: Final = "hnb659fds"
"""Source: https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-customizing.html"""

# The CDK CLI reads these in this order, and boto3 only the third
_REGION_VARIABLES: Final = ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION", "AMAZON_DEFAULT_REGION")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """The stages of `cdk.json`.

    Attributes:
        others: The other stages that can be deployed.
        undeployable: The rest of them: their options are not valid or not complete.
        qualifier: The part of the names of the CDK's bootstrap resources.
    """

    stage: str
    options: StageOptions
    others: Mapping[str, StageOptions]
    undeployable: tuple[str, ...]
    qualifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A stage in an account and a Region.

    Attributes:
        account: Of the credentials.
        shell_regions: Where commands of this shell would go, by the name of the setting.
    """

    stages: Stages
    account: str
    caller_arn: str
    region: str
    shell_regions: Mapping[str, str] = field(default_factory=dict)

    @property
    def stage(self) -> str:
        return self.stages.stage

    @property
    def options(self) -> StageOptions:
        return self.stages.options

    @property
    def stack_name(self) -> str:
        return stack_name(self.stage)

    @property
    def partition(self) -> str:
        return self.caller_arn.split(":")[1]

    @property
    def connect_region(self) -> str:
        return self.options.connect_region or self.region

    def edit(self, option: str, value: object) -> str:
        """Return the edit of `cdk.json` that gives an option of this stage a value."""
        return f"cdk.json: context.stages.{self.stage}.{option}: {json.dumps(value)}"


def read_stages(stage: str, path: Path = CDK_JSON) -> Stages:
    """Read the stages as `cdk synth` does.

    Raises:
        CannotRunError: The file or the options of this stage are not valid, so nothing can be deployed.
    """
    try:
        context: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["context"]
        stages = context["stages"]
        options = StageOptions.of_stage(stage, stages)
    except OSError as error:
        raise CannotRunError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        # InvalidOptionsError is a ValueError, and so are the errors of JSON
        raise CannotRunError(f"cdk.json: {error}") from None
    others, undeployable = {}, []
    for name in stages:
        if name == stage:
            continue
        try:
            other = StageOptions.of_stage(name, stages)
        except InvalidOptionsError:
            undeployable.append(name)
        else:
            if other.missing:
                undeployable.append(name)
            else:
                others[name] = other
    return Stages(
        stage=stage,
        options=options,
        others=others,
        undeployable=tuple(undeployable),
        qualifier=context.get(_QUALIFIER, DEFAULT_QUALIFIER),
    )


def regions_of_the_shell(environ: Mapping[str, str], session_region: str) -> dict[str, str]:
    """Return the Regions of the environment and of boto3, by where each comes from.

    The first is the one that the CDK CLI uses for a stage without a Region.
    """
    named = {name: environ[name] for name in _REGION_VARIABLES if environ.get(name)}
    if "AWS_DEFAULT_REGION" not in named:
        named["your profile"] = session_region
    return named

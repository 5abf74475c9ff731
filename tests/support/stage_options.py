"""Valid options of a stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infra.options import StageOptions

_CDK_JSON = Path(__file__).parents[2] / "cdk.json"


def stage_options(**changes: Any) -> StageOptions:  # noqa: ANN401  # each option has its own type
    """Return the options of stage dev with some changes."""
    stages = json.loads(_CDK_JSON.read_text(encoding="utf-8"))["context"]["stages"]
    return StageOptions.of_stage("dev", {"dev": stages["dev"] | changes})

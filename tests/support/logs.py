"""Log lines and metrics that the function printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pytest


def log_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def metrics(lines: Iterable[Mapping[str, Any]]) -> dict[tuple[str, ...], Any]:
    """Return the value of each metric by its name and dimensions, as CloudWatch would read it."""
    values: dict[tuple[str, ...], Any] = {}
    for line in lines:
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Namespace"] == "ConnectMessageSender"
            for names in directive["Dimensions"]:
                dimensions = sorted(f"{name}={line[name]}" for name in names if name != "service")
                for metric in directive["Metrics"]:
                    values[(metric["Name"], *dimensions)] = line[metric["Name"]]
    return values

"""Write the parts of documents that come from the stack: alarms, outputs, metrics, licences of the package.

usage: PYTHONPATH=lambda_src python -m scripts.render_stack
`make docs` runs it. A test fails while a document is out of date.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.addresses import OUTPUTS
from infra.monitoring.alarms import ALARMS
from infra.monitoring.metrics import OWN_METRICS
from infra.python_asset import PythonAsset
from infra.sender_function import RUNTIME
from scripts.render_contract import REFERENCE, ROOT, replace_block, table

if TYPE_CHECKING:
    from importlib.metadata import Distribution

RUNBOOK: Final = ROOT / "docs" / "runbook.md"
STACK: Final = REFERENCE / "stack.md"
LICENCES: Final = REFERENCE / "licences.md"

PERMISSIVE: Final = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"}

# For metadata from before SPDX expressions
_SPDX: Final = {"Apache License 2.0": "Apache-2.0"}


class NotPermissiveError(Exception):
    """A package has a licence that is not known to be permissive. The message names both."""


def runbook(document: str) -> str:
    """Return the runbook with its alarms written anew."""
    rows = [
        (f"`{alarm.name}`", "yes" if alarm.urgent else "", alarm.condition)
        for alarm in ALARMS
        if alarm.condition
    ]
    *others, last = (f"`{alarm.name}`" for alarm in ALARMS if alarm.urgent and not alarm.condition)
    sections = [
        f"\n### `{alarm.name}`\n\n{alarm.happened}\n{alarm.impact}\n\n"
        f"**First:** {alarm.first[0].upper()}{alarm.first[1:]}\n\n{alarm.then}\n"
        + (f"\n**Threshold:** {alarm.why}\n" if alarm.why else "")
        for alarm in ALARMS
    ]
    text = "\n".join(_one_sentence_a_line(line) for line in "".join(sections).split("\n"))
    index = (
        f"{table('Alarm', 'Urgent', 'Goes off at', rows=rows)}\n\n"
        "Every other alarm goes off at a single message, event or error.\n"
        f"{', '.join(others)} and {last} are urgent, too.\n"
    )
    return replace_block(document, "alarms", f"{index}{text}")


def _one_sentence_a_line(line: str) -> str:
    """Break a line of Markdown after each sentence. The lines of an item of a list stay in the item."""
    return line.replace(". ", ".\n  " if line.startswith("- ") else ".\n")


def stack(document: str) -> str:
    """Return the page of the stack with its outputs and metrics written anew."""
    document = replace_block(
        document,
        "outputs",
        table("Output", "Meaning", rows=[(f"`{name}`", meaning) for name, meaning in OUTPUTS.items()]),
    )
    return replace_block(
        document,
        "metrics",
        table(
            *("Metric", "Dimension", "Meaning"),
            rows=[
                (
                    f"`{name}`",
                    ", ".join(f"`{dimension}`" for dimension in metric.dimensions) or "–",
                    metric.meaning,
                )
                for name, metric in OWN_METRICS.items()
            ],
        ),
    )


def licences(package: Path) -> str:
    """Return the list of licences in a deployment package.

    Raises:
        NotPermissiveError: A licence would bind users of the function to more than a notice.
    """
    found = sorted(distributions(path=[str(package)]), key=lambda found: found.name.lower())
    return replace_block(
        LICENCES.read_text(encoding="utf-8"),
        "licences",
        table(
            *("Package", "Version", "Licence"),
            rows=[(each.name, each.version, _licence(each)) for each in found],
        ),
    )


def _licence(distribution: Distribution) -> str:
    """Return the SPDX name of a package's licence."""
    metadata = distribution.metadata
    stated = next(
        (metadata[field] for field in ("License-Expression", "License") if field in metadata), "no licence"
    )
    named = _SPDX.get(stated, stated)
    if named not in PERMISSIVE:
        raise NotPermissiveError(f"{distribution.name} {distribution.version}: {stated}")
    return named


if __name__ == "__main__":
    RUNBOOK.write_text(runbook(RUNBOOK.read_text(encoding="utf-8")), encoding="utf-8")
    STACK.write_text(stack(STACK.read_text(encoding="utf-8")), encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        version = RUNTIME.name.removeprefix("python")
        # The largest package, of a stage with the tracing of subsegments
        asset = PythonAsset(ROOT / "lambda_src", python_version=version, with_tracer=True)
        asset.copy_modules(Path(folder))
        LICENCES.write_text(licences(Path(folder)))

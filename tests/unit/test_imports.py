"""The direction of imports: the sandbox uses the other packages, and none of them uses the sandbox."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(module for name in ("ops", "infra", "lambda_src") for module in (ROOT / name).rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_module_does_not_import_the_sandbox(module: Path) -> None:
    imported: set[str] = set()
    for node in ast.walk(ast.parse(module.read_bytes())):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")

    assert "sandbox" not in {name.split(".")[0] for name in imported}

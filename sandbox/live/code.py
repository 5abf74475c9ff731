"""Deploys the function's code again when it changes: the package itself, not its dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.lambda_runtime import source_files, update_code

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.outputs import StackOutputs
    from sandbox.emulator import Emulator


class CodeWatch:
    """Compares a Python package with the state that was deployed last: at first, the present one."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._known = self._state()

    def update(self, emulator: Emulator, outputs: StackOutputs) -> bool:
        """Deploy the code if it has changed. Return whether it was deployed.

        Raises:
            SyntaxError: A module is not valid Python. Nothing was deployed.
        """
        try:
            state = self._state()
            if state == self._known:
                return False
            self._known = state
            for path in state:
                if path.suffix == ".py":
                    compile(path.read_bytes(), path, "exec", dont_inherit=True)
            update_code(emulator, outputs, self._source)
        except FileNotFoundError:  # an editor is just replacing a file: the next call finds the change
            self._known = {}
            return False
        return True

    def _state(self) -> Mapping[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in source_files(self._source)}

"""Puts the function's code in place again when it changes: the package itself, not its dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.lambda_runtime import source_files, update_code

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.deployment import StackOutputs
    from sandbox.emulator import Emulator


class CodeWatch:
    """Compares a Python package with what it was when it was last put in place: at first, now."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._known = self._state()

    def update(self, emulator: Emulator, stack: StackOutputs) -> bool:
        """Put the code in place if it has changed, and say whether it was.

        Raises:
            SyntaxError: A changed module is not Python. The function stays as it was.
        """
        try:
            state = self._state()
            if state == self._known:
                return False
            self._known = state
            for path in state:
                if path.suffix == ".py":
                    compile(path.read_bytes(), path, "exec", dont_inherit=True)
            update_code(emulator, stack, self._source)
        except FileNotFoundError:  # an editor is still at it: the next look will find a change
            self._known = {}
            return False
        return True

    def _state(self) -> Mapping[Path, tuple[int, int]]:
        return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in source_files(self._source)}

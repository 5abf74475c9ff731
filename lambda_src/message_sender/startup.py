"""The first module of both functions. It keeps work out of a cold start that nothing needs."""

from __future__ import annotations

import gc
import sys
from types import ModuleType


def _version(name: str) -> str:
    from importlib import metadata  # noqa: PLC0415  # the real one

    return metadata.version(name)


# Imported objects are never freed. Keeping the garbage collector off them saves 7 % of a cold start.
gc.disable()

# urllib3 imports it for the version of h2, in case that somebody turns HTTP/2 on: 5 % of a cold start.
_stand_in = ModuleType("importlib.metadata")
vars(_stand_in)["version"] = _version
_metadata = sys.modules.setdefault("importlib.metadata", _stand_in)

import urllib3.http2  # noqa: E402, F401  # after gc.disable, and with the stand-in

if _metadata is _stand_in:
    del sys.modules["importlib.metadata"]  # whoever imports it later gets the real one


def finish() -> None:
    """Let the garbage collector run from now on, and skip all objects that exist."""
    gc.freeze()
    gc.enable()

"""The first module of both functions. It prepares the process, and keeps work out of a cold start."""

from __future__ import annotations

import gc
import os
import sys
from types import ModuleType


def _version(name: str) -> str:
    from importlib import metadata  # noqa: PLC0415  # the real one

    return metadata.version(name)


# Imported objects are never freed. Keeping the garbage collector off them saves 7 % of a cold start.
gc.disable()

# urllib3.http2 imports importlib.metadata only to read the version of h2: 5 % of a cold start.
_stand_in = ModuleType("importlib.metadata")
vars(_stand_in)["version"] = _version
_metadata = sys.modules.setdefault("importlib.metadata", _stand_in)

import urllib3.http2  # noqa: E402, F401  # after gc.disable, and with the stand-in

if _metadata is _stand_in:
    del sys.modules["importlib.metadata"]  # whoever imports it later gets the real one


def finish() -> None:
    """End the init: let the garbage collector run on new objects, and keep to one processor."""
    gc.freeze()
    gc.enable()
    _stay_on_one_processor()


def _stay_on_one_processor() -> None:
    """Keep this thread, and those that it starts, on one processor, if the system can.

    Python runs one thread at a time, and a batch has a thread for each chat. On two processors, every switch
    between threads wakes the other processor: a batch of ten chats took 1.4 times the CPU time. Processes of
    one machine, as in the local stack, take different processors.
    """
    try:
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[os.getpid() % len(allowed)]})
    except (AttributeError, OSError):
        return  # macOS has no such call, and no sender may depend on it

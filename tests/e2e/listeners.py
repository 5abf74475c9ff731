"""The addresses that processes listen on, read from Linux's /proc."""

from __future__ import annotations

import ipaddress
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

_LISTEN = "0A"
_POLL_SECONDS = 0.1


class ListenerWatch:
    """Polls in a thread for the addresses that some process groups listen on."""

    def __init__(self, process_groups: Callable[[], Collection[int]]) -> None:
        self._process_groups = process_groups
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="listeners")
        self.seen: set[str] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._thread.join()

    @property
    def beyond_loopback(self) -> set[str]:
        return {address for address in self.seen if not ipaddress.ip_address(address).is_loopback}

    def _watch(self) -> None:
        while not self._end.wait(_POLL_SECONDS):
            self.seen |= listening_addresses(self._process_groups())


def listening_addresses(process_groups: Collection[int]) -> set[str]:
    """Return the IP addresses that the processes of these groups listen on."""
    inodes = {inode for pid in _members(process_groups) for inode in _socket_inodes(pid)}
    return {
        _address(fields[1].partition(":")[0])
        for table in ("tcp", "tcp6")
        for fields in map(str.split, Path("/proc/net", table).read_text().splitlines()[1:])
        if fields[3] == _LISTEN and fields[9] in inodes
    }


def _members(process_groups: Collection[int]) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if os.getpgid(int(entry.name)) in process_groups:
                    members.append(int(entry.name))
            except ProcessLookupError:
                continue
    return members


def _socket_inodes(pid: int) -> list[str]:
    inodes = []
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            target = str(descriptor.readlink())
            if target.startswith("socket:["):
                inodes.append(target.removeprefix("socket:[").removesuffix("]"))
    except FileNotFoundError:
        pass  # the process has ended, or has closed the socket
    return inodes


def _address(hexadecimal: str) -> str:
    """Read an address of /proc/net: 32 bits at a time, in the machine's byte order."""
    words = [bytes.fromhex(hexadecimal[start : start + 8]) for start in range(0, len(hexadecimal), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return str(ipaddress.ip_address(packed))

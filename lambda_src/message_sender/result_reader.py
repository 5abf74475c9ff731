"""Results that are read back: from the queue of unpublished results, and from the event bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import fastjsonschema

from message_sender.result import RESULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_MAX_BYTES: Final = 262_144
"""For the entries of one call. EventBridge accepts four times as much."""
_MAX_CHARACTERS: Final = 131_072
"""For one result, which is ASCII. The function writes at most a third of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResult:
    """A result that EventBridge did not accept at first, as an entry of `PutEvents`.

    Attributes:
        message_id: Of the message that holds it.
    """

    message_id: str
    entry: Mapping[str, str] = field(repr=False)
    client_token: str | None
    source_id: str

    @property
    def size(self) -> int:
        return sum(map(len, self.entry.values()))


def read_kept_result(body: str, *, message_id: str, event_bus_names: Sequence[str]) -> KeptResult | None:
    """Return the result that `Publisher` kept in a message, None if it did not write this for the bus.

    With the permissions of the reader, a forged entry could reach any bus under any source.

    Args:
        event_bus_names: The forms in which a result may name the bus. The first replaces it.
    """
    try:
        entry = json.loads(body if len(body) <= _MAX_CHARACTERS else "")
        detail = json.loads(entry["Detail"])
        detail_type = f"Message {str(detail['Outcome']).capitalize()}"
        rest = {"Source": RESULT_SOURCE, "DetailType": detail_type, "Detail": entry["Detail"]}
        if not is_result(detail) or entry not in [{"EventBusName": bus} | rest for bus in event_bus_names]:
            return None
        # Serialized again, so that consumers read exactly the fields that were checked
        entry |= {"EventBusName": event_bus_names[0], "Detail": json.dumps(detail, allow_nan=False)}
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        return None
    return KeptResult(
        message_id=message_id,
        entry=entry,
        client_token=detail["ClientToken"],
        source_id=detail["SourceId"],
    )


def is_result(detail: Mapping[str, Any]) -> bool:
    """Return whether a detail keeps the contract, and is sent or has an error."""
    try:
        _validator()(detail)
    except fastjsonschema.JsonSchemaValueException:
        return False
    is_sent: bool = detail["Outcome"] == "SENT"
    return (detail["Message"] is not None) == is_sent and (detail["Error"] is None) == is_sent


def in_calls(results: Iterable[KeptResult]) -> Iterator[Sequence[KeptResult]]:
    """Split at most ten results so that no call is too large, unless a single result is."""
    call: list[KeptResult] = []
    for result in results:
        if call and sum(each.size for each in call) + result.size > _MAX_BYTES:
            yield call
            call = []
        call.append(result)
    if call:
        yield call


@cache
def _validator() -> Callable[[object], object]:
    schema = json.loads((Path(__file__).parent / "schemas" / "message_result.json").read_bytes())
    compiled: Callable[[object], object] = fastjsonschema.compile(schema, use_default=False)
    return compiled

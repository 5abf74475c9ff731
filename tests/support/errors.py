"""The tree of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from message_sender.errors import DeliveryError


def leaves(cls: type[DeliveryError]) -> list[type[DeliveryError]]:
    """Return the classes without subclasses below a class, which may be the class itself."""
    below = cls.__subclasses__()
    return [leaf for child in below for leaf in leaves(child)] if below else [cls]

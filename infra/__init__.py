"""Delivers chat messages to Amazon Connect: constructs for the AWS CDK, and clients for a deployed sender.

`MessageSender` needs the extra `cdk`. The names are imported when they are used, so that the producer works
without the CDK.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .message_sender import MessageSender
    from .options import InvalidOptionsError, Options

__all__ = ["InvalidOptionsError", "MessageSender", "Options"]

_MODULES = {"MessageSender": "message_sender", "Options": "options", "InvalidOptionsError": "options"}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    try:
        module = import_module(f".{_MODULES[name]}", __name__)
    except ModuleNotFoundError as error:
        if error.name not in {"aws_cdk", "constructs"}:
            raise
        raise ModuleNotFoundError(
            f"{name} needs the AWS CDK: install connect-message-sender[cdk]", name=error.name
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return [*__all__]

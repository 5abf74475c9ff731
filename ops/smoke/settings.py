"""What the test is to do: its variables, read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from infra.producer import EventSource
from infra.stage import stack_name

if TYPE_CHECKING:
    from collections.abc import Mapping


class SettingsError(Exception):
    """A variable is missing or wrong. The text says which, and the line that mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChat:
    """A chat that is to be started."""

    instance_id: str
    contact_flow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenChat:
    """A chat of somebody else's, by a connection to it."""

    connection_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    stack_name: str
    chat: NewChat | GivenChat
    connect_region: str | None
    sources: tuple[EventSource, ...] | None
    """None: all that the stack offers."""
    api_url: str | None
    long: bool

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables; an empty one counts as none.

        Raises:
            SettingsError: One is missing or wrong.
        """
        variables = {name: value for name, value in environ.items() if value}
        return cls(
            stack_name=_stack_name(variables.get("STAGE", "dev")),
            chat=_chat(variables),
            connect_region=variables.get("CONNECT_REGION"),
            sources=_sources(variables["SOURCES"]) if "SOURCES" in variables else None,
            api_url=variables.get("API_URL"),
            long=variables.get("LONG", "0") != "0",
        )


def _stack_name(stage: str) -> str:
    try:
        return stack_name(stage)
    except ValueError as error:
        raise SettingsError(f"STAGE is {stage!r}; {error}:\n    make smoke STAGE=dev") from None


def _chat(variables: Mapping[str, str]) -> NewChat | GivenChat:
    instance_id, contact_flow_id = variables.get("CONNECT_INSTANCE"), variables.get("CONTACT_FLOW")
    connection_token = variables.get("CONNECTION_TOKEN")
    if connection_token and (instance_id or contact_flow_id):
        raise SettingsError(
            "CONNECTION_TOKEN is of a chat that is there, CONNECT_INSTANCE and CONTACT_FLOW start another.\n"
            "Leave one or the other out:\n"
            "    unset CONNECTION_TOKEN"
        )
    if connection_token:
        return GivenChat(connection_token=connection_token)
    if instance_id and contact_flow_id:
        return NewChat(instance_id=instance_id, contact_flow_id=contact_flow_id)
    pair = {"CONNECT_INSTANCE": instance_id, "CONTACT_FLOW": contact_flow_id}
    missing = " and ".join(name for name, value in pair.items() if not value)
    raise SettingsError(
        f"There is no chat to send to: no {missing}. Have one started, with a flow that keeps it open:\n"
        "    make smoke CONNECT_INSTANCE=<instance id> CONTACT_FLOW=<flow id>\n"
        "or use one that is there, with the token in the environment, where it is in no list of processes:\n"
        "    read -rs CONNECTION_TOKEN && export CONNECTION_TOKEN && make smoke"
    )


def _sources(text: str) -> tuple[EventSource, ...]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in set(EventSource)]:
        raise SettingsError(
            f"SOURCES has {unknown[0]!r}, which is none of the event sources. All of them:\n"
            f"    make smoke SOURCES={','.join(EventSource)}"
        )
    return tuple(EventSource(name) for name in dict.fromkeys(names))

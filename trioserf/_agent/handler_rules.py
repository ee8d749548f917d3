"""What an event handler is, which events it wants, and what its command gets to see.

A handler is ``[EVENTS=]COMMAND``: the text is cut at its first ``=``, even if that is inside the
command, so a command with ``=`` needs ``*=`` before it.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/event_handler.go, ParseEventScript,
ParseEventFilter; invoke.go, invokeEventScript, memberEventStdin, streamPayload.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from .._events import Member, MemberEvent, Query, UserEvent
from .._wire.event_filters import EventFilter, parse_event_filters

HandledEvent: TypeAlias = MemberEvent | UserEvent | Query
"""What handlers run for."""
MAX_OUTPUT: Final = 8 * 1024
"""So much of the output of a command is kept: its end (bytes)."""

_NOT_IN_VARIABLES: Final = re.compile("[^A-Z0-9_]")


class InvalidHandler(ValueError):
    """A handler is for an event that does not exist; the message is Go's."""


class Handler(NamedTuple):
    """One command for one kind of event.

    Args:
      filter: the events that it wants.
      command: a line for the shell.
    """

    filter: EventFilter
    command: str

    def wants(self, event: HandledEvent) -> bool:
        """Whether it runs for an event."""
        if isinstance(event, MemberEvent):
            return self.filter.matches(str(event.type), "")
        return self.filter.matches(str(event.type), event.name)

    @property
    def key(self) -> str:
        """As ``info`` shows it: ``user:deploy``, ``user:``, ``member-join:``, ``*:``."""
        return f"{self.filter.event}:{self.filter.name}"


def parse_handler(text: str) -> tuple[Handler, ...]:
    """The handlers of one text; several if it names several kinds of events.

    Raises:
      InvalidHandler: there is no such event.
    """
    events, equals, command = text.partition("=")
    if not equals:
        command = text
    handlers = []
    for part in events.split(",") if equals and events else ["*"]:
        try:
            (one,) = parse_event_filters(part) if part else _refuse()
        except ValueError:
            raise InvalidHandler(f"Event '{part}' invoking '{command}'") from None
        handlers.append(Handler(one, command))
    return tuple(handlers)


def _refuse() -> tuple[EventFilter]:
    raise ValueError("no event")


def parse_handlers(texts: Iterable[str]) -> tuple[Handler, ...]:
    """All handlers, in their order.  Raises as `parse_handler`."""
    return tuple(handler for text in texts for handler in parse_handler(text))


# --- what the command sees ----------------------------------------------------------------


def handler_environment(event: HandledEvent, node: Member) -> dict[str, str]:
    """The variables that a command gets besides those of the agent.

    Args:
      event: that it runs for.
      node: this node, with its tags of this moment.
    """
    variables = {
        "SERF_EVENT": str(event.type),
        "SERF_SELF_NAME": node.name,
        "SERF_SELF_ROLE": node.tags.get("role", ""),
    }
    for tag, value in node.tags.items():
        variables[tag_variable(tag)] = value
    if isinstance(event, UserEvent):
        variables |= {"SERF_USER_EVENT": event.name, "SERF_USER_LTIME": str(event.ltime)}
    elif isinstance(event, Query):
        variables |= {"SERF_QUERY_NAME": event.name, "SERF_QUERY_LTIME": str(event.ltime)}
    # A zero byte would end the variable; the system takes none.
    return {name: value.replace("\0", "") for name, value in variables.items()}


def tag_variable(tag: str) -> str:
    """``SERF_TAG_DC`` for ``dc``: each character that is not allowed becomes ``_``."""
    return f"SERF_TAG_{_NOT_IN_VARIABLES.sub('_', tag.upper())}"


def environment_bytes(
    inherited: Mapping[bytes, bytes], variables: Mapping[str, str]
) -> dict[bytes, bytes]:
    """The whole environment, in bytes whatever the locale is."""
    return {
        **inherited,
        **{_bytes(name): _bytes(value) for name, value in variables.items()},
    }


def handler_input(event: HandledEvent) -> bytes:
    """Standard input: a line for each member, or the payload with a newline at its end."""
    if isinstance(event, MemberEvent):
        return b"".join(_bytes(member_line(member)) for member in event.members)
    payload = event.payload
    return payload + b"\n" if payload and not payload.endswith(b"\n") else payload


def member_line(member: Member) -> str:
    """Name, address, role and tags, with tabs between them."""
    tags = ",".join(f"{tag}={value}" for tag, value in member.tags.items())
    role = member.tags.get("role", "")
    return f"{_clean(member.name)}\t{member.addr}\t{_clean(role)}\t{_clean(tags)}\n"


def _clean(text: str) -> str:
    """Without what would end a field or a line."""
    return text.replace("\t", "\\t").replace("\n", "\\n")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def exit_text(status: int, signal_text: str) -> str:
    """How a command ended, as Go says it; "" for a success.

    Args:
      status: 0 to 255, or a negative signal number.
      signal_text: the name of that signal: ``killed``.
    """
    if status < 0:
        return f"signal: {signal_text}"
    return f"exit status {status}" if status else ""

"""The pages of events and of exceptions."""

from __future__ import annotations

from collections.abc import Iterator

from tests.reference.meanings import meanings
from tests.reference.names import EVENTS, directives, exceptions
from trioserf import EventType, SerfError

CLASSES = {
    EventType.USER: "UserEvent",
    EventType.QUERY: "Query",
}
"""What is no `MemberEvent`."""


def events_page() -> str:
    """The page of events."""
    said = meanings("event")
    parts = [
        "# Events\n",
        "What `serf.events` and `serf.subscribe(...)` give, `str()` of the type as `serf monitor` "
        "shows it and handlers name it. Every reader may meet `EventsDropped`, too. How they "
        "arrive, and what a slow reader must do, is in [User events](../explanation/events.md).\n",
        "| type | as text | class | when |\n|---|---|---|---|",
    ]
    for kind in EventType:
        cls = CLASSES.get(kind, "MemberEvent")
        parts.append(
            f"| `EventType.{kind.name}` | `{kind}` | `{cls}` | {said.get(kind.name, '')} |"
        )
    parts.append(f"| — | — | `EventsDropped` | {said.get('EventsDropped', '')} |\n")
    parts.append("## The classes\n")
    parts.append(directives(EVENTS))
    return "\n".join(parts)


def exceptions_page() -> str:
    """The page of exceptions."""
    parts = [
        "# Exceptions\n",
        "Everything that trioserf raises by itself is a `SerfError`. Resources follow Trio: "
        "`trio.ClosedResourceError` after this node closed it, `trio.BrokenResourceError` when it "
        "broke from outside, `trio.BusyResourceError` for two users at once, `trio.WouldBlock` "
        "from `*_nowait` calls. What the text of an error means is in "
        "[Troubleshooting](../troubleshooting.md).\n",
        "```text",
        *_tree(SerfError, 0),
        "```\n",
        directives(" ".join(each.__name__ for each in exceptions())),
    ]
    return "\n".join(parts)


def _tree(cls: type[BaseException], depth: int) -> Iterator[str]:
    more = [base.__name__ for base in cls.__bases__ if not issubclass(base, SerfError)]
    shown = f" ({', '.join(more)})" if more and more != ["Exception"] else ""
    about = (cls.__doc__ or "").partition("\n")[0]
    yield f"{'    ' * depth + cls.__name__ + shown:<38} {about}"
    for each in exceptions():
        if each.__bases__[0] is cls:
            yield from _tree(each, depth + 1)

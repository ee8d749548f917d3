"""What a program around the node adds to its RPC server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from .. import _attrs as attrs


def _none() -> Mapping[str, str]:
    return {}


def _uncounted(_name: str) -> None:
    pass


@attrs.frozen(kw_only=True)
class AgentHooks:
    """The parts of an agent that clients see.  The defaults are those of a node without agent.

    Args:
      event_handlers: ``EVENT:NAME`` to command, for ``stats``.
      set_tags: sets all tags, where they are also kept elsewhere; None for ``Serf.set_tags``.
      shut_down: ends the program after a client had it leave; None closes the node.
      count: called with ``agent.ipc.accept`` and ``agent.ipc.command``.
    """

    event_handlers: Callable[[], Mapping[str, str]] = _none
    set_tags: Callable[[Mapping[str, str]], Awaitable[object]] | None = None
    shut_down: Callable[[], object] | None = None
    count: Callable[[str], object] = _uncounted

"""Views that change: a table of members that updates in place, and a recorder of events.

Both are tasks in the Trio thread.  The table is drawn at most twice a second and only when
something changed; the recorder has its own subscription, so it never slows the node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, final

import trio

from .._events import EventType, Member, MemberEvent, MemberStatus
from .thread import current_thread
from .timeline import Moment

if TYPE_CHECKING:
    from .._serf.serf import Serf

REFRESH_SECONDS = 0.5
"""Shortest time between two drawings."""
MOMENTS_KEPT = 10_000
"""Events that a recorder holds; older ones are forgotten."""
_BECAME = {
    MemberStatus.FAILED: EventType.MEMBER_FAILED,
    MemberStatus.LEFT: EventType.MEMBER_LEAVE,
}
"""The event that made a member what it is."""


def live(serf: Serf, view: Callable[[Serf], object] | None = None) -> None:
    """Show ``serf.members()`` under this cell, kept up to date until the node closes.

    Args:
      serf: a kept node.
      view: shows something else of it: a function from the node to anything displayable, a
        chart for example, or what shows by its text (``str``) whether it changed.

    Call it as the last line of a cell.  Needs the extension to be loaded.
    """
    from IPython import display

    draw = view or (lambda node: node.members())
    shown = draw(serf)
    handle: Any = display.display(shown, display_id=True)  # type: ignore[no-untyped-call]
    current_thread().nursery.start_soon(
        refresh, serf, draw, handle, looks(shown), name="trioserf.notebook.live"
    )


async def refresh(serf: Serf, draw: Callable[[Serf], object], handle: Any, before: str) -> None:
    """Draw ``draw(serf)`` again whenever it looks other than ``before``, until the node closes.

    Args:
      handle: of IPython's ``display``; its ``update()`` is called.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_stop_with, serf, nursery.cancel_scope)
        while True:
            await trio.sleep(REFRESH_SECONDS)
            shown = draw(serf)
            now = looks(shown)
            if now != before:
                before = now
                handle.update(shown)


def looks(shown: object) -> str:
    """What the user would see; it is drawn again only when this changes."""
    bundle = getattr(shown, "_repr_mimebundle_", None)
    return str(shown if bundle is None else bundle())


async def _stop_with(serf: Serf, scope: trio.CancelScope) -> None:
    await serf.wait_closed()
    scope.cancel()


@final
class Recorder:
    """Remembers what a node reports, for `timeline`.

    ``recorder = record(serf)`` starts one in a notebook; in a program, run ``recorder.run``
    as a task.

    Attributes:
      moments: what was seen, in order; the newest 10,000.  The first are the members that were
        known when the recording began.
    """

    def __init__(self, serf: Serf) -> None:
        self._serf = serf
        self.moments: list[Moment] = []

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record until the node closes."""
        async with self._serf.subscribe() as events:
            self.moments += known_members(self._serf.members(), trio.current_time())
            kept = len(self.moments)
            task_status.started()
            async for event in events:
                self.moments.append(Moment(trio.current_time(), event))
                if len(self.moments) > MOMENTS_KEPT:
                    del self.moments[kept : kept + MOMENTS_KEPT // 10]


def known_members(members: Iterable[Member], now: float) -> list[Moment]:
    """What these members are at the start of a recording, as if it had happened then."""
    by_kind: dict[EventType, list[Member]] = {}
    for member in members:
        kind = _BECAME.get(member.status, EventType.MEMBER_JOIN)
        by_kind.setdefault(kind, []).append(member)
    return [
        Moment(now, MemberEvent(kind, tuple(several)), True) for kind, several in by_kind.items()
    ]


async def record(serf: Serf) -> Recorder:
    """Start recording the events of a kept node; returns when nothing is missed any more."""
    recorder = Recorder(serf)
    await current_thread().nursery.start(recorder.run)
    return recorder

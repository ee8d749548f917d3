"""Parts of the protocol taken out for one run of a paper: what no setting turns off.

The rules themselves stay the real ones; each block replaces one small function of theirs and
puts it back.  Settings do the rest: ``awareness_max_multiplier=1`` turns off the health score,
``suspicion_max_timeout_mult=1`` the suspicion that shrinks with confirmations,
``disable_tcp_pings`` the stream ping, ``gossip_interval=0`` the gossip beside the probes,
``push_pull_interval=0`` the exchange of whole states.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trioserf._swim import suspect_rules
from trioserf._swim.probing import ProbeRound


@contextmanager
def _replaced(place: Any, name: str, new: Any) -> Iterator[None]:
    before = getattr(place, name)
    setattr(place, name, new)
    try:
        yield
    finally:
        setattr(place, name, before)


@contextmanager
def no_suspicion() -> Iterator[None]:
    """A suspect is declared dead at once."""
    with _replaced(suspect_rules, "suspicion_timeout", lambda mult, n, interval: 0.0):
        yield


@contextmanager
def no_buddies() -> Iterator[None]:
    """A suspect is probed without being notified that it is one."""
    first_messages = ProbeRound.first_messages

    def ping_alone(self: ProbeRound) -> tuple[bytes, ...]:
        return first_messages(self)[:1]

    with _replaced(ProbeRound, "first_messages", ping_alone):
        yield

"""Sending an answer a second way: through other members, against lost packets."""

from __future__ import annotations

import random
from collections.abc import Sequence

from .._events import Member
from .._wire.serf_messages import QueryMessage
from .effects import Effect, Reply


def choose_relays(
    rng: random.Random, members: Sequence[Member], own_name: str, factor: int
) -> list[Member]:
    """Up to ``factor`` distinct members that are alive, can relay, and are not this node."""
    ...


def relayed_copies(
    raw: bytes,
    query: QueryMessage,
    *,
    own_name: str,
    limit: int,
    rng: random.Random,
    members: Sequence[Member],
) -> list[Reply]:
    """The encoded answer ``raw`` wrapped for each relay that the query wants.

    Raises:
      ResponseTooLarge: the wrapped answer is longer than ``limit`` bytes.
    """
    ...


def forward(data: bytes) -> list[Effect]:
    """Pass on what a relay message carries, unseen.

    Raises:
      RemoteProtocolError: its header is broken.
    """
    ...

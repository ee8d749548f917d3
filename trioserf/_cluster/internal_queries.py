"""Queries that nodes answer by themselves: pings, name conflicts, keys."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from .._events import Member
from .._wire.keyring import Keyring
from .._wire.serf_messages import QueryMessage
from .effects import Effect

INTERNAL_PREFIX = "_serf_"
PING = "_serf_ping"
CONFLICT = "_serf_conflict"
INSTALL_KEY = "_serf_install-key"
USE_KEY = "_serf_use-key"
REMOVE_KEY = "_serf_remove-key"
LIST_KEYS = "_serf_list-keys"


def is_internal(name: str) -> bool:
    """Whether a query of this name never reaches the application."""
    return name.startswith(INTERNAL_PREFIX)


@attrs.frozen(kw_only=True)
class InternalAnswer:
    """What to do about an internal query, in this order.

    Args:
      effects: lines to log.
      keyring: the ring to put in force and to write to the keyring file; None for no change.
      payload: what to answer then; None for no answer.
    """

    effects: tuple[Effect, ...] = ()
    keyring: Keyring | None = attrs.field(default=None, repr=False)
    payload: bytes | None = attrs.field(default=None, repr=False)


def answer_internal(
    query: QueryMessage,
    *,
    own_name: str,
    find_member: Callable[[str], Member | None],
    keyring: Keyring | None,
    response_limit: int,
) -> InternalAnswer:
    """Decide about an internal query.

    Args:
      keyring: the ring in force; None if encryption is off.
      response_limit: longest encoded answer (bytes); a key list is cut to fit.
    """
    ...


def file_not_written(reason: object) -> bytes:
    """The answer if the keyring file could not be written; the ring stays changed."""
    ...

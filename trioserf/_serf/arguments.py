"""What a user's call may be given: a wrong type is an error of the call itself.

Type checkers find the same before.  Without this, what is wrong would come to light in a task of
the node, and end it, or nowhere at all: a name that no member has is no error.
"""

from __future__ import annotations

from collections.abc import Iterable

from .._config import Config


def join_addresses(addresses: object) -> list[str]:
    """The addresses of a join.

    Raises:
      TypeError: neither a string nor several.
    """
    several = [addresses] if isinstance(addresses, str) else addresses
    if not isinstance(several, Iterable) or isinstance(several, bytes):
        raise TypeError(f"addresses={addresses!r}: expected 'host:port', or several of them")
    found = list(several)
    for one in found:
        if not isinstance(one, str):
            raise TypeError(f"addresses: {one!r}: expected a string such as 'host:port'")
    return found


def member_name(name: object) -> str:
    """The name of a member.

    Raises:
      TypeError: no string.
    """
    if not isinstance(name, str):
        raise TypeError(f"name={name!r}: expected the name of a member")
    return name


def buffer_size(size: object) -> int:
    """How many events may wait for a reader.

    Raises:
      TypeError: no whole number.
      ValueError: none at all.
    """
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"max_buffer_size={size!r}: expected a whole number")
    if size < 1:
        raise ValueError(f"max_buffer_size={size!r}: expected 1 or more")
    return size


def node_config(config: object) -> Config:
    """The settings of a node; those of Go for None.

    Raises:
      TypeError: something else.
    """
    if config is None:
        return Config()
    if not isinstance(config, Config):
        raise TypeError(
            f"open({config!r}): expected a trioserf.Config, such as trioserf.Config.lan(...)"
        )
    return config

"""What a user's call may be given: a wrong type is an error of the call itself.

Type checkers find the same before.  Without this, what is wrong would come to light in a task of
the node, and end it, or nowhere at all: a name that no member has is no error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .._exceptions import ConfigError
from .._settings import SECONDS_BOUND, is_encodable, is_seconds
from .._text import short_repr

if TYPE_CHECKING:
    from .._config import Config


def join_addresses(addresses: object) -> list[str]:
    """The addresses of a join.

    Raises:
      TypeError: neither a string nor several.
    """
    several = [addresses] if isinstance(addresses, str) else addresses
    if not isinstance(several, Iterable) or isinstance(several, bytes | bytearray):
        raise TypeError(
            f"addresses={short_repr(addresses)}: expected 'host:port', or several of them"
        )
    found = list(several)
    for one in found:
        if not isinstance(one, str):
            raise TypeError(f"addresses: {short_repr(one)}: expected a string such as 'host:port'")
    return found


def member_name(name: object, argument: str = "name") -> str:
    """The name of a member.

    Raises:
      TypeError: no string.
    """
    if not isinstance(name, str):
        raise TypeError(f"{argument}={short_repr(name)}: expected the name of a member")
    return name


def texts(argument: str, values: object, expected: str) -> list[str]:
    """Several strings; of a mapping its names.

    Raises:
      TypeError: no strings, or a single one.
      ConfigError: half a character in one.
    """
    if not isinstance(values, Iterable) or isinstance(values, str | bytes | bytearray):
        raise TypeError(f"{argument}={short_repr(values)}: expected a list or tuple of {expected}")
    return [a_text(argument, value, expected) for value in values]


def flag(argument: str, value: object) -> bool:
    """What is on or off, and goes over the wire: Go reads no other value there.

    Raises:
      TypeError: neither True nor False.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{argument}={short_repr(value)}: expected True or False")
    return value


def a_text(argument: str, value: object, expected: str) -> str:
    """A string that can be written in UTF-8.

    Raises:
      TypeError: no string.
      ConfigError: one with half a character in it.
    """
    if not isinstance(value, str):
        raise TypeError(f"{argument}={short_repr(value)}: expected {expected}")
    if not is_encodable(value):
        raise ConfigError(argument, value, f"{expected} that can be written in UTF-8")
    return value


def seconds(argument: str, value: object) -> float:
    """A length of time.

    Raises:
      TypeError: no number.
      ConfigError: one out of bounds.
    """
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{argument}={short_repr(value)}: expected seconds")
    if not is_seconds(value):
        raise ConfigError(argument, value, SECONDS_BOUND)
    return value


def buffer_size(size: object) -> int:
    """How many events may wait for a reader.

    Raises:
      TypeError: no whole number.
      ValueError: none at all.
    """
    if not isinstance(size, int) or isinstance(size, bool):
        raise TypeError(f"max_buffer_size={short_repr(size)}: expected a whole number")
    if size < 1:
        raise ValueError(f"max_buffer_size={size!r}: expected 1 or more")
    return size


def node_config(config: object) -> Config:
    """The settings of a node; those of Go for None.

    Raises:
      TypeError: something else.
    """
    from .._config import Config  # clients of agents need none of it

    if config is None:
        return Config()
    if not isinstance(config, Config):
        given = short_repr(config)
        raise TypeError(
            f"open({given}): expected a trioserf.Config, such as trioserf.Config.lan(...)"
        )
    return config

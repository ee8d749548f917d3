"""Flags as Go's programs take them, which is neither argparse's grammar nor getopt's.

* One dash or two, ``-name value`` or ``-name=value``; a value may begin with a dash.
* A boolean is ``-name`` or ``-name=false``: a following word is never its value.
* Flags end at the first word that is none, and behind ``--``.
* The last of a repeated flag counts, except for those that collect.

Source: golang/go, flag/flag.go, FlagSet.parseOne and the Set methods.
"""

from __future__ import annotations

from .._tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Final, Literal, TypeAlias

    Kind: TypeAlias = Literal["text", "list", "bool", "int", "duration"]
    """``list`` collects texts of a flag that may be repeated; ``duration`` gives seconds."""

_ZERO: Final[Mapping[str, Any]] = {
    "text": "",
    "list": (),
    "bool": False,
    "int": 0,
    "duration": 0.0,
}
_NOTHING: Final[Mapping[str, str]] = {}
_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


class Flag(NamedTuple):
    """One flag.

    Args:
      name: without dashes.
      kind: of its value.
      about: what it does, in a line of at most 50 letters.
      value: what usage shows for the value: ``NAME``, ``KEY=REGEXP``; booleans have none.
      default: of the value; None for the zero of the kind.
      choices: the values that completion offers.
      complete: what completion offers else: ``file``, ``folder``, ``node``.
      beyond_go: whether Go's command does not have it.
      secret: whether its value is never shown.
      variable: of the environment, which gives the value where it is not typed.
      joins: the flag whose list takes its values, so that the order of both is kept.
    """

    name: str
    kind: Kind
    about: str
    value: str = ""
    default: Any = None
    choices: tuple[str, ...] = ()
    complete: str = ""
    beyond_go: bool = False
    secret: bool = False
    variable: str = ""
    joins: str = ""

    def initial(self, environment: Mapping[str, str]) -> Any:
        """Its value where it is not typed."""
        if self.variable and environment.get(self.variable):
            return environment[self.variable]
        return _ZERO[self.kind] if self.default is None else self.default


class FlagError(Exception):
    """What was typed is no flag of the command, or has no such value; in Go's words.

    Args:
      message: what Go's flag package says; "" if help was asked for in an odd form
        (``-h=1``), where it only prints the usage.
      beyond_go: whether the flag is one that Go's command does not have.
    """

    def __init__(self, message: str, *, beyond_go: bool = False) -> None:
        super().__init__(message)
        self.beyond_go = beyond_go


class ParsedFlags(NamedTuple):
    """What was typed.

    Args:
      values: the value of every flag, by name.
      given: the names of those that were typed.
      arguments: the words behind the flags.
    """

    values: dict[str, Any]
    given: frozenset[str]
    arguments: list[str]


def parse_flags(
    flags: Iterable[Flag], words: Sequence[str], environment: Mapping[str, str] = _NOTHING
) -> ParsedFlags:
    """Take the flags from the front of the words.

    Raises:
      FlagError: see there.
    """
    by_name = {flag.name: flag for flag in flags}
    values = {name: flag.initial(environment) for name, flag in by_name.items()}
    given: set[str] = set()
    place = 0
    while place < len(words):
        word = words[place]
        if len(word) < 2 or word[0] != "-":
            break
        place += 1
        if word == "--":
            break
        name, value = _split(word)
        flag = by_name.get(name)
        if flag is None:
            if name in ("h", "help"):
                raise FlagError("")
            raise FlagError(f"flag provided but not defined: -{name}")
        if value is None and flag.kind != "bool":
            if place == len(words):
                raise FlagError(f"flag needs an argument: -{name}", beyond_go=flag.beyond_go)
            value = words[place]
            place += 1
        converted = _convert(flag, value)
        if flag.kind == "list":
            name = flag.joins or name
            converted = (*values[name], converted) if name in given else (converted,)
        values[name] = converted
        given.add(name)
    return ParsedFlags(values, frozenset(given), list(words[place:]))


def _split(word: str) -> tuple[str, str | None]:
    """Name, and the value behind ``=`` if there is one."""
    name = word[2:] if word[1] == "-" else word[1:]
    if name[0] in "-=":
        raise FlagError(f"bad flag syntax: {word}")
    name, equals, value = name.partition("=")
    return name, value if equals else None


def _convert(flag: Flag, value: str | None) -> Any:
    if flag.kind == "bool":
        if value is None:
            return True
        if value not in _BOOLS:
            raise _bad_value("invalid boolean value {} for -{}: parse error", flag, value)
        return _BOOLS[value]
    assert value is not None, "all but booleans need a value"
    try:
        if flag.kind == "int":
            return parse_int(value)
        if flag.kind == "duration":
            from .durations import parse_duration  # few commands are given one

            return parse_duration(value)
    except OverflowError:
        raise _bad_value("invalid value {} for flag -{}: value out of range", flag, value) from None
    except ValueError:
        raise _bad_value("invalid value {} for flag -{}: parse error", flag, value) from None
    return value


def _bad_value(text: str, flag: Flag, value: str) -> FlagError:
    from .go_text import quote

    return FlagError(text.format(quote(value), flag.name), beyond_go=flag.beyond_go)


def parse_int(text: str) -> int:
    """An integer in Go's notations: ``+1``, ``0x1f``, ``0o17``, ``017``, ``0b1``, ``1_000``.

    Raises:
      ValueError: it is none.
      OverflowError: it has more than 64 bits.

    Source: golang/go, strconv/atoi.go, ParseInt with base 0.
    """
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.replace("_", "0").isalnum()):
        raise ValueError(text)
    if len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_":
        digits = "0o" + digits[1:]
    value = int(digits[:400], 0)  # longer ones are out of range as they are
    if text[0] == "-":
        value = -value
    if not -(2**63) <= value < 2**63:
        raise OverflowError(text)
    return value

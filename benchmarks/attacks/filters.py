"""Attacks by the filters of queries.

Each is a function of an `Attacker` that returns when it is over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from trioserf._wire.packets import make_compound
from trioserf._wire.query_filters import NodeFilter, TagFilter, encode_filter

from . import crafting
from .attacker import Attacker

MARK = 0xF1F2F3F4
"""Stands for the id of a query."""
QUERY_HEAD = b"\x08\x04\x8b"
"""What a query begins with: a user message, a query, a map of eleven fields."""
EXPRESSIONS = (
    "(?i)((@|[a-z]*){20}){20}",
    "(?i)((@|[a-z]*){19}){21}",
    r"@|(\pL{1,30}[^x]*){1,30}",
    "@|((a*)*|(b*)*|(c*)*){30}",
    "(?i)@|" + "|".join("abcdefghijklmnop"),
    "@|([^a]{1,50}[^b]{1,18})*$",
)
"""Dear to compile, to run, or both; an @ is replaced, so that no cache knows the expression."""
VARIANTS = 12
"""Packets with expressions of their own, after which they come again."""


def _spliced(filters: Sequence[bytes], flags: int) -> crafting.Spliced:
    """Queries with such filters, compressed but for id and Lamport time, which come first."""
    whole = crafting.query(1, MARK, filters=tuple(filters), flags=flags)
    numbers = b"\xa2ID\xce" + MARK.to_bytes(4, "big") + b"\xa5LTime\x01"
    before, found, after = whole.partition(numbers)
    assert found, "fields are in the order of their names"
    return crafting.Spliced(before[len(QUERY_HEAD) :] + after)


def _numbered(spliced: crafting.Spliced, time: int, number: int) -> bytes:
    ltime = b"\xa5LTime\xcf" + time.to_bytes(8, "big")
    return spliced.message(QUERY_HEAD + b"\xa2ID\xce" + number.to_bytes(4, "big") + ltime)


def _filtered(
    attacker: Attacker, expressions: Sequence[str], count: int, flags: int
) -> Iterator[bytes]:
    """Packets of two queries each, with ``count`` filters on tags in each query."""
    rests = [
        _spliced(
            [
                encode_filter(TagFilter("role", expression.replace("@", f"{turn}x{i}")))
                for i in range(count)
            ],
            flags,
        )
        for turn in range(VARIANTS)
        for expression in expressions
    ]
    for number in itertools.count(1 << 29):
        rest, time = rests[number % len(rests)], attacker.next_time()
        yield make_compound([_numbered(rest, time, 2 * number + i) for i in range(2)])


async def filters(attacker: Attacker) -> None:
    """Queries of 60 filters on tags, each an expression that is dear to compile."""
    await attacker.flood(_filtered(attacker, EXPRESSIONS[:1], 60, flags=2))


async def filters_few(attacker: Attacker) -> None:
    """The same, four packets a second."""
    await attacker.flood(_filtered(attacker, EXPRESSIONS[:1], 60, flags=2), share=4 / attacker.rate)


async def filters_gossiped(attacker: Attacker) -> None:
    """The same, as short as one packet and passed on by all."""
    await attacker.flood(_filtered(attacker, EXPRESSIONS[:2], 20, flags=0))


async def filters_of_all_kinds(attacker: Attacker) -> None:
    """Many sorts of expressions: classes, alternatives, nested repetitions."""
    await attacker.flood(_filtered(attacker, EXPRESSIONS, 30, flags=2))


async def filters_of_nothing(attacker: Attacker) -> None:
    """Nothing, repeated a thousand times, hundreds of times: nothing to match, much to write."""
    expressions = ("(){1000}" * 120 + "@", "(" + "|" * 600 + "){900}@", "(a{0}){1000}" * 60 + "@")
    await attacker.flood(_filtered(attacker, expressions, 5, flags=2))


async def filters_of_names(attacker: Attacker) -> None:
    """Queries for thousands of nodes by name."""
    names = encode_filter(NodeFilter(tuple(f"n{i}" for i in range(8000))))
    rest = _spliced([names], 2)
    await attacker.flood(_numbered(rest, 1 << 20, (1 << 29) + i) for i in itertools.count())

"""A wrong type is an error of the call that was given it, and nothing else happens."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._events import SerfState
from trioserf._exceptions import ConfigError, JoinError, LocalProtocolError
from trioserf._memberlist_config import MemberlistConfig
from trioserf._serf.open import open_serf
from trioserf._serf.peek import peek
from trioserf._serf.serf import Serf


async def subscribed(serf: Serf, **options: Any) -> None:
    async with serf.subscribe(**options):
        pass


async def queried(serf: Serf, *arguments: Any, **options: Any) -> None:
    async with serf.query(*arguments, **options):
        pass


WRONG: list[tuple[Callable[[Serf], Any], str]] = [
    (lambda s: s.join([("127.0.0.1", 7946)]), r"expected a string such as 'host:port'"),
    (lambda s: s.join([b"127.0.0.1"]), r"expected a string such as 'host:port'"),
    (lambda s: s.join(b"127.0.0.1"), r"addresses=b'127.0.0.1': expected 'host:port'"),
    (lambda s: s.join(7946), r"addresses=7946: expected 'host:port'"),
    (lambda s: s.join(None), r"addresses=None"),
    (lambda s: s.user_event("deploy", "v42"), r"payload of type str: expected bytes"),
    (lambda s: s.user_event(b"deploy"), r"name=b'deploy': expected a str"),
    (lambda s: s.ask("x", "text"), r"payload of type str: expected bytes"),
    (lambda s: s.ask("x", 5), r"payload of type int: expected bytes"),
    (lambda s: s.ask(5), r"name=5: expected a str"),
    (lambda s: queried(s, "x", "text"), r"payload of type str"),
    (lambda s: s.ask("x", filter_nodes="web-1"), r"filter_nodes='web-1': expected"),
    (lambda s: s.ask("x", filter_nodes=[1]), r"filter_nodes has 1: expected"),
    (lambda s: s.ask("x", filter_tags=["role"]), r"filter_tags=\['role'\]: expected a mapping"),
    (lambda s: s.ask("x", filter_tags={"role": 1}), r"filter_tags has 'role': 1: expected"),
    (lambda s: s.ask("x", timeout="1"), r"timeout='1': expected seconds"),
    (lambda s: s.ask("x", timeout=float("nan")), r"timeout=nan: expected seconds"),
    (lambda s: s.ask("x", relay_factor="1"), r"relay_factor='1': expected 0 to 255"),
    (lambda s: s.remove_failed_node(5), r"name=5: expected the name of a member"),
    (lambda s: s.set_tags({"a": 1}), r"tags=.*strings"),
    (lambda s: s.set_tags(["a"]), r"tags=.*mapping"),
    (lambda s: subscribed(s, max_buffer_size="9"), r"max_buffer_size='9': expected a whole"),
    (lambda s: subscribed(s, max_buffer_size=0), r"max_buffer_size=0: expected 1 or more"),
    (lambda s: s.keys.install(5), r"key"),
    (lambda s: s.join(bytearray(b"127.0.0.1")), r"addresses=bytearray.*: expected 'host:port'"),
    (lambda s: s.join([], ignore_old=1), r"ignore_old=1: expected True or False"),
    (lambda s: s.remove_failed_node("b", prune="no"), r"prune='no': expected True or False"),
    (lambda s: s.set_tags(None), r"tags=None: expected a mapping"),
    (lambda s: s.user_event("deploy", coalesce=0), r"coalesce=0: expected True or False"),
    (lambda s: s.user_event_nowait("x", coalesce=None), r"coalesce=None: expected True or False"),
    (lambda s: s.ask("x", request_ack=1), r"request_ack=1: expected True or False"),
    (lambda s: s.ask("x", filter_nodes=0), r"filter_nodes=0: expected a list or tuple"),
    (lambda s: s.ask("x", filter_nodes=["\ud800"]), r"filter_nodes=.*UTF-8"),
    (lambda s: s.ask("x", filter_tags=0), r"filter_tags=0: expected a mapping"),
    (lambda s: s.ask("x", filter_tags={"\ud800": "x"}), r"filter_tags=.*UTF-8"),
    (
        lambda s: s.ask("x", timeout=math.inf),
        r"timeout=inf: expected seconds, 0 or more, and an end",
    ),
    (lambda s: s.explain(5), r"name_or_address=5: expected the name"),
    (lambda s: s.cached_coordinate(["a"]), r"name=\['a'\]: expected the name"),
    (lambda s: s.rtt(None), r"a=None: expected the name"),
    (lambda s: s.rtt("a", b"b"), r"b=b'b': expected the name"),
]


@pytest.mark.parametrize(("call", "says"), WRONG)
async def test_a_wrong_type_is_an_error_of_the_call(
    autojump_clock: MockClock, call: Callable[[Serf], Any], says: str
) -> None:
    async with cluster() as net:
        a = await net.start("a")
        before = (a.local_member, a.members(), a.stats())
        with pytest.raises((TypeError, ValueError), match=says):
            await call(a)
        assert before == (a.local_member, a.members(), a.stats())
        await trio.sleep(5)
        assert SerfState.ALIVE == a.state


@pytest.mark.parametrize("config", ["web-1", 5, {"node_name": "a"}, MemberlistConfig()])
async def test_a_node_is_opened_with_a_config(config: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a trioserf\.Config, such as"):
        async with open_serf(config):
            pass


async def test_a_bad_parameter_of_a_query_is_a_config_error(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        a = await net.start("a")
        with pytest.raises(ConfigError, match="0 to 255"):
            await a.ask("x", relay_factor=256)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.user_event("\ud800"),
        lambda s: s.remove_failed_node("\ud800"),
        lambda s: s.ask("\ud800"),
    ],
)
async def test_half_a_character_is_refused_by_what_it_is(
    autojump_clock: MockClock, call: Callable[[Serf], Any]
) -> None:
    async with cluster() as net:
        a = await net.start("a")
        before = a.stats()
        with pytest.raises(LocalProtocolError, match=r"'\\ud800' cannot be written in UTF-8"):
            await call(a)
        assert before == a.stats()


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.join("z" * 10_000),
        lambda s: s.set_tags("z" * 10_000),
        lambda s: s.ask("x", filter_nodes="z" * 10_000),
        lambda s: s.ask("x", filter_tags="z" * 10_000),
        lambda s: s.ask("x", relay_factor="z" * 10_000),
        lambda s: subscribed(s, max_buffer_size="z" * 10_000),
        lambda s: s.members().select(status="z" * 10_000),
        lambda s: s.members().select(tags="z" * 10_000),
    ],
)
async def test_the_text_of_an_error_shows_the_beginning_of_what_was_given(
    autojump_clock: MockClock, call: Callable[[Serf], Any]
) -> None:
    async with cluster() as net:
        a = await net.start("a")
        with pytest.raises((TypeError, ValueError, JoinError)) as caught:
            await call(a)
        shown = str(caught.value)
        assert ("zzz" in shown, True) == (True, len(shown) < 1000)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"address": 7946}, TypeError, "address=7946: expected host:port"),
        ({"address": "a:1", "label": b"x"}, TypeError, "label=b'x': expected a label"),
        ({"address": "a:1", "label": "\ud800"}, ConfigError, "label=.*UTF-8"),
        ({"address": "a:1", "timeout": "1"}, TypeError, "timeout='1': expected seconds"),
        ({"address": "a:1", "timeout": -1}, ConfigError, "timeout=-1: expected seconds, 0 or more"),
        ({"address": "a:1", "timeout": math.nan}, ConfigError, "timeout=nan: expected seconds"),
    ],
)
async def test_peek_refuses_wrong_arguments_by_their_names(
    arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await peek(**arguments)

"""The membership half alone: how its block is left."""

import pytest
import trio

from trioserf._exceptions import SerfInternalError
from trioserf._memberlist.open import open_memberlist

from .kit import Wire, config, one_node


async def test_the_end_of_the_block_closes_everything(autojump_clock):
    async with one_node() as (node, wire):
        assert not wire.closed.is_set()
    assert wire.closed.is_set()
    with pytest.raises(trio.ClosedResourceError):
        await node.join(["10.0.0.2"])


async def test_the_users_exception_comes_out_as_it_is(autojump_clock):
    with pytest.raises(KeyError, match="mine"):
        async with one_node() as (_, wire):
            raise KeyError("mine")
    assert wire.closed.is_set()


async def test_a_cancelled_block_stops_at_once(autojump_clock):
    with trio.move_on_after(1) as scope:
        async with one_node() as (_, wire):
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert wire.closed.is_set()
    assert 1 == trio.current_time()


async def test_a_crash_of_a_task_is_an_internal_error(autojump_clock):
    async def crash():
        async with one_node() as (node, _):
            node._apply.table = None
            node._apply.suspicion_timer.set(0)
            await trio.sleep_forever()

    with pytest.raises(SerfInternalError, match="a task of 'n1' crashed") as caught:
        await crash()
    assert isinstance(caught.value.__cause__, ExceptionGroup)


async def test_an_address_that_cannot_be_bound_is_an_os_error():
    class Taken(Wire):
        async def open(self):
            raise OSError("10.0.0.1:7946 is in use")

    wire = Taken()
    with pytest.raises(OSError, match="in use"):
        async with open_memberlist(config(), transport=wire):
            pass
    assert wire.closed.is_set()


async def test_a_transport_in_the_settings_will_do(autojump_clock):
    wire = Wire()
    async with open_memberlist(config(transport=wire)) as node:
        assert wire.address == node.advertise_address


async def test_closing_the_transport_ends_only_what_listens(autojump_clock):
    async with one_node() as (node, _):
        node.close()
        await trio.sleep(100)
        assert 1 == node.num_alive

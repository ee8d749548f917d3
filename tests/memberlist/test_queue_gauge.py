"""The length of the queue, sampled."""

import trio

from .kit import Tap, one_node


async def test_the_queue_is_sampled_while_there_is_a_tap(autojump_clock):
    tap = Tap()
    async with one_node(tap=tap, queue_check_interval=30.0, gossip_interval=0) as (node, _):
        await trio.sleep(61)
        assert [1, 1] == tap.values("memberlist.queue.broadcasts")
        node._parts.metrics.tap = None
        await trio.sleep(100)
    assert 2 == len(tap.values("memberlist.queue.broadcasts"))

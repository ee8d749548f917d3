"""The bounded queue between packets and rules."""

import trio
import trio.testing

from trioserf._memberlist.handoff import BATCH, BATCH_BYTES, Handoff
from trioserf._wire.messages import Alive, Dead, Suspect, UserMessage
from trioserf.abc import Address

SOURCE = Address("10.0.0.1", 7946)


def alive(name):
    return Alive(1, name, b"\x0a\x00\x00\x01", 7946, b"", b"\x01\x05\x02\x02\x05\x04")


async def test_alive_messages_overtake_and_the_rest_keeps_its_order(autojump_clock, nursery):
    seen = []
    handoff = Handoff(10, lambda message, source: seen.append(message))
    low = [Suspect(1, "a", "b"), UserMessage(b"1"), Dead(1, "a", "b"), UserMessage(b"2")]
    for message in (*low[:2], alive("x"), *low[2:], alive("y")):
        assert handoff.put(message, SOURCE)
    assert 6 == len(handoff)
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    assert [alive("x"), alive("y"), *low] == seen
    nursery.cancel_scope.cancel()


async def test_a_full_queue_drops_what_is_new_and_the_other_has_room():
    handoff = Handoff(2, lambda message, source: None)
    assert [True, True, False] == [handoff.put(UserMessage(b"%d" % i), SOURCE) for i in range(3)]
    assert [True, True, False] == [handoff.put(alive("x"), SOURCE) for i in range(3)]


async def test_the_worker_wakes_for_news_and_lets_others_run(autojump_clock, nursery):
    seen = []
    handoff = Handoff(1000, lambda message, source: seen.append(source))
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(3 * BATCH):
        handoff.put(UserMessage(b"x"), SOURCE)
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()
    assert 0 < len(seen) < 3 * BATCH
    await trio.testing.wait_all_tasks_blocked()
    assert 3 * BATCH == len(seen)
    assert {SOURCE} == set(seen)
    nursery.cancel_scope.cancel()


async def test_long_user_messages_let_others_run_sooner(autojump_clock, nursery):
    seen = []
    handoff = Handoff(1000, lambda message, source: seen.append(source))
    nursery.start_soon(handoff.run)
    await trio.testing.wait_all_tasks_blocked()
    for _ in range(BATCH):
        handoff.put(UserMessage(bytes(BATCH_BYTES // 2)), SOURCE)
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()
    assert 0 < len(seen) < 10
    await trio.testing.wait_all_tasks_blocked()
    assert BATCH == len(seen)
    nursery.cancel_scope.cancel()

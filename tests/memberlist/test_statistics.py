"""Counters and sizes of a membership half."""

import threading

import trio

from trioserf._wire.messages import Suspect, encode_message

from .kit import alive_of, cluster, one_node


async def test_what_one_sends_the_others_receive_by_kind(autojump_clock):
    async with cluster() as c:
        nodes = await c.start_many(3)
        await nodes[0].send_reliable(nodes[1].local_node, b"message")
        await trio.sleep(40)
        statistics = [node.statistics() for node in nodes]
        for name in ("packets", "packet_bytes", "messages", "frames", "frame_bytes"):
            totals = []
            for direction in ("sent", "received"):
                total = {}
                for one in statistics:
                    for kind, count in getattr(getattr(one, direction), name).items():
                        total[kind] = total.get(kind, 0) + count
                totals.append(total)
            assert totals[0] == totals[1], name
        sent = statistics[0].sent
        # Those whose stream comes before any probe are pinged at once, each once or twice.
        assert 2 <= sent.packets["ping"] - statistics[0].probes <= 4
        assert sent.packets["ack"] > 10
        assert sent.messages["alive"] >= sent.packets.get("alive", 0) > 0
        assert (1, statistics[0].push_pulls) == (sent.frames["user"], statistics[0].push_pulls)
        assert statistics[0].packets_sent == sum(sent.packets.values())
        assert statistics[0].bytes_sent == sum(sent.packet_bytes.values())


async def test_suspicions_and_indirect_probes_are_counted(autojump_clock):
    async with one_node(gossip_interval=0) as (node, wire):
        wire.deliver(encode_message(alive_of("n2")))
        await trio.sleep(3)
        statistics = node.statistics()
        assert statistics.probes >= statistics.probes_indirect >= statistics.probes_failed >= 1
        assert (1, 0) == (statistics.suspicions, statistics.suspicions_refuted)
        wire.deliver(encode_message(alive_of("n2", incarnation=2)))
        await trio.sleep(0.01)
        assert 1 == node.statistics().suspicions_refuted


async def test_any_thread_may_read_the_age_of_the_queue(autojump_clock):
    async with one_node(gossip_interval=0, probe_interval=0) as (node, wire):
        wire.deliver(encode_message(alive_of("n2")))
        wire.deliver(encode_message(Suspect(1, "n2", "n9")))
        await trio.sleep(7)
        statistics = []
        thread = threading.Thread(target=lambda: statistics.append(node.statistics()))
        thread.start()
        thread.join()
        assert (2, 7.0) == (statistics[0].queue.depth, round(statistics[0].queue.oldest, 3))
        assert statistics[0].packets_lost is None

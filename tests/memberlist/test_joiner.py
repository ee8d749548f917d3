"""Joining many addresses at once."""

import pytest
import trio

from trioserf._exceptions import JoinError, LocalProtocolError
from trioserf._memberlist.joiner import MAX_ADDRESSES, MAX_AT_ONCE, MAX_WARNED
from trioserf.abc import Address

from .kit import cluster, one_node


async def test_each_string_that_was_reached_counts(autojump_clock):
    async with cluster() as c:
        for number in (1, 2, 3):
            await c.start(number)
        assert 3 == await c.nodes[1].join(["10.0.0.2", "10.0.0.3:7946", "n2/10.0.0.2:7946"])
        assert 0 == await c.nodes[1].join([])
        await trio.sleep(1)
        assert [3, 3, 3] == [node.num_alive for node in c.nodes.values()]


async def test_one_success_is_enough(autojump_clock):
    async with cluster() as c:
        for number in (1, 2):
            await c.start(number)
        assert 1 == await c.nodes[1].join(["10.0.0.77", "10.0.0.2", "/bad", "10.0.0.2:99999"])
        # Of the others the healer looks for the one that may exist.
        assert {"10.0.0.77", "10.0.0.2"} == set(c.nodes[1]._seeds.joined)


async def test_none_is_an_error_with_a_cause_and_a_note_for_each(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        c.network.transport("10.0.0.9")
        with pytest.RaisesGroup(
            pytest.RaisesExc(LocalProtocolError, match="node name"),
            pytest.RaisesExc(LocalProtocolError, match="port"),
            ConnectionRefusedError,
        ) as caught:
            await node.join(["/10.0.0.9", "10.0.0.9:x", "10.0.0.9"])
        assert isinstance(caught.value, JoinError)
        headline, *causes = str(caught.value).splitlines()
        assert "none of 3 addresses could be joined" == headline
        assert ["/10.0.0.9", "10.0.0.9:x", "10.0.0.9"] == [line.split("'")[1] for line in causes]
        assert "  while joining '10.0.0.9': " in causes[2]
        assert ["while joining '/10.0.0.9'"] == caught.value.exceptions[0].__notes__
        assert ["while joining '10.0.0.9'"] == caught.value.exceptions[2].__notes__


async def test_slow_addresses_do_not_add_up(autojump_clock):
    async with cluster() as c:
        node = await c.start(1, tcp_timeout=5.0)
        for last in range(20, 20 + MAX_AT_ONCE):
            c.network.cut("10.0.0.1", f"10.0.0.{last}")
        start = trio.current_time()
        with pytest.raises(JoinError):
            await node.join([f"10.0.0.{last}" for last in range(20, 20 + MAX_AT_ONCE)])
        assert 5.0 == pytest.approx(trio.current_time() - start, abs=0.1)


def resolver(answers):
    async def resolve(host, port):
        await trio.lowlevel.checkpoint()
        if host not in answers:
            raise OSError(f"{host!r} is unknown")
        return [Address(address, port) for address in answers[host]]

    return resolve


async def test_a_name_with_many_addresses_counts_once(autojump_clock):
    async with cluster() as c:
        for number in (1, 2, 3):
            await c.start(number)
        node = c.nodes[1]
        node._transport.resolve = resolver({"seed": ["10.0.0.66", "10.0.0.2", "10.0.0.3"]})
        c.network.cut("10.0.0.1", "10.0.0.66")
        start = trio.current_time()
        assert 1 == await node.join(["seed"])
        # The dead address is tried at the same time, and not waited for.
        assert trio.current_time() - start < 1
        assert 1 == node.statistics().seeds


async def test_every_address_of_a_name_is_joined(autojump_clock):
    """Two zones, each nearer to itself than to the other, and no name that gives oneself."""
    for delay in (0.0002, 0.002, 0.02):
        async with cluster(latency=0.0001) as c:
            hosts = [f"10.0.0.{number}" for number in (1, 2, 3, 4)]
            for number in (1, 2, 3, 4):
                await c.start(number, push_pull_interval=0.0)
            c.network.change_link(hosts[:2], hosts[2:], both_ways=True, latency=delay)
            for number, host in enumerate(hosts, 1):
                others = [other for other in hosts if other != host]
                c.nodes[number]._transport.resolve = resolver({"seed": others})

            async def join(number, c=c):
                assert 1 == await c.nodes[number].join(["seed"])

            async with trio.open_nursery() as nursery:
                for number in (1, 2, 3, 4):
                    nursery.start_soon(join, number)
            await trio.sleep(2)
            assert [4] * 4 == [node.num_alive for node in c.nodes.values()], delay


async def test_this_node_itself_is_never_reached(autojump_clock):
    for delay in (0.0002, 0.002, 0.02):
        async with cluster(latency=delay) as c:
            node = await c.start(1)
            await c.start(2)
            answers = {"all": ["10.0.0.1", "10.0.0.2"], "self": ["10.0.0.1"]}
            node._transport.resolve = resolver(answers)
            for text in ("self", "self:7946"):
                with pytest.raises(JoinError) as caught:
                    await node.join([text])
                assert "this node itself" in str(caught.value.exceptions[0])
            assert 1 == await node.join(["all"])
            assert 2 == node.num_alive


async def test_what_leads_back_to_this_node_is_not_reached(autojump_clock):
    """A balancer in front of all nodes has an address that is none of this machine."""
    async with cluster() as c:
        node = await c.start(1)
        dial = node._transport.connect_stream

        async def balanced(to):
            host = "10.0.0.1" if to.host == "10.0.0.100" else to.host
            return await dial(Address(host, to.port))

        node._transport.connect_stream = balanced
        with pytest.raises(JoinError) as caught:
            await node.join(["10.0.0.100"])
        assert "leads back to this node" in str(caught.value.exceptions[0])
        await c.start(2)
        assert 1 == await node.join(["10.0.0.100", "10.0.0.2"])


async def test_of_very_many_addresses_some_are_joined_at_random(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        dialled = []
        dial = node._transport.connect_stream

        async def noting(to):
            dialled.append(to.host)
            return await dial(to)

        node._transport.connect_stream = noting
        hosts = [f"10.0.1.{number}" for number in range(200)]
        node._transport.resolve = resolver({"seed": hosts})
        for _ in range(2):
            with pytest.raises(JoinError):
                await node.join(["seed"])
        assert 2 * MAX_ADDRESSES == len(dialled)
        assert set(dialled[:MAX_ADDRESSES]) != set(dialled[MAX_ADDRESSES:])
        assert set(dialled[:MAX_ADDRESSES]) != set(hosts[:MAX_ADDRESSES])


def joins_under_way(node):
    return [task for task in node.joiner.tasks.nursery.child_tasks if "_join_one" in task.name]


async def test_what_ends_the_wait_of_a_join_comes_out_bare(autojump_clock):
    """As Ctrl-C does: trio raises it from the checkpoint of the main task."""
    async with cluster() as c:
        node = await c.start(1)
        c.network.cut("10.0.0.1", "10.0.0.66")
        task = trio.lowlevel.current_task()

        async def interrupt():
            await trio.sleep(1)
            abort = task._abort_func
            assert abort is not None
            task._attempt_abort(interrupted)

        def interrupted():
            raise KeyboardInterrupt

        c.nursery.start_soon(interrupt)
        with pytest.raises(KeyboardInterrupt):
            await node.join(["10.0.0.66"])
        await trio.sleep(0.1)
        assert not joins_under_way(node)


async def test_a_name_is_looked_up_on_every_attempt(autojump_clock):
    async with cluster() as c:
        for number in (1, 2):
            await c.start(number)
        c.network.transport("10.0.0.9")
        answers = {"seed": ["10.0.0.9"]}
        c.nodes[1]._transport.resolve = resolver(answers)
        with pytest.raises(JoinError):
            await c.nodes[1].join(["seed"])
        answers["seed"] = ["10.0.0.2"]
        assert 1 == await c.nodes[1].join(["seed"])


async def test_a_name_of_which_no_address_answers_has_all_errors(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        node._transport.resolve = resolver({"seed": ["10.0.0.8", "10.0.0.9"], "none": []})
        c.network.transport("10.0.0.8")
        c.network.transport("10.0.0.9")
        with pytest.raises(JoinError) as caught:
            await node.join(["seed", "none", "nobody"])
        first, second, third = caught.value.exceptions
        assert isinstance(first, ConnectionRefusedError)
        assert any("and: " in note for note in first.__notes__)
        assert "has no address" in str(second)
        assert "unknown" in str(third)
        assert 0 == node.statistics().seeds


async def test_a_transport_may_resolve_names_itself(autojump_clock):
    from trioserf._memberlist.open import open_memberlist

    from .kit import Wire, config

    class Naming(Wire):
        async def resolve(self, host, port):
            await trio.lowlevel.checkpoint()
            self.asked = (host, port)
            return []

    wire = Naming()
    async with open_memberlist(config(bind_port=7777), transport=wire) as node:
        with pytest.raises(JoinError):
            await node.join(["service"])
        assert ("service", 7777) == wire.asked


async def test_a_cancelled_join_leaves_nothing_behind(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        c.network.cut("10.0.0.1", "10.0.0.66")
        with trio.move_on_after(1) as scope:
            await node.join(["10.0.0.66"])
        assert scope.cancelled_caught
        assert 0 == node.statistics().seeds
        await trio.sleep(0.1)
        assert not joins_under_way(node)


async def test_a_name_with_a_slash_can_be_joined(autojump_clock):
    async with cluster() as c:
        node = await c.start(1, require_node_names=True)
        await c.start(2, name="rack/2")
        assert 1 == await node.join(["rack/2/10.0.0.2:7946"])
        with pytest.raises(JoinError, match="could be joined"):
            await node.join(["10.0.0.2:7946"])


async def test_a_join_on_tasks_that_ended_says_that_the_node_is_closed(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        c.network.cut("10.0.0.1", "10.0.0.66")

        async def end():
            await trio.sleep(1)
            node.joiner.tasks.nursery.cancel_scope.cancel()

        c.nursery.start_soon(end)
        for _ in range(2):
            with pytest.raises(trio.ClosedResourceError):
                await node.join(["10.0.0.66"])


async def test_a_closed_node_does_not_join(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        c.kill(1)
        await trio.sleep(0.1)
        with pytest.raises(trio.ClosedResourceError):
            await node.join(["10.0.0.2"])


async def test_a_node_closed_while_it_joins_says_so(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)
        c.network.cut("10.0.0.1", "10.0.0.66")

        async def close():
            await trio.sleep(1)
            node.close()

        c.nursery.start_soon(close)
        with pytest.raises(trio.ClosedResourceError):
            await node.join(["10.0.0.66"])


async def test_a_node_closed_while_it_asks_for_an_address_says_so(autojump_clock):
    async with cluster() as c:
        node = await c.start(1)

        async def slow(host, port):
            await trio.sleep(2)
            return [Address("10.0.0.2", 7946), Address("10.0.0.3", 7946)]

        async def close():
            await trio.sleep(1)
            node.close()

        node._transport.resolve = slow
        c.nursery.start_soon(close)
        with pytest.raises(trio.ClosedResourceError):
            await node.join(["seed"])


async def test_clusters_that_were_warned_of_are_remembered_up_to_a_bound(autojump_clock):
    async with one_node() as (node, _):
        joiner = node.joiner
        for number in range(MAX_WARNED + 5):
            joiner._other_cluster("n2", Address("10.0.0.2", number + 1), "n9")
        assert 5 == len(joiner._warned)


async def test_a_lost_node_whose_address_is_this_node_s_by_now_is_not_contacted(autojump_clock):
    """It would exchange state with itself, and take the lost node for found."""
    async with cluster() as c:
        node = await c.start(1)
        before = node.statistics().packets_sent
        with pytest.raises(OSError, match=r"^10\.0\.0\.1:7946 is this node itself$"):
            await node.joiner.reconnect("old", Address("10.0.0.1", 7946))
        assert before == node.statistics().packets_sent
        assert 0 == node.statistics().streams

"""Each program of `examples/` does what its head says, as a process of its own."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
import trio

from tests.programs_under_test import free_ports, programs, wait_for_port
from tests.source_tree import ROOT

EXAMPLES = ROOT / "examples"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="sends signals to processes"),
]


def test_every_example_is_run_here() -> None:
    here = Path(__file__).read_text()
    names = [path.name for path in EXAMPLES.glob("*.py")]
    assert 5 == len(names)
    assert [] == [name for name in names if f'"{name}"' not in here]


async def test_discovery_goes_on_with_the_backends_that_are_left() -> None:
    one, two, three = free_ports(3)
    async with programs(EXAMPLES) as start:
        first = await start("discovery.py", "backend", "--name=shop-1", f"--bind={one}")
        join = f"--join={one}"
        await start("discovery.py", "backend", "--name=shop-2", f"--bind={two}", join)
        front = await start("discovery.py", "front", "--name=front", f"--bind={three}", join)
        await front.until("backends: shop-1 shop-2")
        await front.until("hello from shop-1")
        await front.until("hello from shop-2")
        first.process.kill()  # no farewell: until its failure is known it is passed over
        await first.ends()
        del front.lines[:]
        await front.until(lambda lines: lines.count("hello from shop-2") >= 3)
        await front.until("backends: shop-2")
        assert "no backend answers" not in front.lines


async def test_the_next_in_line_does_the_job_of_one_that_leaves_or_dies() -> None:
    one, two, three = free_ports(3)
    async with programs(EXAMPLES) as start:
        a = await start("singleton_job.py", "--name=a", f"--bind={one}", "--wait=0.5")
        await a.until("a did step 1")
        common = f"--join={one}", "--wait=2"
        b = await start("singleton_job.py", "--name=b", f"--bind={two}", *common)
        c = await start("singleton_job.py", "--name=c", f"--bind={three}", *common)
        await a.until("a did step 4")  # the others have started, and know of a
        assert [] == b.lines == c.lines
        a.process.send_signal(signal.SIGTERM)
        await b.until("b did step 1")
        assert 0 == await a.ends()
        assert "a stops" == a.lines[-1]
        assert [] == c.lines
        b.process.kill()
        await c.until("c did step 1")


async def test_all_forget_what_one_has_changed(tmp_path: Path) -> None:
    one, two = free_ports(2)
    data = f"--data={tmp_path / 'data'}"
    async with programs(EXAMPLES) as start:
        a = await start("cache_invalidation.py", "--name=a", f"--bind={one}", data)
        await a.type("set colour red")
        await a.until("done")
        b = await start("cache_invalidation.py", "--name=b", f"--bind={two}", data, f"--join={one}")
        await b.type("get colour")
        await b.until("colour = red (read)")
        while "colour = red (cached)" not in b.lines:  # the first change may arrive in between
            await b.type("get colour")
            await trio.sleep(0.2)
        while "colour = blue (read)" not in b.lines:  # until it has joined, it receives nothing
            await a.type("set colour blue")
            await trio.sleep(0.5)
            await b.type("get colour")
            await trio.sleep(0.2)
        await b.type("nonsense")
        await b.until("get KEY, or set KEY VALUE")


async def test_a_search_gathers_what_all_shards_have() -> None:
    one, two, three = free_ports(3)
    join = f"--join={one}"
    async with programs(EXAMPLES) as start:
        command = "scatter_gather.py", "shard"
        await start(*command, "--name=one", f"--bind={one}", "--words=red green blue")
        await wait_for_port(one)
        await start(*command, "--name=two", f"--bind={two}", "--words=grey black", join)
        await wait_for_port(two)
        await trio.sleep(1)  # one more gossip interval, and `two` is known to `one`
        search = await start("scatter_gather.py", "search", "gr", f"--bind={three}", join)
        await search.until("green grey")
        assert 0 == await search.ends()
        search = await start("scatter_gather.py", "search", "gr", f"--bind={three}")
        assert 2 == await search.ends()


async def test_a_container_joins_says_that_it_is_well_and_leaves(tmp_path: Path) -> None:
    one, two, health = free_ports(3)
    common = {"CLUSTER_KEY": "c2l4dGVlbiBieXRlcyAxIQ==", "STATE_DIR": str(tmp_path)}
    async with programs(EXAMPLES) as start:
        command = "container_service.py"
        a = await start(command, NODE_NAME="a", BIND=one, HEALTH=health, **common)
        b = await start(command, NODE_NAME="b", BIND=two, SEEDS=one, **common)
        await a.until("alive: a b")
        await wait_for_port(health)
        host, _, port = health.rpartition(":")
        async with await trio.open_tcp_stream(host, int(port)) as stream:
            await stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200 OK\r\n")
        b.process.send_signal(signal.SIGTERM)
        await a.until(lambda lines: "alive: a" == lines[-1])
        assert 0 == await b.ends()
        assert "left" == b.lines[-1]
        assert {"a.keys", "a.snap", "b.keys", "b.snap"} == set(os.listdir(tmp_path))
        # It knows the cluster from its snapshot, without seeds.
        b = await start(command, NODE_NAME="b", BIND=two, **common)
        await b.until("alive: a b")

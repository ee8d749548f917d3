"""One seed gives one run of an encrypted cluster too, and real nodes never have known nonces."""

from __future__ import annotations

import inspect
import random

import attrs
import trio

import trioserf
from trioserf import Config, MemberlistConfig
from trioserf.testing import SimCluster, SimNetwork, TraceDigest
from trioserf.testing.determinism import run

KEY = bytes(range(16))


async def encrypted_life(seed: int) -> str:
    """Nodes join, one crashes and returns with its disk; every byte is hashed."""
    digest = TraceDigest()
    async with SimCluster(seed=seed, loss=0.05, disks=True) as cluster:
        cluster.network.trace = digest
        await cluster.spawn(3, secret_key=KEY)
        await cluster.converged()
        await cluster.crash(2)
        await cluster[0].serf.user_event("while", b"away")
        await cluster.restart(2)
        await cluster.converged()
    assert digest.count > 20
    return digest.hexdigest()


def test_one_seed_gives_one_encrypted_run() -> None:
    first = run(1, encrypted_life, 1)
    assert first == run(1, encrypted_life, 1)
    assert first != run(2, encrypted_life, 2)


def test_no_nonce_is_used_twice_by_a_simulated_cluster() -> None:
    sent: set[bytes] = set()  # gossip sends the same bytes to several peers

    async def main() -> None:
        async with SimCluster(seed=1) as cluster:
            cluster.network.trace = lambda entry: entry.what == "send" and sent.add(entry.data)
            await cluster.spawn(3, secret_key=KEY, join=None)
            for node in cluster.nodes[1:]:
                await node.serf.join([cluster[0].address])
            await cluster.restart(1)
            await trio.sleep(30)

    run(1, main)
    assert len(sent) > 50
    assert len(sent) == len({data[1:13] for data in sent})


def test_a_real_node_takes_its_nonces_from_the_system_whatever_its_config_says() -> None:
    async def life() -> str:
        digest = TraceDigest()
        async with SimNetwork(seed=1, trace=digest) as network:
            peers = []
            for name, host in (("a", "10.0.0.1"), ("b", "10.0.0.2")):
                memberlist = MemberlistConfig.lan(
                    secret_key=KEY, transport=network.transport(host), bind_addr=host
                )
                config = Config.lan(node_name=name, memberlist=memberlist, leave_on_exit=False)
                peers.append(attrs.evolve(config, rng=random.Random(1)))
            async with trioserf.open(peers[0]), trioserf.open(peers[1]) as b:
                await b.join(["10.0.0.1:7946"])
        return digest.hexdigest()

    assert run(1, life) != run(1, life)
    assert ["config"] == list(inspect.signature(trioserf.open).parameters)

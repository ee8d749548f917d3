"""How an agent is found: by IPv6 address, by name, and by the name of its node as well."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import trioserf
from tests.interop.addresses import NO_IPV6, free_port, ipv6_works
from tests.interop.agents import go_agent
from tests.interop.nodes import trioserf_node
from tests.interop.waiting import becomes, limit, stays

BOTH = {"go-1": "alive", "py-1": "alive"}


@pytest.mark.skipif(not ipv6_works(), reason=NO_IPV6)
@pytest.mark.parametrize("who", ["we", "the agent"])
@limit(40)
async def test_a_cluster_lives_on_ipv6(
    binary: Path, tmp_path: Path, nursery: trio.Nursery, who: str
) -> None:
    address = f"[::1]:{free_port('[::1]')}"
    async with (
        go_agent(binary, tmp_path, name="go-1", address=address) as agent,
        trioserf_node(nursery, name="py-1", bind="[::1]:0") as node,
    ):
        local = f"[::1]:{node.serf.local_member.port}"
        if who == "we":
            assert 1 == await node.serf.join([f"go-1/{address}"])
        else:
            await agent.join(local)
        assert BOTH == node.statuses()
        await becomes(BOTH, agent.statuses)
        assert {"go-1": address, "py-1": local} == {
            name: row.addr for name, row in (await agent.members()).items()
        }
        await agent.event("deploy", "from-go")
        await becomes([b"from-go"], lambda: node.user_events("deploy"))
        await stays(BOTH, agent.statuses, seconds=2.5)  # probes work both ways
        assert 0 == node.serf.statistics().memberlist.probes_indirect


@limit(30)
async def test_an_agent_is_joined_by_a_name_that_the_system_resolves(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    port = free_port("127.0.0.1")
    async with (
        go_agent(binary, tmp_path, name="go-1", address=f"127.0.0.1:{port}") as agent,
        trioserf_node(nursery, name="py-1", bind="127.0.0.1:0") as node,
    ):
        with pytest.raises(trioserf.JoinError):
            await node.serf.join([f"no-such-host.invalid:{port}"])
        assert 1 == await node.serf.join([f"localhost:{port}", f"no-such-host.invalid:{port}"])
        await becomes(BOTH, agent.statuses)


@limit(30)
async def test_where_names_are_required_an_agent_is_joined_with_its_name(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    memberlist = trioserf.MemberlistConfig.lan(require_node_names=True)
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1", memberlist=memberlist) as node,
    ):
        with pytest.raises(trioserf.JoinError):
            await node.serf.join([agent.address])
        assert 1 == await node.serf.join([f"go-1/{agent.address}"])
        await becomes(BOTH, agent.statuses)
        await stays(BOTH, agent.statuses, seconds=3)
        assert 0 == node.serf.statistics().memberlist.probes_failed


@limit(30)
async def test_an_agent_outside_of_the_allowed_networks_stays_outside(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    memberlist = trioserf.MemberlistConfig.lan(cidrs_allowed=["10.0.0.0/8", "127.0.0.1/32"])
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1", bind="127.0.0.1:0", memberlist=memberlist) as node,
    ):
        await agent.join(node.address)
        await stays({"py-1": "alive"}, node.statuses, seconds=2)


@limit(40)
async def test_a_node_that_moved_is_warned_that_an_agent_has_its_former_address(
    binary: Path, tmp_path: Path, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        async with trioserf_node(nursery, name="py-1") as node:
            former = node.address
            await node.serf.join([agent.address])
            await becomes(BOTH, agent.statuses)
        async with trioserf_node(nursery, name="py-1") as node:
            await node.serf.join([agent.address])

            def warnings() -> list[str]:
                return [
                    text
                    for text in (record.getMessage() for record in caplog.records)
                    if "peers know this node at" in text
                ]

            await becomes(1, lambda: len(warnings()), seconds=10)
            await stays(1, lambda: len(warnings()), seconds=5)
            assert former in warnings()[0]
            assert node.address in warnings()[0]

"""The hosts that namespaces make: what is lost, what is cut, and that nothing of them stays."""

from __future__ import annotations

import re
import signal
import sys

import pytest
import trio

from tests.interop.namespaces import Host, Network, hosts, why_not
from tests.interop.waiting import limit

COUNT = 1000
SEND = """
import socket, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for _ in range(int(sys.argv[2])):
        sender.sendto(bytes(100), (sys.argv[1], 9))
"""


@pytest.fixture(autouse=True)
def _allowed() -> None:
    if reason := why_not():
        pytest.skip(reason)


async def received(host: Host) -> int:
    """Datagrams that reached a port of this host without a listener."""
    command = [*host.inside, "cat", "/proc/net/snmp"]
    done = await trio.run_process(command, capture_stdout=True)
    names, values = re.findall(r"^Udp: (.*)$", done.stdout.decode(), re.MULTILINE)
    return int(dict(zip(names.split(), values.split(), strict=True))["NoPorts"])


async def passing(sender: Host, receiver: Host) -> int:
    """How many of `COUNT` datagrams from one host reach the other."""
    before = await received(receiver)
    command = [*sender.inside, sys.executable, "-c", SEND, receiver.ip, str(COUNT)]
    await trio.run_process(command)
    return await received(receiver) - before


@limit(30)
async def test_a_lossy_link_loses_its_share_and_no_more_when_loss_is_turned_off() -> None:
    async with hosts(2) as network:
        one, two = network.hosts
        assert COUNT == await passing(one, two)
        await network.lose(30)
        assert 0.62 * COUNT < await passing(one, two) < 0.78 * COUNT  # five deviations
        await network.lose(0)
        assert COUNT == await passing(one, two)
        sent = [counted.packets for counted in await network.sent()]
        assert 3 * COUNT <= sent[0] <= 3 * COUNT + 20


@limit(30)
async def test_a_cut_has_one_direction_and_a_split_two_and_both_heal() -> None:
    async with hosts(3) as network:
        one, two, three = network.hosts

        async def through() -> tuple[bool, ...]:
            pairs = [(one, two), (two, one), (one, three), (two, three)]
            return tuple([COUNT == await passing(*pair) for pair in pairs])

        await network.cut(one, two)
        assert (False, True, True, True) == await through()
        await network.split([three])
        assert (False, True, False, False) == await through()
        await network.heal()
        assert (True, True, True, True) == await through()


@limit(30)
async def test_nothing_is_left_of_hosts_after_a_cancellation() -> None:
    made: list[Network] = []
    with trio.CancelScope() as scope:
        async with hosts(2) as network:
            made.append(network)
            scope.cancel()
            await trio.sleep_forever()
    holders = [made[0].holder, *(host.holder for host in made[0].hosts)]
    assert [-signal.SIGKILL] * 3 == [holder.exit_status for holder in holders]

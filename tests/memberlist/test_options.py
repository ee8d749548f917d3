"""Each option does something: those whose effect no other test shows from outside."""

import ast

import attrs
import pytest
import trio

from tests.source_tree import PACKAGE
from trioserf._config import Config, MemberlistConfig
from trioserf._exceptions import ConfigError
from trioserf._wire.compression import compress_message
from trioserf._wire.messages import Suspect, UserMessage, encode_message

from .kit import Delegate, alive_of, cluster, one_node
from .test_prober import introduce

DECLARED = {"_memberlist_config.py", "_config.py", "_settings.py"}


@pytest.mark.parametrize("config", [MemberlistConfig, Config])
def test_no_option_is_without_a_reader(config):
    read = {
        node.attr
        for path in PACKAGE.rglob("*.py")
        if path.name not in DECLARED
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    own = {
        node.attr
        for name in DECLARED
        for node in ast.walk(ast.parse((PACKAGE / name).read_text()))
        if isinstance(node, ast.Attribute)
    }
    fields = {field.name for field in attrs.fields(config)} - {"dns_config_path"}
    assert set() == fields - read - own


def test_names_are_looked_up_as_the_system_does_and_nothing_else_can_be_asked_for():
    assert "/etc/resolv.conf" == MemberlistConfig().dns_config_path
    with pytest.raises(ConfigError, match="system's resolver"):
        MemberlistConfig(dns_config_path="/etc/other.conf")


async def test_the_health_score_stays_below_its_multiplier(autojump_clock):
    async with one_node(gossip_interval=0, awareness_max_multiplier=2) as (node, wire):
        introduce(wire, "n2", "n3", "n4")
        await trio.sleep(60)
        assert 1 == node.health_score


@pytest.mark.parametrize("mult", [1, 10])
async def test_a_suspect_waits_at_most_a_multiple_of_the_shortest_time(autojump_clock, mult):
    async with one_node(gossip_interval=0, suspicion_max_timeout_mult=mult) as (node, wire):
        introduce(wire, "n2", "n3", "n4", "n5")
        wire.deliver(encode_message(Suspect(1, "n2", "n3")))
        await trio.sleep(0.01)
        suspicion = node._table.suspicion("n2")
        assert 4.0 * mult == pytest.approx(suspicion.deadline - suspicion.started)


@pytest.mark.parametrize("mult", [1, 5])
async def test_broadcasts_are_sent_a_multiple_of_times(autojump_clock, mult):
    async with one_node(probe_interval=0, retransmit_mult=mult, gossip_nodes=1) as (node, wire):
        introduce(wire, "n2")
        await trio.sleep(30)
        assert 0 == node.statistics().queued_broadcasts
        assert mult == node.statistics().sent.messages["alive"] / 2, "of two nodes"


async def test_a_datagram_decompresses_to_no_more_than_is_set(autojump_clock):
    delegate = Delegate()
    async with one_node(delegate=delegate, max_packet_output=5000) as (node, wire):
        for size in (4000, 6000):
            wire.deliver(compress_message(encode_message(UserMessage(bytes(size)))))
        await trio.sleep(0.01)
        assert [4000] == [len(message) for message in delegate.messages]
        assert {"compress": 1} == dict(node.statistics().bad_input)


async def test_without_checks_nothing_is_asked_of_others(autojump_clock):
    async with one_node(gossip_interval=0, indirect_checks=0, disable_tcp_pings=True) as (
        node,
        wire,
    ):
        introduce(wire, "n2", "n3")
        await trio.sleep(10)
        assert 0 < node.statistics().probes_failed
        assert "indirect_ping" not in node.statistics().sent.packets


async def test_behind_a_sidecar_labels_are_neither_expected_nor_allowed(autojump_clock):
    # Someone in front takes the labels of what comes in; what goes out still has them.
    async with cluster() as c:
        behind = await c.start(1, label="blue", skip_inbound_label_check=True)
        bare = await c.start(2)
        await bare.join(["10.0.0.1"])
        assert 2 == behind.num_alive
        await trio.sleep(1)
        assert 0 < bare.statistics().bad_input["label"]


async def test_versions_of_the_delegate_are_announced(autojump_clock):
    fields = {"delegate_protocol_min": 2, "delegate_protocol_max": 5}
    async with one_node(delegate_protocol_version=4, **fields) as (node, _):
        assert bytes((1, 5, 2, 2, 5, 4)) == node.local_node.versions


async def test_more_alive_messages_than_the_handoff_has_room_for_are_dropped(autojump_clock):
    # Half of it is for those who are no members.
    async with one_node(handoff_queue_depth=6, gossip_interval=0, probe_interval=0) as (node, wire):
        for number in range(5):
            wire.deliver(encode_message(alive_of(f"m{number}", bytes((10, 0, 1, number)))))
        await trio.sleep(0.01)
        assert 4 == node.num_nodes
        assert 2 == node.statistics().bad_input["handoff"]

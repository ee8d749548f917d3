"""The command ``reachability``: does every live node answer a query?

It waits for the end of the query even if all have answered, because answers that come twice,
or from nodes that should not be there, are what it looks for.

Source: hashicorp/serf v0.9.4, cmd/serf/command/reachability.go.
"""

from __future__ import annotations

import time

from .agent_connection import GoErrors, connect, take_interrupts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from .._rpc.blocking import BlockingClient
    from .call import Call

_PING: Final = "_serf_ping"
_TIPS: Final = """Troubleshooting tips:
* Ensure that the bind addr:port is accessible by all other nodes
* If an advertise address is set, ensure it routes to the bind address
* Check that no nodes are behind a NAT
* If nodes are behind firewalls or iptables, check that Serf traffic is permitted (UDP and TCP)
* Verify networking equipment is functional"""


def run_reachability(call: Call) -> int:
    """Ping all members by a query, and compare who answered with who is alive."""
    take_interrupts()
    call.check_format()
    with connect(call) as agent:
        with GoErrors("Error getting members: "):
            members = agent.call("members")["Members"]
        live = {member["Name"] for member in members if member["Status"] == "alive"}
        _say(call, f"Total members: {len(members)}, live members: {len(live)}")
        _say(call, "Starting reachability test...")
        began = time.monotonic()
        try:
            acks, last = _ping(call, agent, began)
        except KeyboardInterrupt:
            call.console.error("Test interrupted")
            return 1
    if call["verbose"]:
        took = time.monotonic() - began
        _say(call, f"Query time: {took:.2f} sec, time to last response: {last - began:.2f} sec")
    return _judge(call, live, len(members), acks)


def _ping(call: Call, agent: BlockingClient, began: float) -> tuple[list[str], float]:
    """Who answered, in this order, and when the last one did."""
    acks: list[str] = []
    last = began
    with GoErrors("Error sending query: "):
        for record in agent.records("query", {"Name": _PING, "RequestAck": True}):
            if record["Type"] != "ack":
                continue
            node, last = record["From"], time.monotonic()
            if call["verbose"]:
                _say(call, f"\tAck from '{node}'")
            if node in acks:
                _say(call, f"Duplicate response from '{node}'")
            acks.append(node)
    return acks, last


def _judge(call: Call, live: set[str], total: int, acks: list[str]) -> int:
    repeated = {node for node in acks if acks.count(node) > 1} if len(set(acks)) < len(acks) else ()
    missing, unknown = live - set(acks), set(acks) - live
    failed = bool(repeated) or len(acks) != len(live)
    if repeated:
        _say(
            call,
            "Duplicate responses means there is a misconfiguration. "
            "Verify that node names are unique.",
        )
    if len(acks) == len(live):
        _say(call, "Successfully contacted all live nodes")
    elif len(acks) > len(live):
        _list(call, "Received more acks than live nodes! Acks from non-live nodes:", unknown)
        _say(
            call,
            "This could mean Serf is detecting false-failures due to a misconfiguration "
            "or network issue.",
        )
    else:
        _list(call, "Received less acks than live nodes! Missing acks from:", missing)
        _say(
            call,
            "This could mean Serf gossip packets are being lost due to a misconfiguration "
            "or network issue.",
        )
    if failed:
        _say(call, _TIPS)
    if call.format != "text":
        document = {
            "members": total,
            "live": len(live),
            "acks": len(acks),
            "missing": sorted(missing),
            "unknown": sorted(unknown),
            "repeated": sorted(repeated),
        }
        call.print("", document)
    return 1 if failed else 0


def _list(call: Call, head: str, nodes: set[str]) -> None:
    _say(call, "\n".join([head, *(f"\t{node}" for node in sorted(nodes))]))


def _say(call: Call, line: str) -> None:
    if call.format == "text":
        call.console.line(call.console.safe(line))

"""Commands that ask for one thing: ``join leave force-leave tags info rtt``.

Source: hashicorp/serf v0.9.4, cmd/serf/command/join.go, leave.go, force_leave.go, tags.go,
info.go, output.go, rtt.go; coordinate/coordinate.go, DistanceTo.
"""

from __future__ import annotations

import math

from .agent_connection import GoErrors, NoAgentError, connect
from .call import CommandError
from .go_text import quote, sorted_map
from .members_command import read_tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .._rpc.blocking import BlockingClient
    from .call import Call


def run_join(call: Call) -> int:
    """Let the agent join a cluster."""
    if not call.arguments:
        return call.wrong_usage("At least one address to join must be specified.")
    call.check_format()
    body = {"Existing": call.arguments, "Replay": call["replay"]}
    with connect(call) as agent, GoErrors("Error joining the cluster: "):
        contacted = agent.call("join", body)["Num"]
    call.print(
        f"Successfully joined cluster by contacting {contacted} nodes.", {"contacted": contacted}
    )
    return 0


def run_leave(call: Call) -> int:
    """Let the agent leave its cluster and end.

    DIFFERS: an agent that ends before it answers has left; Go's command fails then with
    "client closed".  Test: test_an_agent_that_ends_before_it_answers_has_left.
    """
    call.check_format()
    with connect(call) as agent:
        try:
            with GoErrors("Error leaving: "):
                agent.call("leave")
        except NoAgentError:
            pass
    call.print("Graceful leave complete", {"left": True})
    return 0


def run_force_leave(call: Call) -> int:
    """Let the cluster take a member for left."""
    if len(call.arguments) != 1:
        return call.wrong_usage("A node name must be specified to force leave.")
    call.check_format()
    (node,) = call.arguments
    with connect(call) as agent, GoErrors("Error force leaving: "):
        agent.call("force-leave", {"Node": node, "Prune": call["prune"]})
    if call.format != "text":
        call.print("", {"node": node, "prune": call["prune"]})
    return 0


def run_tags(call: Call) -> int:
    """Change the tags of the agent."""
    if not call["set"] and not call["delete"]:
        return call.wrong_usage()
    call.check_format()
    with connect(call) as agent:
        tags, deleted = read_tags(call["set"]), list(call["delete"])
        with GoErrors("Error setting tags: "):
            agent.call("tags", {"Tags": tags, "DeleteTags": deleted})
    document = {"set": sorted_map(tags), "deleted": deleted}
    call.print("Successfully updated agent tags", document)
    return 0


# --- info ---------------------------------------------------------------------------------


def run_info(call: Call) -> int:
    """What the agent says about itself."""
    with connect(call) as agent, GoErrors("Error querying agent: "):
        stats = agent.call("stats")
    call.check_format('Encoding error: Invalid output format "{}"')
    sections = {name: sorted_map(stats[name]) for name in sorted_map(stats)}
    lines = []
    for name, section in sections.items():
        lines.append(f"{name}:")
        lines += [f"\t{key} = {value}" for key, value in section.items()]
    call.print(call.console.safe("\n".join(lines).rstrip()), sections)
    return 0


# --- rtt ----------------------------------------------------------------------------------


def run_rtt(call: Call) -> int:
    """Estimate the round-trip time between two nodes from their coordinates."""
    with connect(call) as agent:
        if not 1 <= len(call.arguments) <= 2:
            return call.wrong_usage("One or two node names must be specified")
        call.check_format()
        nodes = list(call.arguments)
        if len(nodes) == 1:
            with GoErrors("Error querying agent: "):
                nodes.append(agent.call("stats").get("agent", {}).get("name", ""))
        here, there = (_coordinate(agent, node) for node in nodes)
    milliseconds = f"{distance(here, there) * 1000:.3f}"
    call.print(
        call.console.safe(f"Estimated {nodes[0]} <-> {nodes[1]} rtt: {milliseconds} ms"),
        {"from": nodes[0], "to": nodes[1], "rtt_ms": float(milliseconds)},
    )
    return 0


def _coordinate(agent: BlockingClient, node: str) -> dict[str, Any]:
    with GoErrors("Error getting coordinates: "):
        found = agent.call("get-coordinate", {"Node": node})
    if not found["Ok"]:
        raise CommandError(f"Could not find a coordinate for node {quote(node)}")
    coordinate: dict[str, Any] = found["Coord"]
    return coordinate


def distance(here: dict[str, Any], there: dict[str, Any]) -> float:
    """Seconds between two coordinates, as an agent sends them.

    `trioserf.Coordinate` has the same rule; loading it would take longer than the command.
    """
    if len(here["Vec"]) != len(there["Vec"]):
        raise CommandError("Error getting coordinates: they have different dimensions")
    estimate = math.dist(here["Vec"], there["Vec"]) + here["Height"] + there["Height"]
    adjusted: float = estimate + here["Adjustment"] + there["Adjustment"]
    return adjusted if adjusted > 0 else estimate

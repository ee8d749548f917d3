"""`peek` and `explain`."""

from __future__ import annotations

import json
from functools import partial

import trio

import trioserf
from tests.agent.fake_agent import CLOSE, CommandLine, Refused, fake_agent
from trioserf import ipc

EXPLAINED = {
    "Text": "b: failed for 3 s\n  It did not answer.",
    "Json": '{"subject": "b", "rtt": Infinity, "causes": ["It did not answer."]}',
}


def config(name: str, **fields: object) -> trioserf.Config:
    return trioserf.Config.local(
        node_name=name,
        bind="127.0.0.1:0",
        leave_on_exit=False,
        **fields,  # type: ignore[arg-type]
    )


def test_an_explanation_is_printed(serf: CommandLine) -> None:
    with fake_agent(explain=EXPLAINED) as agent:
        assert "b: failed for 3 s\n  It did not answer.\n" == serf(agent, "explain", "b")
        assert ("explain", {"Subject": "b"}) == agent.asked[1]
        assert {"subject": "b", "rtt": None, "causes": ["It did not answer."]} == json.loads(
            serf(agent, "explain", "-format=json", "b")
        )
        assert "At most one" in serf.fails(agent, "explain", "a", "b", status=2)


def test_agents_that_cannot_explain(serf: CommandLine) -> None:
    with fake_agent(explain=Refused("Unsupported command")) as agent:
        # The error has no body.
        error = serf.fails(agent, "explain", "-timeout=2s")
        assert "Error explaining: this agent cannot: Unsupported command\n" == error
    with fake_agent(explain=CLOSE) as agent:
        assert "Error explaining: client closed\n" == serf.fails(agent, "explain")


async def test_a_served_node_explains(serf: CommandLine) -> None:
    async with trioserf.open(config("alpha")) as node, trio.open_nursery() as nursery:
        server = await nursery.start(partial(ipc.serve, node, "127.0.0.1:0"))

        def ask() -> None:
            address = f"-rpc-addr={server.address}"
            assert serf(None, "explain", address).startswith("alpha: alive")
            found = json.loads(serf(None, "explain", address, "-format=json", "nobody"))
            assert ("nobody", "unknown") == (found["subject"], found["kind"])

        await trio.to_thread.run_sync(ask)
        nursery.cancel_scope.cancel()


async def test_a_cluster_is_looked_at_from_outside(serf: CommandLine) -> None:
    async with trioserf.open(config("alpha", tags={"role": "web"})) as node:
        address = f"127.0.0.1:{node.local_member.port}"

        def look() -> None:
            assert f"alpha  {address}  alive  role=web\n" == serf(None, "peek", address)
            (line,) = serf(None, "peek", "-format=jsonl", "-timeout=0", address).splitlines()
            assert {"role": "web"} == json.loads(line)["tags"]

        await trio.to_thread.run_sync(look)
        assert 1 == len(node.members())


def test_a_look_that_finds_nothing(serf: CommandLine) -> None:
    assert serf.fails(None, "peek", status=2).startswith("The address of a member must be")
    for words in (["127.0.0.1:1"], ["-encrypt=sh0rt", "127.0.0.1:1"], ["127.0.0.1:x"]):
        error = serf.fails(None, "peek", *words)
        assert error.startswith("Error looking at the cluster: ")
        assert "sh0rt" not in error

"""Clients of others, as PyPI has them, against our agent and Go's: both must do the same.

`TRIOSERF_PUBLIC_CLIENTS` names the folder that ``.ci/test`` fills, each client in a folder of its
own, because they need old versions of what the project needs, too.  Their results are printed
as JSON, one step a line.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.interop.agents import GoAgent, go_agent
from tests.interop.test_agent_replacement import our_program
from tests.interop.waiting import limit

FOLDER = os.environ.get("TRIOSERF_PUBLIC_CLIENTS", "")
THERE = {path.name for path in Path(FOLDER).iterdir()} if FOLDER else set()
KEY = "s3cret"
START = """
import json, sys
host, port, key, other = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
def plain(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value
def show(step, *values):
    print(json.dumps([step, *map(plain, values)]), flush=True)
"""
SERFCLIENT = """
from serfclient.client import SerfClient
client = SerfClient(host, port, rpc_auth=key)
for step, call in {
    "join": lambda: client.join(other),
    "join nobody": lambda: client.join("127.0.0.1:1"),
    "event": lambda: client.event("deploy", b"bytes \\xff"),
    "event of text": lambda: client.event("deploy", "text", coalesce=False),
    "event of nothing": lambda: client.event("deploy"),
    "event that is too long": lambda: client.event("deploy", "x" * 600),
    "members": lambda: client.members(),
    "some members": lambda: client.members(name="a.*", status="alive", tags={"role": "w.b"}),
    "no members": lambda: client.members(name="z"),
    "force-leave": lambda: client.force_leave("nobody"),
    "stats": lambda: client.stats(),
}.items():
    result = call()
    show(step, result.head, result.body)
stream = client.stream(["user:seen", "query"])
show("stream", stream.head)
SerfClient(host, port, rpc_auth=key).event("seen", "now", coalesce=False)
show("record", next(stream.body).body)
client.close()
show("wrong key", SerfClient(host, port, rpc_auth="wrong").event("x").head)
"""
TRIO_SERF = """
import trio
from trio_serf import serf_client
async def main():
    async with serf_client(host=host, port=port, rpc_auth=key) as client:
        for step, call in {
            "join": lambda: client.join(other),
            "members": lambda: client.members(),
            "some members": lambda: client.members(name="a.*", tags={"role": "w.b"}),
            "event": lambda: client.event("deploy", b"bytes \\xff"),
            "force-leave": lambda: client.force_leave("nobody"),
            "stats": lambda: client.stats(),
        }.items():
            result = await call()
            show(step, result.head, result.body)
        async with client.query("load", payload=b"15m", timeout=1, request_ack=True) as query:
            found = []
            async for record in query:
                found.append([record.type, plain(getattr(record, "payload", None) or b"")])
            show("query", sorted(found))
        async with client.stream("user,query:ask") as stream:
            await client.event("seen", b"now", coalesce=False)
            async for record in stream:
                show("record", record.name, record.payload)
                break
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, client)
                async for record in stream:
                    if record.event == "query":
                        await record.respond(b"from a client")
                        break
        async with client.monitor("debug") as monitor:
            async for line in monitor:
                show("monitor", True)
                break
        show("members after streams were stopped", len((await client.members()).body[b"Members"]))
async def ask(client):
    async with client.query("ask", timeout=1) as query:
        show("answers", [record.payload async for record in query if record.type == "response"])
trio.run(main)
"""
PROGRAMS = {"serfclient": SERFCLIENT, "trio-serf": TRIO_SERF}


def results(client: str, agent: GoAgent, other: str) -> list[object]:
    """What a client has got from an agent."""
    host, _, port = agent.rpc_address.rpartition(":")
    done = subprocess.run(
        [sys.executable, "-c", START + PROGRAMS[client], host, port, KEY, other],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(FOLDER, client)), "PYTHONWARNINGS": "ignore"},
    )
    assert 0 == done.returncode, done.stderr
    text = done.stdout.replace(agent.address.rpartition(":")[0], "HOST")
    return [comparable(json.loads(line)) for line in text.splitlines()]


VARYING = re.compile(r"Addr|Port|LTime|version|goroutines|\*:|\w+_time|\w+_queue")
"""Keys whose values differ from run to run."""


def comparable(value: object) -> object:
    """Without what differs from run to run, and lists in one order."""
    if isinstance(value, dict):
        kept = sorted(key for key in value if not VARYING.fullmatch(key))
        return {key: comparable(value[key]) for key in kept}
    return sorted(map(comparable, value), key=repr) if isinstance(value, list) else value


@pytest.mark.slow
@pytest.mark.parametrize("client", PROGRAMS)
@limit(120)
async def test_a_client_of_others_sees_no_difference(
    binary: Path, client: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERF_RPC_AUTH", KEY)  # for the commands that watch the agents
    if client not in THERE:
        pytest.skip(f"the client {client} is not there: .ci/test gets it from PyPI")
    found = {}
    for program in (binary, our_program(tmp_path)):
        folder = tmp_path / f"folder-{program.name}"
        folder.mkdir()
        async with (
            go_agent(
                program,
                folder,
                name="alpha",
                tags={"role": "web"},
                handlers=["query:load=echo 0.42"],
                options={"rpc_auth": KEY},
            ) as agent,
            go_agent(binary, folder, name="beta", options={"rpc_auth": KEY}) as other,
        ):
            found[program] = await trio.to_thread.run_sync(results, client, agent, other.address)
    theirs, ours = found.values()
    assert len(theirs) > 8
    assert theirs == ours

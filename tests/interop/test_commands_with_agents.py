"""Our commands beside Go's, against the same real agents: scripts must not see a difference.

Both programs get the same words; output, errors (on Go's streams) and status are compared.
What Go gives in random order, lines and tags, is sorted on both sides.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from tests.interop.agents import GoAgent, go_agent
from tests.interop.processes import Child, child
from tests.interop.waiting import becomes, found, limit
from tests.source_tree import ROOT

OURS = (sys.executable, "-m", "trioserf")
MARK = "Usage: "


async def outcome(program: Sequence[str], words: Sequence[str], **variables: str) -> list[object]:
    """Status, standard output and standard error of a command, in a form to be compared."""
    environment = {key: value for key, value in os.environ.items() if key[:5] != "SERF_"}
    done = await trio.run_process(
        [*program, *words],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        cwd=ROOT,
        env={**environment, "SERF_ERRORS": "stdout", **variables},
    )
    return [
        done.returncode,
        *(comparable(text.decode(errors="replace")) for text in (done.stdout, done.stderr)),
    ]


def comparable(text: str) -> list[str]:
    """Lines in order, tags in order; of a usage page only that there is one.

    Go lists members in the order of a map, which is random, and cuts the blanks behind the last.
    """
    usage = text.find(MARK)
    if usage >= 0:
        text = text[: usage + len(MARK)]
    text = re.sub(r"no such host|on [\d.:]+: no such host", "no such host", text)
    text = re.sub(r"\b\d+\.\d{3} ms", "N ms", text)
    text = re.sub(r"\b\d+\.\d\d sec", "N sec", text)
    tags = re.compile(r"[^\s=,]+=[^\s,]*(?:,[^\s=,]+=[^\s,]*)+")
    text = tags.sub(lambda m: ",".join(sorted(m[0].split(","))), text)
    return sorted(line.rstrip(" ") for line in text.split("\n"))


async def same(binary: Path, words: Sequence[str], **variables: str) -> list[object]:
    """What both programs do; fails if it is not the same."""
    theirs = await outcome([str(binary)], words, **variables)
    assert theirs == await outcome(OURS, words, **variables)
    return theirs


async def printed(running: Child, part: str) -> None:
    """Wait until a program has printed this."""
    await found(lambda: part in running.output or None)


async def status_of(running: Child) -> int | None:
    """Wait for the end of a program."""
    await found(lambda: running.exit_status is not None or None)
    return running.exit_status


@asynccontextmanager
async def pair(binary: Path, folder: Path) -> AsyncIterator[tuple[GoAgent, GoAgent]]:
    handlers = ["query:load=echo 0.42", "query:long=printf 'two\\nlines <&>\\n\\n\\303'"]
    tags = {"role": "web", "dc": "east", "x": "b=<c>"}
    async with (
        go_agent(binary, folder, name="go-1", profile="local", tags=tags, handlers=handlers) as one,
        go_agent(
            binary, folder, name="go-2", profile="local", handlers=["query:load=echo 1"]
        ) as two,
    ):
        await one.join(two.address)
        await becomes({"go-1": "alive", "go-2": "alive"}, one.statuses)
        await becomes({"go-1": "alive", "go-2": "alive"}, two.statuses)
        yield one, two


FLAG_CASES = """
|bogus|-version|help|-x members|--foo members|-- members
members -bogus|members -name|members ---x|members -=x|members -|members --|members -h=false
event|query|join|force-leave|tags|keys|rtt|rtt a b c|event a b c|query a b c|force-leave a b
event -coalesce=maybe x|event -coalesce= x|query -timeout=5 x|query -timeout= x
query -timeout|query -relay-factor=x q|query -relay-factor=256 q|query -relay-factor=-1 q
query -relay-factor=99999999999999999999 q|query -relay-factor=0x1_0 q|query -tag role q
members -tag role|members -tag =x|keys -list -install x|keys -use x -remove y|keys -install=
members -detailed=x|leave -x|info -format|monitor -log-level|reachability -verbose=2
agent -x|agent --x=1|agent -retry-max=x|agent -replay=maybe|agent -rpc-auth=x|agent -node
keygen -x extra -format=|members -rpc-addr nonsense|members -rpc-addr=|info -rpc-addr a:b:c
info -rpc-addr [::1|info -rpc-addr 127.0.0.1:99999|info -rpc-addr 127.0.0.1:-1
info -rpc-addr 127.0.0.1:bogus|info -rpc-addr [::1]x:1|info -rpc-addr [::1]:1
members -rpc-addr 127.0.0.1:1|event -rpc-addr 127.0.0.1:1 x|query -rpc-addr 127.0.0.1:1 x
tags -rpc-addr 127.0.0.1:1 -set x|rtt -rpc-addr 127.0.0.1:1|leave -rpc-addr 127.0.0.1:1
monitor -rpc-addr localhost:1|reachability -rpc-addr :1|keys -list -rpc-addr 127.0.0.1:1
members -format=xml -rpc-addr 127.0.0.1:1|query -format=xml -rpc-addr 127.0.0.1:1 x
"""


@pytest.mark.parametrize(
    "line", [line for row in FLAG_CASES.strip("\n").split("\n") for line in row.split("|")]
)
@limit(20)
async def test_flags_and_usage_are_the_same(binary: Path, line: str) -> None:
    words = line.split()
    if words[:1] == ["keygen"]:
        assert 0 == (await outcome(OURS, words))[0] == (await outcome([str(binary)], words))[0]
    else:
        await same(binary, words)


@limit(90)
async def test_answers_are_the_same(binary: Path, tmp_path: Path) -> None:
    cases = [
        *("members", "members -detailed", "members -format=json", "members -role web"),
        *("members -name go", "members -name go-.", "members -status failed", "members -name ["),
        *("members -tag role=w.b", "members -tag nosuch=.*", "members -format=xml"),
        *("members -name nobody -format json", "members -role web -format json x y"),
        *("event deploy", "event -coalesce=false deploy v42", "event --coalesce=0 a b"),
        *("event -coalesce false x", "event -- -dashed", f"event big {'x' * 600}"),
        *("query -timeout=500ms load", "query -timeout=500ms -format=json load 15m"),
        *("query -timeout=500ms -no-ack load", "query -timeout=500ms -no-ack -format=json load"),
        *("query -timeout=300ms nothing", "query -timeout=300ms -format=json nothing"),
        *("query -timeout=500ms long", "query -timeout=500ms -format=json long"),
        *("query -timeout=500ms -node=go-2 load", "query -timeout=500ms -tag role=w load"),
        *("query -timeout=300ms -node=nobody load", "query -format=xml load"),
        *("query -timeout=-1s load", "query _serf_x", f"query q {'x' * 1100}"),
        *("join 127.0.0.1:1", "join 127.0.0.1:1 127.0.0.1:2", "force-leave nobody"),
        *("tags -set novalue", "tags -set =x", f"tags -set k={'x' * 600}", "tags -delete never"),
        *("keys -list", "keys -install x!", "keys -use MTIzNDU2Nzg5MDEyMzQ1Ng=="),
        *("rtt go-1", "rtt nobody", "rtt go-1 nobody", "rtt a b c", "rtt"),
        *("info -format=yaml", "monitor -log-level loud", "reachability", "reachability -verbose"),
    ]
    async with pair(binary, tmp_path) as (go, _):
        for case in cases:
            await same(binary, case.split(" "), SERF_RPC_ADDR=go.rpc_address)


@limit(60)
async def test_bytes_of_json_are_the_same(binary: Path, tmp_path: Path) -> None:
    """Go's order of keys, its indentation, and its escapes."""
    async with pair(binary, tmp_path) as (go, _):
        for words in (
            ["members", "-format=json", "-name=go-1"],
            ["query", "-timeout=500ms", "-format=json", "-node=go-1", "load"],
            ["query", "-timeout=500ms", "-format=json", "-node=go-1", "long"],
        ):
            texts = [
                await trio.run_process(
                    [*program, words[0], f"-rpc-addr={go.rpc_address}", *words[1:]],
                    capture_stdout=True,
                    cwd=ROOT,
                )
                for program in ((str(binary),), OURS)
            ]
            assert texts[0].stdout == texts[1].stdout


@limit(30)
async def test_a_key_is_asked_for(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERF_RPC_AUTH", "s3cret")  # for the harness, which looks for members
    async with go_agent(binary, tmp_path, name="go-1", options={"rpc_auth": "s3cret"}) as go:
        for words in ("members", "event x", "info", "keys -list", "query x", "join a", "monitor"):
            for variables in ({}, {"SERF_RPC_AUTH": "wrong"}):
                status, *_ = await same(
                    binary, words.split(), SERF_RPC_ADDR=go.rpc_address, **variables
                )
                assert 1 == status
        found = await outcome(
            OURS, ["members"], SERF_RPC_ADDR=go.rpc_address, SERF_RPC_AUTH="s3cret"
        )
        assert 0 == found[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("words", [["query", "-timeout=30s", "load"], ["monitor"]])
@limit(30)
async def test_signals_end_both_in_the_same_way(
    binary: Path, tmp_path: Path, words: list[str], number: signal.Signals
) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as go:
        ends = []
        for program in ((str(binary),), OURS):
            command = [*program, words[0], f"-rpc-addr={go.rpc_address}", *words[1:]]
            with child(command, output_path=tmp_path / f"{len(ends)}", cwd=ROOT) as running:
                await printed(running, "\n")
                running.process.send_signal(number)
                ends.append(await status_of(running))
        assert ends[0] == ends[1]


@limit(40)
async def test_the_monitor_prints_events_as_go_does(binary: Path, tmp_path: Path) -> None:
    """``%#v`` of what Go's msgpack library makes of a record; the fields are in any order."""
    async with go_agent(binary, tmp_path, name="go-1", tags={"q": "1"}) as go:
        texts = []
        for name, program in (("go", (str(binary),)), ("ours", OURS)):
            command = [*program, "monitor", f"-rpc-addr={go.rpc_address}", "-log-level=err"]
            with child(command, output_path=tmp_path / name, cwd=ROOT) as running:
                while "Event Info" not in running.output:  # begins to listen
                    await go.event("ping", name)
                    await trio.sleep(0.1)
                await go.event("deploy", "hi\n")
                await go.query("ask", timeout="100ms")
                await printed(running, '"ask"')
                texts.append(running.output)
        for part in ('\tName: "deploy"\n', "\tPayload: []byte{0x68, 0x69, 0xa}\n"):
            assert all(part in text for text in texts)
        fields = [
            {line.partition(":")[0] for line in text.splitlines() if line.startswith("\t")}
            for text in texts
        ]
        assert fields[0] == fields[1]


@limit(30)
async def test_leaving_and_the_end_of_the_agent(binary: Path, tmp_path: Path) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as go:
        command = [*OURS, "monitor", f"-rpc-addr={go.rpc_address}"]
        with child(command, output_path=tmp_path / "monitor", cwd=ROOT) as monitor:
            await printed(monitor, "Accepted client")
            left = await outcome(OURS, ["leave"], SERF_RPC_ADDR=go.rpc_address)
            assert [0, ["", "Graceful leave complete"], [""]] == left
            assert 1 == await status_of(monitor)
            assert "\nRemote side ended the monitor!" in monitor.output


# --- beyond Go ----------------------------------------------------------------------------


@limit(30)
async def test_a_query_ends_when_all_have_answered(binary: Path, tmp_path: Path) -> None:
    async with pair(binary, tmp_path) as (go, _):
        with trio.fail_after(10):
            status, out, _ = await outcome(
                OURS,
                ["query", "-timeout=30s", "-require-all", "load"],
                SERF_RPC_ADDR=go.rpc_address,
            )
        assert 0 == status
        assert "Total Responses: 2" in out  # type: ignore[operator]
        status, out, _ = await outcome(
            OURS, ["query", "-timeout=500ms", "-require-all", "long"], SERF_RPC_ADDR=go.rpc_address
        )
        assert 1 == status
        assert "Error: no response from: go-2" in out  # type: ignore[operator]


@limit(40)
async def test_members_are_watched_and_waited_for(binary: Path, tmp_path: Path) -> None:
    async with pair(binary, tmp_path) as (go, other):
        address = f"-rpc-addr={go.rpc_address}"
        watch = [*OURS, "members", address, "-watch", "-format=jsonl"]
        with child(watch, output_path=tmp_path / "watch", cwd=ROOT) as watching:
            await printed(watching, '"name":"go-2"')
            done = await outcome(OURS, ["wait", address, "-members=2", "-timeout=5s"])
            assert 0 == done[0]
            other.kill()
            await printed(watching, '"change":"changed","name":"go-2"')
            done = await outcome(OURS, ["wait", address, "-members=2", "-timeout=500ms"])
            assert [1, ["", "Error waiting for members: 1 of 2 members"], [""]] == done
            watching.process.send_signal(signal.SIGINT)
            assert 0 == await status_of(watching)


@limit(30)
async def test_a_go_agent_cannot_explain(binary: Path, tmp_path: Path) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as go:
        done = await outcome(OURS, ["explain", "go-1"], SERF_RPC_ADDR=go.rpc_address)
        assert [1, ["", "Error explaining: this agent cannot: Unsupported command"], [""]] == done
        done = await outcome(OURS, ["peek", go.address])
        assert [0, ["", f"go-1  {go.address}  alive"], [""]] == done

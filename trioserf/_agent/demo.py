"""``trioserf demo``: five nodes on loopback show what a cluster does, and each step is checked.

The nodes are ordinary ones on UDP and TCP.  Only the timing is hastened, so that a failure is
detected in seconds.  A step counts as observed when the nodes' own events and member lists say
so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import trio

from .. import _attrs as attrs
from .._config import Config
from .._events import EventType, MemberStatus, Query
from .._memberlist_config import MemberlistConfig
from .._serf.open import open_serf
from .._serf.serf import Serf
from .._text import payload_text
from .observer import Observer, Test, member_event, user_event
from .screen import Screen

NAMES = ("ada", "bob", "cyd", "dan", "eve")
STEP_LIMIT = 8.0
"""Seconds after which a step counts as not observed; most take less than one."""
DEMO_LIMIT = 60.0
"""Seconds after which the demo ends in any case."""
PAUSE = 0.7
"""Seconds between two steps, for those who read along."""


def _config(name: str, port: int) -> Config:
    """Go's `local` profile, but with faster probes and shorter suspicion timeouts.

    Each message is sent more often, too: twice, as `local` has it, would leave one node
    without it every few runs, until the next push/pull.
    """
    timing = MemberlistConfig.local(
        probe_interval=0.5, probe_timeout=0.2, suspicion_mult=2, retransmit_mult=6
    )
    return Config.local(
        node_name=name,
        bind=f"127.0.0.1:{port}",
        tags={"role": "web" if name in NAMES[:2] else "worker"},
        memberlist=timing,
        leave_propagate_delay=0.3,
        broadcast_timeout=2.0,
        leave_timeout=4.0,
    )


def _load(name: str, query: Query) -> bytes | None:
    """What a node answers when asked for its load."""
    return f"0.{NAMES.index(name) * 7 + 11}".encode() if query.name == "load" else None


@attrs.define(eq=False)
class DemoNode:
    """One node of the demo, and the scope that ends it at once."""

    serf: Serf
    scope: trio.CancelScope

    @property
    def name(self) -> str:
        return self.serf.name

    @property
    def port(self) -> int:
        return self.serf.local_member.port

    @property
    def address(self) -> str:
        me = self.serf.local_member
        return f"{me.addr}:{me.port}"

    def sees(self) -> dict[str, MemberStatus]:
        return {member.name: member.status for member in self.serf.members()}


@attrs.define(eq=False)
class Demo:
    """The five nodes, the observer of their events, and whether each step was observed."""

    nursery: trio.Nursery
    screen: Screen
    observer: Observer = attrs.field(factory=Observer, init=False)
    nodes: dict[str, DemoNode] = attrs.field(factory=dict, init=False)
    observed: bool = attrs.field(default=True, init=False)

    async def enter(self, name: str, port: int = 0) -> DemoNode:
        """Start a node; its task ends when its scope is cancelled or it has left."""
        node: DemoNode = await self.nursery.start(self._live, name, port)
        self.nodes[name] = node
        return node

    async def _live(self, name: str, port: int, *, task_status: trio.TaskStatus[DemoNode]) -> None:
        with trio.CancelScope() as scope:
            async with open_serf(_config(name, port)) as serf:
                task_status.started(DemoNode(serf, scope))
                await self.observer.follow(name, serf.events, lambda query: _load(name, query))

    def check(self, good: bool, text: str) -> None:
        self.screen.line("", text, "good" if good else "bad")
        self.observed = self.observed and good

    async def everybody_sees(
        self, test: Test, nodes: Collection[str], *, since: float, what: str
    ) -> None:
        """Wait until all these nodes have seen such an event, and print how long each took."""
        seen = await self.observer.wait_seen(test, nodes, since=since, within=STEP_LIMIT)
        for node, at in sorted(seen.items(), key=lambda item: item[1]):
            self.screen.line(node, f"{what} after {_span(at - since)}")
        missing = sorted(set(nodes) - seen.keys())
        text = f"seen by {len(seen)} of {len(nodes)}"
        self.check(not missing, f"{text}, not by {', '.join(missing)}" if missing else text)

    async def all_agree(self, expected: Mapping[str, MemberStatus], nodes: Collection[str]) -> None:
        """Wait until these nodes list exactly these members."""
        agree = await self.observer.wait_until(
            lambda: all(self.nodes[node].sees() == expected for node in nodes),
            within=STEP_LIMIT,
        )
        counts = ", ".join(
            f"{list(expected.values()).count(status)} {status}"
            for status in MemberStatus
            if status in expected.values()
        )
        self.check(agree, f"{len(nodes)} nodes list the same members: {counts}")


def _span(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


async def run_demo(screen: Screen) -> bool:
    """Run all steps.  Returns whether every one was observed."""
    with trio.move_on_after(DEMO_LIMIT) as limit:
        async with trio.open_nursery() as nursery:
            demo = Demo(nursery, screen)
            for step in (_joining, _event, _query, _failure, _leaving, _return):
                await step(demo)
                await trio.sleep(PAUSE)
            screen.heading("the members, as ada sees them at the end")
            screen.block(str(demo.nodes["ada"].serf.members()))
            nursery.cancel_scope.cancel()
    if limit.cancelled_caught:
        screen.line("", f"the demo did not end within {DEMO_LIMIT:.0f} s", "bad")
        return False
    screen.block("Every step was observed." if demo.observed else "Some steps were NOT observed.")
    return demo.observed


async def _joining(demo: Demo) -> None:
    demo.screen.heading("1. five nodes start, and four join through the first")
    for name in NAMES:
        node = await demo.enter(name)
        demo.screen.line(name, f"listens on {node.address}, UDP and TCP")
    ada, *others = (demo.nodes[name] for name in NAMES)
    since = trio.current_time()
    for node in others:
        contacted = await node.serf.join([ada.address])
        demo.screen.line(node.name, f"joins ada: {contacted} node contacted")
    seen = await demo.observer.wait_seen(
        member_event(EventType.MEMBER_JOIN, "eve"), NAMES[:4], since=since, within=STEP_LIMIT
    )
    for name, at in sorted(seen.items(), key=lambda item: item[1]):
        demo.screen.line(name, f"has met eve, {_span(at - since)} after the first join")
    await demo.all_agree(dict.fromkeys(NAMES, MemberStatus.ALIVE), NAMES)


async def _event(demo: Demo) -> None:
    demo.screen.heading("2. an event reaches everybody by gossip")
    since = trio.current_time()
    await demo.nodes["ada"].serf.user_event("deploy", b"v42")
    demo.screen.line("ada", 'sends the user event deploy "v42"', "notice")
    await demo.everybody_sees(
        user_event("deploy", b"v42"), NAMES, since=since, what='receives deploy "v42"'
    )


async def _query(demo: Demo) -> None:
    demo.screen.heading("3. a query is answered")
    since = trio.current_time()
    demo.screen.line("bob", "asks everybody for their load", "notice")
    answers: dict[str, bytes] = {}
    with trio.move_on_after(STEP_LIMIT):
        async with demo.nodes["bob"].serf.query("load", timeout=STEP_LIMIT / 2) as query:
            async for response in query:
                answers[response.node] = response.payload
                took = _span(trio.current_time() - since)
                text = f"answers {payload_text(response.payload)} after {took}"
                demo.screen.line(response.node, text)
                if len(answers) == len(NAMES):
                    break
    demo.check(set(answers) == set(NAMES), f"{len(answers)} of {len(NAMES)} nodes answered")


async def _failure(demo: Demo) -> None:
    demo.screen.heading("4. a node dies, and the others find out")
    since = trio.current_time()
    demo.nodes["eve"].scope.cancel()
    demo.screen.line("eve", "is stopped without leaving", "notice")
    rest = [name for name in NAMES if name != "eve"]
    await demo.everybody_sees(
        member_event(EventType.MEMBER_FAILED, "eve"), rest, since=since, what="declares eve failed"
    )


async def _leaving(demo: Demo) -> None:
    demo.screen.heading("5. a node leaves, which is no failure")
    since = trio.current_time()
    demo.screen.line("dan", "leaves", "notice")
    with trio.move_on_after(STEP_LIMIT):
        await demo.nodes["dan"].serf.leave()
    await demo.everybody_sees(
        member_event(EventType.MEMBER_LEAVE, "dan"), NAMES[:3], since=since, what="sees dan leave"
    )
    demo.nodes["dan"].scope.cancel()


async def _return(demo: Demo) -> None:
    demo.screen.heading("6. the dead node comes back")
    since = trio.current_time()
    eve = await demo.enter("eve", demo.nodes["eve"].port)
    await eve.serf.join([demo.nodes["ada"].address])
    demo.screen.line("eve", f"starts again on {eve.address} and joins ada", "notice")
    await demo.everybody_sees(
        member_event(EventType.MEMBER_JOIN, "eve"), NAMES[:3], since=since, what="sees eve join"
    )
    await demo.all_agree(
        dict.fromkeys(NAMES, MemberStatus.ALIVE) | {"dan": MemberStatus.LEFT}, NAMES[:3]
    )

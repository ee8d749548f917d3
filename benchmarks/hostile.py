"""A node under attack: every attack that is known, over real sockets on loopback.

    python -m benchmarks.hostile [--quick] [--attack NAME ...] [--seconds 15] [--rate 1000]

A victim, an honest peer and a Go agent (where ``serf`` is installed) form a cluster, each a
process of its own.  Somebody who is no member attacks the victim, while victim and peer send
each other events, and newcomers join by the victim.  Then all is quiet, and it is measured how
long the cluster takes until events, queries and joins work as before; and again after the
victim crashed and came back with its snapshot.  A node beside them that is not attacked shows
what the machine does to any node.

The status is 1 if a bound is broken.  An attack whose bound was broken while the machine was
busy is tried once more.

The quick form is for the checks: it takes every third attack of the list, some of each row, so
that the checks end in time; ``--quick --attack NAME`` tries any other.
Its bounds are wider (`WIDER`), because half a second on a shared machine measures the machine as
well.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import attrs
import trio

from benchmarks.attacks.attacker import Attacker
from benchmarks.attacks.catalogue import ATTACKS, Attack
from benchmarks.attacks.cluster import ROOT, Cluster, NodeEnded, cluster, make_anew
from benchmarks.attacks.disks import TRIALS, Trial

HOLD = 0.025
"""Longest time that the event loop may be held (seconds)."""
LATE = 1.0
"""Most that an honest event may be late (seconds)."""
MEMORY = (64 + 64) * 1024 * 1024
"""Most memory above rest (bytes): 64 MB, and the budget of requests that are incomplete."""
LOG = 10_000
"""Most bytes of log in a second."""
LOG_BURST = 2.0
"""A short attack counts as one of so many seconds: the first lines of each kind come at once."""
JOIN = 10.0
"""Longest join of a newcomer (seconds)."""
RECOVERY = 60.0
"""Longest time until all is as before (seconds)."""
QUICKLY = 0.5
"""Length of an attack when it has to be quick (seconds)."""
QUICK_RECOVERY = 10.0
"""And the longest time until all is as before (seconds)."""
BUSY = 0.025
"""The machine is busy if a node beside is late by this (seconds)."""
WIDER = 4
"""And by how much its bounds are wider."""
QUICK_LOST = 2
"""And the most honest events that may be lost."""
QUICK_TRIES = 2
"""And the further tries that an attack has."""
JOIN_INTERVAL = 2.0
"""Seconds between two newcomers."""


@attrs.define(kw_only=True)
class Figures:
    """What one attack did; times in seconds, sizes in bytes."""

    attack: Attack
    quick: bool = False
    seconds: float = 0.0
    packets: int = 0
    streams: int = 0
    sent: int = 0
    hold: float = 0.0
    held_by: str = ""
    collecting: float = 0.0
    collections: Sequence[int] = (0, 0, 0)
    peer_hold: float = 0.0
    control: float = 0.0
    late: float = 0.0
    lost: int = 0
    failed: int = 0
    memory: int = 0
    log: float = 0.0
    forged: int = 0
    joins: int = 0
    joins_failed: int = 0
    slowest_join: float = 0.0
    answered: int = 0
    cpu: float = 0.0
    recovery: float | None = None
    restart: float | None = None
    notes: list[str] = attrs.Factory(list)

    def broken(self) -> list[str]:
        """The bounds that are broken."""
        found, times = [], WIDER if self.quick else 1
        for title, broken in (
            ("hold", self.hold > HOLD * times),
            ("peer's hold", self.peer_hold > HOLD * times),
            ("late", self.late > LATE * times),
            ("lost", self.lost > (QUICK_LOST if self.quick else 0)),
            ("failed", self.failed > 0),
            ("memory", self.memory > MEMORY * times),
            ("log", self.log > LOG * times),
            ("forged", self.forged > 0),
            ("joins", self.joins_failed > 0 or self.slowest_join > JOIN),
            ("recovery", self.recovery is not None and self.recovery >= RECOVERY),
            ("restart", self.restart is not None and self.restart >= RECOVERY),
            ("ended", any(note.startswith("ended") for note in self.notes)),
        ):
            if broken:
                found.append(title)
        return found


@attrs.frozen(kw_only=True)
class Plan:
    seconds: float
    rate: int
    stream_rate: int
    quick: bool
    recovery: float = RECOVERY


# --- one attack ---------------------------------------------------------------------------


async def attack_once(running: Cluster, attack: Attack, plan: Plan) -> Figures:
    """Attack, and measure meanwhile."""
    figures = Figures(attack=attack, quick=plan.quick, seconds=plan.seconds)
    victim, honest, control = running.victim, running.honest, running.control
    attacker = Attacker(
        target=victim.address,
        victim=victim.name,
        honest=honest.name if honest else "nobody",
        host=f"{running.network}.200",
        seconds=plan.seconds,
        rate=plan.rate,
        stream_rate=plan.stream_rate,
        key=None if attack.outsider else running.key,
        peer=running.peer_address,
    )
    failures = running.go.failures(victim.name) if running.go else 0
    rest = (await victim.ask("mark"))["memory"]
    await control.ask("mark")
    if honest is not None:
        await honest.ask("mark")
        for node in (victim, honest):  # once both count
            await node.ask("send")
    attacker.start()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(newcomers, running, attacker, figures)
            await attack.run(attacker)
            await attacker.wait_end()
            figures.packets, figures.streams = attacker.packets, attacker.streams
            figures.sent, figures.answered = attacker.bytes_sent, attacker.bytes_received
            attacker.close()
        await measure(running, figures, rest)
    except NodeEnded as error:
        figures.notes.append(f"ended: {error}")
    except trio.TooSlowError:
        figures.notes.append("ended: no answer for 30 s")
    if running.go:
        figures.failed = running.go.failures(victim.name) - failures
    return figures


async def newcomers(running: Cluster, attacker: Attacker, figures: Figures) -> None:
    """Let newcomers join by the victim until the attack ends, at least one."""
    await trio.sleep(min(1.0, attacker.seconds / 3))
    while attacker.left > 0 and not figures.joins_failed:
        figures.joins += 1
        took = await newcomer(running, figures)
        if took is None:
            figures.joins_failed += 1
        else:
            figures.slowest_join = max(figures.slowest_join, took)
        await trio.sleep(JOIN_INTERVAL)


async def newcomer(running: Cluster, figures: Figures | None = None) -> float | None:
    """Let a newcomer join by the victim; how long it took (seconds), or None."""
    address = running.newcomer_address()
    try:
        answer = await running.maker.ask("newcomer", bind=address, address=running.target)
    except trio.TooSlowError:
        answer = {"error": "no join within 30 s"}
    if "error" in answer and figures is not None:
        figures.notes.append(f"join: {answer['error'][:150]}")
    took: float | None = answer.get("seconds")
    return took


async def measure(running: Cluster, figures: Figures, rest: int) -> None:
    """Read the figures, once the last events had their time."""
    victim, honest = running.victim, running.honest
    sent: dict[str, int] = {}
    for node in (victim, honest):
        if node is not None:
            sent[node.name] = (await node.ask("quiet"))["sent"]
    reports: dict[str, dict[str, Any]] = {}
    for _ in range(11):
        reports = {node.name: await node.ask("report") for node in (victim, honest) if node}
        missing = 0
        if honest is not None:
            for node, other in ((victim, honest), (honest, victim)):
                missing += sent[other.name] - len(
                    reports[node.name]["received"].get(other.name, {})
                )
        if missing == 0:
            break
        await trio.sleep(0.1)
    report = reports[victim.name]
    control = await running.control.ask("report")
    figures.hold, figures.control = report["hold"], control["wall"]
    figures.memory = report["memory"] - rest
    figures.log = report["log"] / max(figures.seconds, LOG_BURST)
    figures.forged = report["unprintable"] + report["forged"]
    figures.collecting, figures.collections = report["collecting"], report["collections"]
    figures.held_by = ", ".join(f"{name} {took * 1e3:.0f}" for name, took in report["tasks"])
    figures.cpu = report["cpu"] / figures.seconds
    figures.lost = missing
    if honest is not None:
        peer = reports[honest.name]
        figures.peer_hold = peer["hold"]
        figures.failed += peer["failures"].count(victim.name)
        figures.forged += peer["unprintable"] + peer["forged"]
        for other, one in ((honest, report), (victim, peer)):
            figures.late = max([figures.late, *one["received"].get(other.name, {}).values()])
    if honest is not None and missing:
        for node, other in ((victim, honest), (honest, victim)):
            got = {int(number) for number in reports[node.name]["received"].get(other.name, {})}
            lost = [number for number in range(1, sent[other.name] + 1) if number not in got]
            if lost:
                which = ", ".join(map(str, lost[:10]))
                figures.notes.append(
                    f"{node.name} missed {len(lost)} of {sent[other.name]} events: {which}"
                )
    if report["gaps"]:
        figures.notes.append(f"the victim's reader missed {report['gaps']} events")
    dropped = sorted(report["bad_input"].items(), key=lambda item: -item[1])[:4]
    if dropped:
        figures.notes.append("dropped: " + ", ".join(f"{name} {n}" for name, n in dropped))


# --- afterwards ---------------------------------------------------------------------------


async def recovered(running: Cluster, limit: float) -> tuple[float, str]:
    """How long it takes until all works as before (seconds), and what worked last."""
    start, word, reason = trio.current_time(), 0, ""
    with trio.move_on_after(limit):
        while True:
            word += 1
            reason = await what_is_wrong(running, f"{time.monotonic()} {word}")
            if not reason:
                return trio.current_time() - start, ""
            if reason.startswith("ended"):
                break
            await trio.sleep(0.2)
    return max(limit, RECOVERY), reason


async def what_is_wrong(running: Cluster, word: str) -> str:
    """What does not work as before; "" if all does."""
    victim, honest, go = running.victim, running.honest, running.go
    try:
        if honest is not None:
            for one, other in ((honest, victim), (victim, honest)):
                seen = await one.ask("members", names=[other.name])
                if seen["members"][other.name] != "alive":
                    return f"{one.name} sees {other.name} {seen['members'][other.name]}"
                await one.ask("probe", word=f"{one.name} {word}")
                got = await other.ask("seen", word=f"{one.name} {word}", limit=1)
                if not got.get("seen"):
                    return f"{other.name} gets no events of {one.name}: {got}"
                got = await one.ask("ask", limit=1.0, names=[other.name])
                if other.name not in got.get("answers", ()):
                    return f"{one.name} gets no answer of {other.name}: {got}"
        if go is not None and go.running:
            if await go.status_of(victim.name) != "alive":
                return f"Go sees the victim {await go.status_of(victim.name)}"
            seen = await victim.ask("members", names=[go.name])
            if seen["members"][go.name] != "alive":
                return f"the victim sees Go {seen['members'][go.name]}"
        took = await newcomer(running)
        if took is None or took > JOIN:
            return f"joins {'fail' if took is None else f'take {took:.1f} s'}"
    except NodeEnded as error:
        return f"ended: {error}"
    except trio.TooSlowError:
        return "no answer for 30 s"
    return ""


async def restart(running: Cluster, figures: Figures, limit: float) -> None:
    """Crash the victim, start it with its snapshot, and see how long it takes to be well."""
    await trio.sleep(0.7)  # the snapshot is written twice a second
    start = trio.current_time()
    await running.victim.kill()
    try:
        await running.victim.start(running.nursery)
    except NodeEnded as error:
        figures.notes.append(f"ended: {error}")
        figures.restart = RECOVERY
        return
    took, reason = await recovered(running, limit)
    figures.restart = max(took, trio.current_time() - start if not reason else took)
    if reason:
        figures.notes.append(f"after a restart {reason}")


async def whole(attack: Attack, plan: Plan, folder: Path, agent: str | None) -> Figures:
    """One attack on a cluster of its own, with all that comes after it."""
    async with cluster_for(attack, folder, agent) as running:
        figures = await attack_and_recover(running, attack, plan)
        await restart(running, figures, plan.recovery)
        return figures


def cluster_for(
    attack: Attack, folder: Path, agent: str | None
) -> AbstractAsyncContextManager[Cluster]:
    return cluster(
        folder=folder,
        alone=attack.alone,
        encrypted=attack.encrypted,
        files=attack.files,
        agent=agent,
    )


async def attack_and_recover(running: Cluster, attack: Attack, plan: Plan) -> Figures:
    await recovered(running, plan.recovery)
    await trio.sleep(attack.age)
    figures = await attack_once(running, attack, plan)
    figures.recovery, reason = await recovered(running, plan.recovery)
    if reason:
        figures.notes.append(f"afterwards {reason}")
    return figures


async def one_after_the_other(
    attacks: Sequence[Attack], plan: Plan, folder: Path, agent: str | None
) -> list[Figures]:
    """Attacks on one cluster, for as long as it is well; the victim crashes at the end.

    An attack that makes up nodes gets a cluster of its own: probing them would be in the figures
    of all that come after it.
    """
    found: list[Figures] = []
    attacks = list(attacks)
    while attacks:
        first = attacks[0]
        async with cluster_for(first, folder / first.name, agent) as running:
            while attacks:
                attack = attacks.pop(0)
                figures = await attack_and_recover(running, attack, plan)
                found.append(figures)
                if figures.broken() or attack.apart or (attacks and attacks[0].apart):
                    break
                if attacks and not attacks[0].same_cluster(first):
                    break
            if running.victim.running and not figures.broken():
                await restart(running, figures, plan.recovery)
    return found


async def disk_trials(folder: Path, found: list[tuple[Trial, float, str]]) -> None:
    """Disks that hang, one trial after the other."""
    for trial in TRIALS:
        took, problem = await disk_trial(trial, folder / trial.name)
        if took > trial.most or problem:
            took, problem = await disk_trial(trial, folder / f"{trial.name}-again")
        found.append((trial, took, problem))


async def disk_trial(trial: Trial, folder: Path) -> tuple[float, str]:
    make_anew(folder)
    command = [sys.executable, "-m", "benchmarks.attacks.disks", trial.name, str(folder)]
    answer, start = b"", trio.current_time()
    with trio.move_on_after(trial.most + 5) as scope:  # the rest is for starting Python
        done = await trio.run_process(command, capture_stdout=True, check=False, cwd=ROOT)
        answer = done.stdout
    took = trio.current_time() - start
    if scope.cancelled_caught or not answer:
        return took, "it did not end"
    said = json.loads(answer.splitlines()[-1])
    return said["took"], said["problem"]


# --- all of them --------------------------------------------------------------------------


def show(figures: Figures) -> None:
    attack = figures.attack
    print(f"\n{attack.row} {attack.name}: {attack.title}")
    traffic = f"{figures.packets} packets, {figures.streams} streams, {figures.sent / 1e3:.0f} kB"
    print(f"    {traffic} in {figures.seconds:g} s; {figures.answered / 1e3:.0f} kB came back")
    joins = f"{figures.joins - figures.joins_failed} of {figures.joins}"
    rows = [
        ("event loop held", f"{figures.hold * 1e3:.0f} ms", f"{HOLD * 1e3:.0f} ms"),
        ("that of the peer", f"{figures.peer_hold * 1e3:.0f} ms", f"{HOLD * 1e3:.0f} ms"),
        ("honest event late", f"{figures.late:.2f} s", f"{LATE:g} s"),
        ("honest events lost", f"{figures.lost}", "0"),
        ("declared failed", f"{figures.failed}", "0"),
        ("memory above rest", f"{figures.memory / 2**20:.1f} MB", f"{MEMORY / 2**20:.0f} MB"),
        ("log", f"{figures.log / 1e3:.1f} kB/s", f"{LOG / 1e3:g} kB/s"),
        ("forged texts", f"{figures.forged}", "0"),
        ("joins by others", f"{joins}, {figures.slowest_join:.2f} s", f"{JOIN:g} s"),
    ]
    for title, value in (("recovered", figures.recovery), ("after a restart", figures.restart)):
        if value is not None:
            rows.append((title, f"{value:.1f} s", f"{RECOVERY:g} s"))
    rows.append(("beside, not attacked", f"{figures.control * 1e3:.0f} ms", ""))
    rows.append(("processor", f"{figures.cpu * 100:.0f} %", ""))
    rows.append(("collections of garbage", "/".join(map(str, figures.collections)), ""))
    for title, shown, most in rows:
        print(f"    {title:22}{shown:>16}{most:>10}")
    collecting = f"collecting garbage {figures.collecting * 1e3:.0f}"
    print(f"    longest turn, in ms: {figures.held_by or 'short'}; {collecting}")
    for note in figures.notes:
        print(f"    {note}")
    broken = figures.broken()
    print(f"    BROKEN: {', '.join(broken)}" if broken else "    within the bounds", flush=True)


def table(all_figures: Sequence[Figures]) -> None:
    head = (
        f"\n{'':3}{'attack':28}{'hold':>6}{'peer':>6}{'late':>7}{'lost':>5}{'fail':>5}{'memory':>7}"
        f"{'log':>8}{'forged':>7}{'joins':>7}{'well':>6}{'again':>6}{'beside':>7}"
    )
    print(head)
    print(
        f"{'':3}{'bound':28}{'25 ms':>6}{'25 ms':>6}{'1 s':>7}{'0':>5}{'0':>5}{'128 MB':>7}"
        f"{'10 kB/s':>8}{'0':>7}{'all':>7}{'60 s':>6}{'60 s':>6}"
    )
    for one in all_figures:
        well = ["-" if v is None else f"{v:.0f}" for v in (one.recovery, one.restart)]
        print(
            f"{one.attack.row:3}{one.attack.name:28}{one.hold * 1e3:6.0f}{one.peer_hold * 1e3:6.0f}"
            f"{one.late:7.2f}{one.lost:5}{one.failed:5}{one.memory / 2**20:7.0f}"
            f"{one.log / 1e3:8.1f}{one.forged:7}{one.joins - one.joins_failed:4}/{one.joins:<2}"
            f"{well[0]:>6}{well[1]:>6}{one.control * 1e3:7.0f}  {', '.join(one.broken())}"
        )


def show_trials(trials: Sequence[tuple[Trial, float, str]]) -> bool:
    """Print how the trials with disks went; whether all went well."""
    well = True
    for trial, took, problem in trials:
        broken = problem or ("too slow" if took > trial.most else "")
        well &= not broken
        print(f"S9 {trial.name:28}{took:6.1f} s of {trial.most:.0f} s  {trial.title}  {broken}")
    return well


async def main(
    plan: Plan, attacks: Sequence[Attack], disks: bool, agent: str | None, keep: str | None
) -> bool:
    """Run the attacks; whether all stayed within the bounds."""
    found: list[Figures] = []
    trials: list[tuple[Trial, float, str]] = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as temporary:
        root = Path(keep or temporary)
        async with trio.open_nursery() as nursery:
            if disks:
                nursery.start_soon(disk_trials, root / "disks", trials)
            if plan.quick:
                found = await one_after_the_other(attacks, plan, root, agent)
            for number, attack in enumerate(attacks):
                figures = (
                    found[number]
                    if plan.quick
                    else await whole(attack, plan, root / attack.name, agent)
                )
                for _ in range(QUICK_TRIES if plan.quick else figures.control > BUSY):
                    if not figures.broken():
                        break
                    print(f"{attack.name} broke {', '.join(figures.broken())}, once more")
                    again = await whole(attack, plan, root / f"{attack.name}-again", agent)
                    figures = min(again, figures, key=lambda one: len(one.broken()))
                if plan.quick:
                    found[number] = figures
                else:
                    found.append(figures)
                if not plan.quick or figures.broken():
                    show(figures)
    table(found)
    well = show_trials(trials)
    broken = sum(bool(one.broken()) for one in found)
    if well and not broken:
        print("\nwithin the bounds")
    else:
        print(f"\n{broken} of {len(found)} attacks break a bound{'' if well else ', and disks'}")
    return well and not broken


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--quick", action="store_true", help="every third attack, briefly")
    parser.add_argument("--attack", action="append", help="a name, or a row such as S3")
    parser.add_argument("--seconds", type=float, help="length of each attack")
    parser.add_argument("--rate", type=int, default=1000, help="packets a second")
    parser.add_argument("--stream-rate", type=int, default=100, help="streams a second")
    parser.add_argument("--encrypted", action="store_true", help="by one who knows the key")
    parser.add_argument("--no-agent", action="store_true", help="without Go")
    parser.add_argument("--keep", help="folder for logs, which stay")
    parser.add_argument("--list", action="store_true", help="name the attacks")
    return parser.parse_args()


def run(options: argparse.Namespace) -> int:
    wanted = options.attack or []
    chosen = [a for a in ATTACKS if not wanted or a.name in wanted or a.row in wanted]
    disks = not wanted or "S9" in wanted
    if options.quick and not wanted:
        chosen = chosen[1::3]
    if options.encrypted:
        chosen = [attrs.evolve(a, encrypted=True) for a in chosen]
    if options.list or not (chosen or disks):
        for each in ATTACKS:
            print(f"{each.row} {each.name:28} {each.title}")
        for trial in TRIALS:
            print(f"S9 {trial.name:28} {trial.title}")
        return not options.list
    plan = Plan(
        seconds=options.seconds or (QUICKLY if options.quick else 15.0),
        rate=options.rate,
        stream_rate=options.stream_rate,
        quick=options.quick,
        recovery=QUICK_RECOVERY if options.quick else RECOVERY,
    )
    agent = None if options.no_agent else shutil.which("serf")
    return not trio.run(main, plan, chosen, disks, agent, options.keep)


if __name__ == "__main__":
    sys.exit(run(parse()))

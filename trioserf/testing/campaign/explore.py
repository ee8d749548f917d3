"""A campaign of random faults: ``python -m trioserf.testing.explore --seeds 1-100``.

Each seed draws a fault schedule, runs it on a cluster of its own and checks the invariants all
through, and that all nodes agree in time after the last fault.  A schedule that fails is shrunk to
the faults that matter, and the command that replays it is printed.  The command ends with 1 if
anything failed.

A line ends with the hash of all that happened in the run; one seed gives one hash.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from .fault_schedules import Fault, Schedule, draw_schedule
from .schedule_runs import Invariants, Outcome, campaign_invariants, run_schedule

_T = TypeVar("_T")

_SHOWN: Final = 40
"""Entries of the timeline that are shown of a failure."""


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        return range(int(first), int(last or first) + 1)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected 7 or 1-100") from None


def _numbers(text: str) -> frozenset[int]:
    try:
        return frozenset(int(number) for number in text.split(",") if number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers such as 2,5") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trioserf.testing.explore",
        description="Run random fault schedules on simulated clusters and check invariants.",
    )
    parser.add_argument("--seeds", type=_seeds, default="1-20", help="one, or first-last")
    parser.add_argument("--nodes", type=int, default=7, help="nodes in each cluster")
    parser.add_argument("--minutes", type=float, default=3.0, help="simulated, of faults")
    parser.add_argument(
        "--faults", type=_numbers, default=None, help="only the faults of these numbers"
    )
    parser.add_argument("--no-shrink", action="store_true", help="leave failures as they are")
    parser.add_argument("--verbose", action="store_true", help="show schedules and timelines")
    return parser


def replay_command(schedule: Schedule) -> str:
    """The command that runs exactly this schedule again."""
    words = ["python", "-m", "trioserf.testing.explore", f"--seeds={schedule.seed}"]
    words += [f"--nodes={schedule.nodes}", f"--minutes={schedule.length / 60:g}"]
    words.append("--faults=" + ",".join(str(fault.number) for fault in schedule.faults))
    return shlex.join(words)


def shrink(
    items: Sequence[_T], still_fails: Callable[[Sequence[_T]], bool], *, tries: int = 200
) -> list[_T]:
    """The items without those that the failure does not need.

    Smaller and smaller parts are left out for good while the rest still fails; at the end no
    single one can be left out, unless the tries ran out before.

    Args:
      items: with all of them it fails.
      still_fails: whether it fails with these alone.
      tries: how often that is asked at most.

    Source: the paper of Zeller and Hildebrandt (2002) on delta debugging, the part that
    leaves out complements.
    """
    kept = list(items)
    size = max(1, len(kept) // 2)
    while kept and tries > 0:
        start, before = 0, len(kept)
        while start < len(kept) and tries > 0:
            fewer = kept[:start] + kept[start + size :]
            tries -= 1
            if still_fails(fewer):
                kept = fewer
            else:
                start += size
        if size == 1 and len(kept) == before:
            break
        size = max(1, size // 2)
    return kept


def shrink_failure(failure: Outcome, *, invariants: Invariants = campaign_invariants) -> Outcome:
    """The same kind of failure with as few faults as were found to be enough."""
    smallest = failure

    def still_fails(faults: Sequence[Fault]) -> bool:
        nonlocal smallest
        outcome = run_schedule(failure.schedule.only(faults), invariants=invariants)
        if outcome.kind == failure.kind:
            smallest = outcome
            return True
        return False

    shrink(failure.schedule.faults, still_fails)
    return smallest


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _report_failure(failure: Outcome, found_in: Schedule) -> None:
    entries = failure.timeline.splitlines()
    _print(f"\n{failure.kind}: {failure.failure}")
    _print(f"{len(failure.schedule.faults)} of {len(found_in.faults)} faults are enough:")
    _print(str(failure.schedule))
    _print(f"the last {min(_SHOWN, len(entries))} of {len(entries)} entries of the timeline:")
    _print("\n".join(entries[-_SHOWN:]))
    _print(f"replay with:\n  {replay_command(failure.schedule)} --no-shrink\n")


def explore_one(
    schedule: Schedule,
    *,
    invariants: Invariants = campaign_invariants,
    shrinks: bool = True,
    verbose: bool = False,
) -> bool:
    """Run a schedule and print how it went; whether it went well."""
    if verbose:
        _print(str(schedule))
    outcome = run_schedule(schedule, invariants=invariants)
    count = f"{len(schedule.faults)} faults"
    if outcome.agreed_after is not None and outcome.ok:
        took = f"agreed after {outcome.agreed_after:.1f} s of at most {outcome.bound:.0f} s"
        _print(f"seed {schedule.seed}: ok, {count}, {took}, run {outcome.digest[:16]}")
    else:
        _print(f"seed {schedule.seed}: {outcome.kind}, {count}, run {outcome.digest[:16]}")
        smallest = shrink_failure(outcome, invariants=invariants) if shrinks else outcome
        _report_failure(smallest, schedule)
    if verbose:
        _print(outcome.timeline)
    return outcome.ok


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a campaign; the exit code."""
    options = _parser().parse_args(arguments)
    started, failed = time.monotonic(), []
    for seed in options.seeds:
        schedule = draw_schedule(seed, nodes=options.nodes, minutes=options.minutes)
        if options.faults is not None:
            schedule = schedule.only_numbers(options.faults)
        if not explore_one(schedule, shrinks=not options.no_shrink, verbose=options.verbose):
            failed.append(seed)
    took = time.monotonic() - started
    _print(f"{len(options.seeds)} seeds in {took:.0f} s, {len(failed)} failed")
    if failed:
        _print(f"failed: {' '.join(map(str, failed))}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

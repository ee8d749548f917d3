"""The figures of the three clusters beside each other, as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from benchmarks.against_go.cluster import Make
from benchmarks.against_go.measure import Detection, Figures, Traffic

TITLES = {"go": "Go", "trioserf": "trioserf", "mixed": "mixed"}


class Line(NamedTuple):
    """One line of the table."""

    title: str
    read: Callable[[Figures], float | None]
    form: str = "{:.2f}"
    compared: bool = True
    """Whether ratios to Go are of use."""


def _each_kill(figures: Figures, pick: Callable[[Iterable[float]], float]) -> list[float]:
    """Of each kill, the first or the last delay (seconds)."""
    return [pick(delay for _, delay in d.delays) for d in figures.detections if d.delays]


def _median(values: Sequence[float], factor: float = 1.0) -> float | None:
    return statistics.median(values) * factor if values else None


def _part(values: Sequence[float], share: float, factor: float = 1.0) -> float | None:
    """The value that this share of them does not exceed."""
    if not values:
        return None
    return sorted(values)[min(len(values) - 1, round(share * (len(values) - 1)))] * factor


def _detection() -> Iterator[Line]:
    first, last = "first member knows of a kill", "all members know of a kill"
    yield Line(f"{first}, median (s)", lambda f: _median(_each_kill(f, min)))
    yield Line(f"{last}, fastest (s)", lambda f: _part(_each_kill(f, max), 0))
    yield Line(f"{last}, median (s)", lambda f: _median(_each_kill(f, max)))
    yield Line(f"{last}, slowest (s)", lambda f: _part(_each_kill(f, max), 1))
    missed = "members that do not know of a kill in 60 s"
    yield Line(missed, lambda f: sum(d.missed for d in f.detections), "{:.0f}", False)


def _events() -> Iterator[Line]:
    title, form = "event to each other member", "{:.0f}"
    yield Line(f"{title}, median (ms)", lambda f: _median(f.event_delays, 1000), form)
    yield Line(f"{title}, 95 % (ms)", lambda f: _part(f.event_delays, 0.95, 1000), form)
    yield Line(f"{title}, slowest (ms)", lambda f: _part(f.event_delays, 1, 1000), form)
    yield Line("members missed by events in 5 s", lambda f: f.events_missed, "{:.0f}", False)


def _traffic(title: str, read: Callable[[Figures], Traffic | None]) -> Iterator[Line]:
    yield Line(f"packets {title}", lambda f: t.packets if (t := read(f)) else None)
    yield Line(f"bytes {title}", lambda f: t.octets if (t := read(f)) else None, "{:.0f}")


def _loss(percent: int) -> Iterator[Line]:
    at = f"at {percent} % loss" if percent else "at rest"

    def wrong(figures: Figures, name: str) -> float | None:
        positives = figures.false_positives.get(percent)
        return None if positives is None else getattr(positives, name)

    yield Line(f"false positives {at}", lambda f: wrong(f, "episodes"), "{:.0f}", False)
    yield Line(f"members that reported them {at}", lambda f: wrong(f, "reported"), "{:.0f}", False)
    yield from _traffic(at, lambda f: f.lossy.get(percent))


def lines(losses: Sequence[int]) -> Iterator[Line]:
    """Everything that is compared."""
    yield from _detection()
    yield from _events()
    yield from _traffic("through kills and returns", lambda f: f.churn)
    for percent in losses:
        yield from _loss(percent)
    yield Line("CPU at rest (ms)", lambda f: _median(list(f.cpu.values())))
    yield Line("memory (MiB)", lambda f: _median(list(f.memory.values())), "{:.1f}")


def show(found: Mapping[str, Figures], losses: Sequence[int]) -> None:
    """Print the table.  Traffic and CPU are for each member and second."""
    kinds = [kind for kind in TITLES if kind in found]
    base, *compared = kinds
    titles = [TITLES[kind] for kind in kinds]
    ratios = [f"{TITLES[kind]} / {TITLES[base]}" for kind in compared]
    print(f"| | {' | '.join(titles + ratios)} |")
    print(f"|---|{'---:|' * (len(titles) + len(ratios))}")
    for line in lines(losses):
        values = [line.read(found[kind]) for kind in kinds]
        if all(value is None for value in values):
            continue
        shown = ["–" if value is None else line.form.format(value) for value in values]
        if line.compared:
            shown += [f"{v / values[0]:.2f}" if v and values[0] else "" for v in values[1:]]
        else:
            shown += [""] * len(compared)
        print(f"| {line.title} | {' | '.join(shown)} |")


def _behind(detection: Detection) -> float:
    """How much later than Go trioserf knew of one kill (seconds), by the mean of each."""
    means = {
        observer: statistics.fmean(delay for make, delay in detection.delays if make is observer)
        for observer in Make
    }
    return means[Make.TRIOSERF] - means[Make.GO]


def show_inside(mixed: Figures) -> None:
    """Which make was first and which knew, where both live in one cluster."""
    print("\nInside the mixed cluster:\n")
    for observer in Make:
        delays = [delay for d in mixed.detections for make, delay in d.delays if make is observer]
        print(
            f"* {observer.value}: knows of a kill after {statistics.median(delays):.2f} s (median),"
            f" {max(delays):.2f} s (slowest); CPU at rest {mixed.cpu[observer]:.1f} ms;"
            f" memory {mixed.memory[observer]:.1f} MiB"
        )
    behind = [_behind(d) for d in mixed.detections]
    print(f"* trioserf knows of a kill {1000 * statistics.median(behind):.0f} ms after Go (median)")
    missed = mixed.events_missed_by_trioserf
    print(f"* {mixed.events_missed} members missed an event, {missed} of them trioserf")
    for victim in Make:
        last = [max(x for _, x in d.delays) for d in mixed.detections if d.victim is victim]
        if last:
            print(f"* one of {victim.value} killed: all know after {statistics.median(last):.2f} s")
    for percent, positives in mixed.false_positives.items():
        print(
            f"* {percent} % loss: {positives.episodes} false positives,"
            f" {positives.of_trioserf} of them about trioserf nodes;"
            f" reported by {positives.reported} members, "
            f"{positives.reported_by_trioserf} of them trioserf"
        )

"""A dead process says so: how soon a crash is known, and what is taken for one by mistake.

    python -m benchmarks.refusal [--seeds N] [--only WORD ...] [--jobs N] [--quick]

Simulated clusters (`trioserf.testing.SimCluster`: real node code, real bytes, profile ``lan``) go
through the same schedules with the same seeds, with Go's rules (``faithful_go``) and with
trioserf's.  A schedule is what is done to a node, or between nodes, and for how long.  Five
tables, of `tables.py`: `CRASHES`, `MISTAKES`, `ODD`, `PRICE` and `RESTARTS`.  Figures are:

* *false*: living nodes that were declared failed, each counted once for every time, however many
  members said so; in brackets, how many members listed them so;
* *known*: seconds from the crash until every running member has the node as failed: median, and
  the 95th percentile.

Seeds are the outer loop: the tables are printed again after each, with what there is so far.

The simulated kernel answers as Linux does: a reset and ICMP port unreachable, of the latter six to
one host in a row and one more every second (it sends more over loopback alone).  The rejects are
the worst that a firewall can do: they answer with resets, and in the name of the host.
"""

from __future__ import annotations

import argparse
import multiprocessing

from benchmarks.refusal.tables import QUICK, TABLES, Result, Task, job, show


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=[], help="parts of names of rows or tables")
    parser.add_argument("--quick", action="store_true", help="one seed of a few rows")
    asked = parser.parse_args()
    names = [
        (title, name)
        for title, table in TABLES.items()
        for name in table.rows
        if not asked.only or any(word in f"{title} {name}" for word in asked.only)
        if not asked.quick or name in QUICK or asked.only
    ]
    results: dict[tuple[str, str, str], list[Result]] = {}
    with multiprocessing.get_context("spawn").Pool(asked.jobs, maxtasksperchild=50) as pool:
        for seed in range(1 if asked.quick else asked.seeds):
            tasks = [
                Task(title, name, column, seed)
                for title, name in names
                for column in TABLES[title].columns
            ]
            for task, result in pool.imap_unordered(job, tasks):
                results.setdefault((task.table, task.row, task.column), []).append(result)
            show(results, seed + 1)


if __name__ == "__main__":
    main()

"""Fail unless tests with real Serf agents ran, and none of them was skipped without need.

A machine may be unable to have hosts of its own (network namespaces): tests that need them may be
skipped then, and are told.

Reads the junit report that pytest wrote: one ``testcase`` for each test, with a child
``skipped`` when it did not run.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

AT_LEAST = 20
"""Fewer interop tests than this means that some were not collected."""

MACHINE = (
    "this machine allows no network namespaces with loss",
    "no IPv6 on the loopback interface",
    "there is a syslog daemon",
    "the client ",
)
"""How the reason of a skip begins that is the machine's, or PyPI's, which may lose a client:
`tests/interop/namespaces.py`, `tests/interop/addresses.py` and tests themselves give them."""


def main(report: str) -> int:
    if not Path(report).exists():
        print(f"no report {report}: pytest did not run")
        return 1
    cases = [
        case
        for case in ElementTree.parse(report).iter("testcase")
        if case.get("classname", "").startswith("tests.interop.")
    ]
    skipped = {
        case.get("name", ""): case.findall("skipped")[0].get("message", "")
        for case in cases
        if case.findall("skipped")
    }
    excused = {name for name, reason in skipped.items() if reason.startswith(MACHINE)}
    for name, reason in skipped.items():
        print(f"skipped{', which is allowed' if name in excused else ''}: {name}: {reason}")
    print(f"{len(cases)} tests with real agents, {len(skipped)} skipped, {len(excused)} allowed")
    return int(skipped.keys() > excused or len(cases) < AT_LEAST)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

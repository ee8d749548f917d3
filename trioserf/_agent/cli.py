"""The command line: ``trioserf COMMAND ...``.

Flags are accepted with one dash as well as with two, as users of Go's ``serf`` type them.
Each command imports what it needs when it runs, so that none pays for another one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from .._version import __version__


def run(arguments: Sequence[str]) -> int:
    """Run one command.  Returns the exit status: 0 for success, 2 for wrong usage."""
    options = _parser().parse_args(arguments)
    status: int = options.run(options)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="trioserf",
        description="Cluster membership, failure detection, events and queries, as Serf does.",
    )
    parser.add_argument(
        "-version", "--version", action="version", version=f"trioserf {__version__}"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="show what a cluster does",
        description="Five nodes on loopback join, talk, fail and come back, in about ten "
        "seconds; the exit status is 0 if every step was observed.  With -join: be a member "
        "of a cluster that is there already, and print what happens until Ctrl-C.",
    )
    demo.add_argument(
        "-join", "--join", metavar="HOST:PORT", help="an existing member to join instead"
    )
    watching = demo.add_argument_group("with -join")
    watching.add_argument("-node", "--node", metavar="NAME", help="name to join under")
    watching.add_argument(
        "-bind",
        "--bind",
        metavar="IP:PORT",
        help="address of this node; default: any port, facing HOST",
    )
    watching.add_argument("-encrypt", "--encrypt", metavar="KEY", help="key in base64")
    watching.add_argument(
        "-profile", "--profile", choices=("lan", "wan", "local"), default="lan", help="timing"
    )
    demo.set_defaults(run=_demo)
    return parser


def _demo(options: argparse.Namespace) -> int:
    import logging

    import trio

    from .screen import make_screen

    # The demo prints what happens; only errors belong beside it.
    logging.basicConfig(level=logging.ERROR)
    screen = make_screen()
    if options.join is None:
        from .demo import run_demo

        return 0 if trio.run(run_demo, screen) else 1

    from .watch import WatchSettings, watch

    settings = WatchSettings(
        join=options.join,
        name=options.node,
        bind=options.bind,
        key=options.encrypt,
        profile=options.profile,
    )
    return trio.run(watch, settings, screen)

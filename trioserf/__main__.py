"""``python -m trioserf`` and the command ``trioserf``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its status."""
    from ._agent.cli import run_program

    sys.exit(run_program(sys.argv[1:]))


if __name__ == "__main__":
    main()

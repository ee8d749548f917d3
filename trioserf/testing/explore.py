"""The command of `trioserf.testing.campaign`: ``python -m trioserf.testing.explore``."""

from __future__ import annotations

import sys

from .campaign.explore import main

if __name__ == "__main__":
    sys.exit(main())

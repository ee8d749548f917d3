"""Check that an sdist has every file that the repository tracks: its tests and pages run from it.

Usage: ``python .ci/check_sdist.py trioserf-*.tar.gz``, in a checkout.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile

UNNEEDED = {".gitignore"}
"""Of use in a repository alone; hatch puts it in nevertheless."""


def missing(path: str) -> list[str]:
    """Tracked files that are not in the archive."""
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True)
    with tarfile.open(path) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    return sorted(set(listed.stdout.splitlines()) - packed - UNNEEDED)


if __name__ == "__main__":
    if found := missing(sys.argv[1]):
        sys.exit(f"not in the sdist: {', '.join(found)}")
    print("the sdist has all that is tracked")

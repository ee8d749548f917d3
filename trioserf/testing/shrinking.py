"""Finding the few things that matter among many.  Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def shrink(
    items: Sequence[T], still_fails: Callable[[Sequence[T]], bool], *, tries: int = 200
) -> list[T]:
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

"""Whether a query is for this node: names, and expressions over tags.

What cannot be decided (a broken filter, an unknown type, an expression that Go refuses or
that is too costly) counts as "not for this node", with a problem to be logged.  The query is
still rebroadcast.

Filters come from the network, and anybody can send a thousand a second.  So every piece of
work, reading a filter, parsing, compiling and matching, is charged to a `Budget` before it is
done: a small one for each query, and a `TokenBucket` of so much a second for the queries of
all other nodes together.

DIFFERS: Go has no bounds; its expressions cost little, and need no interpreter
(test_filters_of_others_cost_no_more_than_their_allowance).

Source: hashicorp/serf v0.9.4, serf/query.go, shouldProcessQuery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from .. import _attrs as attrs
from .._exceptions import RemoteProtocolError
from .._swim.token_bucket import TokenBucket
from .._wire.query_filters import NodeFilter, decode_filter

if TYPE_CHECKING:
    from .re2.program import Budget

MAX_STEPS: Final = 10_000
"""Work for all filters of one query together (steps of `Budget`): 2 to 3 ms.  A usual
filter takes less than 100, sixty host names 5,000, and a thousand names of nodes 3,000."""
STEPS_PER_SECOND: Final = 100_000
"""Work for the filters of all queries of others, 20 to 30 ms each second."""
_FILTER_COST: Final = 20
"""Reading one filter (steps)."""
_BYTES_PER_STEP: Final = 4
"""Bytes of a filter that are read for one step more."""


@attrs.frozen
class FilterResult:
    """Whether all filters passed; it is true exactly then.

    Args:
      passed: the answer.
      problem: why a filter could not be decided; None if all could.
      exhausted: whether that was for want of steps.
    """

    passed: bool
    problem: str | None = None
    exhausted: bool = False

    def __bool__(self) -> bool:
        return self.passed


def matches(
    filters: Sequence[bytes | None],
    node_name: str,
    tags: Mapping[str, str],
    bucket: TokenBucket | None = None,
    now: float = 0.0,
) -> FilterResult:
    """Evaluate the filters of a query, up to the first that fails.

    Args:
      filters: as they are in the query.
      node_name, tags: of the node; a tag that it does not have is empty.
      bucket: pays for the work; None for queries of this node.
      now: trio clock (seconds), for the bucket.
    """
    if not filters:
        return FilterResult(True)
    from .re2.program import Budget, OverBudget  # most programs never see a query with filters

    steps = MAX_STEPS if bucket is None else int(max(0.0, min(MAX_STEPS, bucket.left(now))))
    budget = Budget(steps)
    try:
        for filter in filters:
            if not _passes(filter, node_name, tags, budget):
                return FilterResult(False)
    except OverBudget as error:
        return FilterResult(False, str(error), exhausted=True)
    except RemoteProtocolError as error:
        return FilterResult(False, str(error))
    finally:
        if bucket is not None:
            bucket.spend(now, steps - max(0, budget.left))
    return FilterResult(True)


def _passes(data: bytes | None, node_name: str, tags: Mapping[str, str], budget: Budget) -> bool:
    budget.spend(_FILTER_COST + len(data or b"") // _BYTES_PER_STEP)
    filter = decode_filter(data)
    if isinstance(filter, NodeFilter):
        return node_name in filter.names
    from .re2.program import OverBudget, compile_expression

    try:
        program = compile_expression(filter.expr, budget)
        return program.found_in(tags.get(filter.tag, ""), budget)
    except OverBudget:
        raise
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"filter for tag {filter.tag!r}: {error}") from error

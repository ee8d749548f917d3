"""Whether a query is for this node: names, and expressions over tags.

What cannot be decided (a broken filter, an unknown type, an expression that Go refuses or
that is too costly) counts as "not for this node", with a problem to be logged.  The query is
still rebroadcast.

Source: hashicorp/serf v0.9.4, serf/query.go, shouldProcessQuery.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from .. import _attrs as attrs
from .._exceptions import RemoteProtocolError
from .._wire.query_filters import NodeFilter, decode_filter

if TYPE_CHECKING:
    from .re2.program import Budget

MAX_STEPS: Final = 200_000
"""Work for all filters of one query together (steps of `Budget`); well under a second."""


@attrs.frozen
class FilterResult:
    """Whether all filters passed; it is true exactly then.

    Args:
      passed: the answer.
      problem: why a filter could not be decided; None if all could.
    """

    passed: bool
    problem: str | None = None

    def __bool__(self) -> bool:
        return self.passed


def matches(
    filters: Sequence[bytes | None], node_name: str, tags: Mapping[str, str]
) -> FilterResult:
    """Evaluate the filters of a query, up to the first that fails.

    Args:
      filters: as they are in the query.
      node_name, tags: of the node; a tag that it does not have is empty.
    """
    if not filters:
        return FilterResult(True)
    from .re2.program import Budget  # most programs never see a query with filters

    budget = Budget(MAX_STEPS)
    try:
        for filter in filters:
            if not _passes(filter, node_name, tags, budget):
                return FilterResult(False)
    except RemoteProtocolError as error:
        return FilterResult(False, str(error))
    return FilterResult(True)


def _passes(data: bytes | None, node_name: str, tags: Mapping[str, str], budget: Budget) -> bool:
    filter = decode_filter(data)
    if isinstance(filter, NodeFilter):
        return node_name in filter.names
    from .re2.program import compile_expression

    try:
        program = compile_expression(filter.expr)
        budget.spend(program.size)
        return program.found_in(tags.get(filter.tag, ""), budget)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f"filter for tag {filter.tag!r}: {error}") from error

"""Speaking for the own node: announcing it, and outbidding claims about it.

Source: hashicorp/memberlist v0.2.2, state.go, refute.
"""

from __future__ import annotations

from collections.abc import Callable

from .._wire.messages import Alive, encode_message
from .effects import Broadcast, Effect, Refused, Refuted
from .incarnations import successor, wrapped_successor
from .nodes import Incarnation, Node


def announce(local: Node, on_finished: Callable[[], object] | None = None) -> Broadcast:
    """The own node as it is now, for everybody.

    DIFFERS: Go files a refutation under its IP address, so that an older announcement may
    wait beside it; here all claims about a node share its name.
    Test: test_a_refutation_replaces_what_is_queued_about_us.
    """
    claim = Alive(
        incarnation=local.incarnation,
        node=local.name,
        addr=local.addr,
        port=local.port,
        meta=local.meta,
        versions=local.versions,
    )
    return Broadcast(local.name, encode_message(claim), local=True, on_finished=on_finished)


def refute(local: Node, accused: Incarnation, *, faithful: bool) -> list[Effect]:
    """Outbid a claim about ourselves.

    Args:
      accused: incarnation of the claim; plausible.
      faithful: wrap at the end of the range as Go does.
    """
    following = wrapped_successor if faithful else successor
    local.update(incarnation=following(local.incarnation, accused))
    return [Refuted(local.incarnation), announce(local)]


def refute_implausible(local: Node, accused: Incarnation) -> list[Effect]:
    """Answer an implausible claim about ourselves without following its number.

    The health score stays: a forged number says nothing about our health.
    """
    local.update(incarnation=successor(local.incarnation))
    return [Refused(local.name, f"implausible incarnation {accused} of ourselves"), announce(local)]

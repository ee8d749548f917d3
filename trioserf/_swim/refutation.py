"""Refutation: a message about the local node is answered with a higher incarnation.

A suspect or dead message about the local node is refuted with an alive message of a higher
incarnation.  So is an alive message about it that does not say what it is now: one of an earlier
run of this node, for example.

An incarnation is a u32 that only its node raises, by one, to refute a suspect or dead message
or to announce new metadata.  Receivers compare with a plain "greater than", so there is
nothing above 2**32 - 1: in Go a single forged message with that number makes its victim wrap
to 0, which every peer takes for stale.  What helps depends on where a number comes from.

Real incarnations are small.  Counting by ones, once a second, takes 136 years to the end.  So
the last 1/256 of the range is a *band* that no node reaches by counting.  Below the band the
rules are those of Go, whatever the jump: an unmodified Go cluster, one whose nodes start from
a clock, and one whose nodes were suspected with large numbers, all work as they did.  In the
band an incarnation must be a short step from the record's, and a longer jump is *implausible*:

* A suspect or dead message about another node is dropped.  It is not needed: if the node is
  dead, a probe finds out, with an incarnation that the node can refute.
* One about the local node is refuted with an ordinary incarnation, one above the local one
  and not above the forged one.  Peers with these rules never applied the forgery.  Go peers
  that did drop the refutation and list this node as dead, but only until they drop its record
  (``gossip_to_the_dead_time``); then they accept any incarnation, and because the local one
  stayed small, every later suspicion can be refuted again.  Had it followed the forged number
  to the top, none could.
* An alive message about another node is applied only if that node sent it (in a packet, or in
  a push/pull).  A Go node that was suspected inside the band does refute and goes on counting
  there, and sends so itself.  Passed on by others, the same message may be forged, and would
  make every later message of the real node stale.

Alive messages may step a little further up than suspect and dead messages, so that the
refutation of the highest one that is accepted is accepted as well.  To push a node from the
foot of the band to the end of the range takes thousands of forged messages, each of which the
node refutes; with a key, it cannot be done.  At the very end the counter stays where it is,
and peers drop the record and learn of the node anew.

Source: hashicorp/memberlist v0.2.2, state.go: nextIncarnation, skipIncarnation, refute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .._wire.limits import MAX_U32
from .._wire.messages import Alive, encode_message
from .effects import Broadcast, Effect, MessageKind, Refused, Refuted
from .nodes import Incarnation, Node

MAX_INCARNATION: Final = MAX_U32
"""The end of the range."""
SUSPECT_BAND: Final = MAX_INCARNATION + 1 - 2**24
"""From here on a suspect or dead message must be a short step."""
ALIVE_BAND: Final = SUSPECT_BAND + 2**23
"""From here on an alive message must be a short step."""
STEP: Final = 1024
"""How far an incarnation in the band may be above the record's: messages that were missed."""

NO_INCARNATION: Final = -1
"""There is no message to refute."""


def plausible_suspect(incarnation: Incarnation, known: Incarnation) -> bool:
    """Whether a suspect or dead message may be real, given the incarnation of the record.

    DIFFERS: Go accepts every number.
    Test: test_an_implausible_suspicion_of_another_node_is_dropped.
    """
    return incarnation < SUSPECT_BAND or incarnation <= known + STEP


def plausible_alive(incarnation: Incarnation, known: Incarnation) -> bool:
    """Whether an alive message that was passed on may be real, given the record's incarnation.

    DIFFERS: Go accepts every number.
    Test: test_an_implausible_alive_message_is_applied_only_from_the_node_itself.
    """
    return incarnation < ALIVE_BAND or incarnation <= known + STEP


def next_incarnation(local: Incarnation, refuted: Incarnation = NO_INCARNATION) -> Incarnation:
    """The next local incarnation: above the present and the refuted one, while there is room.

    DIFFERS: Go wraps to 0, which peers never accept.
    Test: test_the_last_incarnation_does_not_wrap.
    """
    return min(max(local, refuted) + 1, MAX_INCARNATION)


def wrapped_incarnation(local: Incarnation, refuted: Incarnation = NO_INCARNATION) -> Incarnation:
    """`next_incarnation` as Go computes it."""
    following = (local + 1) & MAX_INCARNATION
    return following if refuted < following else (refuted + 1) & MAX_INCARNATION


# --- refutations --------------------------------------------------------------------------


def announce(local: Node, on_finished: Callable[[], object] | None = None) -> Broadcast:
    """Broadcast the local node as it is now.

    DIFFERS: Go queues a refutation under its IP address, so that an older announcement may
    wait beside it; here all messages about a node share its name.
    Test: test_a_refutation_replaces_what_is_queued_about_the_local_node.
    """
    alive = Alive(
        incarnation=local.incarnation,
        node=local.name,
        addr=local.addr,
        port=local.port,
        meta=local.meta,
        versions=local.versions,
    )
    return Broadcast(local.name, encode_message(alive), local=True, on_finished=on_finished)


def refute(
    local: Node,
    refuted: Incarnation,
    *,
    faithful: bool,
    kind: MessageKind = "alive",
    by: str = "",
) -> list[Effect]:
    """Refute a message about the local node.

    Args:
      refuted: incarnation of the message; plausible.
      faithful: wrap at the end of the range as Go does.
      kind, by: what message it was, and who suspects the node or declared it dead.
    """
    following = wrapped_incarnation if faithful else next_incarnation
    local.update(incarnation=following(local.incarnation, refuted))
    return [Refuted(local.incarnation, kind, by), announce(local)]


def refute_implausible(local: Node, refuted: Incarnation) -> list[Effect]:
    """Refute an implausible message about the local node without following its number.

    The health score stays: a forged number says nothing about the health of this node.
    """
    local.update(incarnation=next_incarnation(local.incarnation))
    return [
        Refused(local.name, f"implausible incarnation {refuted} of the local node"),
        announce(local),
    ]

"""Counting lives: which incarnation is believed, and which comes next.

An incarnation is a u32 that only its node raises, by one, to outbid an accusation or to
announce new metadata.  Receivers compare with a plain "greater than", so there is nothing
above 2**32 - 1: in Go a single forged accusation with that number makes its victim wrap to 0,
where nobody listens any more.  What helps depends on where a number comes from.

Honest numbers are small.  Counting by ones, once a second, takes 136 years to the end.  So
the last 1/256 of the range is a *band* that nobody reaches by counting.  Below the band we
behave as Go does, whatever the jump: an unmodified Go cluster, one whose nodes start from a
clock, and one whose nodes were accused with large numbers, all work as they did.  In the
band a claim must be a short step from what is held, and a longer jump is *implausible*:

* An accusation of another node is dropped.  It is not needed: if the node is dead, our own
  probes find out, with a number that it can outbid.
* An accusation of ourselves is answered with an ordinary new life, one above our own, and
  not above the forged one.  Peers of our kind never believed the accusation.  Go peers that
  did drop our answer and hold us dead, but only until they forget us
  (``gossip_to_the_dead_time``); then any incarnation is news to them, and because ours
  stayed small, every later honest accusation can be outbid again.  Had we followed the
  forged number to the top, none could.
* A claim of life about another node is believed only from that node itself (its own packet,
  or its own state).  A Go node that was accused inside the band does outbid it and goes on
  counting there: it is heard first-hand.  Relayed, the same claim may be forged, and would
  deafen us to the real node.

Claims of life may step a little further up than accusations, so that the answer to the
highest accusation that is believed is believed as well.  Whoever wants to push a node from
the foot of the band to the end of the range needs thousands of forged messages, each of which
the node answers; with a key, none.  At the very end the counter stays where it is, and peers
forget and relearn the node.

Source: hashicorp/memberlist v0.2.2, state.go: nextIncarnation, skipIncarnation, refute.
"""

from __future__ import annotations

from typing import Final

from .nodes import Incarnation

MAX_INCARNATION: Final = 2**32 - 1
"""The end of the range."""
SUSPECT_BAND: Final = 2**32 - 2**24
"""From here on an accusation must be a short step."""
ALIVE_BAND: Final = SUSPECT_BAND + 2**23
"""From here on a claim of life must be a short step."""
STEP: Final = 1024
"""How far a claim in the band may be above what is held: news that were missed."""

NOBODY: Final = -1
"""Stands for the accused incarnation where nobody accused."""


def plausible_suspect(incarnation: Incarnation, held: Incarnation) -> bool:
    """Whether a suspect or dead claim may be honest, given what is held of the node.

    DIFFERS: Go believes every number.
    Test: test_an_implausible_accusation_of_another_node_is_dropped.
    """
    return incarnation < SUSPECT_BAND or incarnation <= held + STEP


def plausible_alive(incarnation: Incarnation, held: Incarnation) -> bool:
    """Whether a relayed alive claim may be honest, given what is held of the node.

    DIFFERS: Go believes every number.
    Test: test_an_implausible_life_is_believed_only_first_hand.
    """
    return incarnation < ALIVE_BAND or incarnation <= held + STEP


def successor(local: Incarnation, accused: Incarnation = NOBODY) -> Incarnation:
    """The next own incarnation: above the own and the accused one, as long as there is room.

    DIFFERS: Go wraps to 0, which peers never accept.
    Test: test_the_last_incarnation_does_not_wrap.
    """
    return min(max(local, accused) + 1, MAX_INCARNATION)


def wrapped_successor(local: Incarnation, accused: Incarnation = NOBODY) -> Incarnation:
    """`successor` as Go computes it."""
    following = (local + 1) & MAX_INCARNATION
    return following if accused < following else (accused + 1) & MAX_INCARNATION

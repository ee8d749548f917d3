"""When the host of a node refuses its ports: is its process dead, or is something else wrong?

When a process ends, the kernel of its host refuses its ports: a packet is answered with ICMP port
unreachable, a connection with a reset.  A process that is slow, stopped, swapping or overloaded
keeps its sockets, and its kernel refuses nothing.  So refusal tells *dead* from *slow*, for which
the suspicion timeout otherwise has to wait.  It is not proof: firewalls refuse, too, and a service
that restarts refuses for a moment.  A node is declared dead without the suspicion timeout only if
all of this is true:

*Evidence.*  In one port check both are refused, a packet and a connection, the latter with a reset
from the address itself.  Either alone is what a firewall for one protocol does.  An address to
which no connection was ever opened since the node has had this incarnation is no evidence: perhaps
its port was never reachable from here.  What was forged or rejected on the way costs a check, no
more.

*Twice.*  Two such checks, `refusal_grace` apart, and no sign of life in between.  A restart in
place, and a short reject of a whole host, are over by then.  A process that was stopped itself
has not seen what was there in between: a check that comes `TOO_LATE` ends the round.

*Corroboration.*  Another node has checked for itself, and was refused as well.  It is asked, and
its own reset and its own unreachable packet are what counts: that something does not answer says
nothing here, because silence has many causes.  A firewall between two nodes refuses to one of
them.  Nodes are asked by an indirect ping, so that each of them may also bring an ack, from any
version of any implementation; see *Signs of life*.

*Time to refute.*  As soon as a second node was refused the suspicion is broadcast, and sent to the
suspect with the pings of the checks, by both nodes.  From then on it has at least as long as
between two checks, and four round trips.

*Signs of life* end the round at once: an ack, by whatever way; a connection that is accepted; a
ping of the suspect that arrives; its refutation.  Half of a firewall lets the other half through.

Without corroboration the round ends after `MAX_CHECKS` checks, and the suspicion by missing acks,
which goes on beside it all the time, decides as always.  If several nodes refuse at once and
nobody else was refused, then it is this node from which nothing goes out: that raises its health
score, as missing nacks do.  Where there is nobody to ask, because this node and the suspect are
all there is, the checks go on for `ALONE_FACTOR` times as long instead.

Why ask before suspecting: a firewall that rejects between two nodes is there for hours.  If the
one said each time that it suspects the other, that node would have to refute each time, and under
loss some refutations come too late.

Who is asked answers with its suspect message and a nack in one packet, in this order.  Go nodes
understand both; no Go node sends a nack so, and so it is known that the nack means a refusal.  The
number of the indirect ping is random, so that nobody else can answer.

What remains, and what it costs: a reject of a whole host by a firewall on the host, for both
protocols, with resets, and for longer than `refusal_grace`, kills the node in the view of the
others until it ends.  The suspicion timeout rides out some seconds of it.

Source: Leners et al., "Detecting failures in distributed systems with the Falcon spy network"
(SOSP 2011), for the idea that a layer below knows; RFC 1122 for what hosts answer.  Go's
memberlist has nothing like it.
"""

from __future__ import annotations

import enum
import math
from typing import Final, final

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .nodes import Node

MAX_CHECKS: Final = 4
"""Checks without corroboration after which a round ends."""
MOST_CHECKS: Final = 16
"""Checks after which a round ends in any case."""
ALONE_FACTOR: Final = 4
"""Factor for the least time from the first refused check to the last, if no node can be asked."""
ROUND_TRIPS: Final = 4
"""Least time that a suspect has to refute (round trips to it)."""
ASKED_AT_ONCE: Final = 3
"""Least nodes that are asked to check at the same time; further ones are asked at each check, and
in between."""
TOO_LATE: Final = 2.0
"""A check that ends so much later than it was due, beside a ``probe_timeout``, ends the round
(seconds): this process may have been stopped in between."""
QUIET_TIME: Final = 2.0
"""Time until a further round about the same node may begin, if the last ended without a result
(seconds)."""
CHECKERS: Final = 8
"""Nodes that check for themselves, on average, of those that receive a suspicion."""


class PortCheck(enum.Enum):
    """What one check of the ports of a node showed."""

    REFUSED = "refused"
    """A packet and a connection, the latter with a reset from the address itself."""
    ANSWERED = "answered"
    """An ack, or a connection that was accepted."""
    UNCLEAR = "unclear"
    """Neither: only one of them was refused, or by a router, or nothing came at all."""


class Step(enum.Enum):
    """What a round wants done next."""

    WAIT = "wait"
    """Nothing before `RefusalRound.wake_at`, or before something else is noted."""
    CHECK = "check"
    ASK = "ask"
    """Ask more nodes."""
    SUSPECT = "suspect"
    """Suspect the node, and let it know."""
    DECLARE_DEAD = "declare dead"
    END = "end"
    """The other rules decide; `RefusalRound.ended` says why."""


@final
@attrs.frozen
class RefusalReport:
    """Why a node was declared dead at once.

    Args:
      seen_by: the nodes that were refused, this one first.
    """

    seen_by: tuple[str, ...]

    def __str__(self) -> str:
        *others, last = self.seen_by
        names = f"{', '.join(others)} and {last}" if others else last
        return f"its host refuses its ports, seen by {names}"


class RefusalRound:
    """The port checks of one node that refuses, and what follows from them.

    Its task checks, asks and waits, and calls `next_step` after everything that it notes here.

    Args:
      node: the node as it is now; a copy is taken.
      local: the local name.
      now: when the round begins (seconds, trio clock).
      config: settings.
      alone: whether there is no other node to ask.

    Attributes:
      node: the copy.
      wake_at: when `next_step` wants to be called again at the latest (seconds, trio clock).
      suspected: whether the step `SUSPECT` was taken.
      ended: why the round ended without a result; "" as long as it did not.
      uncorroborated: whether it ended because nobody else was refused.
    """

    def __init__(
        self, node: Node, *, local: str, now: float, config: MemberlistConfig, alone: bool
    ) -> None:
        self.node: Node = node.copy()
        self.wake_at: float = now
        self.suspected: bool = False
        self.ended: str = ""
        self.uncorroborated: bool = False
        self._local = local
        self._alone = alone
        round_trips = ROUND_TRIPS * (node.rtt or 0.0)
        self._between = max(config.refusal_grace, config.gossip_interval, round_trips)
        self._too_late = TOO_LATE + config.probe_timeout
        self._refused_at: list[float] = []
        self._checks = 0
        self._check_at = now
        self._ask_at = math.inf
        self._suspected_at = math.inf
        self._corroborated_by: list[str] = []

    # --- what is noted --------------------------------------------------------------------

    def checked(self, result: PortCheck, now: float) -> None:
        """This node has checked, just now."""
        self._checks += 1
        if self._refused_at and now > self._check_at + self._too_late:
            self._end("this node did not check in time")
        self._check_at = now + self._between
        match result:
            case PortCheck.REFUSED:
                self._refused_at.append(now)
                if not self._alone:
                    self._ask_at = now
            case PortCheck.ANSWERED:
                self.sign_of_life("it answered")
            case _:
                if not self._refused_at:
                    self._end("nothing, or not everything, was refused")

    def corroborated(self, name: str) -> None:
        """Another node has checked because it was asked, and was refused as well."""
        if name not in self._corroborated_by:
            self._corroborated_by.append(name)

    def sign_of_life(self, reason: str) -> None:
        """The node lives, or its address is another process by now."""
        self._end(reason)

    def _end(self, reason: str) -> None:
        self.ended = self.ended or reason

    # --- what follows ---------------------------------------------------------------------

    def on_record(self, node: Node | None) -> None:
        """End the round if the record has changed by now, or if the node has pinged since."""
        begun = self.node
        if node is None or node.is_gone:
            self._end("it is gone from the membership")
        elif node.incarnation != begun.incarnation or node.address != begun.address:
            self._end("it refuted, or changed")
        elif self._refused_at and node.pinged_at > self._refused_at[0]:
            self._end("it pinged")
        elif self._refused_at and node.answered_at > self._refused_at[0]:
            self._end("it answered")

    def next_step(self, now: float) -> Step:
        """What to do now.  Each step is given once; `CHECK` until it was `checked`."""
        if self.ended:
            return Step.END
        if not self.suspected and self._refused_at and self._supported:
            self._suspected_at, self.suspected = now, True
            self._check_at = max(self._check_at, now + self._between)
            return Step.SUSPECT
        if self._convinced(now):
            return Step.DECLARE_DEAD
        if now >= self._check_at and (enough := self._checked_enough()):
            self._end(enough)
            return Step.END
        if now >= self._ask_at:
            # Again half-way to the next check, whatever was answered: an ack ends the round.
            halfway = self._refused_at[-1] + self._between / 2
            self._ask_at = halfway if self._ask_at < halfway else math.inf
            return Step.ASK
        if now >= self._check_at:
            return Step.CHECK
        self.wake_at = min(self._check_at, self._ask_at)
        return Step.WAIT

    def _checked_enough(self) -> str:
        """Why there shall be no more checks; "" if there shall be."""
        if self._checks >= MAX_CHECKS and not self._supported:
            self.uncorroborated = True
            return "no other node was refused"
        return "it was refused too seldom" if self._checks >= MOST_CHECKS else ""

    @property
    def _supported(self) -> bool:
        return bool(self._corroborated_by) or self._alone

    def _convinced(self, now: float) -> bool:
        refused_at = self._refused_at
        if len(refused_at) < 2 or not self._supported:
            return False
        between = self._between * (ALONE_FACTOR if self._alone else 1)
        begun = max(refused_at[0], self._suspected_at)
        return refused_at[-1] - begun >= between

    def report(self) -> RefusalReport:
        """What the round is based on, as far as it came."""
        return RefusalReport((self._local, *self._corroborated_by))

"""How long a suspect keeps the benefit of the doubt.

Source: hashicorp/memberlist v0.2.2, suspicion.go; Lifeguard paper, on suspicion timeouts.
"""

from __future__ import annotations

from typing import final


@final
class Suspicion:
    """One suspicion about one node, hastened by independent confirmations.

    Args:
      accuser: name of the first node to suspect; never counted as confirming.
      started: when the suspicion began (seconds, trio clock).
      wanted: confirmations that bring the wait down to ``shortest``.
      shortest, longest: bounds of the wait (seconds).

    Attributes:
      deadline: when the suspect is declared dead (seconds, trio clock).
    """

    deadline: float

    def __init__(
        self, *, accuser: str, started: float, wanted: int, shortest: float, longest: float
    ) -> None: ...

    def confirm(self, name: str) -> bool:
        """Another node suspects as well; return whether that was news."""
        ...

    @property
    def confirmations(self) -> int: ...

    @property
    def accusers(self) -> tuple[str, ...]:
        """Who suspects: the first, then those who confirmed, in order."""
        ...

    @property
    def degraded(self) -> bool:
        """Whether confirmations are wanted that have not come."""
        ...

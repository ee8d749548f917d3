"""Task: joins the addresses of the settings, again and again, until one other node was reached.

An attempt is a call of `Membership.join`, so names are looked up anew each time, and this node
itself never counts.  What was reached is remembered there, and so is what was not while another
address was: from then on the healer looks for them.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/command.go: retryJoin.  There the agent
does it, and exits after the last attempt; here the node goes on alone.
"""

from __future__ import annotations

import trio

from .. import _attrs as attrs
from .._config import Config
from .._exceptions import InvalidState, JoinError
from .._memberlist.node_log import Log
from .membership import Membership


@attrs.define(eq=False, kw_only=True)
class RetryJoin:
    """The task, which ends.

    Args:
      config: the addresses, the time between two attempts, and how many there may be.
      membership: joins.
      log: has one line for each attempt.
    """

    config: Config
    membership: Membership
    log: Log

    async def run(self) -> None:
        """Join until a node is reached, none is left to try, or this node leaves."""
        most = self.config.retry_join_max_attempts
        attempt = 0
        while True:
            attempt += 1
            try:
                if await self._try(attempt, is_last=attempt == most):
                    return
            except (InvalidState, trio.ClosedResourceError):
                return  # it leaves, or is closed
            if attempt == most:
                self.log.warning("retry_join gave up after %d attempts: this node is alone", most)
                return
            await trio.sleep(self.config.retry_join_interval)

    async def _try(self, attempt: int, *, is_last: bool) -> bool:
        texts = ", ".join(self.config.retry_join)
        try:
            reached = await self.membership.join(self.config.retry_join, ignore_old=False)
        except JoinError as error:
            causes = "; ".join(str(cause) for cause in error.exceptions)
            after = "" if is_last else f"; next in {self.config.retry_join_interval:g} s"
            self.log.info(
                "retry_join, attempt %d: no node at %s: %s%s", attempt, texts, causes, after
            )
            return False
        self.log.info("retry_join, attempt %d: %d reached of %s", attempt, reached, texts)
        return True

"""The delegate's part of a push/pull: handed over whole as in Go, or encoded and merged in pieces.

Serf's part of the state of 50,000 members takes a tenth of a second to handle.  A delegate that is
an `abc.LargeStateDelegate` encodes and decodes it in a thread, is not asked at all while nothing
changed, and merges it in short steps with other tasks in between.

Source: hashicorp/memberlist v0.2.2, delegate.go: LocalState, MergeRemoteState, which hold up
the goroutine of the exchange alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, cast

import trio

from .. import _attrs as attrs
from ..abc import Delegate, LargeStateDelegate
from .drop_log import DropLog
from .stream_io import SHORT, run_cpu_bound, turn

STEP: Final = 0.002
"""How long steps of a merge may follow each other before others run (seconds)."""


@attrs.define(eq=False)
class UserState:
    """What the delegate adds to a push/pull.

    Whatever it raises is logged and counted, and its part left out.
    """

    delegate: Delegate | None
    drop_log: DropLog
    began: bool = attrs.field(default=False, init=False)
    """While the delegate merges: whether this node began the exchange."""
    _large: LargeStateDelegate | None = attrs.field(init=False)
    _failure: Exception | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        names = ("state_version", "state_encoder", "decode_state", "merge_decoded")
        able = all(hasattr(self.delegate, name) for name in names)
        self._large = cast(LargeStateDelegate, self.delegate) if able else None

    def version(self, join: bool) -> object:
        """What is equal as long as nothing changed; without pieces, the state itself."""
        try:
            if self._large is not None:
                return self._large.state_version()
            return b"" if self.delegate is None else self.delegate.local_state(join)
        except Exception as error:
            self.drop_log.crash("handler", self.delegate, error)
            return b""

    def encoder(self, version: object, join: bool) -> Callable[[], bytes]:
        """What encodes the state, in any thread; call `report_failure` after it.

        Args:
          version: of this moment.
        """
        if self._large is None or version == b"":
            state = version if isinstance(version, bytes) else b""
            return lambda: state
        try:
            encode = self._large.state_encoder(join)
        except Exception as error:
            self.drop_log.crash("handler", self._large.state_encoder, error)
            return bytes

        def checked() -> bytes:
            try:
                return encode()
            except Exception as error:
                self._failure = error
                return b""

        return checked

    def report_failure(self) -> None:
        """Log what went wrong in a thread, if anything did."""
        failure, self._failure = self._failure, None
        if failure is not None:
            self.drop_log.crash("handler", self.delegate, failure)

    async def merge(self, state: bytes, *, join: bool, began: bool) -> None:
        """Let the delegate merge what a peer sent.

        *Checkpoint*: where the delegate does it in pieces, unless it is short.
        *Cancellation*: between two of them.
        """
        if not state or self.delegate is None:
            return
        try:
            if self._large is None:
                self.began = began
                self.delegate.merge_remote_state(state, join)
            else:
                await self._merge_in_pieces(self._large, state, join, began)
        except Exception as error:
            self.drop_log.crash("handler", self.delegate.merge_remote_state, error)

    async def _merge_in_pieces(
        self, large: LargeStateDelegate, state: bytes, join: bool, began: bool
    ) -> None:
        if len(state) <= SHORT:
            steps = large.merge_decoded(large.decode_state(state), join)
            if self._merge_some(steps, began):
                return
        else:
            decoded = await run_cpu_bound(lambda: large.decode_state(state), len(state))
            steps = large.merge_decoded(decoded, join)
            del decoded
        while True:
            async with turn():  # other peers may have as much to merge
                if self._merge_some(steps, began):
                    return

    def _merge_some(self, steps: Iterator[None], began: bool) -> bool:
        """Merge for as long as others can wait; whether that was all."""
        self.began = began
        until = trio.current_time() + STEP
        while trio.current_time() < until:
            if next(steps, steps) is steps:
                return True
        return False

"""Joining: full state exchanged with many addresses at once.

Of a name that resolves to several addresses all are tried at once, and the first success
cancels the rest.  An address string counts once, however many addresses it has.

DIFFERS: Go tries one address after another, and counts each address of a name.  Test:
``test_a_name_with_many_addresses_counts_once``.

Source: hashicorp/memberlist v0.2.2, memberlist.go: Join, resolveAddr.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import trio

from .. import _attrs as attrs
from .._exceptions import JoinError, LocalProtocolError
from .._net.addresses import parse_address
from ..abc import Address, Transport
from .push_puller import EXCHANGE_ERRORS, PushPuller
from .seeds import Seeds

MAX_AT_ONCE: Final = 32
"""Address strings worked on at the same time."""
MAX_ADDRESSES: Final = 16
"""Addresses of one name that are tried."""
_FAILURES: Final = (*EXCHANGE_ERRORS, trio.ClosedResourceError)
"""How a try may end; the last where the local transport is closed meanwhile."""


@attrs.define(eq=False, kw_only=True)
class Joiner:
    """Joins.

    Args:
      default_port: gives the port for strings without one.
    """

    push_puller: PushPuller
    transport: Transport
    seeds: Seeds
    default_port: Callable[[], int]

    async def join(self, addresses: Sequence[str]) -> int:
        """How many of the strings were reached.

        The healer goes on with those at which no node answered, if others did.

        Raises:
          JoinError: none, and at least one was given.
        """
        errors: dict[int, Exception] = {}
        limiter = trio.CapacityLimiter(MAX_AT_ONCE)

        async def try_one(index: int, text: str) -> None:
            async with limiter:
                try:
                    await self.join_one(text)
                except _FAILURES as error:
                    error.add_note(f"while joining {text!r}")
                    errors[index] = error

        await trio.lowlevel.checkpoint()
        async with trio.open_nursery() as nursery:
            for index, text in enumerate(addresses):
                nursery.start_soon(try_one, index, text)
        if errors and len(errors) == len(addresses):
            failed = [errors[index] for index in sorted(errors)]
            raise JoinError(f"none of {len(failed)} addresses could be joined", failed)
        for index, error in errors.items():
            text = addresses[index]
            if isinstance(error, OSError) and text not in self.seeds.joined:
                self.seeds.remember(text, None, trio.current_time())
        return len(addresses) - len(errors)

    async def join_one(self, text: str) -> Address:
        """Exchange with one address string; the address that answered.

        Raises:
          OSError, RemoteProtocolError, LocalProtocolError, MergeRefused: none did.
          trio.ClosedResourceError: the local transport is closed.
        """
        try:
            name, host, port = parse_address(text, self.default_port())
        except ValueError as error:
            raise LocalProtocolError(str(error)) from error
        found = await self.transport.resolve(host, port)
        if not found:
            raise OSError(f"{host!r} has no address")
        address = found[0]
        if len(found) == 1:
            await self.push_puller.push_pull(address, name, join=True)
        else:
            address = await self._first_of(found[:MAX_ADDRESSES], name)
        self.seeds.remember(text, address, trio.current_time())
        return address

    async def _first_of(self, addresses: Sequence[Address], name: str) -> Address:
        reached: list[Address] = []
        errors: list[Exception] = []

        async def try_address(address: Address) -> None:
            try:
                await self.push_puller.push_pull(address, name, join=True)
            except _FAILURES as error:
                errors.append(error)
            else:
                reached.append(address)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for address in addresses:
                nursery.start_soon(try_address, address)
        if reached:
            return reached[0]
        first, *others = errors
        for other in others:
            first.add_note(f"and: {other}")
        raise first

"""Faults of links that overlap: each may end while others go on.

What links are like follows from the faults that last at the moment: those of all links first,
then those of a host's outgoing ones, the later before the earlier where two change the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import final

import attrs

from .links import Link, LinkChanges
from .sim_network import SimNetwork


@final
@attrs.define(eq=False)
class LinkFaults:
    """The faults of the links of one network.

    Args:
      network: nobody else changes its links.
      usual: what every link is like without faults.
    """

    network: SimNetwork
    usual: Link
    _lasting: list[tuple[tuple[str, ...], LinkChanges]] = attrs.field(factory=list, init=False)

    @contextmanager
    def hold(self, hosts: tuple[str, ...], changes: LinkChanges) -> Iterator[None]:
        """A fault for the length of a block.

        Args:
          hosts: whose outgoing links; none means all links.
          changes: what is different.
        """
        fault = (hosts, changes)
        self._lasting.append(fault)
        self._settle(hosts)
        try:
            yield
        finally:
            self._lasting = [each for each in self._lasting if each is not fault]
            self._settle(hosts)

    def _settle(self, changed: tuple[str, ...]) -> None:
        everywhere = self._bent(self.usual, None)
        self.network.set_link(None, None, everywhere)
        hosts = {host: None for others, _ in self._lasting for host in others}
        for host in changed:
            if host not in hosts:
                self.network.set_link(host, None, None)
        for host in hosts:
            self.network.set_link(host, None, self._bent(everywhere, host))

    def _bent(self, link: Link, host: str | None) -> Link:
        for hosts, changes in self._lasting:
            if host in hosts or (host is None and not hosts):
                link = attrs.evolve(link, **changes)
        return link

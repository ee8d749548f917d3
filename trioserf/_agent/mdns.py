"""Finding other agents of a cluster by multicast DNS; needs the extra ``trioserf[mdns]``.

The package ``zeroconf`` runs on a thread of its own.  It says what it finds there, and the agent
joins it here: addresses that come within a moment in one call.

DIFFERS: in Go an address is tried once, even if the join fails, the lookup is lost if one
address family has no route, and the agent joins itself.  Here an address is tried again
until it is reached, a family that does not work is left out, and this node's own address is
never joined.  Test: test_an_address_is_tried_until_it_is_reached.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/mdns.go, NewAgentMDNS, run, poll.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final

import trio

from .. import _attrs as attrs
from .._net.interfaces import interface_addresses
from .._rpc.log_feed import AGENT_LOG
from .._serf.serf import Serf
from .._text import host_and_port
from .agent_options import OptionsError

QUIET: Final = 0.1
"""Addresses are joined when none came for so long (seconds)."""
POLL_INTERVAL: Final = 60.0
"""Time between two attempts to reach addresses that were not (seconds)."""
MAX_FOUND: Final = 1024
"""Addresses that are remembered."""


def service_type(cluster: str) -> str:
    """The DNS name under which the agents of a cluster are found."""
    return f"_serf_{cluster}._tcp.local."


def require_zeroconf() -> Any:
    """The package.

    Raises:
      OptionsError: it is not installed.
    """
    try:
        import zeroconf
    except ImportError:
        raise OptionsError(
            "Error starting mDNS listener: the package zeroconf is not installed; "
            "pip install 'trioserf[mdns]'"
        ) from None
    return zeroconf


@attrs.define(eq=False)
class FoundAddresses:
    """Which addresses were found, and which of them need not be tried any more.

    Args:
      own: that of this node.
    """

    own: str
    _reached: dict[str, bool] = attrs.field(factory=dict, init=False)

    def add(self, address: str) -> bool:
        """Note an address; whether it is a new one."""
        if address == self.own or address in self._reached or len(self._reached) >= MAX_FOUND:
            return False
        self._reached[address] = False
        return True

    def remove(self, address: str) -> None:
        """Forget an address that is gone: when it comes back it is new."""
        self._reached.pop(address, None)

    def pending(self) -> list[str]:
        """The addresses that are still to be tried."""
        return [address for address, reached in self._reached.items() if not reached]

    def reached(self, addresses: Sequence[str]) -> None:
        """Note that these addresses were joined: they need not be tried any more."""
        for address in addresses:
            if address in self._reached:
                self._reached[address] = True


@attrs.define(eq=False)
class Discovery:
    """The search of one agent.

    Args:
      serf: the node.
      cluster: whose agents to find.
      mdns: ``interface``, ``disable_ipv4``, ``disable_ipv6``.
      join: joins addresses: how many were reached, and the error text.
    """

    serf: Serf
    cluster: str
    mdns: Mapping[str, Any]
    join: Callable[[Serf, Sequence[str]], Awaitable[tuple[int, str]]]

    async def run(self) -> None:
        """Task: announces this node, and joins what it finds."""
        zeroconf = require_zeroconf()
        member = self.serf.local_member
        found = FoundAddresses(host_and_port(member.addr, member.port))
        new = trio.Event()

        def note(address: str) -> None:
            nonlocal new
            if found.add(address):
                new.set()

        service = _Service(zeroconf, self.cluster, self.mdns, trio.lowlevel.current_trio_token())
        try:
            await trio.to_thread.run_sync(service.open, member, note, found.remove)
        except OSError as error:
            AGENT_LOG.error("Failed to start mDNS: %s", error)
            return
        try:
            while True:
                with trio.move_on_after(POLL_INTERVAL):
                    await new.wait()
                    await trio.sleep(QUIET)
                new = trio.Event()
                addresses = found.pending()
                if addresses:
                    AGENT_LOG.info("Found hosts by mDNS: %s", " ".join(addresses))
                    for address in addresses:
                        count, _error = await self.join(self.serf, [address])
                        if count:
                            found.reached([address])
        finally:
            with trio.move_on_after(CLOSE_LIMIT, shield=True):  # says that this node is gone
                await trio.to_thread.run_sync(service.close, abandon_on_cancel=True)


CLOSE_LIMIT: Final = 0.5
"""Longest time to take the announcement back (seconds)."""


class _Service:
    """``zeroconf``, used from worker threads; what it finds goes to the thread of the node."""

    def __init__(
        self,
        zeroconf: Any,
        cluster: str,
        mdns: Mapping[str, Any],
        token: trio.lowlevel.TrioToken,
    ) -> None:
        self._library = zeroconf
        self._type = service_type(cluster)
        self._text = f"Serf '{cluster}' cluster".encode()
        self._mdns = mdns
        self._token = token
        self._zeroconf: Any = None
        self._browser: Any = None
        self._addresses: dict[str, list[str]] = {}

    def open(self, member: Any, found: Callable[[str], None], gone: Callable[[str], None]) -> None:
        """Announce a member and begin to look; it blocks.

        Raises:
          OSError: there is no network for it.
        """
        self._found, self._gone = found, gone
        library = self._library
        self._zeroconf = library.Zeroconf(
            interfaces=self._interfaces(), ip_version=self._ip_version()
        )
        self._info = library.ServiceInfo(
            self._type,
            f"{member.name}.{self._type}",
            port=member.port,
            addresses=[member.addr.packed],
            properties=self._text_record(),
            server=f"{socket.gethostname()}.local.",
        )
        # The name of the service has an underscore, which the strict check refuses.
        with suppress(library.Error):
            self._zeroconf.register_service(self._info, strict=False, allow_name_change=True)
        self._browser = library.ServiceBrowser(self._zeroconf, self._type, handlers=[self._changed])

    def _text_record(self) -> bytes:
        return bytes([len(self._text)]) + self._text

    def _interfaces(self) -> Any:
        name = self._mdns.get("interface")
        if not name:
            return self._library.InterfaceChoice.All
        return [str(address) for address in interface_addresses(name)]

    def _ip_version(self) -> Any:
        versions = self._library.IPVersion
        if self._mdns.get("disable_ipv4"):
            return versions.V6Only
        return versions.V4Only  # addresses of both families are in the answers anyway

    def _changed(self, zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        """Called by `zeroconf`, on its thread: a service came, changed, or went."""
        before = self._addresses.pop(name, [])
        changes = self._library.ServiceStateChange
        if state_change is changes.Removed:
            self._hand_over(self._gone, before)
            return
        # It must not wait here for what it asks for: another thread does.
        import threading

        threading.Thread(target=self._look_up, args=(name,), daemon=True).start()

    def _look_up(self, name: str) -> None:
        info = self._library.ServiceInfo(self._type, name)
        with suppress(Exception):
            if info.request(self._zeroconf, 3000):
                addresses = [
                    host_and_port(ip_address(text.partition("%")[0]), info.port)
                    for text in info.parsed_addresses()
                ]
                self._addresses[name] = addresses
                self._hand_over(self._found, addresses)

    def _hand_over(self, call: Callable[[str], None], addresses: Sequence[str]) -> None:
        for address in addresses:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(call, address)

    def close(self) -> None:
        """Take the announcement back; it blocks."""
        if self._zeroconf is not None:
            self._zeroconf.close()

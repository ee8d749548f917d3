"""Network coordinates: updated with every probe, read by the user.

Source: hashicorp/serf v0.9.4, serf/ping_delegate.go; serf/serf.go, GetCoordinate,
GetCachedCoordinate.
"""

from __future__ import annotations

from struct import pack, unpack

from .. import _attrs as attrs
from .._exceptions import CoordinateError, CoordinatesDisabled, RemoteProtocolError
from .._memberlist.drop_log import DropLog
from .._memberlist.metrics import Metrics
from .._vivaldi.client import VivaldiClient
from .._vivaldi.coordinate import Coordinate, CoordinateConfig
from .._wire.serf_messages import CoordinateRecord, decode_ping_payload, encode_ping_payload
from ..abc import NodeView
from .core import Core


@attrs.define(eq=False, kw_only=True)
class Coordinates:
    """The local coordinate, and the last one of each peer; `abc.PingHandler`.

    Args:
      core: names and settings.
      metrics: counts what was refused.
      drop_log: notes bad coordinates of peers.
    """

    core: Core
    metrics: Metrics
    drop_log: DropLog
    _client: VivaldiClient | None = attrs.field(init=False)
    _cache: dict[str, bytes] = attrs.field(factory=dict, init=False)
    """The numbers of each peer's coordinate; as objects they take four times the memory."""
    _payload: bytes | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._client = None
        if not self.core.config.disable_coordinates:
            self._client = VivaldiClient(CoordinateConfig(), self.core.rng)

    # --- reads

    @property
    def enabled(self) -> bool:
        """Whether coordinates are kept at all."""
        return self._client is not None

    @property
    def resets(self) -> int | None:
        """How often the local coordinate was reset; None if disabled."""
        return None if self._client is None else self._client.stats.resets

    def own(self) -> Coordinate:
        """The coordinate of this node.  Raises `CoordinatesDisabled`."""
        if self._client is None:
            raise CoordinatesDisabled("Coordinates are disabled")
        return self._client.coordinate

    def cached(self, name: str) -> Coordinate | None:
        """The coordinate of a node when it last acknowledged a probe; None if not known."""
        if self._client is not None and name == self.core.name:
            return self._client.coordinate
        numbers = self._cache.get(name)
        if numbers is None:
            return None
        *vec, error, adjustment, height = unpack(f"{len(numbers) // 8}d", numbers)
        return Coordinate(tuple(vec), error, adjustment, height)

    def rtt(self, a: str, b: str | None = None) -> float | None:
        """The estimated round-trip time between two nodes (seconds); None if not known.

        Raises:
          CoordinatesDisabled: this node keeps none.
        """
        own = self.own()
        first = self.cached(a)
        second = own if b is None else self.cached(b)
        if first is None or second is None:
            return None
        return first.distance_to(second)

    # --- from the membership half

    def ack_payload(self) -> bytes:
        """The payload of this node's acks."""
        assert self._client is not None, "no acks are asked about without coordinates"
        if self._payload is None:
            here = self._client.coordinate
            self._payload = encode_ping_payload(
                CoordinateRecord(here.vec, here.error, here.adjustment, here.height)
            )
        return self._payload

    def notify_ping_complete(self, node: NodeView, rtt: float, payload: bytes) -> None:
        """A probe was acknowledged after ``rtt`` seconds."""
        assert self._client is not None, "the same"
        try:
            record = decode_ping_payload(payload)
        except RemoteProtocolError as error:
            self.drop_log("coordinate", node.name, error)
            return
        if record is None:
            return
        there = Coordinate(record.vec, record.error, record.adjustment, record.height)
        if rtt == 0:
            self.metrics.count("serf.coordinate.zero-rtt")
        before = self._client.coordinate
        try:
            after = self._client.update(node.name, there, rtt)
        except CoordinateError as error:
            self.metrics.count("serf.coordinate.rejected")
            self.drop_log("coordinate", node.name, error)
            return
        if self.metrics.tap is not None:
            moved = before.distance_to(after)
            self.metrics.sample("serf.coordinate.adjustment-ms", moved * 1000)
        numbers = (*there.vec, there.error, there.adjustment, there.height)
        self._cache[node.name] = pack(f"{len(numbers)}d", *numbers)
        self._payload = None

    def forget(self, name: str) -> None:
        """A member was reaped or pruned."""
        if self._client is not None:
            self._client.forget(name)
        self._cache.pop(name, None)

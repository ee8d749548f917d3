"""How this node encodes and decodes at this moment: label, keys, compression, versions.

DIFFERS (unless ``faithful_go``): packets that fit into one datagram anyway are not compressed.
Compression would save bytes, but no packet, and in a burst of events it took 30 % of the CPU of
all nodes.  Packets longer than ``udp_buffer_size`` are compressed, since the loss of one fragment
loses the whole packet.  Test: ``test_what_fits_into_one_datagram_is_not_compressed``.

The codecs are frozen.  Changing keys replaces them whole, between two packets, so
encryption may start, rotate and stop while the node runs.

Source: hashicorp/memberlist v0.2.2, memberlist.go: newMemberlist; keyring.go; v0.3.0,
label.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .. import _attrs as attrs
from .._config import MemberlistConfig
from .._exceptions import ConfigError, KeyringError
from .._text import raw_text
from .._wire.encryption import NONCE_SIZE, overhead
from .._wire.keyring import Keyring
from .._wire.packets import CRC_HEADER, PacketCodec
from .._wire.streams import StreamCodec, dial_prefix, frame

PART_OVERHEAD: Final = 2
"""Bytes that each message costs as part of a compound."""
_COMPOUND_HEADER: Final = 2


def configured_keyring(config: MemberlistConfig) -> Keyring | None:
    """The ring that the settings ask for; None turns encryption off.

    Raises:
      ConfigError: the keys make no ring.
    """
    keys = config.keyring or ()
    if config.secret_key is None and config.keyring is None:
        return None
    if config.secret_key is None and not keys:
        return Keyring(())
    try:
        return Keyring.create(keys, config.secret_key or keys[0])
    except KeyringError as error:
        raise ConfigError("keyring", f"<{len(keys)} secrets>", str(error)) from None


@attrs.define(eq=False)
class WireFormat:
    """The codecs in force.

    Args:
      config: label, verification, compression, limits.
      random_bytes: source of nonces.
      keyring: see `configured_keyring`.
    """

    config: MemberlistConfig
    random_bytes: Callable[[int], bytes]
    keyring: Keyring | None
    packet: PacketCodec = attrs.field(init=False)
    stream: StreamCodec = attrs.field(init=False)
    stream_outside: StreamCodec = attrs.field(init=False)
    """For a frame around what is compressed already, or should not be."""
    dial_prefix: bytes = attrs.field(init=False)
    """What the dialling side of a stream writes first."""
    packet_room: int = attrs.field(init=False)
    """Bytes left in a packet for the messages of a compound, with their overheads."""

    def __attrs_post_init__(self) -> None:
        self.set_keyring(self.keyring)

    def set_keyring(self, keyring: Keyring | None) -> None:
        """Write and read with these keys from now on."""
        config = self.config
        label = raw_text(config.label)
        version = 0 if config.protocol_version == 1 else 1
        common: dict[str, Any] = {
            "label": label,
            "skip_inbound_label_check": config.skip_inbound_label_check,
            "keyring": keyring,
            "verify_incoming": config.gossip_verify_incoming,
            "verify_outgoing": config.gossip_verify_outgoing,
            "encryption_version": version,
            "compress": config.enable_compression,
            "accept_v0": config.accept_v0 or version == 0,
        }
        self.packet = PacketCodec(
            **common,
            max_output=config.max_packet_output,
            compress_above=0 if config.faithful_go else config.udp_buffer_size,
        )
        self.stream = StreamCodec(**common)
        self.stream_outside = StreamCodec(**{**common, "compress": False})
        self.dial_prefix = dial_prefix(self.stream)
        self.keyring = keyring
        self.packet_room = (
            config.udp_buffer_size
            - (2 + len(label) if label else 0)
            - (overhead(version) if self.packet.encrypts else 0)
            - CRC_HEADER
            - _COMPOUND_HEADER
        )

    def encode_frame(self, plain: bytes) -> bytes:
        """The frame of a short message on a stream.  Raises as `trioserf._wire.streams.frame`."""
        return frame(plain, self.stream, self.stream_nonce())

    def stream_nonce(self) -> bytes | None:
        """A fresh nonce if frames are encrypted."""
        return self.random_bytes(NONCE_SIZE) if self.stream.key is not None else None

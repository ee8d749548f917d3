"""How this node writes and reads at this moment: label, keys, compression, versions.

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
from .._wire.codec import raw_text
from .._wire.encryption import NONCE_SIZE, overhead
from .._wire.keyring import Keyring
from .._wire.packets import PacketCodec
from .._wire.streams import StreamCodec

_CRC_HEADER: Final = 5


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
    packet_overhead: int = attrs.field(init=False)
    """Most bytes that label, encryption and CRC add to a packet."""

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
        self.packet = PacketCodec(**common, max_output=config.max_packet_output)
        self.stream = StreamCodec(**common)
        self.keyring = keyring
        self.packet_overhead = (
            (2 + len(label) if label else 0)
            + (overhead(version) if self.packet.encrypts else 0)
            + _CRC_HEADER
        )

    def packet_nonce(self) -> bytes | None:
        """A fresh nonce if packets are encrypted."""
        return self.random_bytes(NONCE_SIZE) if self.packet.encrypts else None

    def stream_nonce(self) -> bytes | None:
        """A fresh nonce if frames are encrypted."""
        return self.random_bytes(NONCE_SIZE) if self.stream.encrypts else None

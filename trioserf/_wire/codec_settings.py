"""The settings that packets and streams have in common: label, keys, compression.

Source: hashicorp/memberlist v0.2.2, config.go: Config (SecretKey, GossipVerifyIncoming,
GossipVerifyOutgoing, EnableCompression); v0.5.4: Label, SkipInboundLabelCheck.
"""

from __future__ import annotations

from .. import _attrs as attrs
from .keyring import Keyring


@attrs.frozen(kw_only=True)
class CodecSettings:
    """How packets, or streams, are written and read.

    A base class, where parts are usual here: a codec is nothing but these settings and a bound,
    and its readers and writers ask for them with every packet.

    Args:
      label: the label of the cluster; empty for none.
      skip_inbound_label_check: a proxy in front of this node checks and removes it.
      keyring: keys; None or an empty ring turns encryption off.
      verify_incoming: refuse what cannot be decrypted.
      verify_outgoing: encrypt what is sent.
      encryption_version: 0 or 1, for sending.
      compress: send compressed what gets shorter by that.
      accept_v0: accept encryption version 0.
    """

    label: bytes = b""
    skip_inbound_label_check: bool = False
    keyring: Keyring | None = None
    verify_incoming: bool = True
    verify_outgoing: bool = True
    encryption_version: int = 1
    compress: bool = True
    accept_v0: bool = True
    key: bytes | None = attrs.field(init=False, repr=False)
    """What encrypts; None to send in clear."""

    @key.default
    def _key(self) -> bytes | None:
        return self.keyring.primary if self.keyring and self.verify_outgoing else None

    @property
    def encrypts(self) -> bool:
        """Whether what is sent is encrypted, so that each packet or frame needs a nonce."""
        return self.key is not None

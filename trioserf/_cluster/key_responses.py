"""Changing keys on all nodes: what is asked, and counting the responses.

Source: hashicorp/serf v0.9.4, serf/keymanager.go, streamKeyResp, handleKeyRequest.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from .. import _attrs as attrs
from .._exceptions import KeyringError, RemoteProtocolError
from .._public_names import set_public_module
from .._tables import Table, shown_as_table
from .._text import key_from_text
from .._wire.serf_messages import KeyAnswer, KeyRequest, decode_key_answer, encode_serf


def _read_only(mapping: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(mapping))


def _counts(mapping: Mapping[str, int]) -> Mapping[str, int]:
    return MappingProxyType(dict(mapping))


@shown_as_table
@attrs.frozen(kw_only=True)
class KeyResponse:
    """The responses of the nodes to a key operation.

    Args:
      messages: errors and remarks by node name.
      num_nodes: nodes alive when it was asked.
      num_resp: answers received.
      num_err: how many of them reported failure.
      keys: base64 key to number of nodes that hold it (from a list).
      primary_keys: base64 key to number of nodes that encrypt with it; answers to anything
        but a list count under "".
    """

    messages: Mapping[str, str] = attrs.field(converter=_read_only, hash=False)
    num_nodes: int
    num_resp: int
    num_err: int
    keys: Mapping[str, int] = attrs.field(converter=_counts, repr=False, hash=False)
    primary_keys: Mapping[str, int] = attrs.field(converter=_counts, repr=False, hash=False)

    def _table(self) -> Table:
        """A table without the keys themselves: notebooks are saved and shared."""
        pairs: dict[str, object] = {
            "nodes alive": self.num_nodes,
            "answered": self.num_resp,
            "reported failure": self.num_err,
        }
        for number, (key, count) in enumerate(self.keys.items(), 1):
            first_of = self.primary_keys.get(key, 0)
            pairs[f"key {number}"] = f"held by {count}, first of {first_of}"
        for node, message in self.messages.items():
            pairs[f"said by {node}"] = message
        return Table.of_pairs("key operation", pairs)


class KeyAction(enum.Enum):
    """A key operation; the value is the name of its query."""

    INSTALL = "_serf_install-key"
    USE = "_serf_use-key"
    REMOVE = "_serf_remove-key"
    LIST = "_serf_list-keys"


def decode_key(key: str | bytes) -> bytes:
    """A key given as standard base64 text or as raw bytes; receivers check its length.

    Raises:
      KeyringError: it is not base64.  The key is not in the text.
      TypeError: neither text nor bytes.
    """
    if isinstance(key, bytes | bytearray | memoryview):
        return bytes(key)
    if not isinstance(key, str):
        raise TypeError(f"a key of type {type(key).__name__}: expected base64 text or bytes")
    try:
        return key_from_text(key)
    except ValueError:
        raise KeyringError("the key is not standard base64") from None


def key_payload(key: bytes | None) -> bytes:
    """The payload of a key query; None for the list."""
    return encode_serf(KeyRequest(key or b""))


class KeyTally:
    """Counts the responses to one key operation.

    Attributes:
      num_nodes: nodes alive when it was asked; set it after the query went out.
      answers: the readable answers by node name.
    """

    def __init__(self, num_nodes: int = 0) -> None:
        self.num_nodes = num_nodes
        self.answers: dict[str, KeyAnswer] = {}
        self._messages: dict[str, str] = {}
        self._num_resp = 0
        self._num_err = 0
        self._keys: dict[str, int] = {}
        self._primary_keys: dict[str, int] = {}

    def add(self, node: str, payload: bytes) -> None:
        """Count one node's answer."""
        self._num_resp += 1
        try:
            answer = decode_key_answer(payload)
        except RemoteProtocolError as error:
            self._fail(node, str(error))
            return
        self.answers[node] = answer
        if not answer.result:
            self._fail(node, answer.message)
        elif answer.message:
            self._messages[node] = answer.message
        for key in answer.keys or ():
            self._keys[key] = self._keys.get(key, 0) + 1
        primary = answer.primary_key
        self._primary_keys[primary] = self._primary_keys.get(primary, 0) + 1

    def _fail(self, node: str, message: str) -> None:
        self._messages[node] = message
        self._num_err += 1

    @property
    def complete(self) -> bool:
        """Whether as many nodes have answered as were alive."""
        return self._num_resp == self.num_nodes

    def response(self) -> KeyResponse:
        """The sums so far."""
        return KeyResponse(
            messages=self._messages,
            num_nodes=self.num_nodes,
            num_resp=self._num_resp,
            num_err=self._num_err,
            keys=self._keys,
            primary_keys=self._primary_keys,
        )

    def error(self) -> str | None:
        """Why the operation as a whole is no success; None if it is."""
        if self._num_err:
            return f"{self._num_err}/{self.num_nodes} nodes reported failure"
        if self._num_resp != self.num_nodes:
            return f"{self._num_resp}/{self.num_nodes} nodes reported success"
        return None


set_public_module(KeyResponse)

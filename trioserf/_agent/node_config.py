"""From the settings of an agent to those of its node: addresses, keys, tags, limits.

What is wrong is said in Go's words, as ``==> `` lines; scripts look at them.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/command.go, setupAgent; agent.go, Create,
loadTagsFile, loadKeyringFile; config.go, AddrParts, EncryptBytes.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, Final

from .. import _attrs as attrs
from .._config import PROTOCOL_VERSION_MAX, PROTOCOL_VERSION_MIN, USER_EVENT_SIZE_LIMIT, Config
from .._memberlist_config import DEFAULT_PORT
from .._net.interfaces import interface_addresses
from .._rpc.error_texts import base64_error
from .._text import host_and_port, is_short_ipv4
from .._wire.rpc_address import UnixAddress, parse_rpc_address
from ..abc import Tap
from .agent_options import AgentOptions, OptionsError
from .config_files import go_os_error
from .go_json import go_text_of, whole_json_value, wrong_type

_KEY_SIZES: Final = (16, 24, 32)
_SETUP: Final = "Failed to setup the Serf agent: "
_CREATE: Final = "Failed to start the Serf agent: Error creating Serf: "
_KEY_SIZE: Final = "key size must be 16, 24 or 32 bytes"


@attrs.frozen(kw_only=True)
class NodeAddresses:
    """Where a node is, with names resolved.

    Args:
      bind: host and port to bind.
      advertise: the same for others; None for the bound one.
      notes: what the user should know.
    """

    bind: tuple[str, int]
    advertise: tuple[str, int] | None = None
    notes: tuple[str, ...] = ()


def find_addresses(options: AgentOptions) -> NodeAddresses:
    """Resolve the addresses of the settings, by the interface if one is given.

    Raises:
      OptionsError: an address that is none, or no such interface.
    """
    try:
        host, port = address_parts(options.bind)
    except ValueError as error:
        raise OptionsError(f"Invalid bind address: {error}") from None
    notes: list[str] = []
    if options.interface:
        host, note = _on_interface(options.interface, host)
        notes += note
    advertise = None
    if options.advertise:
        try:
            # DIFFERS: without a port Go tells others 7946, whatever is bound.
            # Test: test_without_a_port_the_bound_one_is_advertised.
            advertise = address_parts(options.advertise, port)
        except ValueError as error:
            raise OptionsError(f"Invalid advertise address: {error}") from None
    return NodeAddresses(bind=(host, port), advertise=advertise, notes=tuple(notes))


def address_parts(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """Host, resolved, and port of ``host[:port]``; IPv6 has brackets.

    Raises:
      ValueError: in Go's words.
    """
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(default_port)
    if host.startswith("["):
        if not host.endswith("]"):
            raise ValueError(f"address {text}: missing ']' in address")
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"address {text}: too many colons in address")
    if not port.removeprefix("-").isdecimal() or not port.isascii():
        raise ValueError(f"address tcp/{port}: unknown port")
    if not 0 <= int(port[:9]) <= 65535:
        raise ValueError(f"address {port}: invalid port")
    return _resolved(host) if host else "0.0.0.0", int(port)


def _resolved(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        pass
    try:
        if is_short_ipv4(host):
            raise UnicodeError
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ValueError(f"lookup {host}: no such host") from None
    found.sort(key=lambda each: each[0] != socket.AF_INET)  # IPv4 first, as Go does
    return str(found[0][4][0])


def _on_interface(name: str, host: str) -> tuple[str, list[str]]:
    try:
        addresses = interface_addresses(name)
    except OSError:
        raise OptionsError(
            "Invalid network interface: route ip+net: no such network interface"
        ) from None
    if not addresses:
        raise OptionsError(f"Interface '{name}' has no addresses")
    if host != "0.0.0.0":
        if ip_address(host) not in addresses:
            raise OptionsError(f"Interface '{name}' has no '{host}' address")
        return host, []
    usable = [address for address in addresses if not address.is_link_local]
    if not usable:
        raise OptionsError(f"Failed to find usable address for interface '{name}'")
    return str(usable[0]), [f"Using interface '{name}' address '{usable[0]}'"]


# --- files --------------------------------------------------------------------------------


def read_tags_file(path: str) -> dict[str, str]:
    """The tags in it; none if there is no file.

    Raises:
      OptionsError: it cannot be read, or is no map of texts.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        # Go reads it through an open file, and names the operation that failed.
        operation = "read" if os.path.isdir(path) else "open"
        text = go_os_error(operation, error)
        raise OptionsError(f"{_SETUP}Failed to read tags file: {text}") from None
    try:
        found = whole_json_value(data)
        found = {} if found is None else found
        if not isinstance(found, dict):
            raise wrong_type(found, "map[string]string")
        for value in found.values():
            if not isinstance(value, str | None):
                raise wrong_type(value, "string")
    except ValueError as error:
        raise OptionsError(f"{_SETUP}Failed to decode tags file: {error}") from None
    return {go_text_of(key): go_text_of(value or "") for key, value in found.items()}


def tags_file_text(tags: dict[str, str]) -> bytes:
    """The bytes of the tags file, as Go writes them."""
    from .go_text import json_document, sorted_map

    return json_document(sorted_map(tags)).encode("utf-8", "surrogateescape")


def check_keyring_file(path: str) -> int:
    """Look at a keyring file, which the node then reads; the number of its keys.

    Raises:
      OptionsError: there is none, or it holds no keys.
    """
    try:
        os.stat(path)
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise OptionsError(f"{_SETUP}stat {path}: no such file or directory") from None
    except OSError as error:
        text = go_os_error("read" if os.path.isdir(path) else "open", error)
        raise OptionsError(f"{_SETUP}Failed to read keyring file: {text}") from None
    try:
        keys = whole_json_value(data)
        keys = [] if keys is None else keys
        if not isinstance(keys, list):
            raise wrong_type(keys, "[]string")
        for key in keys:
            if not isinstance(key, str | None):
                raise wrong_type(key, "string")
    except ValueError as error:
        raise OptionsError(f"{_SETUP}Failed to decode keyring file: {error}") from None
    keys = [key or "" for key in keys]
    if not keys:
        raise OptionsError(f"{_SETUP}Keyring file contains no keys")
    if not keys[0]:
        raise OptionsError(f"{_SETUP}Failed to restore keyring: Empty primary key not allowed")
    for key in keys:
        wrong = base64_error(key)
        if wrong is not None:
            raise OptionsError(f"{_SETUP}Failed to decode key from keyring: {wrong}")
    if not all(_key_size(key) in _KEY_SIZES for key in keys):
        raise OptionsError(f"{_SETUP}Failed to restore keyring: {_KEY_SIZE}")
    return len(keys)


def _key_size(key: str) -> int:
    from base64 import b64decode

    return len(b64decode(key))


# --- the node -----------------------------------------------------------------------------


def check_encrypt_key(key: str) -> None:
    """Raise `OptionsError` for a text that is no base64; its length is looked at later."""
    wrong = base64_error(key)
    if wrong is not None:
        raise OptionsError(f"Invalid encryption key: {wrong}")


def node_config(
    options: AgentOptions, addresses: NodeAddresses, tags: dict[str, str], tap: Tap
) -> Config:
    """The settings of the node.

    Args:
      options: completed.
      addresses: where it is.
      tags: those that it starts with.
      tap: what counts.

    Raises:
      OptionsError: a value that the library refuses.
      ConfigError: the same, where Go has no words for it.
    """
    _check_values(options)
    maker = {"lan": Config.lan, "wan": Config.wan, "local": Config.local}[options.profile]
    settings: dict[str, Any] = {
        "node_name": options.node_name,
        "tags": tags,
        "protocol_version": options.protocol,
        "bind": host_and_port(*addresses.bind),
        "broadcast_timeout": options.broadcast_timeout,
        "enable_name_conflict_resolution": not options.disable_name_resolution,
        "disable_coordinates": options.disable_coordinates,
        "enable_compression": options.enable_compression,
        "rejoin_after_leave": options.rejoin_after_leave,
        "snapshot_path": options.snapshot_path or None,
        "keyring_file": options.keyring_file or None,
        "user_event_size_limit": options.user_event_size_limit,
        "query_size_limit": options.query_size_limit,
        "query_response_size_limit": options.query_response_size_limit,
        "validate_node_names": options.validate_node_names,
        "leave_on_exit": False,
        "tap": tap,
        **_AGENT_PERIODS,
    }
    for key in _LEFT_TO_THE_LIBRARY:
        if getattr(options, key):
            settings[key] = getattr(options, key)
    if options.dead_on_refusal is not None:
        settings["dead_on_refusal"] = options.dead_on_refusal
    if addresses.advertise is not None:
        settings["advertise"] = host_and_port(*addresses.advertise)
    if options.encrypt_key:
        settings["encrypt_key"] = options.encrypt_key.replace("\r", "").replace("\n", "")
    return maker(**settings)


_AGENT_PERIODS: Final = {
    "coalesce_period": 3.0,
    "quiescent_period": 1.0,
    "user_coalesce_period": 3.0,
    "user_quiescent_period": 1.0,
}
"""How long an agent merges events (seconds), as Go's does."""
_LEFT_TO_THE_LIBRARY: Final = (
    "reconnect_interval",
    "reconnect_timeout",
    "tombstone_timeout",
    "max_queue_depth",
    "min_queue_depth",
    "queue_depth_warning",
    "refusal_grace",
)
"""Settings that are only given on if they are given."""


def _check_values(options: AgentOptions) -> None:
    limit = USER_EVENT_SIZE_LIMIT
    if options.user_event_size_limit > limit:
        raise OptionsError(f"{_CREATE}user event size limit exceeds limit of {limit} bytes")
    lowest, highest = PROTOCOL_VERSION_MIN, PROTOCOL_VERSION_MAX
    if not lowest <= options.protocol <= highest:
        what = "low" if options.protocol < lowest else "high"
        raise OptionsError(
            f"{_CREATE}Protocol version '{options.protocol}' too {what}. "
            f"Must be in range: [{lowest}, {highest}]"
        )
    if options.encrypt_key and _key_size(options.encrypt_key) not in _KEY_SIZES:
        raise OptionsError(f"{_CREATE}Failed to create memberlist: {_KEY_SIZE}")


@attrs.frozen(kw_only=True)
class Prepared:
    """All that is decided before anything is started.

    Args:
      config: of the node.
      addresses: where it is.
      notes: what the user should know.
      log: what the log shall say about the files that were read.
      warnings: what it shall say about settings that are taken, and dangerous.
    """

    config: Config
    addresses: NodeAddresses
    notes: tuple[str, ...]
    log: tuple[str, ...]
    warnings: tuple[str, ...]


def prepare(
    options: AgentOptions, tap: Tap, begin: Callable[[Sequence[str]], object] = len
) -> Prepared:
    """Read the files that the settings name, and make those of the node.

    Args:
      options: completed.
      tap: what counts.
      begin: called with notes for the user where Go's agent says that it starts: what is wrong
        with addresses, key and profile it says before that, and the rest after it.

    Raises:
      OptionsError: in Go's words.
      ConfigError: where Go has no words for it.
    """
    addresses = find_addresses(options)
    if options.encrypt_key:
        check_encrypt_key(options.encrypt_key)
    if options.profile not in ("lan", "wan", "local"):
        raise OptionsError(f"Unknown profile: {options.profile}")
    begin(addresses.notes)
    tags, log = options.wanted_tags, []
    if options.tags_file:
        if tags:
            raise OptionsError(f"{_SETUP}Tags config not allowed while using tag files")
        tags = read_tags_file(options.tags_file)
        if tags:
            log.append(f"Restored {len(tags)} tag(s) from {options.tags_file}")
    if options.keyring_file:
        if options.encrypt_key:
            raise OptionsError(f"{_SETUP}Encryption key not allowed while using a keyring")
        keys = check_keyring_file(options.keyring_file)
        log.append(f"Restored keyring with {keys} keys from {options.keyring_file}")
    return Prepared(
        config=node_config(options, addresses, tags, tap),
        addresses=addresses,
        notes=addresses.notes,
        log=tuple(log),
        warnings=_rpc_warnings(options),
    )


def _rpc_warnings(options: AgentOptions) -> tuple[str, ...]:
    """Whether anybody may operate the agent.

    Go's agent says nothing.  It is no error, as in `trioserf.ipc.serve`, because clusters that
    are run so must be able to change to this agent.
    """
    try:
        address = parse_rpc_address(options.rpc_addr)
        if isinstance(address, UnixAddress) or options.rpc_auth:
            return ()
        if address.host and ip_address(_resolved(address.host)).is_loopback:
            return ()
    except ValueError:
        return ()  # it cannot be listened at, and that is said then
    return (
        f"RPC is open to everybody who reaches {options.rpc_addr}: they can change the cluster, "
        "and end this agent; rpc_auth sets a key that they must know",
    )

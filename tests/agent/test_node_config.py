"""Addresses, files and keys of an agent, and what is said about those that cannot be."""

from __future__ import annotations

import base64
import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

import trioserf
from trioserf._agent import node_config
from trioserf._agent.agent_options import AgentOptions, OptionsError
from trioserf._agent.metrics import AgentMetrics
from trioserf._agent.node_config import address_parts, find_addresses, prepare, tags_file_text

KEY = base64.b64encode(b"k" * 32).decode()


def options_of(**options: Any) -> AgentOptions:
    return AgentOptions(**{"node_name": "a", "bind": "127.0.0.1", **options})


def complaint(**options: Any) -> str:
    with pytest.raises(OptionsError) as raised:
        prepare(options_of(**options), AgentMetrics())
    return str(raised.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("10.0.0.1", ("10.0.0.1", 7946)),
        ("10.0.0.1:5", ("10.0.0.1", 5)),
        (":5", ("0.0.0.0", 5)),
        ("[::1]", ("::1", 7946)),
        ("[::1]:5", ("::1", 5)),
        ("localhost:5", ("127.0.0.1", 5)),
    ],
)
def test_an_address_may_have_a_port(text: str, parts: tuple[str, int]) -> None:
    assert parts == address_parts(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("127.0.0.1:xyz", "address tcp/xyz: unknown port"),
        ("127.0.0.1:99999", "address 99999: invalid port"),
        ("::1", "address ::1: too many colons in address"),
        ("[::1:5", "address [::1:5: missing ']' in address"),
        ("name.invalid", "lookup name.invalid: no such host"),
    ],
)
def test_what_is_no_address_is_said_as_go_says_it(text: str, problem: str) -> None:
    assert f"Invalid bind address: {problem}" == complaint(bind=text)
    assert f"Invalid advertise address: {problem}" == complaint(advertise=text)


def test_without_a_port_the_bound_one_is_advertised() -> None:
    addresses = find_addresses(AgentOptions(bind="127.0.0.1:5", advertise="10.0.0.1"))
    assert ("10.0.0.1", 5) == addresses.advertise


@pytest.mark.parametrize(
    ("rpc_addr", "rpc_auth", "warned"),
    [
        ("127.0.0.1:7373", "", False),
        ("127.1.2.3:7373", "", False),
        ("localhost:7373", "", False),
        ("[::1]:7373", "", False),
        ("unix:/run/serf.sock", "", False),
        ("nonsense", "", False),
        ("0.0.0.0:7373", "", True),
        (":7373", "", True),
        ("10.0.0.1:7373", "", True),
        ("0.0.0.0:7373", "key", False),
    ],
)
def test_rpc_that_is_open_to_everybody_is_warned_of(
    rpc_addr: str, rpc_auth: str, warned: bool
) -> None:
    options = options_of(rpc_addr=rpc_addr, rpc_auth=rpc_auth)
    (warnings,) = {prepare(options, AgentMetrics()).warnings}
    assert warned == bool(warnings)
    assert all(f"RPC is open to everybody who reaches {rpc_addr}: " in each for each in warnings)


def test_an_interface_gives_the_address() -> None:
    addresses = find_addresses(AgentOptions(interface="lo"))
    assert ("127.0.0.1", 7946) == addresses.bind
    assert ("Using interface 'lo' address '127.0.0.1'",) == addresses.notes


def test_the_address_must_be_one_of_the_interface() -> None:
    assert ("127.0.0.1", 7946) == find_addresses(
        AgentOptions(bind="127.0.0.1", interface="lo")
    ).bind
    assert "Interface 'lo' has no '127.0.0.9' address" == complaint(
        bind="127.0.0.9", interface="lo"
    )
    assert "Invalid network interface: route ip+net: no such network interface" == complaint(
        interface="none0"
    )


def test_values_out_of_bounds_are_refused_in_go_s_words() -> None:
    create = "Failed to start the Serf agent: Error creating Serf: "
    assert f"{create}Protocol version '1' too low. Must be in range: [2, 5]" == complaint(
        protocol=1
    )
    assert f"{create}Protocol version '6' too high. Must be in range: [2, 5]" == complaint(
        protocol=6
    )
    assert "user event size limit exceeds limit of 9216 bytes" in complaint(
        user_event_size_limit=10_000
    )
    assert "Unknown profile: metro" == complaint(profile="metro")


def test_a_key_is_checked_and_never_shown() -> None:
    assert "Invalid encryption key: illegal base64 data at input byte 0" == complaint(
        encrypt_key="!!s3cret"
    )
    short = base64.b64encode(b"s3cret").decode()
    assert complaint(encrypt_key=short).endswith(
        "Failed to create memberlist: key size must be 16, 24 or 32 bytes"
    )


def test_tags_come_from_the_settings_or_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tags.json"
    options = options_of(tags_file=str(path))
    assert {} == prepare(options, AgentMetrics()).config.tags
    path.write_bytes(tags_file_text({"role": "web", "dc": "east"}))
    assert '{\n  "dc": "east",\n  "role": "web"\n}' == path.read_text()
    prepared = prepare(options, AgentMetrics())
    assert {"dc": "east", "role": "web"} == prepared.config.tags
    assert (f"Restored 2 tag(s) from {path}",) == prepared.log
    setup = "Failed to setup the Serf agent: "
    both = complaint(tags_file=str(path), tags={"a": "b"})
    assert f"{setup}Tags config not allowed while using tag files" == both
    path.write_text("[1]")
    assert complaint(tags_file=str(path)).startswith(f"{setup}Failed to decode tags file: ")
    assert f"{setup}Failed to read tags file: read /: is a directory" == complaint(tags_file="/")


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (None, "stat {}: no such file or directory"),
        ([], "Keyring file contains no keys"),
        (["!"], "Failed to decode key from keyring: illegal base64 data at input byte 0"),
        (["QUJD"], "Failed to restore keyring: key size must be 16, 24 or 32 bytes"),
        ({}, "Failed to decode keyring file: "),
    ],
)
def test_a_keyring_file_must_hold_keys(tmp_path: Path, keys: Any, problem: str) -> None:
    path = tmp_path / "ring.json"
    if keys is not None:
        path.write_text(json.dumps(keys))
    expected = f"Failed to setup the Serf agent: {problem.format(path)}"
    assert complaint(keyring_file=str(path)).startswith(expected)


def test_a_keyring_file_and_a_key_are_too_much(tmp_path: Path) -> None:
    path = tmp_path / "ring.json"
    path.write_text(json.dumps([KEY]))
    assert complaint(keyring_file=str(path), encrypt_key=KEY).endswith(
        "Encryption key not allowed while using a keyring"
    )
    prepared = prepare(options_of(keyring_file=str(path)), AgentMetrics())
    assert (f"Restored keyring with 1 keys from {path}",) == prepared.log


def test_an_agent_merges_events_and_leaves_by_itself_alone() -> None:
    config = prepare(options_of(), AgentMetrics()).config
    assert (3.0, 1.0) == (config.coalesce_period, config.user_quiescent_period)
    assert (5, False) == (config.protocol_version, config.leave_on_exit)


def test_what_is_given_reaches_the_node() -> None:
    options = options_of(
        bind="127.0.0.1:5",
        encrypt_key=KEY,
        profile="wan",
        reconnect_timeout=7.0,
        enable_compression=False,
        max_queue_depth=99,
        disable_name_resolution=True,
    )
    config = prepare(options, AgentMetrics()).config
    assert ("wan", 7.0, 99) == (config.profile, config.reconnect_timeout, config.max_queue_depth)
    assert not config.memberlist.enable_compression
    assert not config.enable_name_conflict_resolution
    assert b"k" * 32 == config.memberlist.secret_key


def test_what_a_refusal_means_is_the_library_s_unless_it_is_given() -> None:
    by_default = trioserf.Config.lan(node_name="web-1").memberlist
    config = prepare(options_of(), AgentMetrics()).config.memberlist
    assert by_default.dead_on_refusal == config.dead_on_refusal
    assert by_default.refusal_grace == config.refusal_grace
    for wanted in (True, False):
        options = options_of(dead_on_refusal=wanted, refusal_grace=2.5)
        config = prepare(options, AgentMetrics()).config.memberlist
        assert (wanted, 2.5) == (config.dead_on_refusal, config.refusal_grace)


def test_a_later_file_may_turn_refusal_off_again() -> None:
    both = AgentOptions().merged({"dead_on_refusal": True}).merged({"dead_on_refusal": False})
    assert both.dead_on_refusal is False


@pytest.mark.parametrize(
    ("addresses", "bind", "place", "problem"),
    [
        ([], "0.0.0.0", "", "Interface 'eth7' has no addresses"),
        (["fe80::1", "10.0.0.5"], "0.0.0.0", "10.0.0.5", ""),
        (["fe80::1"], "0.0.0.0", "", "Failed to find usable address for interface 'eth7'"),
        (["10.0.0.5", "10.0.0.6"], "10.0.0.6", "10.0.0.6", ""),
        (["10.0.0.5"], "10.0.0.7", "", "Interface 'eth7' has no '10.0.0.7' address"),
    ],
)
def test_which_address_of_an_interface_is_taken(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], bind: str, place: str, problem: str
) -> None:
    found = [ip_address(each) for each in addresses]
    monkeypatch.setattr(node_config, "interface_addresses", lambda _name: found)
    if problem:
        with pytest.raises(OptionsError, match=f"^{problem}$"):
            node_config._on_interface("eth7", bind)
    else:
        assert place == node_config._on_interface("eth7", bind)[0]


def test_a_host_that_is_no_name_is_no_such_host() -> None:
    with pytest.raises(ValueError, match=r"lookup 127\.1: no such host"):
        node_config._resolved("127.1")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1}', "cannot unmarshal number"),
        ('["a"]', "cannot unmarshal array"),
        ("nonsense", "invalid character"),
    ],
)
def test_a_tags_file_must_hold_tags(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "tags.json"
    path.write_text(text)
    said = complaint(tags_file=str(path))
    assert "Failed to decode tags file: " in said
    assert problem in said

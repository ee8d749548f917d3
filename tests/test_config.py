"""Settings: defaults as Go's, bounds, shortcuts, and no secret in any text."""

from __future__ import annotations

import base64
from typing import Any

import attrs
import pytest

import trioserf._config as config_module
from trioserf._config import Config, MemberlistConfig, check_node_name
from trioserf._exceptions import ConfigError, InvalidNodeName
from trioserf._settings import key_bytes

LAN = {
    "tcp_timeout": 10.0,
    "indirect_checks": 3,
    "retransmit_mult": 4,
    "suspicion_mult": 4,
    "suspicion_max_timeout_mult": 6,
    "push_pull_interval": 30.0,
    "probe_interval": 1.0,
    "probe_timeout": 0.5,
    "awareness_max_multiplier": 8,
    "gossip_interval": 0.2,
    "gossip_nodes": 3,
    "gossip_to_the_dead_time": 30.0,
    "handoff_queue_depth": 1024,
    "udp_buffer_size": 1400,
    "bind_addr": "0.0.0.0",
    "bind_port": 7946,
    "protocol_version": 2,
}
WAN = LAN | {
    "tcp_timeout": 30.0,
    "suspicion_mult": 6,
    "push_pull_interval": 60.0,
    "probe_timeout": 3.0,
    "probe_interval": 5.0,
    "gossip_nodes": 4,
    "gossip_interval": 0.5,
    "gossip_to_the_dead_time": 60.0,
}
LOCAL = LAN | {
    "tcp_timeout": 1.0,
    "indirect_checks": 1,
    "retransmit_mult": 2,
    "suspicion_mult": 3,
    "push_pull_interval": 15.0,
    "probe_timeout": 0.2,
    "gossip_interval": 0.1,
    "gossip_to_the_dead_time": 15.0,
}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (MemberlistConfig.lan(), LAN),
        (MemberlistConfig.wan(), WAN),
        (MemberlistConfig.local(), LOCAL),
        (MemberlistConfig(), LAN),
    ],
    ids=["lan", "wan", "local", "default"],
)
def test_profiles_have_the_defaults_of_go(
    made: MemberlistConfig, expected: dict[str, object]
) -> None:
    assert expected == {name: getattr(made, name) for name in expected}


def test_serf_has_the_defaults_of_go() -> None:
    config = Config()
    assert 4 == config.protocol_version
    assert (5.0, 1.0) == (config.broadcast_timeout, config.leave_propagate_delay)
    assert (15.0, 30.0) == (config.reap_interval, config.reconnect_interval)
    assert (86400.0, 86400.0) == (config.reconnect_timeout, config.tombstone_timeout)
    assert (512, 1024, 1024) == (
        config.user_event_size_limit,
        config.query_size_limit,
        config.query_response_size_limit,
    )
    assert (4096, 128, 0) == (
        config.max_queue_depth,
        config.queue_depth_warning,
        config.min_queue_depth,
    )


@pytest.mark.parametrize("version", [2, 3, 4, 5])
def test_every_protocol_version_of_go_is_accepted(version: int) -> None:
    assert version == Config(protocol_version=version).protocol_version


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("protocol_version", 1),
        ("protocol_version", 6),
        ("user_event_size_limit", 9217),
        ("user_event_size_limit", True),
        ("reap_interval", 0),
        ("reap_interval", -1.0),
        ("reconnect_timeout", "1h"),
        ("event_buffer", 0),
        ("node_name", ""),
        ("node_name", "\ud800"),
        ("tags", {"a": "\ud800"}),
        ("tags", {"a": 1}),
        ("memberlist", None),
    ],
)
def test_a_bad_serf_setting_names_field_and_value(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field) as caught:
        Config(**{field: value})
    assert isinstance(caught.value, ValueError)
    assert field == caught.value.field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bind_port", 65536),
        ("bind_port", "7946"),
        ("protocol_version", 0),
        ("protocol_version", 6),
        ("probe_timeout", 0.0),
        ("label", "x" * 256),
        ("udp_buffer_size", 100),
        ("cidrs_allowed", ["10.0.0.0/33"]),
        ("secret_key", b"short"),
        ("keyring", [b"short"]),
        ("gossip_nodes", -1),
        ("probe_interval", float("nan")),
    ],
)
def test_a_bad_memberlist_setting_names_the_field(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        MemberlistConfig(**{field: value})


def test_bind_advertise_and_key_are_shortcuts() -> None:
    key = bytes(range(32))
    config = Config.lan(
        node_name="n",
        bind="0.0.0.0:0",
        advertise="10.1.2.3:9000",
        encrypt_key=base64.b64encode(key).decode(),
    )
    settings = config.memberlist
    assert ("0.0.0.0", 0) == (settings.bind_addr, settings.bind_port)
    assert ("10.1.2.3", 9000) == (settings.advertise_addr, settings.advertise_port)
    assert key == settings.secret_key
    assert settings.encryption_enabled


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        ("127.0.0.1", ("127.0.0.1", 7946)),
        ("[::1]:80", ("::1", 80)),
        ("[::1]", ("::1", 7946)),
        ("::1", ("::1", 7946)),
        ("localhost:7947", ("127.0.0.1", 7947)),
        ("LOCALHOST", ("127.0.0.1", 7946)),
        (":7947", ("0.0.0.0", 7947)),
        ("7947", ("0.0.0.0", 7947)),
        (7947, ("0.0.0.0", 7947)),
        (0, ("0.0.0.0", 0)),
    ],
)
def test_bind_takes_a_port_or_the_default(text: str | int, expected: tuple[str, int]) -> None:
    settings = Config.wan(bind=text).memberlist
    assert expected == (settings.bind_addr, settings.bind_port)


BAD_PLACES = [
    *("127.0.0.1:http", "127.0.0.1:70000", "127.0.0.1:", ":", "example.org:1", "", "70000"),
    *(70000, -1, True, 7946.0, ("127.0.0.1", 7946), b"127.0.0.1:7946"),
]


@pytest.mark.parametrize("given", BAD_PLACES)
@pytest.mark.parametrize("field", ["bind", "advertise"])
def test_a_bad_place_is_refused_by_the_name_of_its_setting(field: str, given: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.lan(**{field: given})
    assert (field, given) == (caught.value.field, caught.value.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("10.0.0.5", ("10.0.0.5", 0)),
        ("10.0.0.5:0", ("10.0.0.5", 0)),
        ("10.0.0.5:7000", ("10.0.0.5", 7000)),
        ("fd00::5", ("fd00::5", 0)),
        ("localhost", ("127.0.0.1", 0)),
        (":7000", ("", 7000)),
        (7000, ("", 7000)),
    ],
)
def test_without_a_port_the_bound_one_is_advertised(
    given: str | int, expected: tuple[str, int]
) -> None:
    settings = Config.lan(bind="127.0.0.1:7947", advertise=given).memberlist
    assert expected == (settings.advertise_addr, settings.advertise_port)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255"])
def test_an_address_that_leads_to_no_node_is_not_advertised(address: str) -> None:
    with pytest.raises(ConfigError, match=r"^advertise="):
        Config.lan(advertise=address)
    with pytest.raises(ConfigError, match=r"^advertise_addr="):
        MemberlistConfig(advertise_addr=address)


def test_a_name_is_no_address() -> None:
    for field in ("bind_addr", "advertise_addr"):
        with pytest.raises(ConfigError, match=f"{field}='host.example': expected an IP address"):
            MemberlistConfig(**{field: "host.example"})
    assert "127.0.0.1" == MemberlistConfig(bind_addr="localhost").bind_addr


def test_shortcuts_change_a_given_memberlist_section() -> None:
    base = MemberlistConfig.wan(label="blue")
    config = Config.lan(bind="127.0.0.1:0", memberlist=base)
    assert attrs.evolve(base, bind_addr="127.0.0.1", bind_port=0) == config.memberlist


def test_the_local_profile_binds_loopback() -> None:
    assert "127.0.0.1" == Config.local().memberlist.bind_addr


def test_no_key_is_ever_shown() -> None:
    key = b"0123456789abcdef"
    settings = MemberlistConfig(secret_key=key, keyring=[key])
    shown = repr(settings) + repr(Config(memberlist=settings))
    assert "0123456789abcdef" not in shown
    for bad in (key + b"x", "not base64!", "QUJD" * 8 + "="):
        with pytest.raises(ConfigError) as caught:
            key_bytes(bad)
        assert "0123456789abcdef" not in str(caught.value)
        assert "not base64!" not in str(caught.value)


def test_tags_cannot_be_changed_from_outside() -> None:
    tags = {"role": "web"}
    config = Config(tags=tags)
    tags["role"] = "db"
    assert "web" == config.tags["role"]
    with pytest.raises(TypeError):
        config.tags["role"] = "db"  # type: ignore[index]


@pytest.mark.parametrize("name", ["a", "web-1.example", "A" * 128])
def test_ordinary_node_names_pass(name: str) -> None:
    check_node_name(name)
    assert name == Config(node_name=name, validate_node_names=True).node_name


@pytest.mark.parametrize("name", ["!BadChars&^*", "a b", "a_b", "A" * 129, "ä"])
def test_strange_node_names_are_refused_only_when_asked(name: str) -> None:
    """Checklist of Serf, item 31."""
    assert name == Config(node_name=name).node_name
    with pytest.raises(InvalidNodeName, match="node_name"):
        Config(node_name=name, validate_node_names=True)


def test_every_memberlist_field_is_listed_as_new_or_known_to_go() -> None:
    text = MemberlistConfig.__doc__ or ""
    new = {
        "transport", "eager_gossip", "user_share", "max_streams", "max_relays",
        "max_packet_output", "seed_memory", "accept_v0", "faithful_go", "tap",
    }  # fmt: skip
    assert all(f"``{name}``" in text for name in new)
    assert new <= {field.name for field in attrs.fields(config_module.MemberlistConfig)}

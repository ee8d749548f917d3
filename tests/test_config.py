"""Settings: defaults as Go's, bounds, shortcuts, and no secret in any text."""

from __future__ import annotations

import base64
import pydoc
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.memberlist.kit import Tap
from tests.settings_page import PAGE, settings_page
from trioserf._config import Config, MemberlistConfig, check_node_name
from trioserf._config_keywords import ConfigKeywords, MemberlistKeywords
from trioserf._exceptions import ConfigError, InvalidNodeName
from trioserf._setting_texts import setting_texts
from trioserf._settings import key_bytes
from trioserf.testing import SimNetwork

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
        ("event_buffer", 1_000_001),
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
        ("secret_key", 5),
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


@pytest.mark.parametrize("config", [Config, MemberlistConfig])
def test_every_field_that_go_does_not_have_is_in_the_list_of_the_class(config: type[Any]) -> None:
    new = {name for name, text in setting_texts(config).items() if text.go.startswith("none")}
    listed = (config.__doc__ or "").partition("Fields that Go does not have:")[2]
    assert new == set(re.findall(r"``(\w+)``", listed))


# --- keywords of a profile ----------------------------------------------------------------

KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
OTHER: dict[str, Any] = {
    "bind_addr": "127.0.0.1",
    "advertise_addr": "10.0.0.1",
    "transport": SimNetwork().transport("10.0.0.1"),
    "secret_key": KEY,
    "keyring": [KEY],
    "cidrs_allowed": ["10.0.0.0/8"],
    "label": "blue",
    "node_name": "b",
    "tags": {"role": "web"},
    "metric_labels": {"a": "b"},
    "snapshot_path": Path("there"),
    "keyring_file": Path("there"),
    "rng": random.Random(1),
    "udp_buffer_size": 512,
    "user_share": 0.5,
    "protocol_version": 5,
    "memberlist": MemberlistConfig(label="blue"),
    "tap": Tap(),
    "retry_join": ["a.example"],
}


def other_value(field: attrs.Attribute[Any]) -> Any:
    """A value of the field that is not its default."""
    if field.name in OTHER:
        return OTHER[field.name]
    if isinstance(field.default, bool):
        return not field.default
    return (lambda *_: 1.0) if field.default is None else field.default + 1


@pytest.mark.parametrize("profile", [Config.lan, Config.wan, Config.local])
def test_every_setting_of_both_halves_is_a_keyword(profile: Callable[..., Config]) -> None:
    decided = {"name", "dns_config_path"} | {n for n in names(MemberlistConfig) if "delegate" in n}
    for field in attrs.fields(MemberlistConfig):
        value = other_value(field) if field.name not in decided else field.default
        config = profile(node_name="a", **{field.name: value})
        if field.name not in decided | names(Config):
            expected = MemberlistConfig(**{field.name: value})
            assert getattr(expected, field.name) == getattr(config.memberlist, field.name)
    for field in attrs.fields(Config):
        if field.name == "profile":
            continue
        value = other_value(field)
        config = profile(**{field.name: value})
        if field.name != "memberlist":
            expected = Config(**{field.name: value})
            assert getattr(expected, field.name) == getattr(config, field.name)


def names(config: type[Any]) -> set[str]:
    return {field.name for field in attrs.fields(config)}


def test_the_interval_of_queue_checks_is_that_of_both_halves() -> None:
    config = Config.lan(queue_check_interval=7.0)
    assert (7.0, 7.0) == (config.queue_check_interval, config.memberlist.queue_check_interval)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("prob_interval", "probe_interval"),
        ("ProbeInterval", "probe_interval"),
        ("nodename", "node_name"),
        ("name", "node_name"),
        ("delegate_protocol_max", "protocol_version"),
        ("tag", "tags"),
        ("encryption_key", "encrypt_key"),
    ],
)
def test_a_misspelled_keyword_is_a_type_error_with_the_nearest_name(given: str, meant: str) -> None:
    with pytest.raises(TypeError, match=rf"Config.lan\(\) has no setting '{given}'.*'{meant}'"):
        Config.lan(**{given: 1})


def test_a_name_like_no_other_is_a_type_error_too() -> None:
    with pytest.raises(TypeError, match=r"Config.wan\(\) has no setting 'zzzz'$"):
        Config.wan(zzzz=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"MemberlistConfig.wan\(\).*'gossip_nodes'"):
        MemberlistConfig.wan(gosip_nodes=1)
    with pytest.raises(TypeError, match="'profile'"):
        Config.wan(profile="lan")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("probe_interval", "1s"),
        ("gossip_nodes", 2.5),
        ("leave_on_exit", "yes"),
        ("snapshot_path", 5),
        ("snapshot_path", ""),
        ("keyring_file", b"x"),
        ("merge", "x"),
        ("retry_join", 7946),
        ("retry_join", b"10.0.0.1"),
        ("retry_join", ["10.0.0.1", 5]),
        ("retry_join", [""]),
        ("retry_join", ":7946"),
        ("retry_join", "10.0.0.1:70000"),
        ("retry_join", "/10.0.0.1"),
        ("retry_join_interval", 0.0),
        ("retry_join_max_attempts", -1),
        ("disable_tcp_pings_for_node", ["a"]),
        ("rng", 1),
        ("tags", ["a"]),
        ("metric_labels", {"a": 1}),
        ("keyring", KEY),
        ("cidrs_allowed", "10.0.0.0/8"),
        ("transport", "udp"),
        ("memberlist", {"label": "x"}),
        ("label", 5),
        ("label", "\ud900"),
    ],
)
def test_a_value_of_another_type_is_a_config_error_that_names_it(name: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.lan(**{name: value})
    assert name == caught.value.field
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"bind": "127.0.0.1:1", "bind_port": 2},
        {"bind": "127.0.0.1", "bind_addr": "127.0.0.1"},
        {"advertise": "10.0.0.1", "advertise_port": 2},
        {"encrypt_key": KEY, "secret_key": KEY},
    ],
)
def test_a_shortcut_and_what_it_stands_for_exclude_each_other(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="not both") as caught:
        Config.lan(**given)
    assert KEY not in str(caught.value)


# --- a profile is never dropped -----------------------------------------------------------


def timing(config: Config) -> dict[str, object]:
    return {name: getattr(config.memberlist, name) for name in WAN if name != "bind_addr"}


WAN_TIMING = {name: value for name, value in WAN.items() if name != "bind_addr"}


@pytest.mark.parametrize(
    "made",
    [
        Config.wan(memberlist=MemberlistConfig(label="blue")),
        Config.wan(memberlist=attrs.evolve(MemberlistConfig(), label="blue")),
        Config(profile="wan", memberlist=MemberlistConfig(label="blue")),
        attrs.evolve(Config.wan(), memberlist=MemberlistConfig(label="blue")),
        attrs.evolve(Config.lan(label="blue"), profile="wan"),
        attrs.evolve(Config.local(label="blue"), profile="wan"),
        Config.lan(memberlist=MemberlistConfig.wan(label="blue")),
        Config.lan(memberlist=attrs.evolve(MemberlistConfig.wan(), label="blue")),
    ],
)
def test_the_profile_gives_what_nobody_has_given(made: Config) -> None:
    assert ("blue", WAN_TIMING) == (made.memberlist.label, timing(made))


def test_what_was_given_goes_before_the_profile_even_where_it_is_the_default_of_another() -> None:
    given = MemberlistConfig(probe_interval=1.0, gossip_nodes=3)
    changed = WAN_TIMING | {"probe_interval": 1.0, "gossip_nodes": 3}
    assert changed == timing(Config.wan(memberlist=given))
    assert changed == timing(Config.wan(probe_interval=1.0, gossip_nodes=3))
    assert changed == timing(attrs.evolve(Config.wan(), memberlist=given))
    assert changed == timing(attrs.evolve(Config.lan(memberlist=given), profile="wan"))


def test_a_keyword_goes_before_a_given_section() -> None:
    config = Config.wan(memberlist=MemberlistConfig(label="blue", indirect_checks=9), label="red")
    assert ("red", 9) == (config.memberlist.label, config.memberlist.indirect_checks)


def test_the_local_profile_binds_loopback_unless_an_address_is_given() -> None:
    def bound(config: Config) -> str:
        return config.memberlist.bind_addr

    assert "127.0.0.1" == bound(Config.local(memberlist=MemberlistConfig(label="blue")))
    assert "127.0.0.1" == bound(Config.local(memberlist=MemberlistConfig.local()))
    assert "0.0.0.0" == bound(Config.local(bind_addr="0.0.0.0"))
    assert "0.0.0.0" == bound(Config.local(bind=":0"))
    assert "0.0.0.0" == bound(Config.lan(memberlist=MemberlistConfig.local()))


# --- what is said about each --------------------------------------------------------------


@pytest.mark.parametrize("config", [Config, MemberlistConfig])
def test_every_field_says_what_it_does_its_unit_its_go_name_and_when_to_change_it(
    config: type[Any],
) -> None:
    texts = setting_texts(config)
    assert [field.name for field in attrs.fields(config)] == list(texts)
    lacking = [
        name
        for name, text in texts.items()
        if not (text.about.endswith(".") and text.go and text.change and text.group)
    ]
    assert [] == lacking
    ports = {"bind_port", "advertise_port"}
    for field in attrs.fields(config):
        number = isinstance(field.default, (int, float)) and not isinstance(field.default, bool)
        if number and field.name not in ports:
            assert texts[field.name].unit, field.name
            assert texts[field.name].bound, field.name


def test_a_go_name_is_the_name_in_camel_case() -> None:
    for config in (Config, MemberlistConfig):
        for name, text in setting_texts(config).items():
            go = text.go.partition(" ")[0]
            if go.rstrip(";") != "none" and name != "memberlist":
                assert name.replace("_", "") == go.lower()


def test_help_shows_what_is_said_about_a_field() -> None:
    shown = pydoc.plain(pydoc.render_doc(MemberlistConfig))
    assert "Time between two probes" in shown
    assert (
        "Default: 1.0 (wan 5.0).  Bound: seconds, 0 or more and below 1e9.  Unit: seconds." in shown
    )
    assert "Go: ProbeInterval." in shown
    assert "Change it: shorter finds a crash sooner" in shown
    assert "Change it: wherever a restarted node" in pydoc.plain(
        pydoc.render_doc(Config.snapshot_path)
    )


def test_the_page_of_settings_is_what_the_source_says() -> None:
    """If not: ``python -m tests.settings_page``."""
    assert settings_page() == PAGE.read_text()


def test_the_keywords_of_type_checkers_are_the_fields() -> None:
    def keywords(kind: type[Any]) -> dict[str, str]:
        return {name: value.__forward_arg__ for name, value in annotations_of(kind).items()}

    def fields(config: type[Any]) -> dict[str, str]:
        return {field.name: str(field.type) for field in attrs.fields(config)}

    wider = {
        "secret_key": "str | bytes | None",
        "keyring": "Sequence[str | bytes] | None",
        "cidrs_allowed": "Sequence[str | IPNetwork] | None",
        "snapshot_path": "str | os.PathLike[str] | None",
        "keyring_file": "str | os.PathLike[str] | None",
        "retry_join": "Sequence[str] | str",
    }
    below, upper = fields(MemberlistConfig), fields(Config)
    decided = {name for name in below if name == "name" or name.startswith("delegate_")}
    assert keywords(MemberlistKeywords) == below | {n: wider[n] for n in below if n in wider}
    both = {name: kind for name, kind in below.items() if name not in decided} | upper
    del both["profile"], both["memberlist"]  # by another function; written out there
    assert keywords(ConfigKeywords) == both | {n: wider[n] for n in both if n in wider}


def annotations_of(kind: type[Any]) -> dict[str, Any]:
    return dict(kind.__annotations__)


@pytest.mark.parametrize("tap", [5, "x", object()])
def test_a_tap_has_the_methods_of_one(tap: Any) -> None:
    with pytest.raises(ConfigError, match=r"tap=.*: expected a trioserf\.abc\.Tap"):
        Config.lan(tap=tap)


@pytest.mark.parametrize("path", ["a\0b", "\ud800"])
@pytest.mark.parametrize("field", ["snapshot_path", "keyring_file"])
def test_a_path_that_no_file_can_have_is_refused_by_its_setting(field: str, path: str) -> None:
    with pytest.raises(ConfigError, match=f"{field}=.*: expected a path"):
        Config.lan(**{field: path})

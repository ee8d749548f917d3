"""How files and flags are merged, and what follows from them."""

from __future__ import annotations

import socket

import pytest

from trioserf._agent.agent_flags import AGENT_FLAGS
from trioserf._agent.agent_options import (
    SETTINGS,
    AgentOptions,
    OptionsError,
    completed,
    tags_of,
    values_of_flags,
)
from trioserf._agent.flags import parse_flags


def from_words(*words: str) -> AgentOptions:
    return AgentOptions().merged(values_of_flags(parse_flags(AGENT_FLAGS, words).values))


def test_flags_that_are_not_given_change_nothing() -> None:
    assert AgentOptions() == from_words()


def test_every_flag_stands_for_a_setting() -> None:
    flags = {setting.flag for setting in SETTINGS if setting.flag}
    others = {"config-file", "config-dir", "disable-compression", "mdns-iface"}
    others |= {"mdns-disable-ipv4", "mdns-disable-ipv6"}
    assert {flag.name for flag in AGENT_FLAGS} == flags | others


def test_texts_and_numbers_replace_unless_they_are_empty() -> None:
    first = AgentOptions().merged({"node_name": "a", "retry_max_attempts": 3, "bind": "x"})
    second = first.merged({"node_name": "b", "retry_max_attempts": 0, "bind": ""})
    assert ("b", 3, "x") == (second.node_name, second.retry_max_attempts, second.bind)


def test_tags_are_merged_lists_appended_and_what_is_true_stays_true() -> None:
    first = {"tags": {"a": "1", "b": "1"}, "event_handlers": ("x",), "leave_on_terminate": True}
    second = {"tags": {"b": "2"}, "event_handlers": ("y",), "leave_on_terminate": False}
    merged = AgentOptions().merged(first).merged(second)
    assert {"a": "1", "b": "2"} == merged.tags
    assert (("x", "y"), True) == (merged.event_handlers, merged.leave_on_terminate)


@pytest.mark.parametrize("given", [0, -3])
def test_a_protocol_that_is_not_positive_is_none(given: int) -> None:
    assert 5 == AgentOptions().merged({"protocol": given}).protocol


def test_compression_can_be_turned_off_in_a_file() -> None:
    assert not AgentOptions().merged({"enable_compression": False}).enable_compression
    assert not from_words("-disable-compression").enable_compression


def test_the_settings_of_mdns_come_from_file_and_flags() -> None:
    options = AgentOptions().merged({"mdns": {"interface": "eth0", "disable_ipv6": True}})
    flags = values_of_flags(parse_flags(AGENT_FLAGS, ["-mdns-iface=lo"]).values)
    assert {"interface": "lo", "disable_ipv6": True} == options.merged(flags).mdns


def test_files_and_folders_are_one_list_in_the_order_typed() -> None:
    words = ["-config-dir", "a", "-config-file=b", "-config-dir=c"]
    assert ("a", "b", "c") == parse_flags(AGENT_FLAGS, words).values["config-file"]


@pytest.mark.parametrize("word", ["novalue", "=x", ""])
def test_a_tag_needs_a_key_and_a_value(word: str) -> None:
    with pytest.raises(OptionsError, match=f"^Error: Invalid tag: '{word}'$"):
        tags_of((word,))


def test_the_value_of_a_tag_may_have_anything() -> None:
    assert {"a": "b=c", "d": ""} == tags_of(("a=b=c", "d="))


def test_a_time_that_is_none_is_refused_in_go_s_words() -> None:
    with pytest.raises(OptionsError, match=r'^Error: time: invalid duration "abc"$'):
        from_words("-retry-interval", "abc")


def test_what_is_too_low_is_raised_and_said() -> None:
    options, notes = completed(from_words("-retry-interval=10ms", "-broadcast-timeout=20ms"))
    assert (1.0, 1.0) == (options.retry_interval, options.broadcast_timeout)
    assert [
        "Warning: 'RetryInterval' is too low. Setting to 1s",
        "Warning: 'BroadcastTimeout' is too low. Setting to 1s",
    ] == notes


def test_rejoining_without_a_snapshot_and_a_role_are_noted() -> None:
    _, notes = completed(from_words("-rejoin", "-role=web"))
    assert [
        "Deprecation warning: 'Role' has been replaced with 'Tags'",
        "Warning: 'RejoinAfterLeave' enabled without snapshot file",
    ] == notes


def test_the_role_is_a_tag() -> None:
    assert {"a": "b", "role": "web"} == from_words("-role=web", "-tag=a=b").wanted_tags
    assert {"a": "b"} == from_words("-tag=a=b").wanted_tags


def test_the_name_of_the_host_is_the_default() -> None:
    assert socket.gethostname() == completed(AgentOptions())[0].node_name


@pytest.mark.parametrize("key", ["user_event_size_limit", "reconnect_timeout"])
def test_nothing_may_be_negative(key: str) -> None:
    with pytest.raises(OptionsError, match=f'"{key}": expected no negative value'):
        completed(AgentOptions().merged({key: -1}))


def test_secrets_are_not_in_the_repr() -> None:
    options = AgentOptions(rpc_auth="s3cret", encrypt_key="s3cret")
    assert "s3cret" not in repr(options)

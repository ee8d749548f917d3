"""Files of settings: what Go takes, and how it says what it does not take."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._agent.agent_options import AgentOptions, OptionsError
from trioserf._agent.config_files import decode_settings, with_files

COMPLAINTS = {
    "": "EOF",
    "  \n": "EOF",
    "{": "unexpected EOF",
    '{"a": "b': "unexpected EOF",
    "[1]": "'' expected a map, got 'slice'",
    '"x"': "'' expected a map, got 'string'",
    "3": "'' expected a map, got 'float64'",
    "true": "'' expected a map, got 'bool'",
    "[" * 100_000: "invalid character '[' exceeded max depth",
    '{"bogus":1,"also":2}': "1 error(s) decoding:\n\n* '' has invalid keys: also, bogus",
    '{"protocol":"5"}': "1 error(s) decoding:\n\n* 'protocol' expected type 'int', got "
    "unconvertible type 'string', value: '5'",
    '{"tags":{"a":1}}': "1 error(s) decoding:\n\n* 'tags[a]' expected type 'string', got "
    "unconvertible type 'float64', value: '1'",
    '{"tags":[]}': "1 error(s) decoding:\n\n* 'tags' expected a map, got 'slice'",
    '{"start_join":"x"}': "1 error(s) decoding:\n\n* 'start_join': source data must be an "
    "array or slice, got string",
    '{"start_join":[1.5]}': "1 error(s) decoding:\n\n* 'start_join[0]' expected type 'string', "
    "got unconvertible type 'float64', value: '1.5'",
    '{"bind":[{"a":true}]}': "1 error(s) decoding:\n\n* 'bind' expected type 'string', got "
    "unconvertible type '[]interface {}', value: '[map[a:true]]'",
    '{"replay_on_join":"yes"}': "1 error(s) decoding:\n\n* 'replay_on_join' expected type "
    "'bool', got unconvertible type 'string', value: 'yes'",
    '{"retry_interval":"soon"}': 'time: invalid duration "soon"',
    '{"retry_interval":"5"}': 'time: missing unit in duration "5"',
    '{"node_name":"a","Node_Name":"b"}': "1 error(s) decoding:\n\n* '' has invalid keys: Node_Name",
    '{"protocol":"a","bind":1}': "2 error(s) decoding:\n\n* 'bind' expected type 'string', got "
    "unconvertible type 'float64', value: '1'\n* 'protocol' expected type 'int', got "
    "unconvertible type 'string', value: 'a'",
    '{"rpc_auth":12345}': "1 error(s) decoding:\n\n* 'rpc_auth' expected type 'string', got "
    "unconvertible type 'float64', value: '(hidden)'",
    '{"mdns":{"x":1}}': "1 error(s) decoding:\n\n* 'mdns' has invalid keys: x",
    '{"protocol": NaN}': "invalid character 'N' looking for beginning of value",
    "\ufeff{}": "invalid character 'ï' looking for beginning of value",
    '{"bind":"x",}': "invalid character '}' looking for beginning of object key string",
    '{"protocol": 1e300}': "1 error(s) decoding:\n\n* 'protocol' expected type 'int', got "
    "1e+300, which is too large",
}
TAKEN = {
    "null": {},
    "{}": {},
    '{"bind":null}': {},
    '{"bind":"x"} trailing': {"bind": "x"},
    '{"bind":"x"}{"bind":"y"}': {"bind": "x"},
    '{"BIND":"x","TAGS":{"Key":"Value"}}': {"bind": "x", "tags": {"Key": "Value"}},
    '{"protocol":5.7}': {"protocol": 5},
    '{"tags":{"a":null}}': {"tags": {"a": ""}},
    '{"retry_interval":"1h30m"}': {"retry_interval": 5400.0},
    '{"retry_interval":""}': {"retry_interval": 0.0},
    '{"bind":"\\ud800"}': {"bind": "\ufffd"},
    '{"disable_coordinates":true}': {"disable_coordinates": True},
    '{"mdns":{"Interface":"lo"}}': {"mdns": {"interface": "lo"}},
}


@pytest.mark.parametrize("text", COMPLAINTS, ids=range(len(COMPLAINTS)))
def test_what_is_wrong_is_said_as_go_says_it(text: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        decode_settings(text.encode())
    assert COMPLAINTS[text] == str(raised.value)


@pytest.mark.parametrize("text", TAKEN)
def test_what_go_takes_is_taken(text: str) -> None:
    assert TAKEN[text] == decode_settings(text.encode())


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert {"node_name": "a\ufffd"} == decode_settings(b'{"node_name":"a\xff"}')


@given(st.binary(max_size=200))
def test_any_bytes_are_settings_or_a_value_error(data: bytes) -> None:
    try:
        decode_settings(b'{"tags":' + data)
        decode_settings(data)
    except ValueError:
        pass


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gone.json"
    with pytest.raises(OptionsError) as raised:
        with_files(AgentOptions(), [str(path)])
    assert f"Error reading '{path}': open {path}: no such file or directory" == str(raised.value)


def test_a_folder_gives_its_json_files_in_byte_order(tmp_path: Path) -> None:
    (tmp_path / "20.json").write_text('{"node_name":"twenty","tags":{"a":"20"}}')
    (tmp_path / "10.json").write_text('{"node_name":"ten","tags":{"a":"10","c":"10"}}')
    (tmp_path / "Z.json").write_text('{"tags":{"z":"Z"}}')
    (tmp_path / "other.conf").write_text("no json")
    (tmp_path / "sub.json").mkdir()
    options = with_files(AgentOptions(), [str(tmp_path)])
    assert "twenty" == options.node_name
    assert {"a": "20", "c": "10", "z": "Z"} == options.tags


def test_a_keyring_file_among_the_settings_is_explained(tmp_path: Path) -> None:
    (tmp_path / "ring.json").write_text("[]")
    with pytest.raises(OptionsError, match="keyring file or a tags file must be elsewhere"):
        with_files(AgentOptions(), [str(tmp_path)])


def test_a_file_without_end_is_not_read_to_its_end() -> None:
    with pytest.raises(OptionsError, match="longer than"):
        with_files(AgentOptions(), ["/dev/zero"])

"""Go's flag grammar, with the texts that Go's flag package gives (run with Go 1.19)."""

from __future__ import annotations

from typing import Any

import pytest

from trioserf._agent.flags import Flag, FlagError, ParsedFlags, parse_flags, parse_int

FLAGS = (
    Flag("format", "text", "", default="text"),
    Flag("tag", "list", ""),
    Flag("coalesce", "bool", "", default=True),
    Flag("prune", "bool", ""),
    Flag("relay-factor", "int", ""),
    Flag("timeout", "duration", ""),
    Flag("ours", "duration", "", beyond_go=True),
    Flag("rpc-addr", "text", "", default="127.0.0.1:7373", variable="SERF_RPC_ADDR"),
)


def parse(*words: str, **environment: str) -> ParsedFlags:
    return parse_flags(FLAGS, words, environment)


@pytest.mark.parametrize(
    "words", [("-format", "json"), ("-format=json",), ("--format", "json"), ("--format=json",)]
)
def test_one_dash_or_two_and_the_value_apart_or_not(words: tuple[str, ...]) -> None:
    parsed = parse(*words, "rest")
    assert ("json", ["rest"]) == (parsed.values["format"], parsed.arguments)
    assert {"format"} == parsed.given


def test_a_value_may_look_like_a_flag() -> None:
    parsed = parse("-format", "-prune", "-tag=--x=1", "-tag", "--")
    assert "-prune" == parsed.values["format"]
    assert ("--x=1", "--") == parsed.values["tag"]
    assert [] == parsed.arguments


def test_what_is_not_typed_has_its_default() -> None:
    assert {
        "format": "text",
        "tag": (),
        "coalesce": True,
        "prune": False,
        "relay-factor": 0,
        "timeout": 0.0,
        "ours": 0.0,
        "rpc-addr": "127.0.0.1:7373",
    } == parse().values


def test_the_environment_gives_a_default_that_a_flag_beats() -> None:
    assert "h:1" == parse(SERF_RPC_ADDR="h:1").values["rpc-addr"]
    assert "127.0.0.1:7373" == parse(SERF_RPC_ADDR="").values["rpc-addr"]
    assert "" == parse("-rpc-addr=", SERF_RPC_ADDR="h:1").values["rpc-addr"]
    assert frozenset() == parse(SERF_RPC_ADDR="h:1").given


def test_the_last_of_a_repeated_flag_counts_but_lists_collect() -> None:
    parsed = parse("-format=a", "-tag", "a=1", "-format", "b", "-tag=b=2")
    assert ("b", ("a=1", "b=2")) == (parsed.values["format"], parsed.values["tag"])


@pytest.mark.parametrize("word", ["1", "t", "T", "true", "TRUE", "True"])
def test_a_boolean_may_be_said_to_be_true(word: str) -> None:
    assert True is parse(f"-prune={word}").values["prune"]


@pytest.mark.parametrize("word", ["0", "f", "F", "false", "FALSE", "False"])
def test_a_boolean_may_be_said_to_be_false(word: str) -> None:
    assert False is parse(f"-coalesce={word}").values["coalesce"]


def test_a_boolean_never_takes_the_next_word() -> None:
    parsed = parse("-coalesce", "false", "x")
    assert (True, ["false", "x"]) == (parsed.values["coalesce"], parsed.arguments)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        (["x", "-prune"], ["x", "-prune"]),
        (["--", "-prune"], ["-prune"]),
        (["-"], ["-"]),
        (["-prune", "--", "--"], ["--"]),
        (["", "-prune"], ["", "-prune"]),
    ],
)
def test_flags_end_at_the_first_plain_word(words: list[str], arguments: list[str]) -> None:
    assert arguments == parse(*words).arguments


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-bogus"], "flag provided but not defined: -bogus"),
        (["--bogus=1"], "flag provided but not defined: -bogus"),
        (["-é"], "flag provided but not defined: -é"),
        (["-format"], "flag needs an argument: -format"),
        (["-prune=maybe"], 'invalid boolean value "maybe" for -prune: parse error'),
        (["-prune="], 'invalid boolean value "" for -prune: parse error'),
        (["-timeout=abc"], 'invalid value "abc" for flag -timeout: parse error'),
        (["-timeout", "5"], 'invalid value "5" for flag -timeout: parse error'),
        (["-timeout="], 'invalid value "" for flag -timeout: parse error'),
        (["-relay-factor=x"], 'invalid value "x" for flag -relay-factor: parse error'),
        (["-relay-factor", 'a"\n'], 'invalid value "a\\"\\n" for flag -relay-factor: parse error'),
        (
            ["-relay-factor=9223372036854775808"],
            'invalid value "9223372036854775808" for flag -relay-factor: value out of range',
        ),
        (["---x"], "bad flag syntax: ---x"),
        (["-=x"], "bad flag syntax: -=x"),
        (["--=x"], "bad flag syntax: --=x"),
        (["-h=false"], ""),
        (["-help"], ""),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_go(words: list[str], text: str) -> None:
    with pytest.raises(FlagError) as caught:
        parse(*words)
    assert (text, False) == (str(caught.value), caught.value.beyond_go)


@pytest.mark.parametrize("words", [["-ours"], ["-ours=x"]])
def test_an_error_says_whether_go_has_the_flag(words: list[str]) -> None:
    with pytest.raises(FlagError) as caught:
        parse(*words)
    assert caught.value.beyond_go


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-1", -1),
        ("+12", 12),
        ("0x1f", 31),
        ("0X1_F", 31),
        ("0x_1f", 31),
        ("017", 15),
        ("0_17", 15),
        ("0o17", 15),
        ("0b101", 5),
        ("1_000", 1000),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_integers_in_the_notations_of_go(text: str, value: int) -> None:
    assert value == parse_int(text)


@pytest.mark.parametrize(
    "text", ["", "+", " 1", "1 ", "1_", "_1", "1__0", "09", "0x", "1.0", "1e3", "\u0661", "--1"]
)
def test_what_is_no_integer_in_go_is_none_here(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_int(text)


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "9" * 5000])
def test_more_than_64_bits_are_out_of_range(text: str) -> None:
    with pytest.raises(OverflowError):
        parse_int(text)


def test_durations_are_seconds() -> None:
    values: dict[str, Any] = parse("-timeout=1m30s", "-ours", "-250ms").values
    assert (90.0, -0.25) == (values["timeout"], values["ours"])

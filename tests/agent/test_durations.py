"""Durations as Go reads and prints them (run with Go 1.19)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._agent.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("-0", 0.0),
        ("5s", 5.0),
        ("+5s", 5.0),
        ("-1.5s", -1.5),
        ("300ms", 0.3),
        ("1h30m", 5400.0),
        ("1m0.5s", 60.5),
        (".5s", 0.5),
        ("1.s", 1.0),
        ("10ns", 1e-8),
        ("10us", 1e-5),
        ("10\u00b5s", 1e-5),
        ("10\u03bcs", 1e-5),
        ("0.1000000000000000000001h", 360.0),
        ("2562047h47m16.854775807s", 9223372036.854775807),
    ],
)
def test_durations_that_go_takes(text: str, seconds: float) -> None:
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("soon", 'time: invalid duration "soon"'),
        (".s", 'time: invalid duration ".s"'),
        ("1 s", 'time: unknown unit " s" in duration "1 s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1h5", 'time: missing unit in duration "1h5"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ("1S", 'time: unknown unit "S" in duration "1S"'),
        ("1s-1s", 'time: unknown unit "s-" in duration "1s-1s"'),
        ('"\\é', 'time: invalid duration "\\"\\\\\\xc3\\xa9"'),
        ("2562047h47m16.854775808s", 'time: invalid duration "2562047h47m16.854775808s"'),
        ("99999999999999999999ns", 'time: invalid duration "99999999999999999999ns"'),
    ],
)
def test_what_is_no_duration_is_refused_in_the_words_of_go(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        parse_duration(text)
    assert error == str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (1.0, "1s"),
        (-1.5, "-1.5s"),
        (0.3, "300ms"),
        (1.5e-6, "1.5µs"),
        (7e-9, "7ns"),
        (30.0, "30s"),
        (60.0, "1m0s"),
        (5400.0, "1h30m0s"),
        (3600.001, "1h0m0.001s"),
    ],
)
def test_durations_as_go_prints_them(seconds: float, text: str) -> None:
    assert text == format_duration(seconds)


@given(st.integers(-(10**15), 10**15))
def test_what_is_printed_can_be_read(nanoseconds: int) -> None:
    seconds = nanoseconds / 1e9
    assert seconds == parse_duration(format_duration(seconds))

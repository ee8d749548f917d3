"""What expressions find, compared with Go's answers and with Python's; and what it costs."""

from __future__ import annotations

import gc
import re
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trioserf._cluster.re2.parser import parse
from trioserf._cluster.re2.program import Budget, OverBudget, _programs, compile_expression
from trioserf._exceptions import RemoteProtocolError

PLENTY = 10_000_000


def found(expression: str, text: str) -> bool:
    return compile_expression(expression).found_in(text, Budget(PLENTY))


def cost(expression: str, text: str) -> int:
    """Steps of a first run, with nothing remembered."""
    budget = Budget(PLENTY)
    _programs.clear()
    compile_expression(expression).found_in(text, budget)
    return PLENTY - budget.left


FOUND = [
    # Anywhere in the text, and the empty expression everywhere.
    ("", ""), ("", "web"), ("eb", "web-1"), ("^web", "web-1"), ("1$", "web-1"), ("^$", ""),
    ("a|b", "xb"), ("|x", ""), ("x*", "y"), ("(|a)+", ""), ("a{0}", ""), ("()", "a"),
    # Repetition.
    ("^a+$", "a"), ("^a+$", "aaa"), ("^a*$", ""), ("^a?$", ""), ("^a?$", "a"),
    ("^a{2}$", "aa"), ("^a{2,}$", "aaaa"), ("^a{2,3}$", "aaa"), ("^(ab)*$", "abab"),
    ("^(a*)*$", "aaa"), ("^(a|ab)(c|bcd)$", "abcd"), ("^a{,2}$", "a{,2}"),
    ("^a{01}$", "a{01}"), ("^a{1,02}$", "a{1,02}"), ("^x{2,1$", "x{2,1"),
    ("^(?:a?){3}$", "aa"), ("^(?:a{2}){2}$", "aaaa"), ("^a*?b$", "aab"), ("^a{2}?$", "aa"),
    # Text and lines.
    (r"\Aa", "ab"), (r"b\z", "ab"), ("(?m)^b", "a\nb"), ("(?m)a$", "a\nb"), ("(?m)^$", "a\n"),
    ("(?m)^$", "a\n\nb"), ("$", "a\n"), ("a\n$", "a\n"), ("(?m)$", "a"), (r"(?m)\Aa\z", "a"),
    ("^*a", "ba"), ("(?:^a|b$)c?", "xb"),
    # Words: ASCII only.
    (r"\bfoo\b", "a foo b"), (r"\bfoo\b", "éfooé"), (r"\B", ""), (r"\B", "ab"), (r"a\Bb", "ab"),
    (r"^\b", "a"), (r"\b$", "a"), (r"\b_", "-_"), (r"\B$", "a-"), (r"x\by|z", "z"),
    # Characters.
    (".", "é"), (".", "\r"), ("(?s).", "\n"), ("(?s-i).", "\n"), ("[^a]", "\n"), ("[^\n]", "a"),
    (r"\d", "5"), (r"\D", "٣"), (r"\S", "\v"), (r"\s", "\f"), (r"\W", "é"), ("[]]", "]"),
    ("[a-]", "-"), ("[-a]", "-"), ("[^]]", "a"), ("[[]", "["), ("[a-b-c]", "-"), ("[[:alpha]", "p"),
    ("[[:digit:]]", "1"), ("[[:^digit:]]", "a"), ("[^[:^digit:]]", "1"), (r"[\d-z]", "-"),
    (r"[\s\S]", "\v"), (r"[^\D5]", "4"), (r"[+--]", ","), (r"[\x{1F600}-\x{1F64F}]", "😀"),
    (r"\pL", "日"), (r"\PL", "1"), (r"\p{^L}", "1"), (r"\P{^L}", "é"), (r"\p{Greek}", "α"),
    (r"[\p{Greek}\d]", "7"), (r"[^\p{Greek}]", "a"), (r"\pN", "Ⅷ"), (r"\p{Any}", "\n"),
    # Escapes.
    (r"\x41\x{42}", "AB"), (r"\101", "A"), (r"\0", "\0"), (r"^\08$", "\x008"), (r"\12", "\n"),
    (r"\a\f\t\v", "\a\f\t\v"), (r"\.", "."), (r"\Qa.b|c\E$", "a.b|c"), (r"^\Qab\E+$", "abb"),
    (r"\Q\\E", "\\"), (r"\Qx", "x"), (r"\_\-", "_-"), (r"[\]\-\\]", "\\"),
    # Case.
    ("(?i)WEB", "web"), ("(?i)straße", "STRAẞE"), ("(?i)k", "\u212a"), (r"(?i)\w", "ſ"),
    ("(?i)[^a]", "b"), ("(?i)a(?-i)b", "Ab"), ("(?i:a)b", "Ab"), ("a(?i)b|c", "C"),
    ("((?i)a)b", "Ab"), ("(?i)σ", "ς"), ("(?i)[[:upper:]]", "a"), ("(?i)\\Qab\\E", "AB"),
    ("(?i)é", "É"), ("(?i)\\x41", "a"), ("(?i)[é-ë]", "Ê"),
    # Names and greediness.
    ("(?P<x>a)(?P<x>b)", "ab"), ("(?U)a+b", "aab"), ("(?U)a+?b", "aab"), ("a(?i)*b", "aaab"),
    # Bytes that are not UTF-8 are U+FFFD, each of them.
    ("^.$", "\udcff"), ("^..$", "\udce2\udc82"), (r"\x{FFFD}", "\udcff"), (r"\W", "\udcff"),
    (r"\pS", "\udcff"), ("a$", "\udcffa"), (r"\x{FFFD}", "\udc80"),
]  # fmt: skip

NOT_FOUND = [
    ("a", ""), ("^web", "a-web"), ("^$", "a"), ("x", "abc"), ("ab", "a b"), ("[a]{2}", "aba"),
    # Text and lines: a dollar is the very end.
    ("a$", "a\n"), ("^b", "a\nb"), ("a$", "a\nb"), (r"(?m)\Ab", "a\nb"), (r"(?m)a\z", "a\nb"),
    (r"a\z", "a\n"), ("$a", "a"), ("a^", "a"), ("(?m)a$", "a\r\nb"), ("(?m)(?-m)^b", "a\nb"),
    # Repetition.
    ("^a+$", ""), ("^a?$", "aa"), ("^a{2,}$", "a"),
    ("^a{2}$", "a"), ("^a{2}$", "aaa"), ("^a{2,3}$", "aaaa"), ("^(ab)*$", "aba"), ("a{0}b", "a"),
    ("^(?:a?){3}$", "aaaa"), ("^a{0}$", "a"), ("^a{01}$", "a"), ("^a{1,02}$", "aa"),
    # Words.
    (r"\bfoo\b", "food"), (r"\bé", "é"), (r"\b", ""), (r"\b", "é"), (r"\B", "a"), (r"a\bb", "ab"),
    # Characters.
    (".", "\n"), (".", ""), (r"\d", "٣"), (r"\s", "\v"), (r"\s", "\xa0"), (r"\w", "é"),
    ("[^a]", "a"), ("[[:alpha]", "z"), (r"[^\s\S]", "a"), (r"[^\x00-\x{10FFFF}]", "a"),
    ("(?-s).", "\n"), ("(?s)(?-s).", "\n"), ("[[:alpha:]]", "é"), (r"\p{Greek}", "a"),
    (r"[^\p{Greek}\d]", "7α"), (r"\p{^Any}", "a"), ("[^[:word:]]", "_"),
    # Case.
    ("web", "WEB"), ("(?i)[^a]", "A"), ("(?i)a(?-i)b", "AB"), ("(?i:a)b", "AB"), (r"(?i)\W", "ſ"),
    ("((?i)a)b", "aB"), ("(?i)ß", "ss"), ("(?i)i", "ı"), ("(?i)i", "İ"), ("(?i)[^k]", "\u212a"),
    # Literals.
    (r"\Qa.b\E", "axb"), (r"\.", "a"), ("a{,2}", "aa"), (r"\x{FFFD}", "\x80"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "text"), FOUND)
def test_what_go_finds_is_found(expression: str, text: str) -> None:
    assert found(expression, text)


@pytest.mark.parametrize(("expression", "text"), NOT_FOUND)
def test_what_go_does_not_find_is_not_found(expression: str, text: str) -> None:
    assert not found(expression, text)


# --- against Python's re ------------------------------------------------------------------

ATOMS = st.sampled_from(
    [
        *("a", "b", "c", "-", ".", "[ab]", "[^a]", "[a-c]", "[^\\n]"),
        *("\\d", "\\w", "\\S", "\\b", "^", "\\A"),
    ]
)


def _extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = inner.map(lambda e: f"(?:{e})")
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda es: f"(?:{'|'.join(es)})"),
        st.builds(
            lambda e, q: e + q,
            group,
            st.sampled_from(["*", "+", "?", "*?", "{2}", "{0,2}", "{1,}", "{0}"]),
        ),
        st.builds("(?{}:{})".format, st.sampled_from("ism"), inner),
    )


EXPRESSIONS = st.recursive(ATOMS, _extend, max_leaves=8)
TEXTS = st.text("abcAB-1 \n", min_size=1, max_size=8)


@pytest.mark.slow
@given(EXPRESSIONS, TEXTS, st.booleans(), st.sampled_from(["", "(?i)", "(?m)", "(?s)"]))
@example("(?:a|ab)(?:c|bcd)", "abcd", True, "")
@example("(?:\\b|a)*", "ba", True, "")
def test_where_python_means_the_same_it_finds_the_same(
    expression: str, text: str, to_the_end: bool, flags: str
) -> None:
    ours = flags + expression + (r"\z" if to_the_end else "")
    theirs = flags + expression + (r"\Z" if to_the_end else "")
    expected = re.search(theirs, text, re.ASCII) is not None
    assert expected is found(ours, text)
    assert expected is found(ours, text)  # now from what is remembered


# --- cost ---------------------------------------------------------------------------------

NASTY = [
    "(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a*)*(a*)*(a*)*b",
    "(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^a]$", "(?:a?){50}a{50}$b", "(x{0,30}){0,30}y",
    "([a-zA-Z0-9])(([\\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+[.]{1}", "(?i)(k|K|ſ|s)+$x",
    r"(\b|a)*(\B|a)*$b", "(((a*)*)*)*b", "a{1000}", "[a-z]{1,500}b", r"(?:\pL{0,9}){0,99}\d",
    "(?:" * 40 + "a" + ")*" * 40 + "b", "|".join("a" * n + "b" for n in range(60)),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("expression", NASTY)
def test_no_expression_costs_more_than_its_size_times_the_text(expression: str) -> None:
    text = "a" * 512
    size = compile_expression(expression).size
    assert cost(expression, text) <= 4 * size * (len(text) + 1)


@pytest.mark.slow
@pytest.mark.parametrize("expression", NASTY)
def test_the_cost_grows_at_most_with_the_square_of_the_text(expression: str) -> None:
    """An expression such as ``a{1000}`` has as many states as the text allows; none has 2**n."""
    assert cost(expression, "a" * 400) <= 4 * cost(expression, "a" * 200) + 1000


@given(EXPRESSIONS)
def test_the_size_is_known_before_the_program_is_written(expression: str) -> None:
    _, size = parse(expression)
    assert size + 1 == compile_expression(expression).size


@pytest.mark.slow
@given(EXPRESSIONS, st.text("ab-\n", max_size=200))
def test_any_expression_keeps_to_the_bound(expression: str, text: str) -> None:
    size = compile_expression(expression).size
    assert cost(expression, text) <= 4 * (size + 1) * (len(text) + 2)


def test_a_spent_budget_ends_the_search() -> None:
    with pytest.raises(RemoteProtocolError, match="too long"):
        compile_expression("a{1000}b").found_in("a" * 512, Budget(10_000))


def test_parsing_and_compiling_are_charged_before_they_are_done() -> None:
    for expression, steps in [
        ("a" * 1000, 4_000),
        ("(?:a{30}){30}", 2_000),
        ("[ab]" * 200, 7_000),
    ]:
        with pytest.raises(OverBudget):
            compile_expression(expression, Budget(steps))
        assert expression not in _programs
    assert compile_expression("a" * 1000, Budget(12_000)).found_in("a" * 1000, Budget(PLENTY))
    budget = Budget(10)
    compile_expression("a" * 1000, budget)
    assert 10 == budget.left, "it is compiled already"


@pytest.mark.parametrize(
    "expression",
    [
        "(){1000}" * 120, "(){1000,}" * 100, "(a{0}){1000}" * 80, "(" + "()" * 300 + "a){1000}",
        "(" + "|" * 300 + "){900}", "(a|" + "|" * 300 + "){900}", "(((){10}){10}){10}" * 50,
        "(?:a|){600}", "(" * 45 + "a" + "*)" * 45, "(?:[^a]?[b-c]{2}){100}", r"(?i)(\pL|k)*" * 80,
    ],
)  # fmt: skip
def test_no_work_is_done_that_is_not_charged(expression: str) -> None:
    """Calls of functions are counted: they take as long as a few steps, on any machine."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    budget = Budget(20_000)
    _programs.clear()
    sys.setprofile(count)
    try:
        compile_expression(expression, budget).found_in("aAbB" * 20, budget)
    except OverBudget:
        budget.left = 0
    finally:
        sys.setprofile(None)
    assert calls < 2_000 + 4 * (20_000 - budget.left)


def test_a_program_is_few_objects_however_large_it_is() -> None:
    """Thousands of them would make Python look for garbage, in all objects of the process."""

    def objects() -> int:
        gc.collect()
        return len(gc.get_objects())

    compile_expression("warm|[up]").found_in("x", Budget(PLENTY))
    before = objects()
    programs = [compile_expression(f"(?i)(({n}|[a-z]*){{20}}){{20}}x") for n in range(10)]
    assert all(not program.found_in("ab-" * 40, Budget(PLENTY)) for program in programs)
    assert 15_000 < sum(program.size for program in programs)
    assert objects() - before < 300


def test_a_text_of_usual_kind_is_cheap_the_second_time() -> None:
    program = compile_expression("^us-(east|west)-[0-9]+$")
    for left in (900, 986):
        budget = Budget(1000)
        assert program.found_in("us-east-17", budget)
        assert left <= budget.left


def test_what_is_remembered_is_bounded() -> None:
    program = compile_expression("(?:a|b){0,20}c(?:a|b|c){0,200}d")
    for n in range(300):
        text = format(n * 7919, "0100b").replace("0", "a").replace("1", "b") + "c" * 50
        assert not program.found_in(text, Budget(PLENTY))
        assert program._remembered <= 6000
    assert program.found_in("abcd", Budget(PLENTY))

"""Which expressions Go takes and which it refuses; and our limits on those it takes."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.re2.parser import MAX_DEPTH, MAX_EXPRESSION, MAX_PROGRAM, parse
from trioserf._exceptions import RemoteProtocolError

LEGAL = [
    "", "|", "|x|", "()", "(|a)*", "(?:)", "(?:a)", "(a)", "((a))", "a|b|c", ".", "^", "$", "^*",
    "a*", "a+", "a?", "a*?", "a+?", "a??", "a{2}", "a{2}?", "a{2,}", "a{2,}?", "a{2,3}", "a{0}",
    "a{0,0}", "a{1000}", "a{1,1000}", "(a*)*", "(a*)+", "(?:a{2}){3}", "$*", r"\b+",
    "(?:[a-z]{4}){0,250}", "((((((((((x{2}){2}){2}){2}){2}){2}){2}){2}){2}))",
    # Braces that are no count are literal.
    "{", "}", "{}", "a{", "a{}", "a{,2}", "a{x}", "a{2,x}", "a{01}", "a{1,02}", "a{-1}", "a*{",
    "x{1001", "x{9876543210", "x{2,1", "a{ 2}",
    # Escapes.
    r"\.", r"\^\$\\", r"\|\(\)\*\+\?\{\}\[\]", r"\-", r"\_", r"\ ", r"\"", "\\\t", "\\\x7f",
    r"\a\f\n\r\t\v", r"\0", r"\07", r"\012", r"\08", r"\123", r"\141", r"\12", r"\377",
    r"\x41", r"\x{41}", r"\x{0000000041}", r"\x{10FFFF}", r"\A", r"\z", r"\b", r"\B",
    r"\d\D\s\S\w\W", r"\pL", r"\PL", r"\p{L}", r"\p{Lu}", r"\p{^Lu}", r"\P{^Lu}", r"\p{Greek}",
    r"\p{Any}", r"\pN", r"\Qa.b\E", r"\Qa.b", r"\Q", r"\Q\E", r"\Qab\E+", r"\Q\\E",
    # Classes.
    "[a]", "[^a]", "[a-z]", "[a-zA-Z0-9_-]", "[-a]", "[a-]", "[]]", "[]a]", "[^]a]", "[a-b-c]",
    "[a-a]",
    "[[]", "[[a]", "[a[:digit:]b]", "[[:alpha:]]", "[[:^alpha:]]", "[[:word:]]", "[^[:space:]]",
    "[[:alpha]", r"[\d]", r"[\D\S]", r"[\pL\p{Greek}]", r"[\]]", r"[\n\x41-\x{42}]", "[^^]",
    r"[\-a]", "[.*+?{}()|^$]", r"[\012-\234]", r"[^\x00-\x{10FFFF}]", "[--a]", "[+--]", r"[\d-z]",
    # Groups and flags.
    "(?P<name>a)", "(?P<n1_>a)", "(?<n>a)", "(?<_1>a)(?<_1>b)",
    r"\p{Cherokee}", r"\p{Braille}", r"[\p{Old_North_Arabian}\P{Nko}]", r"\p{Cuneiform}",
    r"\p{Cn}", r"\P{Cn}", r"\p{LC}", r"\p{^LC}", r"\p{ASCII}", r"\p{Assigned}",
    "(?P<n>a)(?P<n>b)", "(?i)a", "(?i:a)b", "(?s).", "(?m)^a$",
    "(?U)a+", "(?imsU)", "(?-i)a", "(?i-s)a", "(?i-s:a)", "(?-imsU:a)", "(?)", "(?ii)", "a(?i)*",
    "a*(?i)*", "(?i)(?-i)", "a|(?i)b|c",
    "é", "日本", "\U0001f680", "\ufffd", "\x00", "\n",
]  # fmt: skip

ILLEGAL = [
    ("(", "missing closing )"), ("(a", "missing closing )"), ("(a|b|", "missing closing )"),
    (")", "unexpected )"), ("a)", "unexpected )"), ("(a))", "unexpected )"),
    ("*", "missing argument"), ("+a", "missing argument"), ("?", "missing argument"),
    ("{2}", "missing argument"), ("(*a)", "missing argument"), ("a|*", "missing argument"),
    ("(?i)*", "missing argument"), (r"\Q\E*", "missing argument"), ("(|*)", "missing argument"),
    ("a**", "nested repetition"), ("a++", "nested repetition"), ("a*+", "nested repetition"),
    ("a???", "nested repetition"), ("a{2}{3}", "nested repetition"), ("a{2}*", "nested rep"),
    ("a*{2}", "nested repetition"), ("a+?*", "nested repetition"), (".{1}{2}.{3}", "nested rep"),
    ("a{1001}", "repeat count"), ("a{1001,}", "repeat count"), ("a{2,1}", "repeat count"),
    ("a{1,1001}", "repeat count"), ("a{9876543210}", "repeat count"),
    ("a{1,9876543210}", "repeat count"), ("a{99999999999999999999}", "repeat count"),
    ("((((((((((x{2}){2}){2}){2}){2}){2}){2}){2}){2}){2})", "repeat count"),
    ("(?:[a-z]{4}){0,251}", "repeat count"), ("(a{500}){3}", "repeat count"),
    ("[", "missing closing ]"), ("[a", "missing closing ]"), ("[]", "missing closing ]"),
    ("[^]", "missing closing ]"), ("[a-", "missing closing ]"), ("([a-z)", "missing closing ]"),
    ("[z-a]", "class range"), ("[a-Z]", "class range"), ("(?i)[a-Z]", "class range"),
    ("[[:foo:]]", "class range"), ("[[:alpha:", "missing closing ]"), ("[[::]]", "class range"),
    (r"[\d", "missing closing ]"), ("[a-b", "missing closing ]"), (r"[\p{L]", "class range"),
    ("\\", "trailing backslash"), ("a\\", "trailing backslash"), ("[\\", "trailing backslash"),
    (r"\Z", "escape"), (r"\G", "escape"), (r"\E", "escape"), (r"\K", "escape"), (r"\C", "escape"),
    (r"\1", "escape"), (r"\8", "escape"), (r"(a)\1", "escape"), (r"\y", "escape"),
    (r"\é", "escape"), (r"\h", "escape"), (r"\R", "escape"), (r"\u0041", "escape"),
    (r"\x", "escape"), (r"\x4", "escape"), (r"\xg0", "escape"), (r"\x{", "escape"),
    (r"\x{}", "escape"), (r"\x{110000}", "escape"), (r"\x{4g}", "escape"), (r"\x{41", "escape"),
    (r"[\b]", "escape"), (r"[\z]", "escape"), (r"[\Qa\E]", "escape"), (r"[a-\d]", "escape"),
    (r"\p", "class range"), (r"\p{", "class range"), (r"\p{}", "class range"),
    (r"\pA", "character class"), (r"\p{Nope}", "character class"), (r"\p{^}", "character class"),
    (r"\p{greek}", "character class"), (r"\p{Zz}", "character class"), (r"\P1", "character class"),
    ("(?P<n", "named capture"), ("(?P<>a)", "named capture"), ("(?P<x y>a)", "named capture"),
    ("(?P<é>a)", "named capture"), ("(?P<n>a", "missing closing )"),
    ("(?<n", "named capture"), ("(?<>a)", "named capture"), ("(?<x y>a)", "named capture"),
    ("(?P=n)", "Perl syntax"), ("(?P'n'a)", "Perl syntax"),
    ("(?=a)", "Perl syntax"), ("(?!a)", "Perl syntax"), ("(?<=a)", "Perl syntax"),
    ("(?<!a)", "Perl syntax"), ("(?>a)", "Perl syntax"), ("(?#a)", "Perl syntax"),
    ("(?x)a", "Perl syntax"), ("(?a)a", "Perl syntax"), ("(?L)a", "Perl syntax"),
    ("(?u)a", "Perl syntax"), ("(?i-)a", "Perl syntax"), ("(?-)a", "Perl syntax"),
    ("(?--i)a", "Perl syntax"), ("(?i", "missing closing )"), ("(?", "missing closing )"),
    ("(?1)", "Perl syntax"), ("(?|a)", "Perl syntax"), ("(?(1)a)", "Perl syntax"),
    ("\udcff", "UTF-8"), ("\udfff", "UTF-8"), ("[\udcff]", "UTF-8"), ("a\udc80", "UTF-8"),
]  # fmt: skip


@pytest.mark.parametrize("expression", LEGAL)
def test_what_go_compiles_is_read(expression: str) -> None:
    _, size = parse(expression)
    assert 0 <= size <= MAX_PROGRAM


@pytest.mark.parametrize(("expression", "reason"), ILLEGAL)
def test_what_go_refuses_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match="error parsing regexp") as refusal:
        parse(expression)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("a" * (MAX_EXPRESSION + 1), "longer than"),
        ("(" * (MAX_DEPTH + 1) + ")" * (MAX_DEPTH + 1), "nested deeper"),
        ("(?:" * 2000 + ")*" * 2000, "longer than"),
        ("(?:" * 800 + ")*" * 800, "nested deeper"),
        ("(xx?){1000}(xx?){1000}", "too large"),
        ("(?:ab|cd|ef){1000}", "too large"),
        ("((a{1000}){0,}){7}", "too large"),
    ],
)
def test_what_exceeds_the_limits_of_this_library_is_refused(expression: str, reason: str) -> None:
    with pytest.raises(RemoteProtocolError, match=reason) as refusal:
        parse(expression)
    assert len(str(refusal.value)) < 200


def test_the_deepest_expression_is_read() -> None:
    _, size = parse("(" * MAX_DEPTH + "a" + ")*" * MAX_DEPTH)
    assert MAX_DEPTH < size <= MAX_PROGRAM
    with pytest.raises(RemoteProtocolError):
        parse("(" * (MAX_DEPTH + 1) + "a" + ")*" * (MAX_DEPTH + 1))


SNIPPETS = st.sampled_from(
    ("(", ")", "(?:", "(?i)", "(?P<n>", "[", "]", "^", "$", "*", "+", "?", "{2}", "{1,3}", "|")
) | st.sampled_from(("\\", r"\d", r"\pL", r"\Q", r"\E", r"\x{41}", "[:alpha:]", "-", "é"))


@given(st.lists(SNIPPETS | st.sampled_from(string.printable), max_size=30).map("".join))
def test_any_text_is_read_or_refused(expression: str) -> None:
    try:
        _, size = parse(expression)
    except RemoteProtocolError:
        return
    assert size <= MAX_PROGRAM

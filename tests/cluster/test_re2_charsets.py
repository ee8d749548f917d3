"""Sets of characters: classes by name, categories, scripts, and case."""

from __future__ import annotations

import itertools
import runpy
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.re2.charsets import (
    ANY,
    ANY_BUT_NEWLINE,
    CharSet,
    Group,
    literal,
    orbit,
    perl_group,
    posix_group,
    unicode_group,
)
from trioserf._cluster.re2.scripts import _SCRIPTS, script_ranges

ASCII = "".join(map(chr, range(128)))


def members(group: Group | None, *, fold: bool = False, among: str = ASCII) -> str:
    assert group is not None
    chars = CharSet((group,), fold=fold)
    return "".join(char for char in among if char in chars)


@pytest.mark.parametrize(
    ("letter", "expected"),
    [
        ("d", "0123456789"),
        ("s", "\t\n\f\r "),
        ("w", "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"),
    ],
)
def test_perl_classes_are_ascii_and_space_has_no_vertical_tab(letter: str, expected: str) -> None:
    assert expected == members(perl_group(letter))
    opposite = members(perl_group(letter.upper()))
    assert ASCII == "".join(sorted(expected + opposite))
    assert "" == members(perl_group(letter), among="٣é\xa0\u2003")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("blank", "\t "),
        ("cntrl", ASCII[:32] + "\x7f"),
        ("digit", "0123456789"),
        ("graph", ASCII[33:127]),
        ("print", ASCII[32:127]),
        ("punct", "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
        ("space", "\t\n\v\f\r "),
        ("upper", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
        ("xdigit", "0123456789ABCDEFabcdef"),
        ("ascii", ASCII),
    ],
)
def test_posix_classes_are_those_of_ascii(name: str, expected: str) -> None:
    assert expected == members(posix_group(name))
    opposite = members(posix_group("^" + name))
    assert ASCII == "".join(sorted(expected + opposite))


def test_there_are_fourteen_posix_classes() -> None:
    names = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit"
    assert all(posix_group(name) for name in names.split())
    assert posix_group("letters") is None
    assert perl_group("x") is None


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("L", "aZéß日ʰ", "1_ \u0301"),
        ("Lu", "AÉΔ", "aéδ1ǅ"),
        ("Lt", "ǅ", "AaDŽ"),
        ("N", "1٣Ⅷ²", "a"),
        ("Nd", "1٣", "Ⅷ²"),
        ("Z", " \xa0\u3000\u2028", "\t\n"),
        ("S", "+€^©", "a!"),
        ("P", "!_«…", "a+"),
        ("M", "\u0301\u0903", "a"),
        ("C", "\x00\xad\ue000", "a\u0378"),
        ("Any", "a\x00\U0010ffff", ""),
        ("Greek", "αΩ\u2126ἀ", "aа;"),
        ("Latin", "aZéªK", "αа1"),
        ("Cyrillic", "аЯ\u0483", "aα"),
        ("Han", "日本々", "あア"),
        ("Hiragana", "あ", "アー"),
        ("Common", "1 !ー©", "aα"),
        ("Inherited", "\u0301", "a"),
    ],
)
def test_categories_and_scripts(name: str, inside: str, outside: str) -> None:
    everything = inside + outside
    assert inside == members(unicode_group(name, negated=False), among=everything)
    assert outside == members(unicode_group(name, negated=True), among=everything)


@pytest.mark.parametrize("name", ["", "l", "Lx", "LL", "Cx", "Greekk", "greek", "^L", "Uu"])
def test_there_are_no_other_categories_and_scripts(name: str) -> None:
    assert unicode_group(name, negated=False) is None


def test_a_character_has_one_category_and_at_most_one_script() -> None:
    ranges = sorted(run for name in _SCRIPTS for run in script_ranges(name) or ())
    assert all(
        first <= last < following for (first, last), (following, _) in itertools.pairwise(ranges)
    )
    assert script_ranges("Klingon") is None


def test_every_script_that_go_knows_is_known() -> None:
    """Those of Unicode 13 to 15, which are Go's from 1.16 on."""
    names = """
        Adlam Ahom Anatolian_Hieroglyphs Avestan Balinese Bamum Bassa_Vah Batak Bhaiksuki Brahmi
        Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee
        Chorasmian Coptic Cuneiform Cypriot Cypro_Minoan Deseret Dives_Akuru Dogra Duployan
        Egyptian_Hieroglyphs Elbasan Elymaic Glagolitic Gothic Grantha Gunjala_Gondi
        Hanifi_Rohingya Hanunoo Hatran Imperial_Aramaic Inscriptional_Pahlavi
        Inscriptional_Parthian Javanese Kaithi Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khojki
        Khudawadi Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Mandaic
        Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive
        Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Nabataean Nag_Mundari Nandinagari
        New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic
        Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic
        Old_Uyghur Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician
        Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting
        Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham
        Tai_Viet Takri Tangsa Tangut Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho
        Warang_Citi Yezidi Yi Zanabazar_Square
    """
    assert [] == [name for name in names.split() if unicode_group(name, negated=False) is None]
    assert "\u13a0" in (unicode_group("Cherokee", negated=False) or ())
    assert "\u2840" in (unicode_group("Braille", negated=False) or ())


def test_the_table_of_scripts_is_what_its_generator_writes() -> None:
    path = Path(__file__).parents[2] / ".ci/scripts_table.py"
    generator = runpy.run_path(str(path))
    text = "# Scripts-18.0.0.txt\n" + "".join(
        f"{first:04X}..{last:04X} ; {name} # Lo [2] A\n"
        for name in _SCRIPTS
        for first, last in script_ranges(name) or ()
    )
    version, scripts = generator["read"](text)
    written: dict[str, Any] = {}
    exec(generator["module"](version, scripts), written)
    assert dict(_SCRIPTS) == written["_SCRIPTS"]
    with pytest.raises(ValueError, match="version"):
        generator["read"]("0041 ; Latin")


@pytest.mark.parametrize(
    ("char", "expected"),
    [
        ("1", "1"),
        ("a", "Aa"),
        ("k", "Kk\u212a"),
        ("\u212a", "Kk\u212a"),
        ("ſ", "Ssſ"),
        ("σ", "Σςσ"),
        ("µ", "µΜμ"),
        ("ß", "ßẞ"),
        ("ı", "ı"),
        ("İ", "İ"),
        ("ǅ", "Ǆǅǆ"),
        ("ᾳ", "ᾳᾼ"),
        ("ა", "აᲐ"),
        ("日", "日"),
    ],
)
def test_the_characters_that_are_equal_when_case_is_ignored(char: str, expected: str) -> None:
    assert sorted(expected) == sorted(orbit(char))


def test_each_member_of_an_orbit_has_the_same_orbit() -> None:
    for code in (*range(0x2400), *range(0xA640, 0xAC00), *range(0x10400, 0x10450), 0xFB05):
        found = set(orbit(chr(code)))
        assert chr(code) in found
        assert all(found == set(orbit(char)) for char in found)


def test_ignoring_case_reaches_through_every_kind_of_class() -> None:
    """Go's parser expands ``(?i)[a-z]``, ``(?i)\\w`` and the like to these sets."""
    for group in (Group(((97, 122),)), posix_group("upper"), perl_group("w")):
        assert "ſK" == members(group, fold=True, among="éſK")
    assert "é" == members(perl_group("W"), fold=True, among="éſK_")
    assert "é" == members(posix_group("^lower"), fold=True, among="éſKQ")
    assert "aé" == members(unicode_group("Lu", negated=False), fold=True, among="aé1日")


def test_a_negated_set_is_everything_else() -> None:
    chars = CharSet((Group(((97, 99),)), Group(((48, 57),))), negated=True)
    assert "dx\n" == "".join(char for char in "abc019dx\n" if char in chars)


def test_dots() -> None:
    assert "\n" in ANY
    assert "\n" not in ANY_BUT_NEWLINE
    assert "\r" in ANY_BUT_NEWLINE


def test_a_literal_is_one_character() -> None:
    assert "a" in literal("a", fold=False)
    assert "A" not in literal("a", fold=False)
    assert "A" in literal("a", fold=True)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)).map(sorted).map(tuple)),
    st.integers(0, 310),
)
def test_overlapping_ranges_are_their_union(ranges: list[tuple[int, int]], code: int) -> None:
    expected = any(first <= code <= last for first, last in ranges)
    assert expected is (chr(code) in Group(tuple(ranges)))


@given(st.characters(exclude_categories=["Cs"]))
def test_a_category_is_what_unicodedata_says(char: str) -> None:
    category = unicodedata.category(char)
    group = unicode_group(category, negated=False)
    assert group is not None
    assert char in group
    assigned, cased = CharSet((named("Assigned"),)), CharSet((named("LC"),))
    assert (category != "Cn") is (char in assigned)
    assert (category in ("Lu", "Ll", "Lt")) is (char in cased)
    assert char.isascii() is (char in CharSet((named("ASCII"),)))


def named(name: str) -> Group:
    group = unicode_group(name, negated=False)
    assert group is not None
    return group

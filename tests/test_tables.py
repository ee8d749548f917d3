"""Tables: aligned in a terminal, escaped everywhere, cut where they would be endless."""

from __future__ import annotations

import html.parser

from hypothesis import given
from hypothesis import strategies as st

from trioserf._tables import ROWS_SHOWN, Table, plain


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    table = Table(caption="two", header=("name", "n"), rows=(("a", 1), ("longer", 20)))
    assert "two\nname    n\na       1\nlonger  20" == str(table)


def test_wide_characters_take_two_columns() -> None:
    table = Table(header=("name", "x"), rows=(("日本", "1"), ("abcd", "2")))
    assert "name  x\n日本  1\nabcd  2" == str(table)


def test_markup_from_the_network_is_shown_as_text() -> None:
    table = Table(caption="<b>", header=("<i>",), rows=(("<script>alert(1)</script>\x1b[31m\n",),))
    shown = table._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "\x1b" not in shown + str(table)


def test_a_long_table_counts_the_rows_that_are_not_shown() -> None:
    table = Table(header=("n",), rows=tuple((n,) for n in range(ROWS_SHOWN + 5)))
    assert "… and 5 more" in table._repr_html_()
    assert str(table).endswith("… and 5 more")
    assert ROWS_SHOWN + 1 == table._repr_html_().count("<tr>")


def test_pairs_become_two_columns() -> None:
    assert "x\nwhat  value\na     1" == str(Table.of_pairs("x", {"a": 1}))


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


@given(st.lists(st.text(), min_size=1, max_size=3), st.text())
def test_no_text_makes_a_tag_or_a_second_line(cells: list[str], caption: str) -> None:
    table = Table(caption=caption, header=tuple("h" for _ in cells), rows=(tuple(cells),))
    tags = _Tags()
    tags.feed(table._repr_html_())
    assert tags.seen <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert len(str(table).splitlines()) <= 3
    assert plain(caption).isprintable()


def test_failed_and_left_stand_out_without_colour() -> None:
    table = Table(
        header=("name", "status"),
        rows=[("a", "alive"), ("b", "failed"), ("c", "left"), ("left", "")],
    )
    assert "name  status\na     alive\nb     ! failed\nc     - left\nleft" == str(table)
    page = table._repr_html_()
    assert "<strong>! failed</strong>" in page
    assert "<em>- left</em>" in page
    assert ">left<" in page  # a name
    assert "color:red" not in page

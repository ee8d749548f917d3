"""Values show themselves as tables, with everything from the network escaped."""

from __future__ import annotations

from ipaddress import ip_address

from trio.testing import MockClock

from trioserf import KeyResponse, Member, Members, MemberStatus, QueryResult
from trioserf._cluster.query_collector import NodeResponse
from trioserf.testing import SimCluster

NASTY = "<script>x</script>"


def test_a_member_shows_its_tags() -> None:
    member = Member(
        name=NASTY,
        addr=ip_address("10.0.0.1"),
        port=7946,
        status=MemberStatus.ALIVE,
        tags={NASTY: NASTY, "role": "web"},
    )
    shown = member._repr_html_()
    assert "<script" not in shown
    assert "tag role" in shown
    assert "10.0.0.1 port 7946" in shown


def test_a_key_report_shows_no_key() -> None:
    secret = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
    response = KeyResponse(
        messages={NASTY: NASTY},
        num_nodes=3,
        num_resp=2,
        num_err=1,
        keys={secret: 2},
        primary_keys={secret: 1},
    )
    shown = response._repr_html_()
    assert secret not in shown + repr(response)
    assert "<script" not in shown
    assert "held by 2, first of 1" in shown


def test_a_result_shows_who_answered_who_only_acked_and_who_kept_silent() -> None:
    result = QueryResult(
        responses=(NodeResponse(NASTY, b"<b>"),), acks=("b",), missing=frozenset({"b", "c"})
    )
    shown = result._repr_html_()
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "1 answers, 2 missing" in shown
    assert 1 == shown.count("(no answer)")


async def test_a_node_and_its_statistics_show_themselves(autojump_clock: MockClock) -> None:
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(2)
        await cluster.converged()
        serf = cluster["node-1"].serf
        assert "node-2" in serf._repr_html_()
        statistics = serf.statistics()
        assert "memberlist.health_score" in statistics._repr_html_()
        assert 0 == statistics.to_dict()["memberlist.health_score"]
        assert "queues.event.depth" not in str(statistics)  # it is 0
        assert "more are 0" in str(statistics)


async def test_statistics_are_in_groups_and_what_is_zero_is_folded_away(
    autojump_clock: MockClock,
) -> None:
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(2)
        await cluster.converged()
        statistics = cluster["node-1"].serf.statistics()
        table = statistics._table()
        groups = [row[0] for row in table.rows if row[0]]
        assert "node" == groups[0]
        assert len(groups) == len(set(groups))
        assert {"members", "memberlist", "memberlist.counts"} <= set(groups)
        numbers = statistics.to_dict()
        zeros = [name for name, value in numbers.items() if value in (0, None, ())]
        zeros.remove("encrypted")
        assert len(numbers) - len(zeros) == len(table.rows)
        assert not {"0", "0.0", "None", "()"} & {row[2] for row in table.rows}
        folded = statistics._repr_html_().partition("<details>")[2]
        assert all(name in folded for name in zeros)


def crowd(size: int) -> list[str]:
    return [f"node-{number:04}" for number in range(size)]


def test_long_views_show_two_hundred_rows_and_count_the_rest() -> None:
    names = crowd(250)
    members = Members(Member(name=n, addr=ip_address("10.0.0.1"), port=7946) for n in names)
    result = QueryResult(responses=tuple(NodeResponse(name, b"") for name in names))
    report = KeyResponse(
        messages=dict.fromkeys(names, "no"), num_nodes=250, num_resp=250, num_err=250,
        keys={}, primary_keys={},
    )  # fmt: skip
    for view, rest in [(members, 50), (result, 50), (report, 53)]:
        for text in (str(view), view._repr_html_()):
            assert f"… and {rest} more" in text
            assert "node-0190" in text
            assert "node-0230" not in text


def test_what_a_cell_shows_as_a_table_a_script_prints_as_one() -> None:
    member = Member(
        name="a", addr=ip_address("10.0.0.1"), port=7946, status=MemberStatus.ALIVE, tags={"x": "y"}
    )
    assert "member a\nwhat                 value\n" in str(member)
    assert "tag x                y" in str(member)
    result = QueryResult(responses=(NodeResponse("a", b"1"),), missing=frozenset({"b"}))
    assert "1 answers, 1 missing\nnode  answer       ack\na     b'1'\nb     (no answer)" == str(
        result
    )
    bundle = result._repr_mimebundle_()
    assert str(result) == bundle["text/plain"]
    assert result._repr_html_() == bundle["text/html"]


def test_a_long_answer_is_shown_by_its_beginning_and_its_length() -> None:
    result = QueryResult(responses=(NodeResponse("a", b"x" * 1000),))
    assert "… (1000 bytes)" in str(result)
    assert len(str(result)) < 200

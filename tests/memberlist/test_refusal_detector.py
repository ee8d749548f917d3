"""A crash that its host shows is found within about a second; nothing else is taken for one."""

from __future__ import annotations

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio
from trio.testing import MockClock

from tests.memberlist.kit import cluster
from trioserf._exceptions import LocalProtocolError
from trioserf._memberlist.port_checks import PortChecker
from trioserf._memberlist.refusal_detector import RefusalDetector
from trioserf._wire.messages import IndirectPing, Nack, Suspect, encode_message
from trioserf.abc import Address
from trioserf.testing.sim_transport import SimTransport

ON = {"dead_on_refusal": True}
OFF = {"dead_on_refusal": False}


@asynccontextmanager
async def settled(count, seconds=20.0, *, settings=None, **network):
    """A cluster in which all streams were tried."""
    async with cluster(**network) as c:
        await c.start_many(count, **(ON if settings is None else settings))
        await trio.sleep(seconds)
        yield c


def status(c, of):
    """What the other nodes have a node as."""
    name = f"n{of}"
    return [node.node(name).status.name for number, node in c.nodes.items() if number != of]


async def until_dead(c, number, within=60.0):
    """How long it takes until all others have a node as dead."""
    start = trio.current_time()
    with trio.fail_after(within):
        while {"DEAD"} != {*status(c, number)}:  # noqa: ASYNC110
            await trio.sleep(0.01)
    return trio.current_time() - start


def declared(c):
    return sum(node.statistics().refusals_declared for node in c.nodes.values())


async def test_a_crash_is_known_to_all_within_about_a_second_after_the_first_probe(
    autojump_clock: MockClock,
) -> None:
    async with settled(8) as c:
        c.kill(3)
        took = await until_dead(c, 3)
        assert took < 4.0
        assert 1 <= declared(c) < 8
        texts = [
            note.detail
            for number, node in c.nodes.items()
            if number != 3
            for note in node.history.notes("n3")
            if note.what == "declared dead"
        ]
        assert any(str(text).startswith("its host refuses its ports, seen by n") for text in texts)


@pytest.mark.parametrize("settings", [OFF, {**ON, "faithful_go": True}])
async def test_turned_off_a_crash_takes_the_suspicion_timeout(
    settings: dict[str, bool], autojump_clock: MockClock
) -> None:
    async with settled(8, settings=settings) as c:
        c.kill(3)
        assert await until_dead(c, 3) > 4.0
        assert 0 == declared(c)
        assert 0 == sum(node.statistics().refusals for node in c.nodes.values())


async def test_a_host_that_is_gone_takes_no_longer_than_without_it(
    autojump_clock: MockClock,
) -> None:
    took = []
    for settings in (ON, OFF):
        async with settled(8, settings=settings) as c:
            c.network.power_off("10.0.0.3")
            c.kill(3)
            took.append(await until_dead(c, 3))
            assert 0 == declared(c)
    assert took[0] <= took[1] + 1.5


async def test_the_last_of_two_is_declared_after_a_longer_check(autojump_clock: MockClock) -> None:
    async with settled(2) as c:
        c.kill(2)
        assert 2.0 < await until_dead(c, 2) < 4.5
        assert 1 == declared(c)


async def test_where_one_asks_nodes_of_go_alone_the_suspicion_decides(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as c:
        await c.start(1, **ON)
        for number in range(2, 7):
            await c.start(number, faithful_go=True)
            await c.nodes[number].join(["10.0.0.1"])
        await trio.sleep(20)
        c.kill(3)
        assert await until_dead(c, 3) > 4.0
        assert 0 == declared(c)


async def test_half_of_a_cluster_is_enough(autojump_clock: MockClock) -> None:
    async with cluster() as c:
        for number in range(1, 11):
            await c.start(number, **(ON if number % 2 else {"faithful_go": True}))
            if number > 1:
                await c.nodes[number].join(["10.0.0.1"])
        await trio.sleep(20)
        c.kill(4)
        assert await until_dead(c, 4) < 6.0
        assert declared(c)


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
async def test_a_firewall_between_two_nodes_declares_nobody_dead(
    loss: float, autojump_clock: MockClock
) -> None:
    async with settled(8, seed=3) as c:
        c.network.reject("10.0.0.2", "10.0.0.3", both_ways=True)
        await trio.sleep(20)
        # Once one of them has refuted, under loss, what it refuses is no evidence any more.
        c.network.change_link(loss=loss)
        await trio.sleep(120)
        assert 0 == declared(c)
        assert c.nodes[2].statistics().refusals or c.nodes[3].statistics().refusals


@pytest.mark.parametrize("rejects", [{"packets": False}, {"streams": None}, {"streams": "icmp"}])
async def test_a_host_that_rejects_one_protocol_or_by_icmp_alone_is_not_declared_dead(
    rejects: dict[str, object], autojump_clock: MockClock
) -> None:
    async with settled(8) as c:
        c.network.reject(None, "10.0.0.3", **rejects)
        await trio.sleep(3)
        assert 0 == declared(c)
        assert 0 == sum(node.statistics().refusals for node in c.nodes.values())


async def test_a_reject_shorter_than_the_grace_is_ridden_out(autojump_clock: MockClock) -> None:
    async with settled(8) as c:
        for _ in range(30):
            c.network.reject(None, "10.0.0.3")
            await trio.sleep(0.3)
            c.network.accept(None, "10.0.0.3")
            await trio.sleep(1.7)
        assert 0 == declared(c)


async def test_a_stopped_process_and_a_full_backlog_are_not_refusals(
    autojump_clock: MockClock,
) -> None:
    async with settled(8) as c:
        c.network.fill_backlog("10.0.0.3")
        c.network.pause("10.0.0.4")
        await trio.sleep(30)
        assert 0 == sum(node.statistics().refusals for node in c.nodes.values())


async def test_a_restart_in_place_within_the_grace_is_no_failure(autojump_clock: MockClock) -> None:
    settings = {**ON, "refusal_grace": 2.0}
    async with settled(6, settings=settings) as c:
        for _ in range(5):
            c.kill(3)
            await trio.sleep(1.0)
            await c.start(3, **settings)
            await c.nodes[3].join(["10.0.0.1"])
            await trio.sleep(20.0)
        assert 0 == declared(c)
        assert [] == [
            seen for number in (1, 2, 4) for seen in c.events[number].seen if seen[0] == "failed"
        ]


async def test_nodes_that_refuse_one_node_alone_are_not_declared_dead_and_lower_its_health(
    autojump_clock: MockClock,
) -> None:
    async with settled(8) as c:
        others = [f"10.0.0.{number}" for number in range(2, 9)]
        c.network.reject("10.0.0.1", others)
        worst = 0
        for _ in range(80):
            await trio.sleep(0.1)
            worst = max(worst, c.nodes[1].health_score)
        assert 0 == declared(c)
        assert worst > 0


@pytest.mark.parametrize("count", [2, 8])
async def test_a_probe_that_is_refused_does_not_lower_the_health(
    count: int, autojump_clock: MockClock
) -> None:
    async with settled(count) as c:
        c.kill(2)
        await until_dead(c, 2)
        del c.nodes[2]
        assert {0} == {node.health_score for node in c.nodes.values()}


async def test_hints_about_addresses_that_are_no_node_s_cost_nothing(
    autojump_clock: MockClock,
) -> None:
    async with settled(3) as c:
        detector = c.nodes[1]._refusals
        for number in range(200):
            detector._packet_refused(Address(f"10.9.0.{number}", 7946))
        assert not detector._running


async def test_a_forged_hint_costs_one_check(autojump_clock: MockClock) -> None:
    async with settled(3) as c:
        detector = c.nodes[1]._refusals
        for _ in range(200):
            detector._packet_refused(Address("10.0.0.3", 7946))
            await trio.sleep(0.005)
        assert 0 == c.nodes[1].statistics().refusals
        assert 1 >= len(detector._running)
        assert ["ALIVE", "ALIVE"] == status(c, 3)


async def test_an_answer_that_was_not_asked_for_or_comes_from_elsewhere_does_not_count(
    autojump_clock: MockClock,
) -> None:
    async with settled(6) as c:
        detector = c.nodes[1]._refusals
        c.network.reject("10.0.0.1", "10.0.0.3")
        with trio.fail_after(60):
            while not detector._asked:  # noqa: ASYNC110
                await trio.sleep(0.001)
        [(seq_no, (running, helper))] = list(detector._asked.items())[:1]
        here = c.nodes[1].node(helper).address
        incarnation = running.round.node.incarnation
        suspect = Suspect(incarnation, "n3", helper)
        assert not detector.answered(seq_no ^ 1, suspect, here)
        assert not detector.answered(seq_no, suspect, Address("10.0.0.99", 7946))
        assert not detector.answered(seq_no, Suspect(incarnation, "n3", "n1"), here)
        assert not detector.answered(seq_no, Suspect(incarnation, "n2", helper), here)
        assert "" == running.round.ended
        assert ("n1",) == running.round.report().seen_by
        # It was asked for, but is about an earlier life of the node.
        assert detector.answered(seq_no, Suspect(incarnation - 1, "n3", helper), here)
        assert ("n1",) == running.round.report().seen_by
        assert detector.answered(seq_no, suspect, here)
        assert ("n1", helper) == running.round.report().seen_by


async def test_who_asks_about_a_node_that_left_is_sent_its_leave(autojump_clock: MockClock) -> None:
    async with settled(4) as c:
        c.network.partition(["10.0.0.1"])
        await c.nodes[3].leave(1.0)
        await trio.sleep(1.0)
        c.kill(3)
        c.network.heal()
        with trio.fail_after(30):
            while c.nodes[1].node("n3").status.name != "LEFT":
                assert c.nodes[1].node("n3").status.name != "DEAD"
                await trio.sleep(0.01)


async def test_two_who_check_at_the_same_time_answer_each_other(autojump_clock: MockClock) -> None:
    """Each has a round of its own, and needs the other."""
    async with settled(3) as c:
        c.kill(3)
        for number in (1, 2):
            node = c.nodes[number]
            node._refusals.stream_refused(node.node("n3"))
        assert await until_dead(c, 3) < 2.0
        assert declared(c)


async def test_a_node_that_came_back_is_asked_again_and_counted_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with settled(3) as c:
        detector = c.nodes[1]._refusals
        for round in range(1, 3):
            c.kill(3)
            await until_dead(c, 3)
            assert round == c.nodes[1].statistics().refusals
            await trio.sleep(1)
            await c.start(3, **ON)
            await c.nodes[3].join(["10.0.0.1"])
            await trio.sleep(20)
        asked = []
        expect = RefusalDetector._expected

        def expected(self, seq_no, running, helper):
            if self is detector:
                asked.append(helper.name)
            return expect(self, seq_no, running, helper)

        monkeypatch.setattr(RefusalDetector, "_expected", expected)
        c.kill(2)
        await until_dead(c, 2)
        assert ["n3"] == [*{*asked}]


async def test_what_is_remembered_of_nodes_is_bounded_by_time_not_by_names(
    autojump_clock: MockClock,
) -> None:
    async with settled(2) as c:
        detector = c.nodes[1]._refusals
        for number in range(10, 16):
            await c.start(number, **ON)
            await c.nodes[number].join(["10.0.0.1"])
            await trio.sleep(10)
            c.kill(number)
            await until_dead(c, number)
            del c.nodes[number]
            await trio.sleep(10)
            assert len(detector._refused_at) <= 1
        assert c.nodes[1].statistics().refusals > 3
        assert not detector._running
        assert not detector._rounds_at
        assert not detector._asked


async def test_a_flood_of_forged_hints_is_looked_into_at_a_bounded_rate(
    autojump_clock: MockClock,
) -> None:
    """Also if they are about nobody: to find out takes a look through all nodes."""
    async with settled(3) as c:
        detector, looked_up = c.nodes[1]._refusals, []
        table = detector.table
        at = table.at

        def counted(address):
            looked_up.append(address)
            return at(address)

        table.at = counted
        for number in range(1000):
            detector._packet_refused(Address(f"10.9.{number % 7}.{number % 250}", 7946))
            await trio.sleep(0.001)
        assert 20 <= len(looked_up) <= 32 + 20 + 1


async def test_suspicions_about_everybody_cost_each_a_check_and_kill_nobody(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says so about all is no corroboration of anything."""
    async with settled(12) as c:
        checks = []
        checker = c.nodes[1]._refusals._port_checker
        check = PortChecker.check

        async def counted(self, node, **kwargs):
            if self is checker:
                checks.append(node.name)
            return await check(self, node, **kwargs)

        monkeypatch.setattr(PortChecker, "check", counted)
        for _ in range(20):
            for number in range(3, 13):
                node = c.nodes[1].node(f"n{number}")
                suspect = Suspect(node.incarnation, node.name, "n2")
                c.network.inject_packet(
                    encode_message(suspect), Address("10.0.0.2", 7946), Address("10.0.0.1", 7946)
                )
            await trio.sleep(0.1)
        await trio.sleep(5)
        assert 0 == declared(c)
        assert checks
        assert max(checks.count(name) for name in checks) <= 3
        assert {"ALIVE"} == {*status(c, 7)}
        assert 0 == c.nodes[1].health_score


@pytest.mark.parametrize("what", ["leave", "restart"])
async def test_what_happens_in_the_middle_of_a_round_ends_it(
    what: str, autojump_clock: MockClock
) -> None:
    settings = {**ON, "refusal_grace": 2.0}
    async with settled(6, settings=settings) as c:
        c.network.reject(None, "10.0.0.3")
        with trio.fail_after(30):
            while not any(node._refusals._running for node in c.nodes.values()):  # noqa: ASYNC110
                await trio.sleep(0.01)
        await trio.sleep(0.3)
        if what == "leave":
            await c.nodes[3].leave(0.5)
        else:
            c.kill(3)
            await trio.sleep(0.01)
            c.network.accept(None, "10.0.0.3")
            await c.start(3, **settings)
            await c.nodes[3].join(["10.0.0.1"])
        await trio.sleep(5)
        assert 0 == declared(c)
        assert all(not node._refusals._running for node in c.nodes.values())
        assert {"LEFT" if what == "leave" else "ALIVE"} == {*status(c, 3)}


async def test_a_node_that_comes_back_elsewhere_is_known_there_soon(
    autojump_clock: MockClock,
) -> None:
    """What its former address refuses says nothing about the new one."""
    async with settled(6) as c:
        c.kill(3)
        await trio.sleep(0.01)
        await c.start(3, host="10.0.0.33", **ON)
        await c.nodes[3].join(["10.0.0.1"])
        await trio.sleep(10)
        others = [node.node("n3") for number, node in c.nodes.items() if number != 3]
        assert {("ALIVE", "10.0.0.33")} == {(n.status.name, n.address.host) for n in others}
        before = declared(c)
        await trio.sleep(30)
        assert before == declared(c)


async def test_a_detector_that_is_cancelled_in_the_middle_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    async with settled(3) as c:
        c.kill(3)
        detector = c.nodes[1]._refusals
        with trio.fail_after(30):
            while not detector._asked:  # noqa: ASYNC110
                await trio.sleep(0.001)
        pending = detector.pending_acks
        c.kill(1)
        await trio.sleep(0.01)
        assert not detector._asked
        assert not detector._running
        assert not detector._rounds_at
        assert not detector._port_checker._under_way
        assert 0 == len(pending)
        detector.stream_refused(detector.table.nodes["n2"])  # and nothing begins
        assert not detector._running


async def test_turned_off_the_network_is_not_even_asked_for_refusals(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    refusals = SimTransport.refusals

    def counted(self):
        asked.append(self)
        return refusals(self)

    monkeypatch.setattr(SimTransport, "refusals", counted)
    async with settled(3, 1.0, settings=OFF):
        assert not asked
    async with settled(3, 1.0, settings={**ON, "faithful_go": True}):
        assert not asked
    async with settled(3, 1.0):
        assert 3 == len(asked)


async def test_who_is_answered_at_once_is_sent_one_nack(autojump_clock: MockClock) -> None:
    """A second would stand for that of a helper which is not well itself."""
    async with settled(4) as c:
        c.kill(3)
        detector = c.nodes[1]._refusals
        with trio.fail_after(30):
            while not detector._refused_lately(detector.table.nodes["n3"]):  # noqa: ASYNC110
                await trio.sleep(0.001)
        nacks = []
        transport = c.nodes[2]._refusals.transport
        port = transport.local_address.port
        target = detector.table.nodes["n3"]
        request = IndirectPing(4711, target.addr, target.port, "n3", True, None, None, None)
        watch = c.nodes[2]._receiver._on_nack

        def noted(nack, packet):
            nacks.append(nack.seq_no)
            watch(nack, packet)

        c.nodes[2]._receiver._routes[Nack] = noted
        c.network.inject_packet(
            encode_message(request), Address("10.0.0.2", port), Address("10.0.0.1", 7946)
        )
        await trio.sleep(1.0)
        assert [4711] == [number for number in nacks if number == 4711]


@pytest.mark.parametrize(("seconds", "dies"), [(1.5, False), (4.0, True)])
async def test_the_only_two_ride_out_a_reject_that_is_shorter_than_the_longer_check(
    seconds: float, dies: bool, autojump_clock: MockClock
) -> None:
    async with settled(2) as c:
        c.network.reject("10.0.0.1", "10.0.0.2", both_ways=True)
        await trio.sleep(seconds)
        c.network.accept("10.0.0.1", "10.0.0.2", both_ways=True)
        await trio.sleep(1)
        assert dies == (declared(c) > 0)
        await trio.sleep(30)
        assert ["ALIVE"] == status(c, 2)


def known_to_work(c):
    """For each node, how many others it has had a stream to in their present incarnation."""
    return [sum(each.was_connected for each in node.members()) for node in c.nodes.values()]


async def test_streams_to_all_are_tried_soon_and_once(autojump_clock: MockClock) -> None:
    async with cluster() as c:
        await c.start_many(6, **ON, push_pull_interval=0)
        await trio.sleep(10)
        assert [5] * 6 == known_to_work(c)
        streams = c.network.statistics().streams
        assert 5 + 30 >= streams
        await trio.sleep(120)
        assert streams == c.network.statistics().streams


async def test_a_new_incarnation_is_tried_again(autojump_clock: MockClock) -> None:
    async with cluster() as c:
        await c.start_many(4, **ON, push_pull_interval=0)
        await trio.sleep(10)
        before = c.network.statistics().streams
        await c.nodes[2].update_node(5)
        await trio.sleep(10)
        assert [3] * 4 == known_to_work(c)
        assert 3 == c.network.statistics().streams - before


async def test_where_streams_do_not_work_they_are_tried_ever_more_seldom(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as c:
        await c.start(1, **ON, push_pull_interval=0)
        await c.start(2, **ON, push_pull_interval=0)
        c.network.fill_backlog("10.0.0.2")
        await c.nodes[2].join(["10.0.0.1"])
        await trio.sleep(400)
        assert not c.nodes[1].node("n2").was_connected
        c.network.fill_backlog("10.0.0.2", full=False)
        await trio.sleep(400)
        assert c.nodes[1].node("n2").was_connected


async def test_nothing_is_tried_where_it_is_turned_off(autojump_clock: MockClock) -> None:
    async with cluster() as c:
        await c.start_many(3, dead_on_refusal=False, push_pull_interval=0)
        await trio.sleep(30)
        assert 2 == c.network.statistics().streams


@pytest.mark.parametrize(
    ("settings", "nack_after", "suspects", "checks"),
    [
        ({**ON, "faithful_go": True}, 0.5, False, False),
        (OFF, 0.4, False, False),
        (ON, 0.0, True, True),
    ],
    ids=["Go's rules", "turned off", "turned on"],
)
async def test_with_go_s_rules_there_is_no_evidence_no_check_and_no_early_nack(
    settings: dict[str, bool],
    nack_after: float,
    suspects: bool,
    checks: bool,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = []
    check = PortChecker.check

    async def noted_check(self, node, **kw):
        checked.append(node.name)
        return await check(self, node, **kw)

    monkeypatch.setattr(PortChecker, "check", noted_check)
    async with settled(5, settings=settings) as c:
        exchanges = sum(node.statistics().push_pulls for node in c.nodes.values())
        assert checks == (c.network.statistics().streams > exchanges)
        c.kill(3)
        answers, receiver = [], c.nodes[2]._receiver

        def note(nack, packet):
            if nack.seq_no == 4711:
                kinds = [type(message) for message in receiver._messages]
                answers.append((kinds, trio.current_time() - asked_at))

        monkeypatch.setitem(receiver._routes, Nack, note)
        target = c.nodes[1].node("n3")
        request = IndirectPing(4711, target.addr, target.port, "n3", True, None, None, None)
        asked_at = trio.current_time()
        c.network.inject_packet(
            encode_message(request), Address("10.0.0.2", 7946), Address("10.0.0.1", 7946)
        )
        await trio.sleep(0.75)
        [(kinds, after)] = answers
        assert suspects == (Suspect in kinds)
        assert pytest.approx(nack_after, abs=0.05) == after
        await until_dead(c, 3)
        assert checks == bool(checked)
        assert checks == bool(declared(c))
        assert checks == any(node.statistics().refusals for node in c.nodes.values())


UNSENT = [
    trio.BrokenResourceError("no buffer"),
    trio.ClosedResourceError("no socket"),
    LocalProtocolError("no name"),
]


@pytest.mark.parametrize("error", UNSENT, ids=lambda error: type(error).__name__)
async def test_what_cannot_be_sent_ends_neither_a_round_nor_the_node(
    error: Exception,
    autojump_clock: MockClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="trioserf")

    def refuse(*_arguments: object) -> None:
        raise error

    async with settled(4) as c:
        detector = c.nodes[1]._refusals
        detector.sender = SimpleNamespace(send=refuse, send_together=refuse)
        target = detector.table.nodes["n3"]
        request = IndirectPing(7, target.addr, target.port, "n3", True, None, None, None)
        c.kill(3)
        detector.stream_refused(target)
        await until_dead(c, 3)
        assert "cannot ask n2 to check the ports of n3" in caplog.text
        assert "cannot ask n4 to check the ports of n3" in caplog.text
        detector._answer(target, request, Address("10.0.0.2", 7946))
        assert "cannot answer 10.0.0.2:7946" in caplog.text
        await trio.sleep(5)
        assert not detector._running


@pytest.mark.parametrize("error", UNSENT, ids=lambda error: type(error).__name__)
async def test_a_leave_that_cannot_be_passed_on_is_only_logged(
    error: Exception, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="trioserf")

    def refuse(*_arguments: object) -> None:
        raise error

    async with settled(3) as c:
        await c.nodes[3].leave(1.0)
        await trio.sleep(1.0)
        detector = c.nodes[1]._refusals
        detector.sender = SimpleNamespace(send_together=refuse)
        target = detector.table.nodes["n3"]
        request = IndirectPing(7, target.addr, target.port, "n3", True, None, None, None)
        detector.asked(4711, request, Address("10.0.0.2", 7946))
        assert "cannot answer 10.0.0.2:7946" in caplog.text


async def test_a_suspicion_that_cannot_be_sent_to_the_suspect_is_known_to_the_others(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="trioserf")

    def refuse(*_arguments: object) -> None:
        raise trio.BrokenResourceError("no buffer")

    async with settled(4) as c:
        detector = c.nodes[1]._refusals
        c.kill(3)
        sender = detector.sender
        detector.sender = SimpleNamespace(send=sender.send, send_together=refuse)
        detector.stream_refused(detector.table.nodes["n3"])
        await until_dead(c, 3)
        assert "cannot send a suspicion to n3" in caplog.text


async def test_who_leaves_begins_no_round(autojump_clock: MockClock) -> None:
    async with settled(3) as c:
        detector = c.nodes[1]._refusals
        detector.table._store.leaving = True
        detector.stream_refused(detector.table.nodes["n3"])
        assert not detector._running
        detector.table._store.leaving = False
        detector.stream_refused(detector.table.nodes["n3"])
        assert detector._running


async def test_no_stream_is_tried_to_a_node_that_answers_no_pings_on_streams(
    autojump_clock: MockClock,
) -> None:
    async with settled(2) as c:
        detector, node = c.nodes[1]._refusals, c.nodes[1]._table.nodes["n2"]
        node.connected_in = None
        node.update(versions=bytes((1, 2, 2, 0, 0, 0)))
        before = c.network.statistics().streams
        detector._stream_checker.add("n2")
        assert 1 == len(detector._stream_checker)
        await trio.sleep(10)
        assert 0 == len(detector._stream_checker)
        assert before == c.network.statistics().streams


async def test_no_stream_is_due_to_nobody_or_to_one_that_was_reached(
    autojump_clock: MockClock,
) -> None:
    async with settled(2) as c:
        checker = c.nodes[1]._refusals._stream_checker
        for name in ("nobody", "n1", "n2"):
            checker.add(name)
        assert 0 == len(checker)

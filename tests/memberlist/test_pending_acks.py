"""Acks that are awaited."""

import pytest

from trioserf._exceptions import LocalProtocolError
from trioserf._memberlist.pending_acks import PendingAcks
from trioserf._wire.messages import Ack
from trioserf.abc import Address


def test_the_first_ack_is_handed_over_and_ends_the_entry():
    pending, got = PendingAcks(), []
    with pending.expect(7, lambda ack, at, source: got.append((ack.payload, at))):
        assert pending.ack(Ack(7, b"x"), 1.5)
        assert not pending.ack(Ack(7, b"y"), 2.5)
        assert 0 == len(pending)
    assert [(b"x", 1.5)] == got


def test_nacks_count_and_leave_the_entry():
    pending, nacks = PendingAcks(), []
    with pending.expect(7, lambda ack, at, source: None, lambda source: nacks.append(1)):
        assert pending.nack(7)
        assert pending.nack(7)
        assert 1 == len(pending)
    assert 2 == len(nacks)


def test_numbers_that_are_not_awaited_are_ignored():
    pending = PendingAcks()
    assert not pending.ack(Ack(1, None), 0.0)
    assert not pending.nack(1)
    with pending.expect(2, lambda ack, at, source: None):
        assert not pending.nack(2)


def test_no_entry_outlives_its_block():
    pending = PendingAcks()
    with pytest.raises(KeyError), pending.expect(3, lambda ack, at, source: None):
        raise KeyError
    assert 0 == len(pending)
    assert not pending.ack(Ack(3, None), 0.0)


def test_an_old_block_does_not_end_a_newer_entry_of_its_number():
    pending = PendingAcks()
    first = pending.expect(3, lambda ack, at, source: None)
    first.__enter__()
    with pending.expect(3, lambda ack, at, source: None):
        first.__exit__(None, None, None)
        assert 1 == len(pending)


def test_the_table_is_bounded():
    pending = PendingAcks(limit=1)
    with (
        pending.expect(1, lambda ack, at, source: None),
        pytest.raises(LocalProtocolError),
        pending.expect(2, lambda ack, at, source: None),
    ):
        pass


def test_numbers_start_at_one_and_wrap_at_32_bits():
    pending = PendingAcks()
    assert [1, 2] == [pending.next_seq_no(), pending.next_seq_no()]
    pending._last = 0xFFFFFFFF
    assert [0, 1] == [pending.next_seq_no(), pending.next_seq_no()]


def test_the_failure_detector_has_room_in_a_full_table():
    pending = PendingAcks(limit=1)
    with (
        pending.expect(1, lambda ack, at, source: None),
        pending.expect(2, lambda ack, at, source: None, always=True),
    ):
        assert 2 == len(pending)


HERE, THERE = Address("10.0.0.1", 7946), Address("10.0.0.2", 7946)


def test_an_ack_counts_from_hosts_that_were_asked_alone():
    pending, got, hosts = PendingAcks(), [], {"10.0.0.1"}
    with pending.expect(7, lambda ack, at, source: got.append(source), hosts=hosts):
        assert not pending.ack(Ack(7, None), 1.0, THERE)
        assert 7 in pending
        hosts.add("10.0.0.2")
        assert pending.ack(Ack(7, None), 1.0, Address("10.0.0.2", 1))
        assert not pending.ack(Ack(7, None), 1.0, HERE)
    assert [Address("10.0.0.2", 1)] == got
    with pending.expect(8, lambda *_: None, hosts={"fe80::1"}):
        assert pending.ack(Ack(8, None), 1.0, Address("fe80::1%eth0", 7946))


def test_a_nack_counts_from_hosts_that_were_asked_alone():
    pending, nacks = PendingAcks(), []
    with pending.expect(7, lambda *_: None, nacks.append, hosts={"10.0.0.1"}):
        assert not pending.nack(7, THERE)
        assert pending.nack(7, HERE)
    assert [HERE] == nacks


def test_numbers_of_pings_cannot_be_guessed_and_do_not_repeat():
    numbers = iter([b"\0\0\0\x07", b"\0\0\0\x07", b"\xff\xff\xff\xff"])
    pending = PendingAcks(random_bytes=lambda size: next(numbers))
    seq_no = pending.next_seq_no()
    assert 7 == seq_no
    with pending.expect(seq_no, lambda *_: None):
        assert 0xFFFFFFFF == pending.next_seq_no()

"""Codecs that follow the settings and the keys."""

import os

import pytest

from trioserf._config import MemberlistConfig
from trioserf._exceptions import ConfigError
from trioserf._memberlist.packet_sender import encode_parts
from trioserf._memberlist.wire_format import WireFormat, configured_keyring
from trioserf._wire.keyring import Keyring
from trioserf._wire.packets import decode_packet

KEY, OTHER = bytes(16), bytes(range(32))
ACK = bytes.fromhex("0282a75061796c6f6164c0a55365714e6f2a")


def wire(**fields):
    config = MemberlistConfig(name="n1", **fields)
    return WireFormat(config, os.urandom, configured_keyring(config))


def test_without_keys_there_is_no_ring():
    assert configured_keyring(MemberlistConfig()) is None


def test_an_empty_ring_waits_for_keys():
    assert Keyring(()) == configured_keyring(MemberlistConfig(keyring=()))


def test_the_first_key_of_a_ring_is_primary_unless_a_secret_key_is_given():
    assert KEY == configured_keyring(MemberlistConfig(keyring=(KEY, OTHER))).primary
    ring = configured_keyring(MemberlistConfig(keyring=(KEY,), secret_key=OTHER))
    assert (OTHER, KEY) == ring.keys


def test_keys_that_make_no_ring_are_a_bad_setting(monkeypatch):
    def refuse(keys, primary=None):
        from trioserf._exceptions import KeyringError

        raise KeyringError("no")

    monkeypatch.setattr(Keyring, "create", refuse)
    with pytest.raises(ConfigError, match="keyring"):
        configured_keyring(MemberlistConfig(secret_key=KEY))


def first_byte(here):
    """The byte by which a packet in clear differs from an encrypted one."""
    return encode_parts([ACK], here, crc=False)[0]


def test_encryption_starts_and_stops_at_run_time():
    here = wire(keyring=())
    assert ACK[0] == first_byte(here)
    assert 1400 - 5 - 2 == here.packet_room
    here.set_keyring(Keyring((KEY,)))
    assert 1 == first_byte(here)
    assert 12 == len(here.stream_nonce())
    assert 1400 - 5 - 2 - 29 == here.packet_room
    here.set_keyring(None)
    assert ACK[0] == first_byte(here)
    assert here.stream_nonce() is None


def test_the_room_is_less_by_label_and_encryption():
    room = wire().packet_room
    assert room - 2 - 4 == wire(label="blue").packet_room
    assert room - 45 == wire(secret_key=KEY, protocol_version=1).packet_room
    assert room == wire(secret_key=KEY, gossip_verify_outgoing=False).packet_room


def test_version_0_of_encryption_is_accepted_by_those_who_speak_it():
    old = wire(secret_key=KEY, protocol_version=1, accept_v0=False)
    encrypted = encode_parts([ACK], old, crc=False)
    assert 0 == encrypted[0]
    assert 1 == len(decode_packet(encrypted, old.packet).messages)


def test_a_peer_with_the_same_settings_understands():
    here = wire(secret_key=KEY, label="blue")
    encrypted = encode_parts([ACK, ACK], here, crc=True)
    there = wire(keyring=(OTHER, KEY), label="blue")
    assert 2 == len(decode_packet(encrypted, there.packet).messages)


def test_what_fits_into_one_datagram_is_not_compressed():
    user = b"\x08" + b"a" * 1000
    for faithful, smaller in ((False, False), (True, True)):
        settings = MemberlistConfig.lan(name="n1", faithful_go=faithful)
        wire = WireFormat(settings, os.urandom, None)
        assert smaller is (len(encode_parts([user], wire, crc=False)) < len(user))
        # What would be cut into fragments is compressed: a lost one loses all of it.
        assert len(encode_parts([user * 3], wire, crc=False)) < 1400

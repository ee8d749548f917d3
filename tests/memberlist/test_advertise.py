"""Which address is told to others."""

import pytest

from trioserf._exceptions import ConfigError
from trioserf._memberlist import advertise
from trioserf._memberlist.advertise import advertised_address
from trioserf.abc import Address

from .kit import config


def test_what_is_configured_goes_first():
    settings = config(advertise_addr="192.0.2.7", advertise_port=99)
    assert Address("192.0.2.7", 99) == advertised_address(settings, Address("10.0.0.1", 7946))
    settings = config(advertise_addr="2001:db8::0:7")
    assert Address("2001:db8::7", 7946) == advertised_address(settings, Address("::1", 7946))


def test_then_what_is_bound():
    assert Address("10.0.0.1", 7946) == advertised_address(config(), Address("10.0.0.1", 7946))


def test_bound_to_every_address_one_is_chosen(monkeypatch):
    monkeypatch.setattr(advertise, "pick_advertise", lambda host: b"\x0a\x01\x02\x03")
    assert Address("10.1.2.3", 5) == advertised_address(config(), Address("0.0.0.0", 5))


@pytest.mark.parametrize("error", [OSError("no"), ValueError("none is private")])
def test_with_nothing_to_choose_the_user_must_say(monkeypatch, error):
    def pick(host):
        raise error

    monkeypatch.setattr(advertise, "pick_advertise", pick)
    with pytest.raises(ConfigError, match="advertise_addr"):
        advertised_address(config(), Address("0.0.0.0", 5))


def test_a_name_is_no_address():
    with pytest.raises(ConfigError, match="an IP address"):
        advertised_address(config(advertise_addr="host.example"), Address("10.0.0.1", 5))

"""`version` and `keygen`."""

from __future__ import annotations

import base64
import json

from tests.agent.fake_agent import CommandLine


def test_a_new_key_has_32_random_bytes(serf: CommandLine) -> None:
    keys = [serf(None, "keygen") for _ in range(2)]
    assert keys[0] != keys[1]
    assert [32, 32] == [len(base64.b64decode(key, validate=False)) for key in keys]
    assert all(key.endswith("\n") and key.count("\n") == 1 for key in keys)
    document = json.loads(serf(None, "keygen", "-format=json"))
    assert 32 == len(base64.b64decode(document["key"]))


def test_flags_that_are_none_do_not_matter_as_in_go(serf: CommandLine) -> None:
    serf(None, "keygen", "-bogus", "x")
    assert serf(None, "version") == serf(None, "version", "-bogus")


def test_a_format_that_there_is_not(serf: CommandLine) -> None:
    assert 'Invalid output format "x"\n' == serf.fails(None, "version", "-format=x", status=2)

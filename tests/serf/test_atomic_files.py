"""Replacing files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trioserf._serf.atomic_files import AtomicFile


async def test_a_new_file_takes_the_place_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    path.write_bytes(b"old and longer")
    await AtomicFile(str(path), 0o600).write(b"new")
    assert b"new" == path.read_bytes()
    assert 0o600 == path.stat().st_mode & 0o777
    assert ["keyring.json"] == os.listdir(tmp_path)


async def test_what_a_crash_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    (tmp_path / "keyring.json.new").write_bytes(b"half of a file from some time ago")
    await AtomicFile(str(path), 0o600).write(b"new")
    assert b"new" == path.read_bytes()


async def test_a_link_stays_one_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    """As Go does, which writes through links: configuration is often a tree of them."""
    real, link = tmp_path / "real.json", tmp_path / "etc" / "keyring.json"
    link.parent.mkdir()
    link.symlink_to("../real.json")
    for content in (b"first, to where there was nothing", b"second"):
        await AtomicFile(str(link), 0o600).write(content)
        assert link.is_symlink()
        assert content == real.read_bytes()
    assert ["keyring.json"] == os.listdir(link.parent)


async def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    path.mkdir()
    (path / "in the way").write_bytes(b"")
    with pytest.raises(OSError, match="keyring"):
        await AtomicFile(str(path), 0o600).write(b"new")
    assert ["keyring.json"] == os.listdir(tmp_path)


def test_a_write_that_was_overtaken_does_not_bring_back_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    file = AtomicFile(str(path), 0o600)
    file._replace(2, b"newer")
    file._replace(1, b"older")
    assert b"newer" == path.read_bytes()
    file._replace(3, b"newest")
    assert b"newest" == path.read_bytes()

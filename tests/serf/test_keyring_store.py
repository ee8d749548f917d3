"""The keyring file: what a start makes of it, and that a disk which hangs holds up nobody."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
import trio

from tests.serf.clusters import address, cluster
from trioserf._exceptions import ConfigError, JoinError, KeyringError
from trioserf._memberlist.node_log import node_log
from trioserf._serf import atomic_files
from trioserf._serf.atomic_files import AtomicFile
from trioserf._serf.keyring_store import MAX_SIZE, KeyringStore
from trioserf._text import key_to_text
from trioserf._wire.keyring import Keyring

OLD, NEW = bytes(16), bytes(range(16))


def written(path: Path, *keys: bytes, mode: int = 0o600) -> str:
    path.write_text(json.dumps([*map(key_to_text, keys)]))
    path.chmod(mode)
    return str(path)


def ring(serf: object) -> tuple[bytes, ...]:
    return serf._delegate.memberlist.keyring.keys  # type: ignore[attr-defined, no-any-return]


async def test_a_keyring_file_alone_turns_encryption_on(tmp_path: Path) -> None:
    async with cluster() as net:
        path = written(tmp_path / "ring", OLD, NEW)
        a = await net.start("a", keyring_file=path)
        assert (OLD, NEW) == ring(a)
        plain = await net.start("b")
        with pytest.raises(JoinError):
            await plain.join([address(a)])
        c = await net.start("c", keyring=[NEW, OLD])
        assert 1 == await c.join([address(a)])


async def test_after_a_rotation_a_node_with_the_old_key_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with cluster() as net:
        path = tmp_path / "ring"
        a = await net.start("a", secret_key=OLD, keyring_file=str(path))
        assert [key_to_text(OLD)] == json.loads(path.read_text())
        assert 0o600 == path.stat().st_mode & 0o777
        await a.keys.rotate(NEW)
        again = await net.start("again", secret_key=OLD, keyring_file=str(path))
        assert (NEW,) == ring(again)
        [line] = [r for r in caplog.records if "keys of the settings" in r.getMessage()]
        assert f"are not in keyring file {path}, whose keys count" in line.getMessage()
        assert "WARNING" == line.levelname, "or is it the new key that is meant to count?"
        assert 1 == await again.join([address(a)])


async def test_keys_of_the_settings_that_the_file_has_are_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "ring"
    caplog.set_level(logging.INFO)
    async with cluster() as net:
        await net.start("a", secret_key=OLD, keyring_file=str(path))
        assert "the keys are those of" not in caplog.text
        await net.start("b", secret_key=OLD, keyring_file=str(path))
    [line] = [r for r in caplog.records if "the keys are those of" in r.getMessage()]
    assert "INFO" == line.levelname


async def test_no_file_and_no_key_is_refused(tmp_path: Path) -> None:
    async with cluster() as net:
        path = tmp_path / "ring"
        with pytest.raises(ConfigError, match=r"keyring_file=.*a file that exists, or a key"):
            await net.start("a", keyring_file=str(path))
        with pytest.raises(ConfigError, match="keyring_file"):
            await net.start("a", keyring_file=str(path), keyring=[])
        assert not path.exists()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"not json", "is not JSON"),
        (b"[]", "has no keys: expected at least one"),
        (b'[""]', "key 1 of the keyring file is empty"),
        (b'{"keys": []}', "holds no list of keys"),
        (b'["AAAA"]', "3 bytes: expected 16, 24 or 32"),
        (b'["?"]', "key 1 of the keyring file is not base64"),
        (b" " * (MAX_SIZE + 1), "longer than"),
    ],
)
async def test_a_file_that_is_no_keyring_is_refused_by_its_name(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    async with cluster() as net:
        path = tmp_path / "ring"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(KeyringError, match=problem) as caught:
            await net.start("a", keyring_file=str(path), secret_key=OLD)
        assert str(path) in str(caught.value)
        assert content == path.read_bytes()


async def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    async with cluster() as net:
        with pytest.raises(KeyringError, match=f"cannot read keyring file {tmp_path}"):
            await net.start("a", keyring_file=str(tmp_path))
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(KeyringError, match="no regular file"):
            await net.start("a", keyring_file=str(tmp_path / "pipe"))


async def test_a_file_that_others_may_change_is_refused_and_one_that_they_read_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster() as net:
        path = written(tmp_path / "ring", OLD, mode=0o622)
        with pytest.raises(KeyringError, match="others can write to it: expected mode 600, not"):
            await net.start("a", keyring_file=path)
        path = written(tmp_path / "ring", OLD, mode=0o644)
        a = await net.start("a", keyring_file=path)
        assert (OLD,) == ring(a)
        assert f"others can read keyring file {path}: expected mode 600, not 644" in caplog.text


async def test_a_disk_that_hangs_holds_up_neither_the_change_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic_files, "DISK_LIMIT", 0.05)
    file = AtomicFile(str(tmp_path / "ring"), 0o600)
    with file._lock:  # a write that never ends
        with pytest.raises(TimeoutError, match=r"did not answer for 0\.05 s"):
            await file.write(b"first")
        with trio.move_on_after(0.01) as limit:
            await file.write(b"second")
        assert limit.cancelled_caught
    await file.write(b"third")
    assert b"third" == (tmp_path / "ring").read_bytes()


async def test_a_store_reads_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    await KeyringStore(str(path), node_log("keyring", "a")).write(Keyring((NEW, OLD)))
    async with cluster() as net:
        assert (NEW, OLD) == ring(await net.start("a", keyring_file=str(path)))

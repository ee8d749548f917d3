"""Where a server listens, and who may connect."""

from __future__ import annotations

import errno
import logging
import os
import socket
import stat
from functools import partial
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._exceptions import ConfigError
from trioserf._rpc.client import open_client
from trioserf._rpc.listening import PatientListener, listening
from trioserf._rpc.server import serve


@pytest.mark.parametrize("address", ["127.0.0.1:0", "localhost:0"])
async def test_port_0_takes_a_free_one(address: str) -> None:
    async with listening(address, allow_remote=False) as where:
        host, _, port = where.address.rpartition(":")
        assert "127.0.0.1" == host
        assert int(port) > 0
        stream = await trio.open_tcp_stream(host, int(port))
        await stream.aclose()


async def test_ipv6_loopback_is_loopback() -> None:
    async with listening("[::1]:0", allow_remote=False) as where:
        assert where.address.startswith("[::1]:")


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0", ":0", "192.0.2.1:0"])
async def test_an_address_that_others_reach_is_refused_without_a_key(address: str) -> None:
    with pytest.raises(ConfigError, match="a loopback address, or an auth_key, or"):
        async with listening(address, allow_remote=False):
            raise AssertionError("it must not be open")


@pytest.mark.parametrize("address", ["0.0.0.0:0", ":0"])
async def test_with_a_key_any_address_will_do(address: str) -> None:
    async with listening(address, allow_remote=True) as where:
        assert int(where.address.rpartition(":")[2]) > 0


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:", "unix:"])
async def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="expected host:port or unix:/path"):
        async with listening(address, allow_remote=True):
            raise AssertionError("it must not be open")


async def test_a_port_that_is_taken_is_an_error() -> None:
    async with listening("127.0.0.1:0", allow_remote=False) as where:
        with pytest.raises(OSError, match="in use"):
            async with listening(where.address, allow_remote=False):
                raise AssertionError("it must not be open")


# --- sockets in the file system -----------------------------------------------------------


async def test_only_its_user_may_use_a_socket_and_it_is_gone_afterwards(
    tmp_path: Path,
) -> None:
    path = tmp_path / "serf.sock"
    old = os.umask(0)
    try:
        async with listening(f"unix:{path}", allow_remote=False) as where:
            assert f"unix:{path}" == where.address
            assert 0o600 == stat.S_IMODE(path.stat().st_mode)
            stream = await trio.open_unix_socket(str(path))
            await stream.aclose()
    finally:
        os.umask(old)
    assert not path.exists()


async def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "serf.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    async with listening(f"unix:{path}", allow_remote=False):
        stream = await trio.open_unix_socket(path)
        await stream.aclose()


async def test_a_socket_in_use_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "serf.sock"
    async with listening(f"unix:{path}", allow_remote=False):
        with pytest.raises(OSError, match="in use"):
            async with listening(f"unix:{path}", allow_remote=False):
                raise AssertionError("it must not be open")
        assert path.exists()


async def test_a_socket_whose_program_has_no_time_to_accept_is_not_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "serf.sock")
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(path)
        busy.listen(0)
        first.connect(path)  # nobody else fits in
        with pytest.raises(OSError, match="in use"):
            async with listening(f"unix:{path}", allow_remote=False):
                raise AssertionError("it must not be open")
        accepted, _ = busy.accept()
        accepted.close()


async def test_a_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "serf.sock"
    path.write_text("mine")
    with pytest.raises(OSError, match="in use"):
        async with listening(f"unix:{path}", allow_remote=False):
            raise AssertionError("it must not be open")
    assert "mine" == path.read_text()


async def test_a_socket_of_somebody_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "serf.sock"
    async with listening(f"unix:{path}", allow_remote=False):
        path.unlink()
        path.write_text("other")
    assert "other" == path.read_text()


# --- the server behind it -----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["tcp", "unix"])
async def test_a_node_is_served_on_a_real_socket(kind: str, tmp_path: Path) -> None:
    address = "127.0.0.1:0" if kind == "tcp" else f"unix:{tmp_path / 'serf.sock'}"
    async with cluster() as net:
        serf = await net.start("alpha")
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve, serf, address, auth_key="s3cret"))
            assert "s3cret" not in repr(server)
            async with open_client(server.address, "s3cret") as agent:
                assert ("alpha",) == (await agent.members()).names
            nursery.cancel_scope.cancel()


async def test_an_open_address_must_be_asked_for() -> None:
    async with cluster() as net:
        serf = await net.start("alpha")
        with pytest.raises(ConfigError, match="allow_unauthenticated"):
            await serve(serf, "0.0.0.0:0")
        with pytest.raises(ConfigError, match="allow_unauthenticated"):
            await serve(serf, "0.0.0.0:0", auth_key="")
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve, serf, "0.0.0.0:0", allow_unauthenticated=True))
            nursery.cancel_scope.cancel()


class _Refusing:
    """A listener to whom the system refuses some connections."""

    def __init__(self, *errors: OSError) -> None:
        self.errors = [*errors]

    async def accept(self) -> object:
        await trio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        return "a stream"

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_without_descriptors_a_server_waits_and_says_so_once(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    none_left = [OSError(errno.EMFILE, "Too many open files") for _ in range(30)]
    listener = PatientListener(_Refusing(*none_left), logging.getLogger("test"))  # type: ignore[arg-type]
    assert "a stream" == await listener.accept()
    assert "a stream" == await listener.accept()
    (record,) = caplog.records
    assert (
        "cannot accept clients, and tries again: [Errno 24] Too many open files"
        == record.getMessage()
    )
    listener = PatientListener(_Refusing(OSError(errno.EBADF, "bad")), logging.getLogger("test"))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="bad"):
        await listener.accept()
    await listener.aclose()

"""A service for a container: settings from its environment, encrypted, with a graceful end.

::

    export CLUSTER_KEY=$(trioserf keygen)
    NODE_NAME=a BIND=127.0.0.1:7946 HEALTH=127.0.0.1:8081 python container_service.py
    NODE_NAME=b BIND=127.0.0.1:7947 SEEDS=127.0.0.1:7946 python container_service.py

============  =====================================================================================
NODE_NAME     unique in the cluster; the name of the host by default, which in a container is its id
BIND          host:port of the cluster; ``0.0.0.0:7946`` by default
SEEDS         addresses or names to join, with commas; tried until one is reached
CLUSTER_KEY   the key that all nodes share, in base64; none: not encrypted
STATE_DIR     a folder that outlives the container; none: after a restart SEEDS are all it knows
HEALTH        host:port where ``GET /`` says 200 while the node is in the cluster; none: no port
============  =====================================================================================

SIGTERM lets it leave: the others see ``left``, not ``failed``.  Give it 20 s before SIGKILL.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket

import trio

import trioserf


def settings(environ: dict[str, str]) -> trioserf.Config:
    """The settings of the node; a bad one is a `ConfigError` that names it."""
    name = environ.get("NODE_NAME") or socket.gethostname()
    key, folder = environ.get("CLUSTER_KEY"), environ.get("STATE_DIR")
    return trioserf.Config.lan(
        node_name=name,
        bind=environ.get("BIND", "0.0.0.0:7946"),
        retry_join=[seed.strip() for seed in environ.get("SEEDS", "").split(",") if seed.strip()],
        retry_join_interval=2.0,
        leave_timeout=10.0,  # less than what is granted between SIGTERM and SIGKILL
        encrypt_key=key,
        # The members and clocks of before, and the keys, should these have changed since.
        snapshot_path=os.path.join(folder, f"{name}.snap") if folder else None,
        rejoin_after_leave=True,
        keyring_file=os.path.join(folder, f"{name}.keys") if folder and key else None,
    )


async def health(serf: trioserf.Serf, address: str) -> None:
    """Say 200 while the node is up, and 503 while it leaves."""

    async def answer(stream: trio.SocketStream) -> None:
        up = serf.state is trioserf.SerfState.ALIVE
        line = b"200 OK" if up else b"503 Service Unavailable"
        with contextlib.suppress(trio.BrokenResourceError), trio.move_on_after(5):
            async with stream:
                await stream.receive_some(65536)
                await stream.send_all(
                    b"HTTP/1.1 " + line + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )

    host, _, port = address.rpartition(":")
    await trio.serve_tcp(answer, int(port), host=host)


async def work(serf: trioserf.Serf) -> None:
    """The service; here it says who is there."""
    async with serf.follow(status=trioserf.MemberStatus.ALIVE) as states:
        async for members in states:
            print("alive:", *members.names, flush=True)


async def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    environ = dict(os.environ)
    async with (
        trioserf.open(settings(environ)) as serf,
        trioserf.leave_on_signals(serf) as scope,
        trio.open_nursery() as nursery,
    ):
        if address := environ.get("HEALTH"):
            nursery.start_soon(health, serf, address)
        nursery.start_soon(work, serf)
    if scope.cancelled_caught:
        print("left", flush=True)


if __name__ == "__main__":
    trio.run(main)

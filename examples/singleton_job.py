"""A job that one node of the cluster does: the first in line; when it is gone, the next.

In three terminals::

    python singleton_job.py --name a --bind 127.0.0.1:7946
    python singleton_job.py --name b --bind 127.0.0.1:7947 --join 127.0.0.1:7946
    python singleton_job.py --name c --bind 127.0.0.1:7948 --join 127.0.0.1:7946

`a` works.  Stop it with Ctrl-C: it finishes what it has begun, leaves, and `b` takes over.

Membership is no lock.  While a failure is not yet known nobody works, and on each side of a broken
network somebody does.  So the job must be one that may be done twice, or not at all for some
seconds: collect garbage, refresh a cache, send what carries an id.  What must never be done twice
needs a lock in a database.
"""

from __future__ import annotations

import argparse

import trio

import trioserf


async def job(serf: trioserf.Serf) -> None:
    """The work; cancelled when this node is no longer first."""
    done = 0
    while True:
        with trio.CancelScope(shield=True):  # a step is done whole
            await trio.sleep(0.2)
            done += 1
            print(f"{serf.name} did step {done}", flush=True)
        await trio.sleep(0.8)


async def only_one(serf: trioserf.Serf, wait: float) -> None:
    """Run the job while this node is the first of those alive that take part.

    A node that has just started sees nobody but itself: it waits for `wait` seconds before it
    takes over, so that it gets to know the others first.
    """
    alive = trioserf.MemberStatus.ALIVE
    working: trio.CancelScope | None = None

    async def work(scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep(wait)
            print(f"{serf.name} takes over", flush=True)
            try:
                await job(serf)
            finally:
                print(f"{serf.name} stops", flush=True)

    async with (
        serf.follow(status=alive, tags={"job": "yes"}) as states,
        trio.open_nursery() as nursery,
    ):
        async for members in states:
            first = serf.name == min(members.names, default=None)
            if first and working is None:
                working = trio.CancelScope()
                nursery.start_soon(work, working)
            elif not first and working is not None:
                working.cancel()
                working = None
        nursery.cancel_scope.cancel()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--bind", required=True, help="host:port")
    parser.add_argument("--join", action="append", default=[], help="any member: host:port")
    parser.add_argument("--wait", type=float, default=3.0, help="seconds before taking over")
    args = parser.parse_args()

    config = trioserf.Config.lan(
        node_name=args.name,
        bind=args.bind,
        tags={"job": "yes"},
        retry_join=args.join,
        retry_join_interval=2.0,
    )
    async with trioserf.open(config) as serf, trioserf.leave_on_signals(serf):
        await only_one(serf, args.wait)


if __name__ == "__main__":
    trio.run(main)

import sys

import trio

import trioserf
from trioserf import MemberStatus


class Rates:
    """One node of the service."""

    def __init__(self, serf):
        self.serf = serf
        self.leader = None

    async def follow_leader(self):
        """Of the members that are alive, the first by name leads."""
        async with self.serf.follow(status=MemberStatus.ALIVE, tags={"service": "rates"}) as states:
            async for members in states:
                leader = min(members.names)
                if leader != self.leader:
                    self.leader = leader
                    print("leader:", leader, flush=True)


async def main(name, port, *peers):
    config = trioserf.Config.lan(
        node_name=name,
        bind=f"127.0.0.1:{port}",
        tags={"service": "rates"},
        retry_join=[f"127.0.0.1:{peer}" for peer in peers],
        retry_join_interval=2.0,
    )
    async with trioserf.open(config) as serf, trioserf.leave_on_signals(serf):
        await Rates(serf).follow_leader()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])

import random
import sys

import trio

import trioserf
from trioserf import EventsDropped, MemberStatus, UserEvent


class Rates:
    """One node of the service."""

    def __init__(self, serf):
        self.serf = serf
        self.leader = None
        self.number, self.rate = 0, None

    async def run(self):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.follow_leader)
            nursery.start_soon(self.lead)
            nursery.start_soon(self.listen)

    async def follow_leader(self):
        """Of the members that are alive, the first by name leads."""
        async with self.serf.follow(status=MemberStatus.ALIVE, tags={"service": "rates"}) as states:
            async for members in states:
                leader = min(members.names)
                if leader != self.leader:
                    self.leader = leader
                    print("leader:", leader, flush=True)

    async def lead(self):
        """While this node leads: get the rate each second, and send it to all."""
        while True:
            await trio.sleep(1)
            if self.leader == self.serf.name:
                rate = await self.fetch()
                await self.serf.user_event("rate", f"{self.number + 1} {rate}".encode())

    async def fetch(self):
        """Ask the bank; only one member may, and only once a second."""
        return f"{random.uniform(1.05, 1.15):.4f}"

    async def listen(self):
        """Keep the newest rate; the sender gets its own events, too."""
        async with self.serf.subscribe(UserEvent) as events:
            async for event in events:
                match event:
                    case UserEvent(name="rate", payload=payload):
                        self.take(payload)
                    case EventsDropped():
                        pass  # the next event, within a second, has all there is to know

    def take(self, payload):
        number, rate = payload.decode().split()
        if int(number) > self.number:
            self.number, self.rate = int(number), rate
            print("rate:", number, rate, flush=True)


async def main(name, port, *peers):
    config = trioserf.Config.lan(
        node_name=name,
        bind=f"127.0.0.1:{port}",
        tags={"service": "rates"},
        retry_join=[f"127.0.0.1:{peer}" for peer in peers],
        retry_join_interval=2.0,
    )
    async with trioserf.open(config) as serf, trioserf.leave_on_signals(serf):
        await Rates(serf).run()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])

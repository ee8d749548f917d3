import contextlib
import os
import random
import sys

import trio

import trioserf
from trioserf import EventsDropped, MemberStatus, Query, UserEvent


class Rates:
    """One node of the service."""

    def __init__(self, serf, start_wait=3.0):
        self.serf = serf
        self.start_wait = start_wait
        self.leader = None
        self.number, self.rate = 0, None

    async def run(self):
        async with trio.open_nursery() as nursery:
            await nursery.start(self.listen)
            nursery.start_soon(self.follow_leader)
            nursery.start_soon(self.lead)

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
        await trio.sleep(self.start_wait)  # find the others before this node leads
        await self.catch_up()
        while True:
            if self.leader == self.serf.name:
                rate = await self.fetch()
                await self.serf.user_event("rate", f"{self.number + 1} {rate}".encode())
            await trio.sleep(1)

    async def fetch(self):
        """Ask the bank; only one member may, and only once a second."""
        return f"{random.uniform(1.05, 1.15):.4f}"

    async def listen(self, *, task_status=trio.TASK_STATUS_IGNORED):
        """Keep the newest rate, and answer members that ask for it."""
        async with self.serf.subscribe(UserEvent, Query) as events:
            task_status.started()
            async for event in events:
                match event:
                    case UserEvent(name="rate", payload=payload):
                        self.take(payload)
                    case Query(name="rate") if self.rate is not None:
                        with contextlib.suppress(trioserf.DeadlineExceeded):  # nobody waits now
                            await event.respond(f"{self.number} {self.rate}".encode())
                    case EventsDropped():
                        pass  # the next event, within a second, has all there is to know

    async def catch_up(self):
        """A newcomer asks the others what they have."""
        tags = {"service": "rates"}
        async with self.serf.query("rate", filter_tags=tags, timeout=2) as responses:
            async for response in responses:
                self.take(response.payload)

    def take(self, payload):
        number, rate = payload.decode().split()
        if int(number) > self.number:
            self.number, self.rate = int(number), rate
            print("rate:", number, rate, flush=True)

    async def serve(self, stream):
        """A client connects and gets a line."""
        with contextlib.suppress(trio.BrokenResourceError):  # it did not want to wait
            await stream.send_all(f"{self.rate}\n".encode())


async def main(name, port, *peers):
    config = trioserf.Config.lan(
        node_name=name,
        bind=f"127.0.0.1:{port}",
        tags={"service": "rates"},
        retry_join=[f"127.0.0.1:{peer}" for peer in peers],
        retry_join_interval=2.0,
        encrypt_key=os.environ.get("RATES_KEY"),
    )
    async with trioserf.open(config) as serf, trioserf.leave_on_signals(serf):
        rates = Rates(serf)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rates.run)
            nursery.start_soon(trio.serve_tcp, rates.serve, int(port) + 1000)


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])

"""A trioserf node as a program, to be measured: one line for each event, in the words of Go's log.

Its one argument is a JSON object.  SIGUSR1 sends the next user event.
"""

from __future__ import annotations

import itertools
import json
import signal
import sys
from typing import Any

import trio

import trioserf

WORDS = {
    trioserf.EventType.MEMBER_JOIN: "serf: EventMemberJoin:",
    trioserf.EventType.MEMBER_FAILED: "serf: EventMemberFailed:",
    trioserf.EventType.MEMBER_LEAVE: "serf: EventMemberLeave:",
}


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def send_events(serf: trioserf.Serf) -> None:
    with trio.open_signal_receiver(signal.SIGUSR1) as signals:
        numbers = itertools.count()
        async for _ in signals:
            await serf.user_event(f"{serf.name}-{next(numbers)}", b"", coalesce=False)


async def main(settings: dict[str, Any]) -> None:
    config = getattr(trioserf.Config, settings["profile"])(
        node_name=settings["name"], bind=settings["bind"], leave_on_exit=False
    )
    async with trioserf.open(config) as serf, trio.open_nursery() as nursery:
        nursery.start_soon(send_events, serf)
        if settings["join"]:
            await serf.join([settings["join"]], ignore_old=True)
        async for event in serf.events:
            if isinstance(event, trioserf.MemberEvent) and event.type in WORDS:
                for member in event.members:
                    say(f"{WORDS[event.type]} {member.name} {member.addr}")
            elif isinstance(event, trioserf.UserEvent):
                say(f"agent: Received event: user-event: {event.name}")


if __name__ == "__main__":
    trio.run(main, json.loads(sys.argv[1]))

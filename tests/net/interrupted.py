"""A program that is interrupted by Ctrl-C at many moments of a node's life.

    python -m tests.net.interrupted PEER BIND MOMENTS

It opens a node, joins the peer, sends events, asks, and leaves: undisturbed at first, and then
with a timer that raises SIGINT, at as many moments as were asked for.  Each time
``KeyboardInterrupt`` must come out of ``trio.run`` bare, nothing may be left of the node, and the
next one binds the same port.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

import trio

import trioserf


async def life(peer: str, bind: str) -> None:
    """Everything that a program does with a node."""
    config = trioserf.Config.local(node_name="subject", bind=bind, leave_propagate_delay=0.05)
    async with trioserf.open(config) as serf:
        await serf.join([peer])
        for number in range(3):
            await serf.user_event("x", b"%d" % number)
        await serf.ask("load", timeout=0.1)
        await serf.set_tags({"role": "web"})
        await serf.leave()


async def interrupted(peer: str, bind: str) -> None:
    await life(peer, bind)
    await trio.sleep(10)  # for a moment that came late


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def threads() -> set[str]:
    """All but those that trio keeps for a while to use them again."""
    return {t.name for t in threading.enumerate() if not t.name.startswith("Trio thread")}


def main(peer: str, bind: str, moments: int) -> None:
    signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    trio.run(life, peer, bind)
    start = time.monotonic()
    trio.run(life, peer, bind)
    length = time.monotonic() - start
    before, running = descriptors(), threads()
    for number in range(moments):
        came = "nothing"
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.001 + length * number / moments)
            trio.run(interrupted, peer, bind)
        except KeyboardInterrupt:
            came = "KeyboardInterrupt"
        except BaseException as error:
            came = repr(error)
        assert came == "KeyboardInterrupt", f"moment {number} of {moments}: {came}"
        assert descriptors() == before, f"moment {number} of {moments}: a descriptor is left"
        assert threads() == running, f"moment {number} of {moments}: {threads() - running}"
    sys.stdout.write(f"interrupted {moments}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

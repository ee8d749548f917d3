"""A cache in every process: after a change, all processes drop what they have cached of it.

In two terminals::

    python cache_invalidation.py --name a --bind 127.0.0.1:7946
    python cache_invalidation.py --name b --bind 127.0.0.1:7947 --join 127.0.0.1:7946

Type ``get KEY`` or ``set KEY VALUE`` in any of them.  The "database" is a folder that all share
(``--data``, by default ``./data``), read when a key is not cached.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from urllib.parse import quote

import trio

import trioserf
from trioserf import EventsDropped, UserEvent


class Store:
    """Values in files, with those cached that were read lately."""

    def __init__(self, serf: trioserf.Serf, data: Path, size: int = 1000) -> None:
        self.serf, self.data, self.size = serf, trio.Path(data), size
        self.cached: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        if key in self.cached:
            return self.cached[key]
        try:
            value = await self.file(key).read_text()
        except FileNotFoundError:
            return None
        while len(self.cached) >= self.size:
            del self.cached[next(iter(self.cached))]
        self.cached[key] = value
        return value

    async def set(self, key: str, value: str) -> None:
        """First the data, then the word: who reads as soon as it arrives reads the new value."""
        await self.file(key).write_text(value)
        self.cached.pop(key, None)
        await self.serf.user_event("forget", key.encode(), coalesce=False)

    def file(self, key: str) -> trio.Path:
        return self.data / quote(key, safe="")

    async def forget(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Forget what others have changed."""
        async with self.serf.subscribe(UserEvent) as events:
            task_status.started()
            async for event in events:
                match event:
                    case UserEvent(name="forget", payload=payload):
                        self.cached.pop(payload.decode(errors="replace"), None)
                    case EventsDropped():
                        self.cached.clear()  # some changes were missed, and nobody knows which


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--bind", required=True, help="host:port")
    parser.add_argument("--join", action="append", default=[], help="any member: host:port")
    parser.add_argument("--data", type=Path, default=Path("data"))
    args = parser.parse_args()
    args.data.mkdir(exist_ok=True)

    config = trioserf.Config.lan(
        node_name=args.name, bind=args.bind, retry_join=args.join, retry_join_interval=2.0
    )
    async with (
        trioserf.open(config) as serf,
        trioserf.leave_on_signals(serf),
        trio.open_nursery() as nursery,
    ):
        store = Store(serf, args.data)
        await nursery.start(store.forget)
        # A line that is awaited in a thread does not hold up the node.
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            match line.split():
                case ["get", key]:
                    cached = "cached" if key in store.cached else "read"
                    print(f"{key} = {await store.get(key)} ({cached})", flush=True)
                case ["set", key, value]:
                    await store.set(key, value)
                    print("done", flush=True)
                case _:
                    print("get KEY, or set KEY VALUE", flush=True)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(main)

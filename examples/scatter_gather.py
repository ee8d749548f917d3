"""Scatter and gather: a search goes to all shards, and the front merges what they answer.

In three terminals::

    python scatter_gather.py shard --name one --bind 127.0.0.1:7946 --words "red green blue"
    python scatter_gather.py shard --name two --bind 127.0.0.1:7947 --words "grey black" \\
        --join 127.0.0.1:7946
    python scatter_gather.py search gr --bind 127.0.0.1:7948 --join 127.0.0.1:7946

A query goes to every member that its filter names, and each may send one answer of at most some
thousand bytes.  Longer results travel some other way: answer with the address to fetch them from.
"""

from __future__ import annotations

import argparse
import json
import sys

import trio

import trioserf
from trioserf import EventsDropped, Query


async def shard(serf: trioserf.Serf, words: list[str]) -> None:
    """Answer searches until the node is closed."""
    async with serf.subscribe(Query) as queries:
        async for query in queries:
            if isinstance(query, EventsDropped):
                continue  # too slow for some: who asked finds this shard among the missing
            if query.name == "search":
                wanted = query.payload.decode(errors="replace")
                found = [word for word in words if wanted in word]
                try:
                    await query.respond(json.dumps(found).encode())
                except trioserf.ResponseTooLarge:
                    await query.respond(json.dumps(found[:10]).encode())
                except trioserf.DeadlineExceeded:
                    pass  # too late; nobody waits for it any more


async def search(serf: trioserf.Serf, wanted: str) -> int:
    """Print what all shards have.  1 if some did not answer, 2 if there is none."""
    result = await serf.ask(
        "search", wanted.encode(), filter_tags={"role": "shard"}, relay_factor=1, timeout=3
    )
    found = {word for response in result.responses for word in json.loads(response.payload)}
    print(*sorted(found), flush=True)
    if result.missing:
        print("no answer from", *sorted(result.missing), file=sys.stderr)
        return 1
    return 0 if result.responses else 2


async def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["shard", "search"])
    parser.add_argument("wanted", nargs="?", default="", help="of search: a part of a word")
    parser.add_argument("--name", default="search")
    parser.add_argument("--bind", required=True, help="host:port")
    parser.add_argument("--join", action="append", default=[], help="any member: host:port")
    parser.add_argument("--words", default="", help="of a shard: the words that it holds")
    args = parser.parse_args()

    config = trioserf.Config.lan(node_name=args.name, bind=args.bind, tags={"role": args.what})
    async with trioserf.open(config) as serf, trioserf.leave_on_signals(serf):
        if args.join:
            await serf.join(args.join)
        if args.what == "search":
            return await search(serf, args.wanted)
        await shard(serf, args.words.split())
    return 0


if __name__ == "__main__":
    sys.exit(trio.run(main))

import sys

import trio

import trioserf


async def main(name, port, *peers):
    config = trioserf.Config.lan(node_name=name, bind=f"127.0.0.1:{port}")
    async with trioserf.open(config) as serf, trioserf.leave_on_signals(serf):
        if peers:
            await serf.join([f"127.0.0.1:{peer}" for peer in peers])
        async for event in serf.events:
            print(event, flush=True)


trio.run(main, *sys.argv[1:])

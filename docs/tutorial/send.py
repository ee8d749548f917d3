import sys

import trio

import trioserf


async def main(peer, name, payload):
    config = trioserf.Config.lan(node_name="sender", bind="127.0.0.1:0")
    async with trioserf.open(config) as serf:
        await serf.join([f"127.0.0.1:{peer}"])
        await serf.user_event(name, payload.encode())


trio.run(main, *sys.argv[1:])

"""The agent's RPC protocol on a node of your own: ``serf members`` looks into your program.

::

    async with trioserf.open(config) as serf, trio.open_nursery() as nursery:
        server = await nursery.start(trioserf.ipc.serve, serf, "127.0.0.1:7373")
        print("serf members -rpc-addr", server.address)

The ``serf`` command line of Go and any RPC client then operate the node: they read its members,
send events and queries, follow its events and its log, change tags and keys, and may have it
leave.  Clients of other hosts need a key.
"""

from __future__ import annotations

from ._public_names import set_public_modules
from ._rpc.agent_hooks import AgentHooks as AgentHooks
from ._rpc.server import RPCServer as RPCServer
from ._rpc.server import RPCStatistics as RPCStatistics
from ._rpc.server import serve as serve

set_public_modules(list(globals().values()), __name__)

"""A client for agents, of Go's or of this library, on the RPC protocol of ``serf``.

::

    async with trioserf.client.open_client("127.0.0.1:7373") as agent:
        print(await agent.members(status="alive"))
        async with agent.stream("user:deploy") as events:
            async for event in events:
                print(event)
"""

from __future__ import annotations

from ._cluster.query_collector import NodeAck as NodeAck
from ._cluster.query_collector import NodeResponse as NodeResponse
from ._exceptions import RPCError as RPCError
from ._public_names import set_public_modules
from ._rpc.client import RPCClient as RPCClient
from ._rpc.client import RPCStream as RPCStream
from ._rpc.client import open_client as open_client

set_public_modules(list(globals().values()), __name__)

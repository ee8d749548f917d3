"""A node for an asyncio program: it runs on Trio, in a thread of its own.

::

    async with trioserf.asyncio.open(trioserf.Config.lan(node_name="web-1")) as serf:
        await serf.join(["192.0.2.5"])
        await serf.user_event("deploy", b"v42")
        async for event in serf.events:
            print(event)

Classes have the names and the methods that they have in ``trioserf`` and in
``trioserf.client``; what those give as a channel of Trio is a `Stream` here.  Values, settings
and errors are the same classes.
"""

from __future__ import annotations

from .._public_names import set_public_module as _set_public_module
from .client import RPCClient as RPCClient
from .client import RPCStream as RPCStream
from .client import open_client as open_client
from .serf import KeyManager as KeyManager
from .serf import QueryResponse as QueryResponse
from .serf import Serf as Serf
from .serf import open as open
from .serf import peek as peek
from .streams import Stream as Stream

_set_public_module(RPCClient, RPCStream, KeyManager, QueryResponse, Serf, Stream, module=__name__)
_set_public_module(open, open_client, peek, module=__name__)

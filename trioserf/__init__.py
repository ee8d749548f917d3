# The layout of trioserf
#
# One idea: decide in plain code, wait in tasks.  Rules (who is alive, what to broadcast, when a
# suspicion ends) are ordinary classes: they take the time and a random source as arguments,
# never wait, and return values or small frozen effects.  Waiting (sockets, intervals, files)
# is done by tasks, each in a small file, all of them in one nursery.
#
# layer 8   __main__        the program: python -m trioserf, and the command trioserf
#           _agent/         command line, the agent, and the demo
#       7   __init__        this module: the names that a user types
#           asyncio/        a node in a thread of its own, for programs that run on asyncio
#           client          a client of agents, of Go's or of this library
#           ipc             the agent's RPC protocol on a node: for the serf command line
#           lowlevel        the parts, for those who build on them
#           prometheus      metrics of nodes for Prometheus
#           notebook/       a node that lives across cells; tables and plots
#           testing/        simulated network and cluster, laws for transports;
#                           network_state.py has how a packet travels there
#           testing_plugin  the same as fixtures of pytest
#       6   _rpc/           the agent's RPC protocol: server.py, client.py have the tasks
#       5   _serf/          tasks of Serf: tree.py has the picture of all tasks of a node,
#                           open.py the rules of opening and closing, serf.py the facade,
#                           core.py the state of a node, and how a user's call ends when the
#                           node closes, delegate.py the place where rules meet the rest
#       4   _memberlist/    tasks of membership: receiver, prober, gossip, streams
#           _net/           UDP and TCP on one port; addresses
#       3   _cluster/       rules of Serf: members, intents, events, queries, keys     | pure:
#       2   _swim/          rules of membership: table, suspicion, probing, queues     | no clock,
#       1   _wire/          bytes and messages                                         | no socket,
#           _vivaldi/       network coordinates                                        | no waiting
#       0   _exceptions     every error, in one tree
#           _config _memberlist_config _settings    every setting, its unit and bound
#           _config_keywords _setting_texts         the same for type checkers, and for help()
#           _events         members, and what happens to them
#           abc             the seams: transports, delegates, taps
#           _seams          what a simulation does in its own way: sleep, and work in threads
#           _attrs          attrs, whose classes get their methods when they are first used
#           _tuples         named tuples without typing, for what must start at once
#           _text           names, keys, addresses and ports as text
#           _tables         text and HTML that are safe to show
#           _public_names   public names say the module where a user finds them
#           _version
#
# A file uses lower layers and its own package, never a higher one; `_memberlist` does not know
# Serf.  How a packet travels: `_net` reads it, `_memberlist/receiver.py` takes it apart with
# `_wire`, `_swim` or, by way of `_serf/delegate.py`, `_cluster` decides, and the effects go to
# queues, to the network, and down the event pipeline to the readers.
#
# Where to begin: a rule? `_swim/table.py` and `_cluster/members.py`.  A task?
# `_serf/tree.py`.  A byte? `_wire/messages.py`.  A setting? `_config.py` for Serf,
# `_memberlist_config.py` for membership, `_settings.py` for how values are checked.
"""HashiCorp Serf as a Python library on Trio.

::

    async with trioserf.open(trioserf.Config.lan(node_name="web-1")) as serf:
        await serf.join(["192.0.2.5"])
        await serf.user_event("deploy", b"v42")
        async for event in serf.events:
            print(event)
"""

from __future__ import annotations

from ._version import __version__ as __version__

TYPE_CHECKING = False  # True to checkers; importing typing would take longer than all of this
if TYPE_CHECKING:
    from . import abc as abc
    from . import asyncio as asyncio
    from ._cluster.key_responses import KeyResponse as KeyResponse
    from ._cluster.queries import QueryParams as QueryParams
    from ._cluster.query_collector import NodeResponse as NodeResponse
    from ._config import PROTOCOL_VERSION_MAP as PROTOCOL_VERSION_MAP
    from ._config import PROTOCOL_VERSION_MAX as PROTOCOL_VERSION_MAX
    from ._config import PROTOCOL_VERSION_MIN as PROTOCOL_VERSION_MIN
    from ._config import USER_EVENT_SIZE_LIMIT as USER_EVENT_SIZE_LIMIT
    from ._config import Config as Config
    from ._config import MemberlistConfig as MemberlistConfig
    from ._config_keywords import ConfigKeywords as ConfigKeywords
    from ._config_keywords import MemberlistKeywords as MemberlistKeywords
    from ._events import Event as Event
    from ._events import EventsDropped as EventsDropped
    from ._events import EventType as EventType
    from ._events import IPAddress as IPAddress
    from ._events import Member as Member
    from ._events import MemberEvent as MemberEvent
    from ._events import MemberStatus as MemberStatus
    from ._events import Query as Query
    from ._events import SerfState as SerfState
    from ._events import UserEvent as UserEvent
    from ._exceptions import AlreadyResponded as AlreadyResponded
    from ._exceptions import BroadcastTimeout as BroadcastTimeout
    from ._exceptions import ConfigError as ConfigError
    from ._exceptions import CoordinateError as CoordinateError
    from ._exceptions import CoordinatesDisabled as CoordinatesDisabled
    from ._exceptions import DeadlineExceeded as DeadlineExceeded
    from ._exceptions import FeatureNotSupported as FeatureNotSupported
    from ._exceptions import InvalidNodeName as InvalidNodeName
    from ._exceptions import InvalidState as InvalidState
    from ._exceptions import JoinError as JoinError
    from ._exceptions import KeyOperationError as KeyOperationError
    from ._exceptions import KeyringError as KeyringError
    from ._exceptions import LocalProtocolError as LocalProtocolError
    from ._exceptions import MergeRefused as MergeRefused
    from ._exceptions import NoAckError as NoAckError
    from ._exceptions import QueryError as QueryError
    from ._exceptions import QueryTooLarge as QueryTooLarge
    from ._exceptions import RelayError as RelayError
    from ._exceptions import RemoteProtocolError as RemoteProtocolError
    from ._exceptions import ResponseTooLarge as ResponseTooLarge
    from ._exceptions import RPCError as RPCError
    from ._exceptions import SerfError as SerfError
    from ._exceptions import SerfInternalError as SerfInternalError
    from ._exceptions import SnapshotError as SnapshotError
    from ._exceptions import TagsTooLarge as TagsTooLarge
    from ._exceptions import UserEventTooLarge as UserEventTooLarge
    from ._memberlist.memberlist import Memberlist as Memberlist
    from ._memberlist.statistics import MemberlistStatistics as MemberlistStatistics
    from ._serf.explanation import Explanation as Explanation
    from ._serf.key_manager import KeyManager as KeyManager
    from ._serf.members_view import Members as Members
    from ._serf.open import open as open
    from ._serf.open import serve as serve
    from ._serf.peek import peek as peek
    from ._serf.query_response import QueryResponse as QueryResponse
    from ._serf.query_response import QueryResult as QueryResult
    from ._serf.serf import Serf as Serf
    from ._serf.signals import leave_on_signals as leave_on_signals
    from ._serf.statistics import SerfStatistics as SerfStatistics
    from ._settings import IPNetwork as IPNetwork
    from ._vivaldi.coordinate import Coordinate as Coordinate

# What type checkers read above is loaded when it is first asked for: a program that only reads
# the version, catches an error or asks an agent need not load Trio and a whole node.
_HOMES = {
    "_cluster.key_responses": "KeyResponse",
    "_cluster.queries": "QueryParams",
    "_cluster.query_collector": "NodeResponse",
    "_config": """
        Config MemberlistConfig PROTOCOL_VERSION_MAP PROTOCOL_VERSION_MAX
        PROTOCOL_VERSION_MIN USER_EVENT_SIZE_LIMIT
    """,
    "_config_keywords": "ConfigKeywords MemberlistKeywords",
    "_events": """
        Event EventType EventsDropped IPAddress Member MemberEvent MemberStatus Query
        SerfState UserEvent
    """,
    "_exceptions": """
        AlreadyResponded BroadcastTimeout ConfigError CoordinateError
        CoordinatesDisabled DeadlineExceeded FeatureNotSupported InvalidNodeName
        InvalidState JoinError KeyOperationError KeyringError LocalProtocolError
        MergeRefused NoAckError QueryError QueryTooLarge RPCError RelayError
        RemoteProtocolError ResponseTooLarge SerfError SerfInternalError SnapshotError
        TagsTooLarge UserEventTooLarge
    """,
    "_memberlist.memberlist": "Memberlist",
    "_memberlist.statistics": "MemberlistStatistics",
    "_serf.explanation": "Explanation",
    "_serf.key_manager": "KeyManager",
    "_serf.members_view": "Members",
    "_serf.open": "open serve",
    "_serf.peek": "peek",
    "_serf.query_response": "QueryResponse QueryResult",
    "_serf.serf": "Serf",
    "_serf.signals": "leave_on_signals",
    "_serf.statistics": "SerfStatistics",
    "_settings": "IPNetwork",
    "_vivaldi.coordinate": "Coordinate",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = (
    "PROTOCOL_VERSION_MAP",
    "PROTOCOL_VERSION_MAX",
    "PROTOCOL_VERSION_MIN",
    "USER_EVENT_SIZE_LIMIT",
    "AlreadyResponded",
    "BroadcastTimeout",
    "Config",
    "ConfigError",
    "ConfigKeywords",
    "Coordinate",
    "CoordinateError",
    "CoordinatesDisabled",
    "DeadlineExceeded",
    "Event",
    "EventType",
    "EventsDropped",
    "Explanation",
    "FeatureNotSupported",
    "IPAddress",
    "IPNetwork",
    "InvalidNodeName",
    "InvalidState",
    "JoinError",
    "KeyManager",
    "KeyOperationError",
    "KeyResponse",
    "KeyringError",
    "LocalProtocolError",
    "Member",
    "MemberEvent",
    "MemberStatus",
    "Memberlist",
    "MemberlistConfig",
    "MemberlistKeywords",
    "MemberlistStatistics",
    "Members",
    "MergeRefused",
    "NoAckError",
    "NodeResponse",
    "Query",
    "QueryError",
    "QueryParams",
    "QueryResponse",
    "QueryResult",
    "QueryTooLarge",
    "RPCError",
    "RelayError",
    "RemoteProtocolError",
    "ResponseTooLarge",
    "Serf",
    "SerfError",
    "SerfInternalError",
    "SerfState",
    "SerfStatistics",
    "SnapshotError",
    "TagsTooLarge",
    "UserEvent",
    "UserEventTooLarge",
    "__version__",
    "leave_on_signals",
    "open",
    "peek",
    "serve",
)

if not TYPE_CHECKING:  # checkers must go on saying that a misspelled name is not there

    def __getattr__(name: str) -> object:
        """Load a public name, or one of two modules, at its first use (PEP 562)."""
        from importlib import import_module

        if name in ("abc", "asyncio"):
            return import_module(f".{name}", __name__)
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *_HOME_OF, "abc", "asyncio"})

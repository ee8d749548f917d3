"""Every exception that trioserf raises, in one tree.

::

    SerfError
    ├── ConfigError (ValueError)         a setting has an impossible value
    │   ├── InvalidNodeName
    │   └── TagsTooLarge
    ├── LocalProtocolError               the caller asked for something the protocol forbids
    │   ├── InvalidState                 the call does not fit the node's state
    │   └── UserEventTooLarge
    ├── RemoteProtocolError              a peer sent something the protocol forbids
    ├── JoinError (ExceptionGroup)       no address could be joined: one cause per address
    ├── MergeRefused                     raised *by* a merge or alive hook to refuse a peer
    ├── QueryError
    │   ├── QueryTooLarge
    │   ├── ResponseTooLarge
    │   ├── AlreadyResponded
    │   ├── DeadlineExceeded
    │   └── RelayError
    ├── KeyringError                     a key cannot be added, used or removed
    ├── KeyOperationError                a cluster-wide key change was not confirmed by all
    ├── SnapshotError (OSError)
    ├── BroadcastTimeout                 a message was queued but not sent out in time
    ├── NoAckError                       an application ping got no answer
    ├── CoordinatesDisabled
    ├── CoordinateError (ValueError)
    ├── FeatureNotSupported
    ├── RPCError                         an agent answered a request with an error
    └── SerfInternalError                a bug: one of the node's tasks crashed

Resources follow trio: ``trio.ClosedResourceError`` after this node closed it,
``trio.BrokenResourceError`` when it broke from outside, ``trio.BusyResourceError`` for two
users at once, ``trio.WouldBlock`` from ``*_nowait`` calls.
"""

from __future__ import annotations

from ._public_names import set_public_module
from ._text import short_repr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self


class SerfError(Exception):
    """Base of every error that trioserf defines."""


class ConfigError(SerfError, ValueError):
    """A setting has a value outside its bounds.  Nothing was started.

    Args:
      field: the name of the setting, as written in Python.
      value: what was given; secrets are passed as a description, never as themselves.
      expected: the bound that was missed, as text.
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}={short_repr(value)}: expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.field, self.value, self.expected)


class InvalidNodeName(ConfigError):
    """A node name has characters or a length that ``validate_node_names`` forbids."""


class TagsTooLarge(ConfigError):
    """The tags do not fit into node metadata.  The tags in force stay as they were."""


class LocalProtocolError(SerfError):
    """The caller asked for something that the protocol forbids.  Nothing was sent."""


class InvalidState(LocalProtocolError):
    """The call does not fit the state of the node, for example a join after leaving."""


class UserEventTooLarge(LocalProtocolError):
    """A user event exceeds a size limit (bytes).  It was neither sent nor delivered."""


class RemoteProtocolError(SerfError):
    """Bytes from a peer break the protocol.  They were dropped; no state changed.

    Every parser of bytes from the network returns or raises this, for any input.
    """


def _one_line(error: BaseException) -> str:
    """A cause in one line; its last note says which address it is about."""
    from ._text import printable  # only where an error is printed

    *more, about = getattr(error, "__notes__", None) or [type(error).__name__]
    said = "; ".join([f"{about}: {str(error) or type(error).__name__}", *more])
    return f"  {printable(said, 400)}"


class JoinError(SerfError, ExceptionGroup[Exception]):
    """No address could be joined: one exception for each address tried.

    Membership is unchanged; the call may be repeated.  ``str()`` gives the causes, one line
    each.
    """

    def __str__(self) -> str:
        return "\n".join([self.message, *map(_one_line, self.exceptions)])

    def derive(self, excs: Sequence[Exception]) -> Self:  # type: ignore[override]
        return type(self)(self.message, excs)


class MergeRefused(SerfError):
    """Raise this in a merge or alive hook: the peer's state is ignored as a whole."""


class QueryError(SerfError):
    """Base of the errors around queries."""


class QueryTooLarge(QueryError):
    """The encoded query exceeds ``query_size_limit`` (bytes).  It was not sent."""


class ResponseTooLarge(QueryError):
    """The encoded answer exceeds ``query_response_size_limit`` (bytes).

    Nothing was sent; a shorter answer may still be given.
    """


class AlreadyResponded(QueryError):
    """This query was answered before; the first answer stands."""


class DeadlineExceeded(QueryError):
    """The query is past its deadline; nothing was sent."""


class RelayError(QueryError):
    """The direct answer was sent but a relayed copy could not be."""


class KeyringError(SerfError):
    """The key ring refuses the change.  The ring is as it was."""


class KeyOperationError(SerfError):
    """Not every member confirmed a key operation.

    Members that confirmed keep the change.  ``response`` is the per-node report
    (a ``KeyResponse``).
    """

    def __init__(self, message: str, response: object) -> None:
        super().__init__(message)
        self.response = response

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.response)


class SnapshotError(SerfError, OSError):
    """The snapshot file cannot be opened, read or written."""


class BroadcastTimeout(SerfError):
    """A broadcast was not sent its full number of times within the limit.

    The change is in force locally and the message stays in the queue.
    """


class NoAckError(SerfError):
    """A node did not answer a ping within the probe timeout."""


class CoordinatesDisabled(SerfError):
    """The node runs with ``disable_coordinates=True``."""


class CoordinateError(SerfError, ValueError):
    """A coordinate or a round-trip time is unusable; the local coordinate is unchanged."""


class FeatureNotSupported(SerfError):
    """The configured protocol version does not know this feature."""


class RPCError(SerfError):
    """An agent answered a request with an error; the text is the agent's.

    Args:
      message: that text.
      command: what was asked.
      response: the report that came with the error, of a key operation: a ``KeyResponse``.
    """

    def __init__(self, message: str, command: str = "", response: object = None) -> None:
        super().__init__(message)
        self.command = command
        self.response = response

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.command, self.response)


class SerfInternalError(SerfError):
    """One of the node's own tasks crashed: a bug in trioserf or in a hook.

    The node is closed without leaving.  The cause is the group of crashes.
    """


set_public_module(*(each for each in [*globals().values()] if isinstance(each, type)))

"""The commands that are done with one reply, each a few lines around a call on the node.

What goes on for longer (streams, monitors, queries) and what belongs to one client is in
`connection`.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/ipc.go, handleEvent ... handleGetCoordinate;
agent.go, Join, ForceLeave, UserEvent, SetTags, Stats.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import trio

from .. import _attrs as attrs
from .._cluster.key_responses import KeyResponse
from .._exceptions import (
    BroadcastTimeout,
    JoinError,
    KeyOperationError,
    RemoteProtocolError,
    SerfError,
)
from .._serf.members_view import Members
from .._serf.serf import Serf
from .._wire.rpc_codec import pack
from .agent_hooks import AgentHooks
from .error_texts import base64_error, error_text, join_error_text, joined_itself
from .log_feed import AGENT_LOG, quoted
from .member_filter import filter_members
from .records import pack_members


class CommandReply(NamedTuple):
    """The error text, "" for success, and the encoded body if the command has one."""

    error: str = ""
    body: bytes = b""


_DONE: Final = CommandReply()


@attrs.define(eq=False)
class Commands:
    """The commands of one server.

    Args:
      serf: the node.
      hooks: what the program around it adds.
    """

    serf: Serf
    hooks: AgentHooks
    _changing_tags: trio.Lock = attrs.field(factory=trio.Lock, init=False)
    _packed_members: tuple[Members, bytes] = attrs.field(default=(Members(), b""), init=False)
    _table: Mapping[str, Callable[[dict[str, Any]], Awaitable[CommandReply]]] = attrs.field(
        init=False, repr=False
    )

    def __attrs_post_init__(self) -> None:
        self._table = {
            "event": self._event,
            "force-leave": self._force_leave,
            "join": self._join,
            "members": self._members,
            "members-filtered": self._members_filtered,
            "tags": self._tags,
            "install-key": self._install_key,
            "use-key": self._use_key,
            "remove-key": self._remove_key,
            "list-keys": self._list_keys,
            "stats": self._stats,
            "get-coordinate": self._get_coordinate,
            "explain": self._explain,
        }

    async def run(self, command: str, fields: dict[str, Any]) -> CommandReply:
        """Carry out one command."""
        return await self._table[command](fields)

    # --- events and membership

    async def _event(self, fields: dict[str, Any]) -> CommandReply:
        name, payload, coalesce = fields["Name"], fields["Payload"], fields["Coalesce"]
        AGENT_LOG.debug(
            "Requesting user event send: %s. Coalesced: %s. Payload: %s",
            name,
            str(coalesce).lower(),
            quoted(payload),
        )
        try:
            await self.serf.user_event(name, payload, coalesce=coalesce)
        except SerfError as error:
            return CommandReply(error_text(error))
        return _DONE

    async def _force_leave(self, fields: dict[str, Any]) -> CommandReply:
        node, prune = fields["Node"], fields["Prune"]
        AGENT_LOG.info("Force leaving node: %s%s", node, " (prune)" if prune else "")
        try:
            await self.serf.remove_failed_node(node, prune=prune)
        except SerfError as error:
            return CommandReply(error_text(error))
        return _DONE

    async def _join(self, fields: dict[str, Any]) -> CommandReply:
        addresses, replay = fields["Existing"], fields["Replay"]
        AGENT_LOG.info("joining: [%s] replay: %s", " ".join(addresses), str(replay).lower())
        count, error = 0, ""
        try:
            count = await self.serf.join(addresses, ignore_old=not replay)
        except JoinError as failure:
            count = joined_itself(failure)
            error = (
                "" if count else join_error_text(failure, addresses, self.serf.local_member.port)
            )
        except SerfError as failure:
            error = error_text(failure)
        if count:
            AGENT_LOG.info("joined: %d nodes", count)
        if error:
            AGENT_LOG.warning("error joining: %s", error.strip())
        return CommandReply(error, pack({"Num": count}))

    async def _members(self, _fields: dict[str, Any]) -> CommandReply:
        """Encoded once for each state of the cluster, however many clients ask."""
        await trio.lowlevel.checkpoint()
        members, (packed_members, packed) = self.serf.members(), self._packed_members
        if not packed or members != packed_members:
            packed = pack_members(members)
            self._packed_members = members, packed
        return CommandReply(body=packed)

    async def _members_filtered(self, fields: dict[str, Any]) -> CommandReply:
        """DIFFERS: Go closes the connection on a bad expression.

        Test: test_a_bad_pattern_is_answered.
        """
        try:
            found = await filter_members(
                self.serf.members(), fields["Name"], fields["Status"], fields["Tags"]
            )
        except RemoteProtocolError as error:
            return CommandReply(str(error), pack_members(()))
        return CommandReply(body=pack_members(found))

    async def _tags(self, fields: dict[str, Any]) -> CommandReply:
        """Clients change tags one after the other, so that no change is lost."""
        async with self._changing_tags:
            deleted = frozenset(fields["DeleteTags"])
            now = self.serf.local_member.tags
            tags = {tag: value for tag, value in now.items() if tag not in deleted}
            tags |= fields["Tags"]
            try:
                await (self.hooks.set_tags or self.serf.set_tags)(tags)
            except BroadcastTimeout:
                return CommandReply("timeout waiting for update broadcast")
            except (SerfError, OSError) as error:
                return CommandReply(
                    error_text(error) if isinstance(error, SerfError) else str(error)
                )
        return _DONE

    # --- keys

    async def _install_key(self, fields: dict[str, Any]) -> CommandReply:
        return await self._change_keys(self.serf.keys.install, fields["Key"])

    async def _use_key(self, fields: dict[str, Any]) -> CommandReply:
        return await self._change_keys(self.serf.keys.use, fields["Key"])

    async def _remove_key(self, fields: dict[str, Any]) -> CommandReply:
        return await self._change_keys(self.serf.keys.remove, fields["Key"])

    async def _change_keys(
        self, change: Callable[[str], Awaitable[KeyResponse]], key: str
    ) -> CommandReply:
        error = base64_error(key)
        if error is not None:
            await trio.lowlevel.checkpoint()
            return CommandReply(error, _packed_keys(None, listed=False))
        plain = key.replace("\r", "").replace("\n", "")
        return await _key_reply(change(plain), listed=False)

    async def _list_keys(self, _fields: dict[str, Any]) -> CommandReply:
        return await _key_reply(self.serf.keys.list(), listed=True)

    # --- reads

    async def _stats(self, _fields: dict[str, Any]) -> CommandReply:
        await trio.lowlevel.checkpoint()
        serf = self.serf
        return CommandReply(
            body=pack(
                {
                    "agent": {"name": serf.name},
                    "event_handlers": dict(sorted(self.hooks.event_handlers().items())),
                    "runtime": _runtime(),
                    "serf": dict(sorted(serf.stats().items())),
                    "tags": dict(sorted(serf.local_member.tags.items())),
                }
            )
        )

    async def _get_coordinate(self, fields: dict[str, Any]) -> CommandReply:
        await trio.lowlevel.checkpoint()
        found = self.serf.cached_coordinate(fields["Node"])
        coordinate: dict[str, Any] = {"Adjustment": 0.0, "Error": 0.0, "Height": 0.0, "Vec": None}
        if found is not None:
            coordinate = {
                "Adjustment": found.adjustment,
                "Error": found.error,
                "Height": found.height,
                "Vec": list(found.vec),
            }
        return CommandReply(body=pack({"Coord": coordinate, "Ok": found is not None}))

    async def _explain(self, fields: dict[str, Any]) -> CommandReply:
        """`Serf.explain`; an empty subject is the node itself.  Go has no such command."""
        import json  # for the few who ask; a node loads it for nothing else

        await trio.lowlevel.checkpoint()
        explanation = self.serf.explain(fields["Subject"] or None)
        values = json.dumps(explanation.to_dict(), ensure_ascii=True)
        return CommandReply(body=pack({"Json": values, "Text": str(explanation)}))


async def _key_reply(operation: Awaitable[KeyResponse], *, listed: bool) -> CommandReply:
    error, response = "", None
    try:
        response = await operation
    except KeyOperationError as failure:
        error = str(failure)
        response = failure.response if isinstance(failure.response, KeyResponse) else None
    except SerfError as failure:
        error = error_text(failure)
    return CommandReply(error, _packed_keys(response, listed=listed))


def _packed_keys(response: KeyResponse | None, *, listed: bool) -> bytes:
    """The body of the reply to a key command; only a list has ``Keys``."""
    keys = dict(sorted(response.keys.items())) if response is not None else {}
    return pack(
        {
            "Keys": keys if listed else None,
            "Messages": {} if response is None else dict(sorted(response.messages.items())),
            "NumErr": 0 if response is None else response.num_err,
            "NumNodes": 0 if response is None else response.num_nodes,
            "NumResp": 0 if response is None else response.num_resp,
        }
    )


_ARCHITECTURES: Final = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64"}


def _runtime() -> dict[str, str]:
    """Go's keys; a task stands for a goroutine."""
    machine = platform.machine()
    cpus = str(os.cpu_count() or 1)
    return {
        "arch": _ARCHITECTURES.get(machine, machine),
        "cpu_count": cpus,
        "goroutines": str(trio.lowlevel.current_statistics().tasks_living),
        "max_procs": cpus,
        "os": platform.system().lower(),
        "version": f"python{platform.python_version()}",
    }

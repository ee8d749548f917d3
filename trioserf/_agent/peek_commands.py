"""Commands that Go does not have: `peek` at a cluster, and `explain` what a node knows.

``explain`` is a command of the RPC protocol that only agents of this library have; one of Go
refuses it as unknown.
"""

from __future__ import annotations

from .._exceptions import RPCError
from .._wire.rpc_messages import UNSUPPORTED_COMMAND
from .agent_connection import GoErrors, connect
from .call import CommandError
from .members_command import print_members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .call import Call

_NO_LIMIT = 1e8
"""Seconds (three years), for ``-timeout=0``."""


def run_explain(call: Call) -> int:
    """Why a member, an address or the agent itself is what it is."""
    if len(call.arguments) > 1:
        return call.wrong_usage("At most one name or address can be explained.")
    call.check_format()
    subject = call.arguments[0] if call.arguments else ""
    with connect(call) as agent, GoErrors("Error explaining: "):
        try:
            found = agent.call("explain", {"Subject": subject})
        except RPCError as error:
            if str(error) != UNSUPPORTED_COMMAND:
                raise
            raise CommandError(f"Error explaining: this agent cannot: {error}") from None
    values = None
    if call.format != "text":
        import json  # for nothing else on the way of a question

        values = json.loads(found["Json"])
    call.print(call.console.safe(found["Text"]), values)
    return 0


def run_peek(call: Call) -> int:
    """List the members of a cluster without joining it; no agent is asked."""
    if len(call.arguments) != 1:
        return call.wrong_usage("The address of a member must be specified.")
    call.check_format()
    (address,) = call.arguments
    # What follows needs Trio: only here, for all other commands do without.
    from functools import partial

    import trio

    from .._exceptions import SerfError
    from .._rpc.records import member_fields
    from .._serf.peek import peek

    look = partial(
        peek,
        address,
        encrypt_key=call.secret("encrypt") or None,
        label=call["label"],
        timeout=call["timeout"] or _NO_LIMIT,
    )
    try:
        members = trio.run(look)
    except (SerfError, OSError) as error:
        raise CommandError(f"Error looking at the cluster: {error}") from None
    print_members(call, [member_fields(member) for member in members])
    return 0

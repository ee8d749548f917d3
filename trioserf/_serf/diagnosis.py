"""What the record of a node means, in words: the likely causes, for one who sees nothing else.

Each cause rests on what distinguishes it here:

* a *crash*: the host refuses packets and connections, for no process has the port any more;
* a *blocked* process: the system accepts connections for it, and it answers nothing;
* a *host that is down*: no connection comes about, and helpers had no answer either;
* *packets blocked*: the node lives, for helpers or streams reach it, but its acks do not come.
  If its pings arrive here, packets pass from there to here, so they are lost on the way there;
* a *name conflict*: a second address answers to the name;
* *another key or label*: input of its host cannot be decrypted, or has another label;
* a *partition*: many members failed at once;
* *isolation*: all did.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .._memberlist.history import DroppedInput, Note
from .._swim.nodes import NEVER, Node, NodeStatus
from .._swim.probing import ProbeReport, StreamPing
from ..abc import Address
from .known import Known, contact_of
from .wording import listed, seconds, times

FAILED_TOGETHER: Final = 60.0
"""Members that fail within so long of each other failed at once (seconds): the time until a
suspicion ends differs by less."""
MAX_BY_CHANCE: Final = 2
"""Answers that may be lost by chance; more of them have a cause."""
RECENT_TIME: Final = 120.0
"""What was last seen longer ago than this is over (seconds)."""


# --- a member -----------------------------------------------------------------------------


def causes_of_member(
    known: Known, name: str, notes: list[Note], node: Node | None
) -> Iterator[str]:
    """Why a member is what it is."""
    if node is None:
        yield "Only its name is known: no message about it was applied since this node started."
        return
    yield from _conflicts(known, notes, node)
    yield from _moves(known, notes, node)
    inputs = known.inputs_of(node.address)
    yield from _unreadable(known, [each for each in inputs if kind_of(each) != "exchange"])
    match node.status:
        case NodeStatus.DEAD:
            yield from _removed(notes)
            yield from _failure(known, notes, node)
            yield from _together(known, node)
        case NodeStatus.SUSPECT:
            yield "It is suspected, and is declared dead unless it refutes in time."
            yield from _failure(known, notes, node)
        case NodeStatus.LEFT:
            yield f"It left by itself{_when(known, node)}: nothing failed."
        case NodeStatus.ALIVE:
            yield from _alive(known, notes, node)
    yield from _unreadable(known, [each for each in inputs if kind_of(each) == "exchange"])


def _when(known: Known, node: Node) -> str:
    ago = known.ago(node.changed_at)
    return "" if ago is None else f", {seconds(ago)} ago"


def _conflicts(known: Known, notes: list[Note], node: Node) -> Iterator[str]:
    refused = [note for note in notes if note.what == "conflict"]
    if refused and refused[-1].detail != node.address:
        yield (
            f"Two nodes use the name {node.name!r} (a name conflict): the one at {node.address} is "
            f"listed, and one at {refused[-1].detail} was refused {times(refused[-1].count)}, last "
            f"{seconds(known.now - refused[-1].at)} ago."
        )


def _moves(known: Known, notes: list[Note], node: Node) -> Iterator[str]:
    moves = [note for note in notes if note.what == "moved"]
    if not moves:
        return
    probes = [note for note in notes if note.what == "address probed" and note.at <= moves[-1].at]
    silent = bool(probes) and "did not answer" in str(probes[-1].detail)
    why = "no node of its name answered at the old address" if silent else "it started anew there"
    yield (
        f"It moved from {moves[-1].detail} to {node.address} "
        f"{seconds(known.now - moves[-1].at)} ago: {why}."
    )


def _removed(notes: list[Note]) -> Iterator[str]:
    if any(note.what == "removed" for note in notes):
        yield "After it had failed it was removed on purpose (force-leave): it is listed as left."


def _failure(known: Known, notes: list[Note], node: Node) -> Iterator[str]:
    report, refusal = known.found_out(node), _refusal(notes)
    if refusal:
        yield (
            f"Its host is up and refuses packets and connections at {node.address}: the process "
            f"has ended (a crash, or it was killed); {refusal}."
        )
    elif report is not None:
        yield from _failed_probe(node, report)
    else:
        declared = [note for note in notes if note.what in ("declared dead", "suspected")]
        by = declared[-1].by if declared else ""
        if by and by != known.local:
            yield (
                f"{by!r} found it out; this node had no failed probe of its own: "
                f"ask that node to explain {node.name!r}."
            )
    contact = known.ago(contact_of(node))
    if contact is None:
        yield "It never answered this node."
    refutations = sum(note.count for note in notes if note.what == "refuted")
    if refutations > MAX_BY_CHANCE:
        yield f"It was suspected before and refuted that {times(refutations)}: it comes and goes."


def _refusal(notes: list[Note]) -> str:
    """That its host refuses its ports, and who saw that; "" if it is not known to."""
    refusal = ""
    for note in notes:
        if note.what in ("refuses", "declared dead"):
            refusal = str(note.detail) or refusal
        elif note.what in ("refuted", "returned"):
            refusal = ""
    return refusal


def _failed_probe(node: Node, report: ProbeReport) -> Iterator[str]:
    replies = [reply for _, reply in report.helpers]
    nacks, silent = replies.count("nack"), replies.count("silent")
    others = f" {nacks} of {len(replies)} helpers had no answer from it either." if nacks else ""
    where = node.address
    match report.stream:
        case StreamPing.REFUSED:
            yield (
                f"Its host is up and refuses connections at {where}: the process has ended "
                f"(a crash, or it was killed).{others}"
            )
        case StreamPing.CONNECTED:
            yield (
                f"Its host accepts connections at {where}, but the process answers nothing: it is "
                "blocked or stopped (a blocked event loop, SIGSTOP, a debugger, no CPU)."
                f"{others}"
            )
        case StreamPing.FAILED:
            yield (
                f"At {where} something accepts connections, but answers no ping: it is no node of "
                f"this cluster, or has another key or label.{others}"
            )
        case _ if not report.sent:
            yield f"The system could not send to {where}: there is no route to its host."
        case _ if nacks:
            yield (
                f"No packet and no connection to {where} is answered: its host is down, or cut off "
                f"from the others, too.{others}"
            )
        case _ if silent:
            yield (
                f"Neither {where} nor any of the {silent} helpers that were asked answered: "
                "perhaps this node itself is cut off."
            )
        case _:
            yield (
                f"No packet and no connection to {where} is answered, and there was no other node "
                "to ask: its host is down, or the path to it is cut."
            )


def _together(known: Known, node: Node) -> Iterator[str]:
    vanished = known.vanished()
    failed = [
        other
        for other in vanished
        if other.name != node.name and abs(other.changed_at - node.changed_at) <= FAILED_TOGETHER
    ]
    if failed and node in vanished:
        names = listed([other.name for other in failed])
        members = "1 other member" if len(failed) == 1 else f"{len(failed)} other members"
        yield (
            f"{members} failed at about the same time ({names}): perhaps a partition, or what "
            "they have in common."
        )


def _alive(known: Known, notes: list[Note], node: Node) -> Iterator[str]:
    indirect = [note for note in notes if note.what == "reached indirectly"]
    lost = sum(note.count for note in indirect)
    if lost > MAX_BY_CHANCE and known.now - indirect[-1].at <= RECENT_TIME:
        yield from _one_way(known, node, indirect, lost)
        return
    refutations = [note for note in notes if note.what == "refuted"]
    if refutations:
        count = sum(note.count for note in refutations)
        yield (
            f"It is alive; it was suspected and refuted that {times(count)}, last "
            f"{seconds(known.now - refutations[-1].at)} ago: it was slow, stopped or cut off."
        )
        yield from _then(known, node)
        return
    returned = [note for note in notes if note.what == "returned"]
    if returned:
        ago = seconds(known.now - returned[-1].at)
        yield f"It had failed or left, and is alive again for {ago}."
        yield from _then(known, node)
        return
    contact = known.ago(contact_of(node))
    if contact is None:
        yield "It is said to be alive; this node has not probed it yet."
    else:
        yield f"It is alive and answered {seconds(contact)} ago."


def _then(known: Known, node: Node) -> Iterator[str]:
    """What the last probe met that failed, of a node that lives."""
    report = known.found_out(node)
    if report is not None:
        if report.stream is StreamPing.CONNECTED:
            yield (
                "When it was suspected its host accepted connections and the process answered "
                "nothing: its event loop was blocked, or the process was stopped."
            )
        elif report.stream is StreamPing.REFUSED:
            yield "When it was suspected its host refused connections: the process was restarted."


def _one_way(known: Known, node: Node, indirect: list[Note], lost: int) -> Iterator[str]:
    last, since = indirect[-1].detail, known.now - indirect[0].since
    how = "by way of others"
    if isinstance(last, ProbeReport):
        helpers = [name for name, reply in last.helpers if reply == "ack"]
        if helpers:
            how = f"by way of {listed(helpers)}"
        elif last.stream is StreamPing.ACKED:
            how = "on a stream (TCP)"
        elif last.late:
            yield (
                f"It is alive but slow: {lost} probes within {seconds(since)} were answered after "
                f"more than {seconds(last.waited)}."
            )
            return
    yield (
        f"It is alive, but {lost} direct pings within {seconds(since)} had no ack in time; it was "
        f"reached {how}."
    )
    pinged = known.ago(node.pinged_at)
    if pinged is not None and node.pinged_at > indirect[0].since:
        yield (
            f"Its own pings arrive here (the last {seconds(pinged)} ago), so packets pass from it "
            f"to this node and are lost from this node to {node.address}: UDP is blocked in that "
            "direction."
        )
    else:
        yield (
            f"No ping of it has arrived since then: packets from {node.address} to this node are "
            "lost: UDP is blocked in that direction, or in both."
        )


# --- input --------------------------------------------------------------------------------


def _unreadable(known: Known, inputs: list[DroppedInput]) -> Iterator[str]:
    """What is wrong with input, one sentence for each host and kind."""
    seen: dict[tuple[str, str], tuple[int, DroppedInput]] = {}
    for each in inputs:
        kind = kind_of(each)
        host = each.source.host if isinstance(each.source, Address) else each.source
        count, _ = seen.get((host, kind), (0, each))
        seen[host, kind] = count + each.count, each
    for (host, kind), (count, last) in seen.items():
        name = known.name_of(last.source)
        who = host if name in (host, str(last.source)) else f"{host} ({name})"
        often = f"{times(count)}, last {seconds(known.now - last.at)} ago"
        yield f"{_INPUT[kind].format(who=who)} ({often}): {last.problem}."


_INPUT: Final = {
    "key": "What {who} sends cannot be decrypted: it has another encryption key",
    "plain": "What {who} sends is not encrypted, and this node accepts nothing in clear",
    "encrypted": "What {who} sends is encrypted, and this node has no key",
    "label": "What {who} sends has another label: it belongs to another cluster",
    "exchange": "State exchange with {who} failed",
    "refused": "Messages about {who} were refused",
    "other": "What {who} sends was dropped",
}


def kind_of(dropped: DroppedInput) -> str:
    """A key of the sentences about input."""
    problem = dropped.problem.lower()
    if "label" in problem or dropped.layer == "label":
        return "label"
    if "could decrypt" in problem or dropped.layer == "decrypt":
        return "key"
    if "is not encrypted" in problem:
        return "plain"
    if "is encrypted" in problem:
        return "encrypted"
    return dropped.layer if dropped.layer in ("exchange", "refused") else "other"


# --- this node ----------------------------------------------------------------------------


def causes_of_this_node(known: Known, notes: list[Note]) -> Iterator[str]:
    """What is unusual about this node."""
    causes = [
        *_isolation(known),
        *_blocked(known),
        *_conflicts(known, notes, known.memberlist.local_node),
        *_suspected(known, notes),
        *_unreadable(known, known.history.inputs()),
    ]
    score = known.memberlist.health_score
    if score:
        causes.append(
            f"Its health score is {score}: its probes fail or it is suspected, so it doubts itself "
            "and waits longer before it suspects others."
        )
    yield from causes or ["Nothing unusual is known about this node."]


def _isolation(known: Known) -> Iterator[str]:
    others = known.others()
    lost = [node for node in others if node.status in (NodeStatus.DEAD, NodeStatus.SUSPECT)]
    contact = max((contact_of(node) for node in others), default=NEVER)
    ago = known.ago(contact)
    last = "none was ever reached" if ago is None else f"the last contact was {seconds(ago)} ago"
    if not others:
        yield "This node is alone: it knows no other member."
    elif len(lost) == len(others) == 1:
        yield f"The only other member, {others[0].name!r}, does not answer; {last}."
    elif len(lost) == len(others):
        yield (
            f"This node is isolated: none of the {len(others)} other members answers; {last}. "
            "Its own network is the likeliest cause."
        )
    else:
        yield from _partition(known, known.vanished(), others)


def _partition(known: Known, failed: list[Node], others: list[Node]) -> Iterator[str]:
    groups: list[list[Node]] = []
    for node in failed:
        if groups and node.changed_at - groups[-1][-1].changed_at <= FAILED_TOGETHER:
            groups[-1].append(node)
        else:
            groups.append([node])
    for group in groups:
        if len(group) > 1:
            took = group[-1].changed_at - group[0].changed_at
            reached = [node.name for node in others if node.status is NodeStatus.ALIVE]
            yield (
                f"{len(group)} of {len(others)} other members failed within {seconds(took)}, "
                f"{seconds(known.now - group[-1].changed_at)} ago "
                f"({listed([node.name for node in group])}): a partition, if they still run. "
                f"Reached are {listed(reached)}."
            )


def _blocked(known: Known) -> Iterator[str]:
    lag = known.history.loop_lag
    blocks = tuple(lag.blocks)
    if blocks:
        yield (
            f"This node's event loop was blocked {times(lag.count)}, for up to "
            f"{seconds(lag.worst)}, last {seconds(known.now - blocks[-1].at)} ago: it answered no "
            "pings meanwhile (a call that blocks, a stopped process, or too little CPU)."
        )


def _suspected(known: Known, notes: list[Note]) -> Iterator[str]:
    refutations = [note for note in notes if note.what == "refutation"]
    if refutations:
        count = sum(note.count for note in refutations)
        last = f"{times(count)}, last {seconds(known.now - refutations[-1].at)} ago"
        doubts = [note for note in refutations if note.detail != "alive"]
        if doubts:
            names = listed(list(dict.fromkeys(_doubter(known, note) for note in doubts)))
            yield (
                f"{names} suspected it or declared it dead, and it refuted that ({last}): its "
                "answers did not arrive in time."
            )
        else:
            yield f"Alive messages of an earlier run of it were refuted ({last})."


def _doubter(known: Known, note: Note) -> str:
    """Who suspected this node; the peer of the exchange if the state does not say."""
    return note.by or (known.name_of(note.source) if note.source else "a peer")


# --- an address ---------------------------------------------------------------------------


def causes_of_address(
    known: Known, host: str, there: list[Node], notes: list[Note]
) -> Iterator[str]:
    """What came from an address."""
    inputs = known.inputs_of(host)
    yield from _unreadable(known, inputs)
    for note in notes:
        other = note.detail
        if note.what == "conflict" and isinstance(other, Address) and other.host == host:
            yield f"The node there uses the name {note.name!r}, which another node has."
    for node in there:
        yield f"The member {node.name!r} is there: {node.status}{_when(known, node)}."
    if not (inputs or there or notes):
        yield f"Nothing is known of {host}: no member is there, and nothing of it was dropped."

"""The observer notes the events of each node with their times, and waits for them."""

from __future__ import annotations

from ipaddress import IPv4Address

import trio

from trioserf import EventType, Member, MemberEvent, Query, UserEvent
from trioserf._agent.observer import Observer, member_event, user_event

EVE = Member(name="eve", addr=IPv4Address("127.0.0.1"), port=1)
JOIN = MemberEvent(EventType.MEMBER_JOIN, (EVE,))
DEPLOY = UserEvent(1, "deploy", b"v42")


def test_events_are_recognised() -> None:
    assert member_event(EventType.MEMBER_JOIN, "eve")(JOIN)
    assert not member_event(EventType.MEMBER_FAILED, "eve")(JOIN)
    assert not member_event(EventType.MEMBER_JOIN, "ada")(JOIN)
    assert not member_event(EventType.MEMBER_JOIN, "eve")(DEPLOY)
    assert user_event("deploy", b"v42")(DEPLOY)
    assert not user_event("deploy", b"v43")(DEPLOY)
    assert not user_event("deploy", b"v42")(JOIN)


async def test_waiting_ends_when_every_node_saw_it(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    observer = Observer()
    start = trio.current_time()

    async def notify(node: str, delay: float) -> None:
        await trio.sleep(delay)
        observer.note(node, DEPLOY)

    nursery.start_soon(notify, "ada", 1)
    nursery.start_soon(notify, "bob", 2)
    seen = await observer.wait_seen(
        user_event("deploy", b"v42"), ["ada", "bob"], since=start, within=5
    )
    assert {"ada": 1, "bob": 2} == {node: round(at - start) for node, at in seen.items()}
    assert 2 == round(trio.current_time() - start)


async def test_waiting_gives_up_and_says_who_is_missing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    observer = Observer()
    observer.note("ada", DEPLOY)
    seen = await observer.wait_seen(user_event("deploy", b"v42"), ["ada", "bob"], since=0, within=5)
    assert ["ada"] == list(seen)


async def test_what_was_seen_before_does_not_count(
    autojump_clock: trio.testing.MockClock,
) -> None:
    observer = Observer()
    observer.note("ada", JOIN)
    await trio.sleep(1)
    assert {} == observer.seen(member_event(EventType.MEMBER_JOIN, "eve"), trio.current_time())


async def test_following_notes_events_and_answers_queries(
    autojump_clock: trio.testing.MockClock,
) -> None:
    observer = Observer()
    answers: list[bytes] = []

    async def respond(payload: bytes) -> None:
        await trio.lowlevel.checkpoint()
        answers.append(payload)

    query = Query(
        ltime=1, name="load", payload=b"", source_node="bob", deadline=9, responder=respond
    )
    silent = Query(ltime=2, name="x", payload=b"", source_node="bob", deadline=9, responder=respond)
    send, receive = trio.open_memory_channel[object](10)
    for event in (JOIN, query, silent):
        send.send_nowait(event)
    send.close()
    await observer.follow(
        "ada",
        receive,  # type: ignore[arg-type]
        lambda query: b"0.1" if query.name == "load" else None,
    )
    assert [b"0.1"] == answers
    assert ["ada"] == list(observer.seen(member_event(EventType.MEMBER_JOIN, "eve"), 0))

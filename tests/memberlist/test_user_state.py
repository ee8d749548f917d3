"""The delegate's part of a push/pull, whole or in pieces."""

import pytest
import trio

from trioserf._memberlist.user_state import STEP, UserState

from .kit import Delegate, one_node


class Large(Delegate):
    """A delegate whose state is handled in pieces, and that says what was done with it."""

    def __init__(self, pieces=3, pause=0.0):
        super().__init__(state=b"first")
        self.pieces, self.pause = pieces, pause
        self.encoded, self.steps, self.began = 0, [], []
        self.node = None

    def state_version(self):
        return self.state

    def state_encoder(self, join):
        state = self.state

        def encode():
            self.encoded += 1
            return state

        return encode

    def decode_state(self, state):
        return state.decode()

    def merge_decoded(self, decoded, join):
        for number in range(self.pieces):
            self.steps.append((decoded, number, join))
            if self.node is not None:
                self.began.append(self.node.began_exchange())
            if self.pause:
                trio.lowlevel.current_clock().jump(self.pause)
            yield


async def test_a_state_is_not_encoded_while_its_version_is_the_same(autojump_clock):
    delegate = Large()
    async with one_node(delegate=delegate, probe_interval=0) as (node, _):
        for _ in range(3):
            await node._exchange.local_frame(join=False)
        assert 1 == delegate.encoded
        delegate.state = b"second"
        frame = await node._exchange.local_frame(join=False)
        assert 2 == delegate.encoded
        assert b"second" in frame or node.config.enable_compression


async def test_other_tasks_run_between_the_pieces_of_a_merge(mock_clock):
    delegate = Large(pieces=20, pause=STEP / 2)
    state = UserState(delegate, None)
    turns = 0

    async def other():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await state.merge(b"theirs", join=True, began=True)
        nursery.cancel_scope.cancel()
    assert [("theirs", number, True) for number in range(20)] == delegate.steps
    assert turns >= 8


async def test_each_exchange_knows_who_began_it_while_others_are_merged(mock_clock):
    delegate = Large(pieces=20, pause=STEP)
    state = UserState(delegate, None)
    delegate.node = type("Node", (), {"began_exchange": lambda _: state.began})()
    async with trio.open_nursery() as nursery:
        for began in (True, False):

            async def merge(began=began):
                await state.merge(b"%d" % began, join=False, began=began)

            nursery.start_soon(merge)
    seen = {
        (decoded, began)
        for (decoded, *_), began in zip(delegate.steps, delegate.began, strict=True)
    }
    assert {("1", True), ("0", False)} == seen
    assert [d for d, *_ in delegate.steps] != sorted(d for d, *_ in delegate.steps), "in turns"


@pytest.mark.parametrize(
    "broken", ["state_version", "state_encoder", "encode", "decode_state", "merge_decoded"]
)
async def test_what_a_delegate_raises_costs_its_part_alone(autojump_clock, broken):
    delegate = Large()

    def crash(*_):
        raise ValueError("a bug of the user")

    if broken == "encode":
        delegate.state_encoder = lambda join: crash
    else:
        setattr(delegate, broken, crash)
    async with one_node(delegate=delegate, probe_interval=0) as (node, _):
        assert await node._exchange.local_frame(join=False)
        await node._exchange.user_state.merge(b"theirs", join=False, began=False)
        assert 1 == node.statistics().bad_input["handler"]


async def test_a_plain_delegate_is_asked_as_in_go(autojump_clock):
    delegate = Delegate(state=b"whole")
    async with one_node(delegate=delegate, probe_interval=0) as (node, _):
        await node._exchange.user_state.merge(b"theirs", join=True, began=False)
        assert [b"theirs"] == [state for state, *_ in delegate.merged]

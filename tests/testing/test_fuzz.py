"""Hostile input is drawn from a seed, given to a node, and shrunk where it does harm."""

from __future__ import annotations

from pathlib import Path

import pytest

from trioserf._memberlist.receiver import Receiver
from trioserf._wire.messages import MessageType
from trioserf.testing.campaign import fuzz
from trioserf.testing.campaign.fuzz_inputs import Input, Setup, draw_inputs, draw_setup


def test_a_seed_fixes_all_inputs() -> None:
    assert draw_inputs(3, 4, 200) == draw_inputs(3, 4, 200)
    assert draw_inputs(3, 4, 200) != draw_inputs(3, 5, 200)
    assert draw_inputs(3, 4, 200) != draw_inputs(4, 4, 200)


def test_inputs_are_of_every_kind() -> None:
    inputs = [each for block in range(8) for each in draw_inputs(1, block, 1000)]
    kinds = {each.data[0] for each in inputs if each.data and not each.stream}
    assert {int(kind) for kind in MessageType} - {MessageType.PUSH_PULL} <= kinds
    assert {"close", "half", "stall", "reset"} == {each.end for each in inputs if each.stream}
    setups = [draw_setup(1, block) for block in range(40)]
    for name in ("encrypted", "labelled", "compressed"):
        assert {False, True} == {getattr(setup, name) for setup in setups}


@pytest.mark.parametrize("end", ["close", "half", "stall", "reset"])
def test_an_input_is_a_line_of_text(end: str) -> None:
    for each in (Input(False, b"\x00\xff", 3), Input(True, b"", 1, end)):
        assert each == Input.from_text(each.to_text())


def test_a_line_of_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="expected packet or stream"):
        Input.from_text("letter 1 00")


@pytest.mark.parametrize("block", [0, 4, 5, 7])
def test_a_node_stays_well_under_hostile_input(block: int) -> None:
    inputs, setup = draw_inputs(1, block, 400), draw_setup(1, block)
    outcome = fuzz.run_inputs(inputs, setup, seed=f"1 {block}")
    assert ("", "") == (outcome.kind, outcome.failure)
    assert len(inputs) == outcome.inputs
    assert sum(outcome.refused.values()) > 50


class _Bug(Exception):
    pass


def test_a_bug_is_found_shrunk_and_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nack = bytes((MessageType.NACK,))
    original = Receiver._on_nack

    def fail_for_one_number(self: Receiver, message: object, packet: object) -> None:
        if getattr(message, "seq_no", 0) == 512:
            raise _Bug("planted")
        original(self, message, packet)  # type: ignore[arg-type]

    monkeypatch.setattr(Receiver, "_on_nack", fail_for_one_number)
    inputs = draw_inputs(1, 4, 60)
    inputs.insert(30, Input(False, nack + b"\x81\xa5SeqNo\xcd\x02\x00more", 1))
    setup = Setup()
    outcome = fuzz.run_inputs(inputs, setup)
    assert "exception" == outcome.kind
    assert "planted" in outcome.failure
    kept = fuzz.shrink_inputs(inputs, setup, outcome)
    assert [nack + b"\x81\xa5SeqNo\xcd\x02\x00"] == [each.data for each in kept]
    fuzz.report_failure(outcome, kept, setup, str(tmp_path))
    (path,) = tmp_path.iterdir()
    assert "1 inputs are enough" in capsys.readouterr().out
    assert 1 == fuzz.main(["--replay", str(path)])
    monkeypatch.undo()
    assert 0 == fuzz.main(["--replay", str(path)])


def test_the_command_says_what_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == fuzz.main(["--seed=1", "--inputs=200", "--first=4", "--block=100"])
    text = capsys.readouterr().out
    assert "200 inputs in" in text
    assert "0 blocks failed" in text
    assert "dropped: " in text

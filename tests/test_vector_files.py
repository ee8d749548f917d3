"""The reader of golden vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import vector_files as vf


@pytest.fixture(autouse=True)
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIOSERF_VECTORS", raising=False)


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: None) -> Path:
    monkeypatch.setenv("TRIOSERF_VECTORS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"$gen": "repeat", "unit": "6162", "len": 5}, b"ababa"),
        ({"$gen": "lcg", "seed": 1, "len": 4}, bytes.fromhex("c67e816b")),
        ({"$gen": "count32be", "len": 10}, bytes.fromhex("00000000000000010000")),
        ({"$gen": "range256", "count": 2}, bytes(range(256)) * 2),
        ({"$gen": "words", "seed": 3, "len": 4, "words": ["ab"]}, b"ab a"),
        ({"$gen": "lcg-alphabet", "seed": 1, "len": 3, "alphabet": "xy"}, b"xxy"),
        (
            {"$gen": "lcg-list", "count": 2, "len": 2, "seed_first": 1},
            [bytes.fromhex("c67e"), bytes.fromhex("8c21")],
        ),
    ],
)
def test_descriptions_of_large_inputs_are_expanded(spec: dict, expected: object) -> None:
    assert expected == vf._revive(spec)


def test_a_generator_without_a_length_is_kept_for_the_rows_of_a_sweep() -> None:
    generator = vf._revive({"$gen": "repeat", "unit": "61"})
    assert b"aaa" == generator(3)


def test_bytes_absent_bytes_and_odd_text_differ() -> None:
    raw = {"a": {"$hex": "00"}, "b": None, "c": {"$strhex": "ff61"}}
    assert {"a": b"\0", "b": None, "c": "\udcffa"} == vf._revive(raw)


def test_a_missing_layer_is_skipped_with_a_reason_in_a_foreign_folder(foreign: Path) -> None:
    (param,) = vf.params("label")
    (mark,) = param.marks
    assert "skip" == mark.name
    assert "label" in mark.args[0]


def test_a_missing_layer_of_our_own_folder_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        vf.params("no-such-layer")


def test_a_foreign_folder_is_read_and_its_unknown_files_are_ignored(foreign: Path) -> None:
    vector = {"name": "label/x", "layer": "label", "direction": "decode", "source": "s"}
    (foreign / "label.json").write_text(json.dumps([vector | {"input": {}, "hex": "00"}]))
    (foreign / "strange.json").write_text("not json")
    assert [b"\0"] == [v.data for v in vf.load("label")]


def test_two_readings_of_the_same_bytes_are_both_right() -> None:
    older = next(v for v in vf.load("decode") if v.name == "decode/ack-payload-empty@0.2.2")
    assert [None, b""] == [v.input["msg"]["Payload"] for v in vf.readings(older)]


def test_the_older_line_says_what_trioserf_writes() -> None:
    newer = next(v for v in vf.load("stream") if v.name.endswith("3000B-comp0-enc_plain@0.5.4"))
    (expected,) = vf.writings(newer)
    assert newer.data != expected
    assert newer.data[-3000:] == expected[-3000:]

"""Golden vectors: bytes from Go, and what they stand for.

The folder is ``tests/vectors``, or the one that the environment variable ``TRIOSERF_VECTORS``
names.  ``vectors/README.md`` there describes the format.  A module of tests parametrizes over
``params("layer")``; a layer that a foreign folder does not have is one skipped test, a layer
that our own folder does not have is an error.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

_OWN_FOLDER = Path(__file__).parent / "vectors"
_VARIABLE = "TRIOSERF_VECTORS"
OLDER_LINE = ("memberlist 0.2.2", "serf 0.9.4")
"""Where the two version lines write different bytes, trioserf writes those of this line."""


@attrs.frozen(kw_only=True)
class Vector:
    """One vector.

    Args:
      name: ``layer/…``, perhaps with ``@version`` at the end.
      encodes: Go made ``data`` from ``input``; otherwise Go only reads it.
      source: the version that made or read it.
      also: versions that gave the same.
      input: the fields.  Byte strings are ``bytes``, nil is None, text is ``str`` with
        ``surrogateescape``; a sweep's generator is a `Generator`.
      data: the bytes; None where Go refused to make any.
      exact: the bytes are the only right ones.
      error: Go refuses.
      expect: of a sweep, one row for each length.
      note: anything odd.
    """

    name: str
    encodes: bool
    source: str
    also: tuple[str, ...] = ()
    input: dict[str, Any]
    data: bytes | None = attrs.field(repr=lambda data: f"{len(data or b'')} bytes")
    exact: bool = True
    error: bool = False
    expect: Mapping[str, Any] | None = attrs.field(default=None, repr=False)
    note: str = ""

    @property
    def stem(self) -> str:
        """The name without its version."""
        return self.name.partition("@")[0]

    @property
    def older_line(self) -> bool:
        """Whether the older version line gave this."""
        return any(v.startswith(OLDER_LINE) for v in (self.source, *self.also))


@attrs.frozen
class Generator:
    """A description of bytes: ``{"$gen": …}``."""

    spec: Mapping[str, Any]

    def __call__(self, length: int) -> bytes:
        """The first ``length`` bytes."""
        spec = self.spec
        match spec["$gen"]:
            case "repeat":
                unit = bytes.fromhex(spec["unit"])
                return (unit * (length // len(unit) + 1))[:length]
            case "lcg":
                steps = _lcg(spec["seed"])
                return bytes(next(steps) % 256 for _ in range(length))
            case "lcg-alphabet":
                steps = _lcg(spec["seed"])
                letters = _alphabet(spec["alphabet"])
                return bytes(letters[next(steps) % len(letters)] for _ in range(length))
            case "words":
                return _words(spec, length)
            case "count32be":
                return b"".join(n.to_bytes(4, "big") for n in range(length // 4 + 1))[:length]
            case other:
                raise ValueError(f"generator {other!r}")

    def whole(self) -> Any:
        """All of it: bytes, or a list of byte strings."""
        spec = self.spec
        match spec["$gen"]:
            case "range256":
                return bytes(range(256)) * spec.get("count", 1)
            case "lcg-list":
                first = spec["seed_first"]
                return [
                    Generator({"$gen": "lcg", "seed": seed})(spec["len"])
                    for seed in range(first, first + spec["count"])
                ]
        return self(spec["len"])


def _lcg(seed: int) -> Iterator[int]:
    x = seed
    while True:
        x = (x * 1103515245 + 12345) % (1 << 31)
        yield x >> 16


def _alphabet(value: str | Mapping[str, str]) -> bytes:
    return value.encode() if isinstance(value, str) else bytes.fromhex(value["$hex"])


def _words(spec: Mapping[str, Any], length: int) -> bytes:
    words = [word.encode() for word in spec["words"]]
    steps = _lcg(spec["seed"])
    out = bytearray()
    while len(out) < length:
        out += words[next(steps) % len(words)] + b" "
    return bytes(out[:length])


def _revive(value: Any) -> Any:
    if isinstance(value, list):
        return [_revive(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$hex"}:
        return bytes.fromhex(value["$hex"])
    if set(value) == {"$strhex"}:
        return bytes.fromhex(value["$strhex"]).decode("utf-8", "surrogateescape")
    if "$gen" in value:
        generator = Generator(value)
        sized = "len" in value or value["$gen"] == "range256"
        return generator.whole() if sized else generator
    return {key: _revive(item) for key, item in value.items()}


def _data(raw: Mapping[str, Any]) -> bytes | None:
    if raw.get("hex") is not None:
        return bytes.fromhex(raw["hex"])
    if raw.get("b64z") is None:
        return None
    data = zlib.decompress(base64.b64decode(raw["b64z"]))
    assert (raw["len"], raw["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    return data


def _vector(raw: Mapping[str, Any]) -> Vector:
    return Vector(
        name=raw["name"],
        encodes=raw["direction"] == "encode",
        source=raw["source"],
        also=tuple(raw.get("also", ())),
        input=_revive(raw.get("input") or {}),
        data=_data(raw),
        exact=raw.get("exact", True),
        error=raw.get("error", False),
        expect=raw.get("expect"),
        note=raw.get("note", ""),
    )


def folder() -> Path:
    """Where the vectors are read from."""
    return Path(os.environ.get(_VARIABLE) or _OWN_FOLDER)


def load(layer: str) -> tuple[Vector, ...]:
    """All vectors of a layer.  Raises ``FileNotFoundError`` when its file is missing."""
    return _read(folder() / f"{layer}.json")


@functools.cache
def _read(path: Path) -> tuple[Vector, ...]:
    return tuple(_vector(raw) for raw in json.loads(path.read_text(encoding="utf-8")))


def params(*layers: str) -> list[Any]:
    """Arguments for ``pytest.mark.parametrize("vector", …)``."""
    return [param for layer in layers for param in _layer_params(layer)]


def _layer_params(layer: str) -> list[Any]:
    try:
        vectors = load(layer)
    except FileNotFoundError:
        if not os.environ.get(_VARIABLE):
            raise
        reason = f"{folder()} has no vectors of layer {layer}"
        return [pytest.param(None, id=f"{layer}-absent", marks=pytest.mark.skip(reason))]
    return [pytest.param(vector, id=vector.name) for vector in vectors]


def readings(vector: Vector) -> list[Vector]:
    """The vectors that say what these bytes may be read as.

    Usually this one alone.  Where two versions read the same bytes differently, each of
    the two is right.
    """
    layer = vector.name.partition("/")[0]
    return [v for v in load(layer) if v.stem == vector.stem and v.data == vector.data]


def writings(vector: Vector) -> set[bytes]:
    """The bytes that our encoder may make of the input: those of the older line.

    Empty where the vector pins nothing: the order is free, or only the newer line is known.
    """
    if not vector.exact:
        return set()
    layer = vector.name.partition("/")[0]
    return {
        v.data
        for v in load(layer)
        if v.stem == vector.stem and v.input == vector.input and v.older_line and v.data
    }

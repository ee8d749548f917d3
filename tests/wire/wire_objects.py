"""Objects of message classes, from fields under their names in Go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from trioserf._wire.keyring import Keyring


def from_fields(cls: type[Any], fields: Mapping[str, Any]) -> Any:
    """The object with these fields; all of them must exist."""
    left = dict(fields)
    values = {}
    for field in attrs.fields(cls):
        spec = field.metadata["trioserf_wire"]
        if spec.name in left:
            values[field.name] = left.pop(spec.name)
    assert not left, f"{cls.__name__} has no {sorted(left)}"
    return cls(**values)


def as_sent(obj: Any) -> Any:
    """What arrives of an object: empty fields that are left out come back as nothing."""
    changes = {
        field.name: field.default
        for field in attrs.fields(type(obj))
        if field.metadata["trioserf_wire"].omit_empty and not getattr(obj, field.name)
    }
    return attrs.evolve(obj, **changes)


def ring(*keys: bytes) -> Keyring:
    """A key ring; the first key is the primary one."""
    return Keyring(keys)

"""Files of settings: read, taken from JSON, and checked as strictly as Go does.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/config.go, DecodeConfig, ReadConfigPaths;
mitchellh/mapstructure v1.5.0, mapstructure.go (the texts of its errors).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from .agent_options import MDNS_KEYS, SETTINGS, AgentOptions, OptionsError
from .durations import parse_duration
from .go_json import first_json_value, go_text_of

MAX_SIZE: Final = 16 * 1024 * 1024
"""Longest file that is read (bytes)."""


def with_files(options: AgentOptions, paths: Iterable[str]) -> AgentOptions:
    """The settings with those of files and folders put over them, one after the other.

    Raises:
      OptionsError: a file that cannot be read, or is no file of settings.
    """
    for path in paths:
        for file, in_folder in _files(path):
            options = options.merged(_values_of_file(file, in_folder=in_folder))
    return options


def _files(path: str) -> Iterator[tuple[str, bool]]:
    """The file itself, or those of a folder that end in ``.json``, in byte order."""
    try:
        if not os.path.isdir(path):
            yield path, False
            return
        names = sorted(os.listdir(path), key=os.fsencode)
    except OSError as error:
        raise OptionsError(f"Error reading '{path}': {go_os_error('open', error)}") from None
    for name in names:
        file = os.path.join(path, name)
        if name.endswith(".json") and not os.path.isdir(file):
            yield file, True


def _values_of_file(path: str, *, in_folder: bool) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise OptionsError(f"Error reading '{path}': {go_os_error('open', error)}") from None
    if len(data) > MAX_SIZE:
        raise OptionsError(f"Error reading '{path}': longer than {MAX_SIZE} bytes")
    try:
        return decode_settings(data)
    except ValueError as error:
        message = f"Error decoding '{path}': {error}"
    if in_folder and not message.endswith("EOF"):
        message += (
            "\n\nEvery file of the folder that ends in .json is taken for settings; a keyring "
            "file or a tags file must be elsewhere, or have another name."
        )
    raise OptionsError(message)


def go_os_error(operation: str, error: OSError) -> str:
    """As Go prints it: ``open PATH: no such file or directory``."""
    reason = os.strerror(error.errno).lower() if error.errno else str(error)
    where = os.fsdecode(error.filename) if error.filename else ""
    return f"{operation} {where}: {reason}"


# --- JSON ---------------------------------------------------------------------------------


def decode_settings(data: bytes) -> dict[str, Any]:
    """The settings in the first JSON value of some bytes, by key; what is null is not there.

    Raises:
      ValueError: no JSON, or no settings; in Go's words.
    """
    found = first_json_value(data)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError(f"'' expected a map, got '{_kind_name(found)}'")
    problems: list[str] = []
    values = _decoded_map(found, _READERS, "", problems)
    if problems:
        points = "\n".join(f"* {problem}" for problem in sorted(problems))
        raise ValueError(f"{len(problems)} error(s) decoding:\n\n{points}")
    for key, value in values.items():
        if _DURATIONS.get(key):
            values[key] = parse_duration(value) if value else 0.0
    return values


# --- types --------------------------------------------------------------------------------


def _kind_name(value: object) -> str:
    """Go's kind of what JSON gives."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "float64"
    if isinstance(value, str):
        return "string"
    return "slice" if isinstance(value, list) else "map"


def _type_name(value: object) -> str:
    kind = _kind_name(value)
    return {"slice": "[]interface {}", "map": "map[string]interface {}"}.get(kind, kind)


def _shown(value: object) -> str:
    """As Go's ``%v`` shows it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    if isinstance(value, list):
        return f"[{' '.join(map(_shown, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{_shown(value[key])}' for key in sorted(value))}]"
    return str(value)


def _unconvertible(name: str, wanted: str, value: object) -> str:
    shown = "(hidden)" if name in _SECRETS else _shown(value)
    return (
        f"'{name}' expected type '{wanted}', got unconvertible type '{_type_name(value)}', "
        f"value: '{shown}'"
    )


_SECRETS: Final = frozenset(setting.key for setting in SETTINGS if setting.secret)
_DURATIONS: Final = {setting.key: setting.kind == "duration" for setting in SETTINGS}


def _string(value: object, name: str, problems: list[str]) -> str:
    if isinstance(value, str):
        return go_text_of(value)
    if value is not None:
        problems.append(_unconvertible(name, "string", value))
    return ""


def _bool(value: object, name: str, problems: list[str]) -> bool:
    if isinstance(value, bool):
        return value
    problems.append(_unconvertible(name, "bool", value))
    return False


def _int(value: object, name: str, problems: list[str]) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) < 2**63:
            return int(value)
        problems.append(f"'{name}' expected type 'int', got {_shown(value)}, which is too large")
        return 0
    problems.append(_unconvertible(name, "int", value))
    return 0


def _list(value: object, name: str, problems: list[str]) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(_string(item, f"{name}[{i}]", problems) for i, item in enumerate(value))
    problems.append(f"'{name}': source data must be an array or slice, got {_kind_name(value)}")
    return ()


def _text_map(value: object, name: str, problems: list[str]) -> dict[str, str]:
    if isinstance(value, dict):
        return {
            _string(key, name, problems): _string(item, f"{name}[{key}]", problems)
            for key, item in value.items()
        }
    problems.append(f"'{name}' expected a map, got '{_kind_name(value)}'")
    return {}


def _mdns(value: object, name: str, problems: list[str]) -> dict[str, Any]:
    if isinstance(value, dict):
        readers = {key: _READER_OF_KIND[kind] for key, kind in MDNS_KEYS.items()}
        return _decoded_map(value, readers, f"{name}.", problems)
    problems.append(f"'{name}' expected a map, got '{_kind_name(value)}'")
    return {}


_READER_OF_KIND: Final[Mapping[str, Callable[[object, str, list[str]], Any]]] = {
    "string": _string,
    "duration": _string,
    "bool": _bool,
    "int": _int,
    "list": _list,
    "map": _text_map,
    "mdns": _mdns,
}
_READERS: Final = {setting.key: _READER_OF_KIND[setting.kind] for setting in SETTINGS}


def _decoded_map(
    found: Mapping[str, object],
    readers: Mapping[str, Callable[[object, str, list[str]], Any]],
    prefix: str,
    problems: list[str],
) -> dict[str, Any]:
    """The values of known keys, which match in any case; an exact match goes first."""
    unused = dict(found)
    values: dict[str, Any] = {}
    for key, read in readers.items():
        name = key if key in unused else _in_any_case(key, unused)
        if name is None:
            continue
        value = unused.pop(name)
        if value is not None:
            values[key] = read(value, prefix + key, problems)
    if unused:
        names = ", ".join(sorted(unused, key=lambda key: key.encode("utf-8", "surrogatepass")))
        problems.append(f"'{prefix.removesuffix('.')}' has invalid keys: {names}")
    return values


def _in_any_case(key: str, names: Iterable[str]) -> str | None:
    folded = key.casefold()
    return next((name for name in names if name.casefold() == folded), None)

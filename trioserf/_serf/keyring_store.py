"""The keyring file of a node: read at the start, written after each change of the ring.

If the file exists its keys count, because it has what rotations made of the configured ones: a
node that came back with the key of its settings alone would be locked out.  If it does not
exist it is written from the settings.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/agent.go: loadKeyringFile;
serf/internal_query.go: writeKeyringFile.  DIFFERS: Go's agent refuses a key beside a file, and
a file that does not exist; Go's library never reads it, so that a program that sets it starts
without encryption.  Test: test_a_keyring_file_alone_turns_encryption_on.
"""

from __future__ import annotations

import os
import stat
from typing import Final

from .. import _attrs as attrs
from .._config import Config
from .._exceptions import ConfigError, KeyringError
from .._memberlist.node_log import Log
from .._wire.keyring import Keyring
from .._wire.keyring_file import keyring_file_text, parse_keyring_file
from .atomic_files import DISK_LIMIT, AtomicFile, within

_MODE: Final = 0o600
_OTHERS_READ: Final = stat.S_IRGRP | stat.S_IROTH
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
MAX_SIZE: Final = 1 << 16
"""Longest file that is read (bytes): a full ring needs a twentieth."""


@attrs.define(eq=False)
class KeyringStore:
    """The file.

    Args:
      path: where; its directory must exist.
      log: for what goes wrong and is no reason not to start.
    """

    path: str
    log: Log
    _file: AtomicFile = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._file = AtomicFile(self.path, _MODE)

    async def configure(self, config: Config) -> Config:
        """The settings with the keys of the file, if there is one; else the file is written.

        *Cancellation*: at once, whatever the disk does.

        Raises:
          ConfigError: there is neither a file nor a key.
          KeyringError: the file cannot be read, is no keyring file, or others may change it.
        """
        given = config.memberlist
        try:
            found = await within(DISK_LIMIT, _read, self.path)
        except OSError as error:
            reason = error.strerror or str(error)
            raise KeyringError(f"cannot read keyring file {self.path}: {reason}") from error
        if found is not None:
            data, mode = found
            if mode & _OTHERS_READ:
                self.log.warning(
                    "others can read keyring file %s: expected mode 600, not %s",
                    self.path,
                    format(mode, "o"),
                )
            try:
                ring = parse_keyring_file(data)
            except KeyringError as error:
                raise KeyringError(f"keyring file {self.path}: {error}") from None
            configured = {*(given.keyring or ()), given.secret_key} - {None}
            if not configured <= {*ring.keys}:
                self.log.warning(
                    "keys of the settings are not in keyring file %s, whose keys count: "
                    "to begin with those of the settings, remove the file",
                    self.path,
                )
            elif configured:
                self.log.info("the keys are those of %s, not those of the settings", self.path)
            return attrs.evolve(
                config, memberlist=attrs.evolve(given, secret_key=None, keyring=ring.keys)
            )
        if not given.secret_key and not given.keyring:
            raise ConfigError(
                "keyring_file", self.path, "a file that exists, or a key to begin it with"
            )
        keys = given.keyring or ()
        try:
            await self.write(Keyring.create(keys, given.secret_key or keys[0]))
        except OSError as error:
            self.log.error("failed to write keyring file %s: %s", self.path, error)
        return config

    async def write(self, keyring: Keyring) -> None:
        """Put a ring into the file.  Raises as `AtomicFile.write`."""
        await self._file.write(keyring_file_text(keyring))


def _read(path: str) -> tuple[bytes, int] | None:
    """The content and the mode; None if there is no file.  It blocks."""
    try:
        # A pipe would block for ever, and is no file that can be replaced.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "it is no regular file")
        mode = stat.S_IMODE(status.st_mode)
        if os.name == "posix" and mode & _OTHERS_WRITE:
            raise OSError(None, f"others can write to it: expected mode 600, not {mode:o}")
        data = file.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise OSError(None, f"it is longer than {MAX_SIZE} bytes")
    return data, mode if os.name == "posix" else _MODE

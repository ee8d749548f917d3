"""An agent that answers as a test says: plain sockets in a thread, no node behind it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import attrs
import msgpack
import pytest

from trioserf._agent.cli import run
from trioserf._wire.rpc_messages import COMMANDS, WITHOUT_BODY


@attrs.frozen
class Refused:
    """An error, and the body that goes with it."""

    text: str
    body: object = None


@attrs.frozen
class Records:
    """What a command gives that goes on; then the connection stays open, or is closed."""

    bodies: list[dict[str, Any]]
    then_close: bool = False


CLOSE = object()
"""An answer: the connection ends."""
SILENCE = object()
"""An answer: nothing comes."""


def member(name: str, status: str = "alive", **tags: str) -> dict[str, Any]:
    """A member as agents send it."""
    return {
        "Name": name,
        "Addr": bytes((10, 0, 0, len(name))),
        "Port": 7946,
        "Tags": tags,
        "Status": status,
        "ProtocolMin": 1,
        "ProtocolMax": 5,
        "ProtocolCur": 2,
        "DelegateMin": 2,
        "DelegateMax": 5,
        "DelegateCur": 4,
    }


def members(*found: dict[str, Any]) -> dict[str, Any]:
    """The body of the reply to ``members``."""
    return {"Members": list(found)}


@attrs.define(eq=False)
class FakeAgent:
    """What was asked, and what is answered: see `fake_agent`."""

    address: str
    answers: Mapping[str, Any]
    asked: list[tuple[str, dict[str, Any]]] = attrs.field(factory=list)

    def answer(self, connection: socket.socket) -> None:
        """Serve one connection to its end."""
        requests = msgpack.Unpacker(raw=False, unicode_errors="surrogateescape")
        queue: dict[str, list[Any]] = {
            name: list(found) if isinstance(found, tuple) else [found]
            for name, found in self.answers.items()
        }
        header: dict[str, Any] | None = None
        while data := connection.recv(65536):
            requests.feed(data)
            for value in requests:
                if header is None and COMMANDS[value["Command"]].request is not None:
                    header = value
                    continue
                command, body = (value, {}) if header is None else (header, value)
                header = None
                self.asked.append((command["Command"], body))
                waiting = queue.get(command["Command"], [None])
                found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                if found is CLOSE or not self._reply(connection, command, found):
                    return

    def _reply(self, connection: socket.socket, command: dict[str, Any], found: Any) -> bool:
        if found is SILENCE:
            return True

        def send(error: str, *bodies: object) -> None:
            reply = {"Error": error, "Seq": command["Seq"]}
            parts = [msgpack.packb(part, unicode_errors="surrogateescape") for part in bodies]
            connection.sendall(b"".join((msgpack.packb(reply), *parts)))

        if isinstance(found, Refused):
            has_body = COMMANDS[command["Command"]].reply and found.text not in WITHOUT_BODY
            send(found.text, *([found.body] if has_body else []))
        elif isinstance(found, Records):
            send("")
            for body in found.bodies:
                send("", body)
            return not found.then_close
        else:
            send("", *([found] if COMMANDS[command["Command"]].reply else []))
        return True


@contextmanager
def fake_agent(answers: Mapping[str, Any] | None = None, **more: Any) -> Iterator[FakeAgent]:
    """Answer commands; those that are not named get an empty success.

    Args:
      answers: command to the body of its reply, `Refused`, `Records`, `CLOSE` or `SILENCE`;
        a tuple has one for each time it is asked, the last for all further ones.
      more: the same, for commands whose names are identifiers.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        agent = FakeAgent(address, {**(answers or {}), **more})
        connections: list[socket.socket] = []

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                agent.answer(connection)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connections.append(connection)
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield agent
        listener.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@attrs.define(eq=False)
class CommandLine:
    """Runs commands in this process."""

    capsys: pytest.CaptureFixture[str]
    out: str = ""
    err: str = ""

    def __call__(self, agent: FakeAgent | None, *words: str, status: int = 0) -> str:
        """Run a command against the agent; its standard output.

        Standard error is in `err`, and empty where the command succeeds.
        """
        command, *rest = words
        place = [] if agent is None else [f"-rpc-addr={agent.address}"]
        got = run([command, *place, *rest])
        self.out, self.err = self.capsys.readouterr()
        assert status == got, self.out + self.err
        if not status:
            assert "" == self.err
        return self.out

    def fails(self, agent: FakeAgent | None, *words: str, status: int = 1) -> str:
        """Run a command that fails, and says nothing but why; its standard error."""
        assert "" == self(agent, *words, status=status)
        return self.err

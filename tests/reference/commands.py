"""The pages of the command line and of RPC, from the tables that the programs work by."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.reference.meanings import meanings
from tests.source_tree import modules
from trioserf._agent.command_table import COMMANDS, Command
from trioserf._agent.flags import Flag
from trioserf._agent.usage import flag_head, usage_line
from trioserf._wire import rpc_messages


def command_page() -> str:
    """The page of the command line."""
    parts = [
        "# Command line\n",
        "`trioserf`, or `python -m trioserf`: the commands of `serf`, with the same flags, texts "
        "and exit statuses, and some of its own. Flags take one dash or two, `-name value` or "
        "`-name=value`; they end at the first word that is none. Made from the table that the "
        "parser and the completion of shells use; `trioserf COMMAND -h` prints the same.\n",
        "The status is 0 when it was done, 1 when not, and 2 for wrong usage of a command that "
        "Go's program does not have; Go's commands end with 1 for that, too.\n",
        "| command | what it does | in Go's |\n|---|---|---|",
    ]
    for command in COMMANDS.values():
        go = "" if command.beyond_go else "yes"
        parts.append(f"| [`{command.name}`](#{command.name}) | {command.about} | {go} |")
    for command in COMMANDS.values():
        parts += ["", *_command(command)]
    return "\n".join(parts) + "\n"


def _command(command: Command) -> Iterator[str]:
    yield f"## {command.name}\n"
    about = f"{command.about[0].upper()}{command.about[1:]}."
    yield f"{about} {command.more}\n".replace("*.json", "`*.json`")
    yield f"```text\n{usage_line(command)}\n```"
    if command.flags:
        yield "\n| flag | meaning | default | beyond Go |\n|---|---|---|---|"
        yield from (f"{_flag(flag, command)}" for flag in command.flags)


def _flag(flag: Flag, command: Command) -> str:
    about = flag.about.replace("|", "\\|").replace("*", "\\*")
    if flag.kind == "list":
        about += "; may be repeated"
    if flag.choices:
        about += f" ({', '.join(f'`{choice}`' for choice in flag.choices)})"
    if flag.variable:
        about += f"; from `{flag.variable}` where it is not given"
    initial = flag.initial({})
    default = "" if initial in ((), "", 0, -1, False) else f"`{str(initial).lower()}`"
    beyond = "yes" if flag.beyond_go and not command.beyond_go else ""
    return f"| `{flag_head(flag)}` | {about} | {default} | {beyond} |"


# --- RPC ----------------------------------------------------------------------------------


def rpc_page() -> str:
    """The page of the RPC protocol."""
    said = meanings("rpc")
    structs = _Structs()
    parts = [
        "# RPC\n",
        "What an agent speaks on its RPC address (`127.0.0.1:7373` by default), Go's or this "
        "one's, and `trioserf.ipc.serve` for a node of your own. Use it by "
        "[`trioserf.client`](trioserf.client.md), by the [command line](commands.md), or by any "
        "client of Serf's. Made from the table that server and client work by.\n",
        "Everything is msgpack, one map after the other. A request is a header, "
        "`{Command: string, Seq: uint64}`, and a body where the table has one. A reply is a "
        "header, `{Error: string, Seq: uint64}`, and a body. Commands with records go on: each "
        "record has the header of a reply, with the number of its command. The first command is "
        "`handshake`; the second `auth`, where the server has a key. Durations are nanoseconds.\n",
    ]
    for name, (request, reply, record) in structs.commands().items():
        parts.append(f"## `{name}`\n")
        parts.append(f"{said.get(name, '')}\n")
        shown = (("request", request), ("reply", reply), ("record", record))
        parts += [f"* {kind}: {struct}" for kind, struct in shown if struct]
        parts.append("")
    parts += ["## Errors of the protocol\n", "| error | meaning |\n|---|---|"]
    for constant, text in rpc_errors().items():
        parts.append(f"| `{text}` | {said.get(constant, '')} |")
    return "\n".join(parts) + "\n"


def rpc_errors() -> dict[str, str]:
    """Constant to the text of an error that belongs to the protocol itself."""
    found: dict[str, str] = {}
    for node in _source("rpc_messages").body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(text))):
                found[name] = text
            case _:
                pass
    return found


class _Structs:
    """The table of commands as it stands in the source: its readers do not say what they read."""

    def __init__(self) -> None:
        self.named: dict[str, ast.expr] = {}
        for node in _source("rpc_messages").body:
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    self.named[name] = value
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    self.named[name] = value
                case _:
                    pass

    def commands(self) -> dict[str, tuple[str, str, str]]:
        """Command to its request, reply and record."""
        table = self.named["COMMANDS"]
        assert isinstance(table, ast.Dict)
        found = {}
        for key, value in zip(table.keys, table.values, strict=True):
            assert isinstance(key, ast.Constant)
            assert isinstance(value, ast.Call)
            parts = dict(zip(("request", "reply", "record"), value.args, strict=False))
            parts |= {word.arg or "": word.value for word in value.keywords}
            shown = (self.shown(parts.get(part)) for part in ("request", "reply", "record"))
            request, reply, record = shown
            found[str(key.value)] = (request, reply, record)
        assert found.keys() == rpc_messages.COMMANDS.keys()
        return found

    def shown(self, node: ast.expr | None) -> str:
        """A struct or a type in words."""
        match node:
            case None | ast.Constant(value=None):
                return ""
            case ast.Dict(keys=keys, values=values):
                fields = zip(keys, values, strict=True)
                listed = (f"`{ast.literal_eval(k)}` {self.shown(v)}" for k, v in fields if k)
                return ", ".join(listed)
            case ast.Call(func=ast.Name(id="struct"), args=[fields]):
                return (
                    f"{{{self.shown(fields)}}}"
                    if isinstance(fields, ast.Name)
                    else self.shown(fields)
                )
            case ast.Call(func=ast.Name(id="list_of"), args=[of]):
                return f"list of {self.shown(of)}"
            case ast.Call(func=ast.Name(id="map_of"), args=[of]):
                return f"map of string to {self.shown(of)}"
            case ast.Name(id=name) if name.startswith("read_"):
                return name.removeprefix("read_").replace("text", "string")
            case ast.Name(id=name):
                return self.shown(self.named[name])
            case _:
                raise AssertionError(f"an unknown kind of reader: {ast.unparse(node)}")


def _source(name: str) -> ast.Module:
    return next(module.tree for module in modules() if module.path == f"_wire/{name}.py")

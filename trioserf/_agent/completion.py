"""The command ``completion``: what makes bash, zsh and fish complete commands and flags.

Names of nodes come from the agent, and from anybody in the cluster: the scripts never let a
shell expand them.
"""

from __future__ import annotations

from .call import CommandError
from .command_table import COMMANDS
from .usage import PROGRAM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from .call import Call
    from .command_table import Command
    from .flags import Flag

SHELLS: Final = ("bash", "zsh", "fish")
_NODES: Final = f"{PROGRAM} members -timeout=1s 2>/dev/null </dev/null | cut -d' ' -f1"
"""Prints the names of all nodes; nothing if no agent answers."""


def run_completion(call: Call) -> int:
    """Print the script for a shell."""
    if len(call.arguments) != 1:
        return call.wrong_usage("The name of a shell must be specified.")
    (shell,) = call.arguments
    if shell not in SHELLS:
        raise CommandError(f"No completion for the shell '{shell}': bash, zsh or fish", 2)
    call.console.line(script(shell, COMMANDS.values()))
    return 0


def script(shell: str, commands: Iterable[Command]) -> str:
    """The script for one of `SHELLS`."""
    lines = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]
    return "\n".join(lines(list(commands)))


# --- bash ---------------------------------------------------------------------------------

_BASH_NODES: Final = f"""\
_{PROGRAM}_nodes() {{
    local name
    while IFS= read -r name; do
        [[ -n $name && $name == "$cur"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
    done < <({_NODES})
}}"""

_BASH_START: Final = f"""\
_{PROGRAM}() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}"
    COMPREPLY=()
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $before == "=" ]]; then
        before="${{COMP_WORDS[COMP_CWORD-2]}}"
    fi
    if [[ $COMP_CWORD -eq 1 ]]; then"""


def _bash(commands: list[Command]) -> Iterator[str]:
    def words(texts: Iterable[str]) -> str:
        return f"""COMPREPLY=($(compgen -W "{" ".join(texts)}" -- "$cur"))"""

    yield _BASH_NODES
    yield _BASH_START
    yield f"        {words(command.name for command in commands)}"
    yield "        return"
    yield "    fi"
    yield '    case "${COMP_WORDS[1]} ${before/#--/-}" in'
    for command in commands:
        for flag in command.flags:
            if flag.choices:
                action = words(flag.choices)
            elif flag.complete == "node":
                action = f"_{PROGRAM}_nodes"
            elif flag.complete in ("file", "folder"):
                kind = "-f" if flag.complete == "file" else "-d"
                action = f'COMPREPLY=($(compgen {kind} -- "$cur"))'
            elif flag.kind != "bool":
                action = ":"
            else:
                continue
            yield f'        "{command.name} -{flag.name}") {action}; return;;'
    yield "    esac"
    yield '    case "${COMP_WORDS[1]}" in'
    for command in commands:
        names = words(f"-{flag.name}" for flag in command.flags)
        other = {
            "node": f"_{PROGRAM}_nodes",
            "file": 'COMPREPLY=($(compgen -f -- "$cur"))',
            "shell": words(SHELLS),
        }.get(command.complete, ":")
        yield f"        {command.name}) if [[ $cur == -* ]]; then {names}; else {other}; fi;;"
    yield "    esac"
    yield "}"
    yield f"complete -F _{PROGRAM} {PROGRAM}"


# --- zsh ----------------------------------------------------------------------------------


def _zsh(commands: list[Command]) -> Iterator[str]:
    yield f"#compdef {PROGRAM}"
    yield f"_{PROGRAM}_nodes() {{"
    yield "    local -a names"
    yield f'    names=("${{(@f)$({_NODES})}}")'
    yield '    compadd -- "${names[@]}"'
    yield "}"
    yield f"_{PROGRAM}() {{"
    yield "    if (( CURRENT == 2 )); then"
    yield "        local -a commands"
    yield "        commands=("
    for command in commands:
        yield f"            {_single(f'{command.name}:{command.about}')}"
    yield "        )"
    yield "        _describe command commands"
    yield "        return"
    yield "    fi"
    yield "    local command=$words[2]"
    yield "    shift words"
    yield "    (( CURRENT-- ))"
    yield "    case $command in"
    for command in commands:
        specs = [_zsh_flag(flag) for flag in command.flags]
        action = {"node": f"_{PROGRAM}_nodes", "file": "_files", "shell": f"({' '.join(SHELLS)})"}
        if command.complete:
            specs.append(_single(f"*:{command.complete}:{action[command.complete]}"))
        yield f"        {command.name}) _arguments {' '.join(specs)};;"
    yield "    esac"
    yield "}"
    yield f"compdef _{PROGRAM} {PROGRAM}"


def _zsh_flag(flag: Flag) -> str:
    about = "".join(f"\\{char}" if char in "[]:\\" else char for char in flag.about)
    if flag.kind == "bool":
        return _single(f"-{flag.name}[{about}]")
    if flag.choices:
        action = f"({' '.join(flag.choices)})"
    else:
        action = {
            "node": f"_{PROGRAM}_nodes",
            "file": "_files",
            "folder": "_files -/",
        }.get(flag.complete, " ")
    repeated = "*" if flag.kind == "list" else ""
    value = flag.value.replace(":", "\\:") or "value"
    return _single(f"{repeated}-{flag.name}=[{about}]:{value}:{action}")


# --- fish ---------------------------------------------------------------------------------


def _fish(commands: list[Command]) -> Iterator[str]:
    yield f"function __{PROGRAM}_nodes; {_NODES}; end"
    yield f"complete -c {PROGRAM} -f"
    for command in commands:
        yield (
            f"complete -c {PROGRAM} -n __fish_use_subcommand -a {command.name} "
            f"-d {_single(command.about)}"
        )
    for command in commands:
        start = f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {command.name}'"
        for flag in command.flags:
            value = ""
            if flag.choices:
                value = f" -x -a {_single(' '.join(flag.choices))}"
            elif flag.complete == "node":
                value = f" -x -a '(__{PROGRAM}_nodes)'"
            elif flag.complete in ("file", "folder"):
                value = " -r -F"
            elif flag.kind != "bool":
                value = " -x"
            yield f"{start} -o {flag.name}{value} -d {_single(flag.about)}"
        if command.complete == "node":
            yield f"{start} -a '(__{PROGRAM}_nodes)'"
        elif command.complete == "shell":
            yield f"{start} -a {_single(' '.join(SHELLS))}"
        elif command.complete == "file":
            yield f"{start} -F"


def _single(text: str) -> str:
    """A word for any of the shells, whatever is in it."""
    return "'" + text.replace("'", "'\\''") + "'"

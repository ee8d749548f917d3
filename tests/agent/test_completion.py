"""Shell completion: what bash makes of the script, and that nothing of the cluster is run."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.agent.fake_agent import CommandLine
from trioserf._agent.command_table import COMMANDS
from trioserf._agent.completion import SHELLS, script

BASH, FISH, ZSH = map(shutil.which, ("bash", "fish", "zsh"))


def bash(folder: Path, *words: str, names: str = "") -> list[str]:
    """What bash offers for the last word."""
    assert BASH is not None
    (folder / "names").write_text(names)
    (folder / "trioserf").write_text(f'#!/bin/sh\ncat "{folder}/names"\n')
    (folder / "trioserf").chmod(0o755)
    (folder / "script").write_text(script("bash", COMMANDS.values()))
    line = " ".join(f"'{word}'" for word in words)
    code = f"""
        source "{folder}/script"
        COMP_WORDS=(trioserf {line}); COMP_CWORD={len(words)}
        _trioserf
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [BASH, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    assert "" == done.stderr
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.skipif(BASH is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["mem"], ["members"]),
        (["members", "-det"], ["-detailed"]),
        (["members", "-format", ""], ["text", "json", "jsonl"]),
        (["members", "-format", "=", "te"], ["text"]),
        (["members", "--format", "="], ["text", "json", "jsonl"]),
        (["members", "-name", ""], []),
        (["completion", "z"], ["zsh"]),
        (["nothing", "x"], []),
    ],
)
def test_bash_completes(tmp_path: Path, words: list[str], offered: list[str]) -> None:
    assert offered == bash(tmp_path, *words)


@pytest.mark.skipif(BASH is None, reason="there is no bash")
def test_names_of_nodes_are_never_run(tmp_path: Path) -> None:
    names = "a1  10.0.0.1:1\na$(touch${IFS}ran)  x\nb  x\n"
    assert ["a1", r"a\$\(touch\$\{IFS\}ran\)"] == bash(tmp_path, "rtt", "a", names=names)
    assert not (tmp_path / "ran").exists()


NAMES = "alpha  10.0.0.1:1\nb$(touch${IFS}ran)  x\nc`touch${IFS}ran`  x\n"


def folder_of(shell: str, folder: Path) -> Path:
    """The script for a shell, and a program that knows the names of nodes."""
    (folder / "names").write_text(NAMES)
    (folder / "trioserf").write_text(f'#!/bin/sh\ncat "{folder}/names"\n')
    (folder / "trioserf").chmod(0o755)
    (folder / "script").write_text(script(shell, COMMANDS.values()))
    return folder


@pytest.mark.slow
@pytest.mark.skipif(FISH is None, reason="there is no fish")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("mem", ["members"]),
        ("members -det", ["-detailed"]),
        ("members -format ", ["json", "jsonl", "text"]),
        ("members -format=t", ["-format=text"]),
        ("agent -profile=l", ["-profile=lan", "-profile=local"]),
        ("completion z", ["zsh"]),
        ("rtt a", ["alpha"]),
        ("query -node b", ["b$(touch${IFS}ran)"]),
        ("rtt c", ["c`touch${IFS}ran`"]),
    ],
)
def test_fish_completes(tmp_path: Path, line: str, offered: list[str]) -> None:
    assert FISH is not None
    folder = folder_of("fish", tmp_path)
    done = subprocess.run(
        [FISH, "--no-config", "-c", f"source script; complete -C 'trioserf {line}'"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder)},
    )
    assert "" == done.stderr
    assert offered == [entry.split("\t")[0] for entry in done.stdout.splitlines()]
    assert not (folder / "ran").exists()


@pytest.mark.slow
@pytest.mark.skipif(ZSH is None, reason="there is no zsh")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("memb", "members "),
        ("members -det", "-detailed "),
        ("members -format=t", "-format=text "),
        ("agent -profile=w", "-profile=wan "),
        ("completion z", "zsh "),
        ("rtt a", "alpha "),
        ("query -node=a", "-node=alpha "),
        ("query -node b", r"b\$\(touch\$\{IFS\}ran\) "),
        ("rtt c", r"c\`touch\$\{IFS\}ran\` "),
    ],
)
def test_zsh_completes(tmp_path: Path, line: str, offered: str) -> None:
    folder = folder_of("zsh", tmp_path)
    assert offered in zsh(folder, f"trioserf {line}", until=offered)
    assert not (folder / "ran").exists()


def zsh(folder: Path, line: str, *, until: str) -> str:
    """What an interactive shell shows when Tab was pressed behind a line."""
    assert ZSH is not None
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "HOME": str(folder), "TERM": "dumb"}
    leader, follower = os.openpty()
    shell = subprocess.Popen(
        [ZSH, "-f", "-i"],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=folder,
        env={**environment, "PS1": "ready> "},
        start_new_session=True,
    )
    os.close(follower)
    try:
        os.write(leader, b"autoload -Uz compinit; compinit -u -D; source script; PS1='se''t> '\n")
        _read(leader, "set> ")  # only now it edits lines
        os.write(leader, line.encode() + b"\t")
        return _read(leader, until)
    finally:
        shell.kill()
        shell.wait()
        os.close(leader)


def _read(leader: int, until: str) -> str:
    """Read from a terminal until this comes, or for so long."""
    shown, deadline = "", time.monotonic() + 15
    while until not in shown and time.monotonic() < deadline:
        if select.select([leader], [], [], 0.1)[0]:
            shown += os.read(leader, 65536).decode(errors="replace")
    return shown


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_flag_is_in_the_script(serf: CommandLine, shell: str) -> None:
    text = serf(None, "completion", shell)
    for command in COMMANDS.values():
        assert command.name in text
        for flag in command.flags:
            assert flag.name in text


@pytest.mark.parametrize("shell", SHELLS)
def test_the_shell_takes_its_script(serf: CommandLine, shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"there is no {shell}")
    subprocess.run([program, "-n"], input=serf(None, "completion", shell), text=True, check=True)


def test_other_shells_are_refused(serf: CommandLine) -> None:
    assert serf.fails(None, "completion", status=2).startswith("The name of a shell must be")
    assert "'csh'" in serf.fails(None, "completion", "csh", status=2)

"""Shell completion: what bash makes of the script, and that nothing of the cluster is run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.agent.fake_agent import CommandLine
from trioserf._agent.command_table import COMMANDS
from trioserf._agent.completion import SHELLS, script

BASH = shutil.which("bash")


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

"""Starts that fail: our agent says what Go's says, on the same stream, and ends as it does."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from tests.interop.addresses import free_host, free_port
from tests.interop.waiting import limit
from tests.source_tree import ROOT

pytestmark = pytest.mark.slow

OURS = (sys.executable, "-m", "trioserf")
THERE_IS_SYSLOG = Path("/dev/log").exists()
KEY = "ID3Xrb8fT5S+g3Aw8+kiIASRVLyO81nOHo5qTsz/TG4="
FLAGS = (
    *("-tag novalue", "-protocol=9", "-retry-interval=abc", "-encrypt=x", "-encrypt=AAAA"),
    *("-profile=LAN", "-log-level=error", "-snapshot=/nosuch/x", "-keyring-file=/", "-tags-file=/"),
    *("-event-handler=,=x", "-event-handler=/h.sh --level=info", "-iface=nosuch0"),
    *("-advertise=x:y", "-bind=999.1.1.1", "-rpc-addr=127.0.0.1:x", "-rpc-addr=nosuch.invalid:1"),
    *("-join=127.0.0.1:1 -join=127.0.0.1:2", "-join=127.0.0.1:x", "-join=[::1", "-syslog"),
    *(f"-keyring-file=/nosuch -encrypt={KEY}", "-tags-file=/nosuch/x -tag a=b"),
)
FILES = {
    "keyring-file": ("[]", "null", '[""]', '["AAAA"]', "[1]", "nul", f'["{KEY}"] x', "\xff"),
    "tags-file": ("", "[]", '{"a":{"b":1}}', '{"a":"b"} x', f'{{"a":"{"x" * 600}"}}'),
    "config-file": (
        *("[1]", '{"bogus":1,"also":2}', '{"tags":{"a":1}}', '{"start_join":"x"}', "{'a':1}"),
        *(
            '{"retry_interval":"5"}',
            '{"node_name":["a",{"b":1.5}]}',
            '{"NODE_NAME":"q","node_name":1}',
        ),
        *('{"event_handlers":["USER=x"]}', '{"enable_syslog":true,"syslog_facility":"FOO"}'),
    ),
}


async def start(program: Sequence[str], words: Sequence[str], folder: Path) -> list[object]:
    """Status and standard output of an agent that does not start, without its usage page."""
    given = " ".join(words)
    host = free_host()
    command = [*program, "agent", "-node=n"]
    for flag in ("bind", "rpc-addr"):
        if f"-{flag}=" not in given:
            command.append(f"-{flag}={host}:{free_port(host)}")
    environment = {key: value for key, value in os.environ.items() if key[:5] != "SERF_"}
    done = await trio.run_process(
        [*command, *words],
        capture_stdout=True,
        capture_stderr=True,
        check=False,
        cwd=folder,
        env={**environment, "SERF_ERRORS": "stdout", "PYTHONPATH": str(ROOT)},
    )
    text = done.stdout.decode(errors="replace")
    text = text.replace(host, "HOST")
    text = re.sub(r"HOST:\d+", "HOST:PORT", text)
    return [done.returncode, re.sub(r"lookup (\S+)( on \S+)?: .*", r"lookup \1: ...", text)]


async def fails_alike(binary: Path, words: Sequence[str], folder: Path) -> None:
    theirs = await start([str(binary)], words, folder)
    assert theirs[0] == 1
    assert theirs == await start(OURS, words, folder)


@pytest.mark.parametrize("line", FLAGS)
@limit(30)
async def test_flags_that_stop_an_agent(binary: Path, line: str, tmp_path: Path) -> None:
    if line == "-syslog" and THERE_IS_SYSLOG:
        pytest.skip("there is a syslog daemon")
    words = [line] if " --" in line else line.split(" ")
    await fails_alike(binary, words, tmp_path)


@pytest.mark.parametrize(
    ("flag", "text"), [(flag, text) for flag, texts in FILES.items() for text in texts]
)
@limit(30)
async def test_files_that_stop_an_agent(binary: Path, flag: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(text.encode("latin-1"))
    await fails_alike(binary, [f"-{flag}={path}"], tmp_path)

"""Child processes that cannot outlive the tests.

They are killed when their block is left, and by the kernel when the test process dies in any
other way: ``setpriv --pdeathsig`` binds them to the thread that starts them, so they are started
from the main thread and not by ``trio.lowlevel.open_process``, which uses a worker thread that
ends when idle.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


class Child:
    """A running process whose standard output and error go to one file.

    Args:
      process: the process, leader of its own process group.
      output_path: where it writes.
    """

    def __init__(self, process: subprocess.Popen[bytes], output_path: Path) -> None:
        self.process = process
        self.output_path = output_path

    @property
    def output(self) -> str:
        """Everything written so far."""
        return self.output_path.read_text(errors="replace")

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative signal number when a signal ended it."""
        return self.process.poll()

    def stop(self) -> None:
        """Stop it where it stands (SIGSTOP), until `resume`."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it abruptly, with its children, and take its status.  Idempotent."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)


@contextmanager
def child(command: Sequence[str], *, output_path: Path, cwd: Path) -> Iterator[Child]:
    """Run ``command`` for the length of the block."""
    setpriv = shutil.which("setpriv")
    bound = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
    with output_path.open("ab") as output:
        process = subprocess.Popen(
            [*bound, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            start_new_session=True,
        )
    running = Child(process, output_path)
    try:
        yield running
    finally:
        running.kill()

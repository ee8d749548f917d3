"""A real kernel, driven cell by cell; every wait has a limit.

The kernel, and the IPython of the terminal, are those of this environment, or of the one that
TRIOSERF_KERNEL_PYTHON names: a Python that has another ipykernel, and trioserf.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import attrs
import trio
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_core.utils import ensure_event_loop

T = TypeVar("T")

KERNEL_PYTHON = os.environ.get("TRIOSERF_KERNEL_PYTHON", sys.executable)
CELL_SECONDS = 30.0


def kernel_manager() -> KernelManager:
    """A manager for kernels that run in `KERNEL_PYTHON`."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder) / "chosen"
        chosen.mkdir()
        command = [KERNEL_PYTHON, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": command, "display_name": "chosen", "language": "python"}
        (chosen / "kernel.json").write_text(json.dumps(spec))
        specs = KernelSpecManager(kernel_dirs=[folder], ensure_native_kernel=False)
        manager = KernelManager(kernel_name="chosen", kernel_spec_manager=specs)
        assert manager.kernel_spec is not None, "read while its folder is there"
    return manager


@attrs.define
class Outcome:
    """What a cell did: printed text, errors shown, result texts, displays that may change,
    and the reply's status.
    """

    text: str = ""
    errors: str = ""
    result: str = ""
    html: str = ""
    status: str = ""
    seconds: float = 0.0
    displays: set[str] = attrs.field(factory=set)


class Kernel:
    """One kernel with a blocking client."""

    def __init__(self) -> None:
        self.manager = kernel_manager()
        self.manager.start_kernel(extra_arguments=["--HistoryManager.enabled=False"])
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def start(self, code: str) -> str:
        """Send a cell without waiting for it; returns its message id."""
        return str(self.client.execute(code))

    def begin(self, code: str) -> str:
        """Send a cell that prints "begun", and wait until it did; returns its message id."""
        message, found = self.start(code), Outcome()
        deadline = time.monotonic() + CELL_SECONDS
        while "begun" not in found.text:
            answer = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            if answer["parent_header"].get("msg_id") == message:
                self._take(answer, found)
        return message

    def finish(self, message: str, seconds: float = CELL_SECONDS) -> Outcome:
        """Wait until the cell of ``message`` is done."""
        began, found = time.monotonic(), Outcome()
        deadline = began + seconds
        while True:
            answer = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            if answer["parent_header"].get("msg_id") != message:
                continue
            if self._take(answer, found):
                break
        reply = self.client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
        while reply["parent_header"].get("msg_id") != message:
            reply = self.client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
        found.status = reply["content"]["status"]
        found.seconds = time.monotonic() - began
        return found

    def run(self, code: str, seconds: float = CELL_SECONDS) -> Outcome:
        """Run a cell to its end."""
        return self.finish(self.start(code), seconds)

    def later(self, message: str, seconds: float) -> str:
        """Text that arrives under the cell of ``message`` within ``seconds``."""
        found, deadline = Outcome(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                answer = self.client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                continue
            if answer["parent_header"].get("msg_id") == message:
                self._take(answer, found)
        return found.text + found.errors

    def updates_of(self, shown: Outcome, seconds: float) -> str:
        """Everything that a display of ``shown`` was replaced by within ``seconds``.

        A front end goes by the identity of the display; the message may be a child of
        whichever cell ran last (ipykernel 6).
        """
        found, deadline = Outcome(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                answer = self.client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                continue
            transient = answer["content"].get("transient", {})
            if transient.get("display_id") in shown.displays:
                self._take(answer, found)
        return found.html

    def drain(self, message: str) -> None:
        """Wait for the reply to a cell whose output was read elsewhere."""
        while self.client.get_shell_msg(timeout=CELL_SECONDS)["parent_header"]["msg_id"] != message:
            continue

    def end(self, *, restart: bool) -> None:
        """Shut the kernel down as front ends do, or restart it."""
        if restart:
            self.manager.restart_kernel(now=False)
        else:
            self.manager.shutdown_kernel(now=False)

    def interrupt(self) -> None:
        """Press the stop button."""
        pid = self.manager.provisioner.pid  # type: ignore[union-attr]
        os.kill(pid, signal.SIGINT)

    @staticmethod
    def _take(answer: dict[str, Any], found: Outcome) -> bool:
        content = answer["content"]
        match answer["msg_type"]:
            case "stream" if content["name"] == "stdout":
                found.text += content["text"]
            case "stream":
                found.errors += content["text"]
            case "error":
                found.errors += f"{content['ename']}: {content['evalue']}\n"
            case "execute_result" | "display_data" | "update_display_data":
                found.result += content["data"].get("text/plain", "")
                found.html += content["data"].get("text/html", "")
                if "display_id" in (transient := content.get("transient", {})):
                    found.displays.add(transient["display_id"])
            case "status":
                return bool(content["execution_state"] == "idle")
        return False


class KernelThread:
    """A kernel for tests on trio: its client, which lives on asyncio, has a thread of its own."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "kernel")
        self._kernel: Kernel

    async def do(self, fn: Callable[[Kernel], T]) -> T:
        """Call ``fn`` with the kernel, in its thread."""
        return await trio.to_thread.run_sync(
            self._thread.submit(lambda: fn(self._kernel)).result, abandon_on_cancel=True
        )

    def _open(self) -> None:
        self._kernel = Kernel()

    def _close(self) -> None:
        self._kernel.client.stop_channels()
        self._kernel.manager.shutdown_kernel(now=True)
        self._kernel.client.context.destroy(linger=0)
        self._kernel.manager.context.destroy(linger=0)
        ensure_event_loop().close()  # jupyter_client's own, one for each thread

    @classmethod
    @contextmanager
    def run(cls) -> Iterator[KernelThread]:
        """One kernel for the length of the block."""
        thread = cls()
        thread._thread.submit(thread._open).result()
        try:
            yield thread
        finally:
            thread._thread.submit(thread._close).result()
            thread._thread.shutdown()


@contextmanager
def kernel() -> Iterator[Kernel]:
    """A kernel for the length of the block; it is gone afterwards, whatever happens."""
    running = Kernel()
    try:
        yield running
    finally:
        running.client.stop_channels()
        running.manager.shutdown_kernel(now=True)

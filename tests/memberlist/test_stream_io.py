"""Where CPU-bound work is done."""

import threading

import trio

from trioserf._memberlist.stream_io import run_cpu_bound
from trioserf._wire.limits import THREAD_THRESHOLD
from trioserf.testing.determinism import threads_in_place


def test_heavy_work_goes_to_a_thread_and_light_work_does_not():
    async def main():
        here = threading.current_thread()
        assert here is await run_cpu_bound(threading.current_thread, THREAD_THRESHOLD - 1)
        assert here is not await run_cpu_bound(threading.current_thread, THREAD_THRESHOLD)
        assert here is not await run_cpu_bound(threading.current_thread, THREAD_THRESHOLD)

    trio.run(main)


async def test_in_a_simulation_no_thread_lets_time_run_away(autojump_clock):
    here = threading.current_thread()
    with threads_in_place(), trio.fail_after(1):
        assert here is await run_cpu_bound(threading.current_thread, THREAD_THRESHOLD)

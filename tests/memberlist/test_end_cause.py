"""What is raised in place of the group that a nursery made."""

from __future__ import annotations

import pytest
import trio

from trioserf._exceptions import SerfInternalError
from trioserf._memberlist.end_cause import end_cause, end_of_block, leaf


def test_the_first_single_exception_of_a_group_is_found_at_any_depth() -> None:
    first = KeyError("x")
    assert first is leaf(first)
    assert first is leaf(ExceptionGroup("", [ExceptionGroup("", [first]), ValueError()]))


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_comes_before_a_crash(interrupt: BaseException) -> None:
    group = BaseExceptionGroup("", [ValueError(), BaseExceptionGroup("", [interrupt])])
    assert interrupt is end_cause(group, "a task")


def test_a_crash_is_an_internal_error_with_the_crashes_as_its_cause() -> None:
    crash = ValueError("x")
    error = end_cause(BaseExceptionGroup("", [crash]), "a task of 'a'")
    assert isinstance(error, SerfInternalError)
    assert "a task of 'a' crashed: ValueError('x')" == str(error)
    assert isinstance(error.__cause__, BaseExceptionGroup)
    assert (crash,) == error.__cause__.exceptions


async def test_a_cancellation_is_what_is_left() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled) as caught:
            await trio.lowlevel.checkpoint()
    cancelled = caught.value
    assert cancelled is end_cause(BaseExceptionGroup("", [cancelled]), "a task")
    both = BaseExceptionGroup("", [cancelled, ValueError()])
    assert isinstance(end_cause(both, "a task"), SerfInternalError)


CLOSED = trio.ClosedResourceError("this node was closed while it joined")
MINE = ValueError("mine")


@pytest.mark.parametrize(
    ("raised", "errors", "expected"),
    [
        (None, [KeyboardInterrupt()], KeyboardInterrupt),
        (MINE, [RuntimeError()], ValueError),
        (MINE, [KeyboardInterrupt()], KeyboardInterrupt),
        (MINE, [RuntimeError(), SystemExit(3)], SystemExit),
        (CLOSED, [KeyboardInterrupt()], KeyboardInterrupt),
        (CLOSED, [RuntimeError()], SerfInternalError),
    ],
)
def test_the_block_comes_first_but_for_ctrl_c_and_what_a_crash_did_to_it(
    raised: BaseException | None, errors: list[BaseException], expected: type[BaseException]
) -> None:
    cause = end_of_block(raised, BaseExceptionGroup("tasks", errors), "a task")
    assert expected is type(cause)
    assert cause is raised or raised is cause.__context__


async def test_a_cancellation_alone_hides_nothing_that_the_block_raised() -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        with pytest.raises(trio.Cancelled) as caught:
            await trio.lowlevel.checkpoint()
    group = BaseExceptionGroup("tasks", [caught.value])
    assert CLOSED is end_of_block(CLOSED, group, "a task")
    assert caught.value is end_of_block(None, group, "a task")

"""Runs foreign code under a time budget, so that a hang costs one answer and not the server.

The code runs in a spare thread while the caller waits. When the budget is used up
the caller goes on with an error and the thread is told to stop: Python code stops
at its next step, code stuck inside the operating system when that returns. The
thread is never used again. Waking another thread costs more than most hooks do, so
several that follow each other share one.
"""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class DeadlineExceeded(Exception):
    """The code did not come back within its budget."""

    def __init__(self, seconds: float) -> None:
        """Remember the budget that was given."""
        self.seconds = seconds
        super().__init__(f"did not answer within {seconds:g} seconds")


class ExitedEarly(Exception):
    """The code tried to end the process, as `sys.exit()` does."""


class _Abandoned(SystemExit):
    """Raised inside an abandoned thread; `SystemExit` ends a thread without a traceback."""


class _Call:
    """Functions to run one after the other, and where their end is told."""

    __slots__ = ("began", "error", "finished", "functions")

    def __init__(self, functions: Sequence[Callable[[], object]]) -> None:
        self.functions = functions
        self.began = time.monotonic()
        self.error: BaseException | None = None
        self.finished = threading.Lock()
        self.finished.acquire()

    def run(self) -> None:
        try:
            for function in self.functions:
                self.began = time.monotonic()
                function()
        except BaseException as error:  # noqa: BLE001  SystemExit of foreign code is a failure too
            self.error = error
        finally:
            self.finished.release()


class _Spare(threading.Thread):
    """A thread that runs one call after another until it is abandoned."""

    def __init__(self) -> None:
        super().__init__(name="guanxi-hook", daemon=True)
        self.calls: SimpleQueue[_Call] = SimpleQueue()
        self.start()

    def run(self) -> None:
        while True:
            self.calls.get().run()

    def abandon(self) -> None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self.ident or 0), ctypes.py_object(_Abandoned)
        )


_spares: list[_Spare] = []
# A forked process inherits the list but not the threads.
os.register_at_fork(after_in_child=_spares.clear)


def run_within(seconds: float, function: Callable[[], T]) -> T:
    """Return what `function` returns, or raise what it raises, within `seconds`.

    Raises:
        DeadlineExceeded: it has not come back; its thread is abandoned.
        ExitedEarly: it tried to end the process.
    """
    answers: list[T] = []
    run_each_within(seconds, [lambda: answers.append(function())])
    return answers[0]


def run_each_within(seconds: float, functions: Sequence[Callable[[], object]]) -> None:
    """Run functions one after the other, each within `seconds`; what one raises ends it.

    Raises:
        DeadlineExceeded: one has not come back; its thread is abandoned.
        ExitedEarly: one tried to end the process.
    """
    try:
        spare = _spares.pop()
    except IndexError:
        spare = _Spare()
    call, left = _Call(functions), seconds
    spare.calls.put(call)
    while not call.finished.acquire(timeout=left):
        left = call.began + seconds - time.monotonic()
        if left <= 0:
            spare.abandon()
            raise DeadlineExceeded(seconds)
    _spares.append(spare)
    if call.error is not None:
        if not isinstance(call.error, Exception):
            raise ExitedEarly(type(call.error).__name__) from call.error
        raise call.error

"""Processes of the product for tests: real ones, but the imports are made only once.

Starting Python and importing the product costs more than a second of CPU, most commands
themselves a tenth of that. So one helper process imports the product and every process
that a test asks for is a fork of it: with a number, an environment, streams and an exit
status of its own, and to be killed like any other.
"""

import io
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import IO, Any, Self

from core.settings import ROOT

_IMPORTED = [
    "core.cli", "core.app", "core.demo.till", "granian.server", "psycopg", "core.testing.warmth",
]  # fmt: skip

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(_IMPORTED)


def guanxi(*arguments: str) -> None:
    """Be the command line."""
    from core.cli import main  # noqa: PLC0415  in the process that it is

    main(list(arguments), prog_name="guanxi")


class Program:
    """A function that runs in a process of its own; a context manager that ends it.

    Attributes:
        pid: the number of the process.
    """

    def __init__(
        self,
        function: Callable[..., None],
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        streams: Sequence[IO[Any] | int | None] = (),
        new_group: bool = False,
    ) -> None:
        """Start it.

        Args:
            function: a function of a module, called with `arguments`.
            arguments: texts.
            environ: its whole environment; this process's own without it.
            streams: files or descriptors for its input, output and errors; None for nothing.
            new_group: whether it leads a process group, so that all it starts can be killed.
        """
        whole = dict(os.environ if environ is None else environ)
        given = [_sendable(each) for each in (*streams, None, None, None)[:3]]
        self._process = _forks.Process(
            target=_be, args=(function, arguments, whole, given, new_group)
        )
        try:
            self._process.start()
        finally:
            for each in filter(None, given):
                each.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return its exit status, negative after a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float = 60) -> int:
        """Wait for its end and return the exit status.

        Raises:
            TimeoutError: it still runs.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            msg = f"process {self.pid} still runs after {timeout} seconds"
            raise TimeoutError(msg)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, as `kill -9` does, and wait for that."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def __enter__(self) -> Self:
        """Return the running program."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, politely first."""
        self.send_signal(signal.SIGTERM)
        try:
            self.wait(30)
        except TimeoutError:
            self.kill()
            raise


class Talking(Program):
    """A program that is told lines and says lines while it runs.

    Attributes:
        told: where to write what it reads; closing it is the end of its input.
        heard: where to read what it says.
    """

    def __init__(self, function: Callable[..., None], *arguments: str) -> None:
        """Start it in this process's environment."""
        theirs, told = os.pipe()
        heard, out = os.pipe()
        self.told, self.heard = os.fdopen(told, "w"), os.fdopen(heard)
        try:
            super().__init__(function, *arguments, streams=(theirs, out, 2))
        finally:
            os.close(theirs)
            os.close(out)

    def close(self) -> None:
        """Kill it if it still runs."""
        self.kill()
        self.told.close()
        self.heard.close()


class Recorded(Program):
    """A program that reads a text and whose output and errors are kept."""

    def __init__(
        self,
        function: Callable[..., None],
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        stdin: str = "",
    ) -> None:
        """Start it with `stdin` as its input."""
        self._files = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115  closed by `finish`
        self._files[0].write(stdin.encode())
        self._files[0].seek(0)
        super().__init__(function, *arguments, environ=environ, streams=self._files)

    def finish(self, timeout: float = 300) -> tuple[int, str, str]:
        """Wait for its end; return the exit status, the output and the errors."""
        code = self.wait(timeout)
        texts = []
        for file in self._files:
            file.seek(0)
            texts.append(file.read().decode())
            file.close()
        return code, texts[1], texts[2]


def ran(
    *arguments: str, environ: Mapping[str, str] | None = None, stdin: str = ""
) -> tuple[int, str, str]:
    """Run a `guanxi` command; return its exit status, its output and its errors."""
    return Recorded(guanxi, *arguments, environ=environ, stdin=stdin).finish()


def _sendable(stream: IO[Any] | int | None) -> "Connection[Any, Any] | None":
    """Return what `multiprocessing` knows how to hand to another process."""
    if stream is None:
        return None
    return Connection(os.dup(stream if isinstance(stream, int) else stream.fileno()))


def _be(
    function: Callable[..., None],
    arguments: Sequence[str],
    environ: Mapping[str, str],
    given: Sequence["Connection[Any, Any] | None"],
    new_group: bool,
) -> None:
    """Become the program: its group, folder, environment and streams, then its work."""
    if new_group:
        os.setsid()
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    for number, stream in enumerate(given):
        source = os.open(os.devnull, os.O_RDWR) if stream is None else stream.fileno()
        os.dup2(source, number)
        if stream is None:
            os.close(source)
        else:
            stream.close()
    sys.stdin = _text_stream(0, "r")
    sys.stdout = _text_stream(1, "w")
    sys.stderr = _text_stream(2, "w")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    function(*arguments)


def _text_stream(number: int, mode: str) -> io.TextIOWrapper:
    waits = number == 1 and not os.isatty(number)
    raw = open(number, f"{mode}b", closefd=False)  # noqa: SIM115  lives as long as the process
    return io.TextIOWrapper(raw, "utf-8", line_buffering=not waits)

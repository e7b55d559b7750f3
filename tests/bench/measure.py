"""Timing of repeated operations, and the table that shows it."""

import io
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table.

    Attributes:
        limit: what must be reached, as a person reads it; empty where nothing is promised.
        is_met: whether it was.
    """

    database: str
    operation: str
    per_second: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_ms: float = 0.0
    note: str = ""
    limit: str = ""
    is_met: bool = True


def repeat(operation: Callable[[int], Any], times: int, *, warm_up: int = 20) -> dict[str, Any]:
    """Call `operation` with 0, 1, 2 … and return its figures; CPU is this process's alone."""
    for number in range(warm_up):
        operation(-1 - number)
    walls = []
    cpu = time.process_time()
    start = time.perf_counter()
    for number in range(times):
        begin = time.perf_counter()
        operation(number)
        walls.append(time.perf_counter() - begin)
    total = time.perf_counter() - start
    cpu = time.process_time() - cpu
    walls.sort()
    return {
        "per_second": times / total,
        "p50_ms": walls[times // 2] * 1000,
        "p99_ms": walls[min(times - 1, times * 99 // 100)] * 1000,
        "cpu_ms": cpu / times * 1000,
    }


class Caller:
    """Calls a WSGI application without a server and without a client's own cost."""

    def __init__(self, application: Callable[..., Iterable[bytes]], token: str) -> None:
        """Call `application` as the owner of `token`."""
        self._application = application
        self._token = token

    def __call__(
        self, method: str, path: str, *, query: str = "", body: Any = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Return status, body and headers of one request."""
        data = b"" if body is None else msgspec.json.encode(body)
        answer: list[Any] = []

        def start(status: str, lines: list[tuple[str, str]], _error: object = None) -> None:
            answer[:] = [int(status[:3]), dict(lines)]

        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost",
            "HTTP_ACCEPT": "application/json",
            "HTTP_AUTHORIZATION": f"Bearer {self._token}",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(data),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
        chunks = self._application(environ, start)
        content = b"".join(chunks)
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        return answer[0], content, answer[1]


def proportional_memory(pid: int) -> float:
    """Return MiB (PSS) of a process and all below it: shared pages are counted once."""
    total, queue = 0, [pid]
    while queue:
        process = queue.pop()
        folder = Path("/proc") / str(process)
        try:
            for line in (folder / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
            for task in (folder / "task").iterdir():
                queue += map(int, (task / "children").read_text().split())
        except FileNotFoundError:
            continue  # it ended meanwhile
    return total / 1024


def own_memory() -> float:
    """Return this process's own resident memory in MiB.

    Pages of the database that are mapped are the page cache's: they grow with what was
    read and are given back when anybody needs memory.
    """
    status = Path("/proc/self/status").read_text("ascii")
    (kibibytes,) = re.findall(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kibibytes) / 1024


def table(results: Iterable[Result]) -> str:
    """Return the results as aligned text."""
    heads = ("database", "operation", "ops/s", "p50 ms", "p99 ms", "CPU ms", "must reach", "", "")
    lines = [heads] + [
        (
            one.database,
            one.operation,
            f"{one.per_second:,.0f}" if one.per_second else "",
            f"{one.p50_ms:.2f}" if one.p50_ms else "",
            f"{one.p99_ms:.2f}" if one.p99_ms else "",
            f"{one.cpu_ms:.3f}" if one.cpu_ms else "",
            one.limit,
            ("ok" if one.is_met else "MISSED") if one.limit else "",
            one.note,
        )
        for one in results
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if 1 < column < 6 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def as_json(results: Iterable[Result]) -> bytes:
    """Return the results as a JSON list."""
    return msgspec.json.format(msgspec.json.encode([asdict(one) for one in results]))

"""What bulk work costs: expressions, import, publishing over many rows."""

import csv
import lzma
import os
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Self
from zoneinfo import ZoneInfo

from core.cli.console import open_services, system_context
from core.db import Database
from core.demo.loading import FOLDER, SALES, load_base
from core.expression import Scope, Type, compile_expression
from core.records.importing import run_import
from core.records.mapping import load_mapping
from core.tables.registry import Registries
from tests.bench.measure import Result, own_memory
from tests.bench.site import guanxi

RULE = "amount >= 100 and tier in ['gold', 'diamond'] and birthday_month == month"


class _Env:
    """An environment for an expression that asks for nothing."""

    today, now, user, zone = (
        date(2026, 1, 2),
        datetime(2026, 1, 2, tzinfo=UTC),
        "1",
        ZoneInfo("UTC"),
    )


def expressions() -> Iterator[Result]:
    """Evaluate a rule of three conditions on rows that differ."""
    scope = Scope(
        fields={
            "amount": Type("number"),
            "month": Type("number"),
            "birthday_month": Type("number"),
            "tier": Type("choice", options=frozenset({"plain", "gold", "diamond"})),
        }
    )
    rule = compile_expression(RULE, scope, expect="boolean")
    rows = [
        {
            "amount": Decimal(90 + n),
            "tier": "gold",
            "birthday_month": Decimal(n % 3),
            "month": Decimal(1),
        }
        for n in range(100)
    ]
    env: Any = _Env()
    evaluate, times = rule.evaluate, 3000
    begin = time.process_time()
    for _ in range(times):
        for row in rows:
            evaluate(row, env)
    rate = times * 100 / (time.process_time() - begin)
    yield Result(
        "",
        "expression of three conditions",
        per_second=rate,
        cpu_ms=1000 / rate,
        limit="500,000/s",
        is_met=rate >= 500_000,
    )


def importing(database: str, environ: Mapping[str, str], folder: Path) -> Iterator[Result]:
    """Import order lines, once as they are and once four times as many."""
    os.environ.update(environ)
    services = open_services()
    ctx = system_context(services)
    ctx.door = "import"
    load_base(ctx)

    def run(name: str, path: Path) -> tuple[float, int]:
        mapping = load_mapping((FOLDER / f"{name}.yaml").read_text("utf-8"), f"{name}.yaml")
        begin = time.process_time()
        report = run_import(ctx, name, path, mapping=mapping)
        assert report.is_clean, report.problems[:3]
        return time.process_time() - begin, report.rows

    for name in ("product", "member"):
        run(name, SALES)
    begin = time.perf_counter()
    seconds, lines = run("order", SALES)
    wall = time.perf_counter() - begin
    small = own_memory()
    yield Result(
        database,
        "import of validated order lines with history",
        per_second=lines / seconds,
        cpu_ms=seconds / lines * 1000,
        note=f"{lines / wall:,.0f}/s by the clock; per CPU second at left",
        limit="8,000/s" if database == "sqlite" else "",
        is_met=lines / seconds >= 8000,
    )
    run("order", _four_times(folder))
    grown = own_memory() - small
    yield Result(
        database,
        "  memory grown by a file four times as long",
        note=f"{grown:.1f} MiB",
        limit="30 MiB",
        is_met=grown <= 30,
    )
    services.db.dispose()


def _four_times(folder: Path) -> Path:
    path = folder / "four_times.csv"
    with (
        lzma.open(SALES, "rt", encoding="utf-8", newline="") as source,
        path.open("w", newline="") as out,
    ):
        reader, writer = csv.reader(source), csv.writer(out)
        writer.writerow(next(reader))
        rows = list(reader)
        for copy in range(4):
            for row in rows:
                row[0] = (
                    f"{row[0][0]}{copy}{row[0][1:]}" if row[0][0] == "C" else f"{copy}{row[0]}"
                )
                writer.writerow(row)
                row[0] = row[0].replace(str(copy), "", 1)
    return path


def publishing(database: str, environ: Mapping[str, str], folder: Path) -> Iterator[Result]:
    """Publish one more field on a table of a million rows while readers read."""
    os.environ.update(environ)
    services = open_services()
    path = folder / "bench_member.yaml"
    text = (Path(__file__).parent / "bench_member.yaml").read_text("utf-8")
    more = "  - {id: b_21, name: wechat, type: text}\nchecks:"
    path.write_text(text.replace("checks:", more), "utf-8")
    with _Reader(services.db, services.registries) as reader:
        said = guanxi(environ, "schema", "apply", str(path))
    seconds = float(said.split()[-2])
    assert services.registries.current().record_type("bench_member").field("wechat")
    yield Result(
        database,
        "publish a field on 1,000,000 rows",
        note=f"{seconds:.2f} s",
        limit="1 s",
        is_met=seconds <= 1,
    )
    longest = max(reader.waits)
    yield Result(
        database,
        "  the longest that a reader waited",
        note=f"{longest * 1000:.0f} ms",
        limit="200 ms",
        is_met=longest <= 0.2,
    )
    services.db.dispose()


class _Reader:
    """Reads pages in a thread of its own and notes how long each took."""

    def __init__(self, db: Database, registries: Registries) -> None:
        self.waits: list[float] = []
        self._db, self._registries = db, registries
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        time.sleep(0.5)
        self.waits.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _read(self) -> None:
        while not self._stop.is_set():
            begin = time.perf_counter()
            table = self._registries.current().tables["bench_member"].main
            with self._db.read() as connection:
                connection.execute(table.select().limit(50)).all()
            self.waits.append(time.perf_counter() - begin)
            time.sleep(0.005)

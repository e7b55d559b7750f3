"""What the audit queue costs with a million open seats and ten thousand people."""

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.security.services import EXTENSION
from core.workflow import inbox
from tests.bench.measure import Caller, Result, repeat
from tests.bench.queuefill import POOLS, SEATS, fill_people, fill_queue
from tests.bench.requests import application, ok
from tests.bench.site import HERE, PASSWORD, guanxi

ROOT = HERE.parents[1]

#: Pools of somebody with much to do.
_HEAVY = 5
#: How each page of the queue is asked for.
_PAGES = {
    "the oldest first": "",
    "the next page": "after",
    "by deadline": "sort=due_at",
    "by urgency": "sort=-priority",
    "of one initiator": "initiator=1000123",
}


def flows(database: str, environ: Mapping[str, str], folder: Path) -> Iterator[Result]:
    """Measure the queue, decisions, sweeps and bulk approvals on one database."""
    _declare(environ, folder / "flow_schema")
    pools = [f"bench_pool_{number:02}" for number in range(_HEAVY)]
    guanxi(environ, "user", "add", "bench_heavy", *(w for pool in pools for w in ("--role", pool)))
    app = application(environ)
    services = app.extensions[EXTENSION]
    begin = time.perf_counter()
    fill_people(services.db)
    fill_queue(services.db, services.registries.current().release.flows["bench_request_release"])
    seconds = time.perf_counter() - begin
    yield Result(database, f"write {SEATS:,} open seats", note=f"{seconds:.0f} s")
    yield from _pages(database, _signed_in(app, "bench_heavy"))
    services.db.dispose()


def _declare(environ: Mapping[str, str], folder: Path) -> None:
    """Apply the bench's document and flow, and a role for every pool beside the shipped ones."""
    shutil.copytree(HERE / "flow_schema", folder)
    shipped = (ROOT / "schemas" / "roles.yaml").read_text("utf-8")
    pools = "".join(f"  - {{name: bench_pool_{number:02}}}\n" for number in range(POOLS))
    (folder / "bench_roles.yaml").write_text(
        shipped.replace("roles:\n", f"roles:\n{pools}", 1), "utf-8"
    )
    guanxi(environ, "schema", "apply", str(folder))
    guanxi(environ, "init")  # which makes the roles


def _signed_in(app: Any, name: str) -> Caller:
    body = {"username": name, "password": PASSWORD, "provider": "db"}
    answer = ok(Caller(app, "")("POST", "/api/v1/security/login", body=body))
    return Caller(app, answer["access_token"])


def _pages(database: str, caller: Caller) -> Iterator[Result]:
    """Measure pages of 50 and the counts of all boxes."""
    place = "/api/v1/tasks"
    first = ok(caller("GET", place))
    assert len(first["items"]) == inbox.PAGE
    for title, wanted in _PAGES.items():
        query = f"after={first['next']}" if wanted == "after" else wanted

        def page(_number: int, query: str = query) -> None:
            status, answer, _ = caller("GET", place, query=f"{query}&counts=false")
            assert status == 200, answer
            assert b'"items":[{' in answer, "the page is empty"

        costs = repeat(page, 200)
        yield Result(
            database,
            f"inbox of {SEATS:,} open seats, {title}",
            **costs,
            limit="10 ms CPU, 60 ms p99",
            is_met=costs["cpu_ms"] <= 10 and costs["p99_ms"] <= 60,
        )
    costs = repeat(lambda _number: ok(caller("GET", place, query="limit=1")), 100)
    yield Result(
        database,
        "inbox counts of all boxes",
        **costs,
        limit="20 ms",
        is_met=costs["p50_ms"] <= 20,
    )

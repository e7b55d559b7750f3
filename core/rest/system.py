"""What operators and load balancers ask: is it alive, is it ready, how is it doing."""

import os
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response
from sqlalchemy.exc import SQLAlchemyError

from core import __version__
from core.clock import Clock
from core.db import Database
from core.errors import GuanxiError, Unavailable
from core.i18n import N_
from core.jobs import delivery
from core.printing.pdf import printing_state
from core.rest.exchange import respond
from core.security.services import services
from core.security.throttle import login_try

system = Blueprint("system", __name__)

#: A worker that has not been seen for so long is taken for dead.
WORKER_SECONDS = 90


class NotReady(Unavailable):
    """The database or the first release is missing; `params` says which."""

    code = "not_ready"
    text = N_("The server is not ready yet.")


@system.get("/healthz")
def healthz() -> Response:
    """Say that this process answers."""
    return respond({"status": "ok", "version": __version__})


@system.get("/readyz")
def readyz() -> Response:
    """Say whether the database, the release and the worker are there.

    Raises:
        NotReady: requests would fail.
    """
    checks = readiness(services().db, services().clock)
    if checks["database"] != "ok" or not checks["release"]:
        raise NotReady(**checks)
    return respond({"status": "ready", **checks})


def readiness(db: Database, clock: Clock) -> dict[str, Any]:
    """Return the state of each part as plain values."""
    try:
        release = services().registries.current().revision.schema
        with db.read() as connection:
            jobs = delivery.health(connection)
    except (SQLAlchemyError, GuanxiError):
        return {"database": "unavailable", "release": 0, "worker": "unknown"}
    return {
        "database": "ok",
        "release": release,
        "worker": _worker_state(jobs.beat, clock.now()),
        "waiting": jobs.depth,
        "dead": jobs.dead,
        "print": printing_state(),
    }


def _worker_state(beat: datetime | None, now: datetime) -> str:
    if beat is None:
        return "never seen"
    return "running" if (now - beat).total_seconds() < WORKER_SECONDS else "stopped"


@system.get("/metrics")
def metrics() -> Response:
    """Return the figures that Prometheus collects; none of them names a person."""
    own = services()
    checks = readiness(own.db, own.clock)
    lines = [
        *_gauge("guanxi_up", "Whether the database answers.", int(checks["database"] == "ok")),
        *_gauge("guanxi_release", "Number of the schema release in force.", checks["release"]),
        *_gauge(
            "guanxi_worker_up", "Whether a worker delivers.", int(checks["worker"] == "running")
        ),
    ]
    if checks["database"] == "ok":
        lines += _gauge("guanxi_outbox_waiting", "Events not delivered yet.", checks["waiting"])
        lines += _gauge("guanxi_outbox_dead", "Events given up after all retries.", checks["dead"])
        lines += _gauge(
            "guanxi_login_failures", "Failed sign-ins of late.", _login_failures(own.db)
        )
    lines += _gauge(
        "guanxi_process_seconds_total", "CPU seconds of this process.", _cpu(), "counter"
    )
    return Response("\n".join(lines) + "\n", mimetype="text/plain; version=0.0.4")


def _login_failures(db: Database) -> int:
    with db.read() as connection:
        return int(
            connection.execute(sa.select(sa.func.count()).select_from(login_try)).scalar_one()
        )


def _cpu() -> float:
    times = os.times()
    return round(times.user + times.system, 3)


def _gauge(name: str, text: str, value: float, kind: str = "gauge") -> Iterable[str]:
    return f"# HELP {name} {text}", f"# TYPE {name} {kind}", f"{name} {value}"

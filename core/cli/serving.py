"""`guanxi serve` and `guanxi worker`.

One process loads everything, then forks the workers, so that they share its
memory. The web server is granian: in a keep-alive measurement it cost 0.6 ms CPU
for an empty request where gunicorn's threads cost 0.9 and waitress 1.0.
"""

import gc
import multiprocessing
import os
import signal
import socket
import sys
import threading
from dataclasses import replace
from multiprocessing.util import Finalize
from typing import Any

import click
from flask import Flask

from core.automation.sending import Sender
from core.cli.console import (
    NOT_INSTALLED,
    Refusal,
    open_app,
    open_services,
    refusing,
    system_context,
)
from core.context import Context
from core.jobs.worker import Worker
from core.logs import to_stderr
from core.security.services import EXTENSION, Services

#: Requests that one process works on at once; more only wait for each other's CPU.
_THREADS = 4
_KILL_SECONDS = 15

_served: Flask | None = None
_with_worker = True


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64))
@click.option("--no-worker", is_flag=True, help="Leave jobs to `guanxi worker` processes.")
@refusing
def serve(host: str, port: int, workers: int, *, no_worker: bool) -> None:
    """Serve the product; one of the processes also delivers jobs."""
    global _served, _with_worker
    from granian.constants import Interfaces  # noqa: PLC0415  slow
    from granian.log import LogLevels  # noqa: PLC0415  slow
    from granian.server import Server  # noqa: PLC0415  slow

    to_stderr()
    _require_free(host, port)
    _served, _with_worker = open_app(), not no_worker
    services: Services = _served.extensions[EXTENSION]
    if not services.registries.current().release.number:
        raise Refusal(NOT_INSTALLED)
    services.db.dispose()
    if sys.platform != "win32" and "fork" in multiprocessing.get_all_start_methods():
        multiprocessing.set_start_method("fork", force=True)
    gc.collect()
    gc.freeze()
    click.echo(f"Guanxi serves http://{host}:{port}/\n{_how_to_sign_in(services)}")
    Server(
        "core.cli.serving",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=_THREADS,
        websockets=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_KILL_SECONDS,
        log_level=LogLevels.warning,
    ).serve(target_loader=load_served, wrap_loader=False)


def _require_free(host: str, port: int) -> None:
    """Refuse an address that is taken or none of ours.

    Every process of the server shares its port, so a second server would share it
    too, unnoticed.

    Raises:
        Refusal: with the system's reason.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Refusal(f"Nothing can be served at {host}:{port}: {error.strerror}.") from error


def _how_to_sign_in(services: Services) -> str:
    demo_users = services.settings.home / "demo-users.txt"
    if demo_users.exists():
        return f"Sign in as clerk, approver or cashier with the passwords in {demo_users}"
    return "Sign in as admin with the password that `guanxi init` printed once."


def load_served(*_: Any) -> Flask:
    """Return the application in a serving process, with its job worker started."""
    app = _served or open_app()
    if _with_worker:
        worker = _worker_of(app.extensions[EXTENSION], elected=True)
        sender = _sender_of(app.extensions[EXTENSION])
        worker.start()
        sender.start()
        Finalize(None, worker.stop, exitpriority=10)
        Finalize(None, sender.stop, exitpriority=10)
    return app


def _worker_of(services: Services, *, elected: bool) -> Worker:
    locale = services.settings.site_locale

    def make_context() -> Context:
        return replace(system_context(services), locale=locale)

    return Worker(services.db, make_context, elected=elected)


def _sender_of(services: Services) -> Sender:
    return Sender(services.settings, services.db, services.registries, services.clock)


@click.command()
@refusing
def worker() -> None:
    """Deliver jobs until it is told to stop."""
    to_stderr()
    services = open_services()
    if not services.registries.current().release.number:
        raise Refusal(NOT_INSTALLED)
    delivering, sending = _worker_of(services, elected=False), _sender_of(services)
    done = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: done.set())
    delivering.start()
    sending.start()
    click.echo(f"Delivering jobs, process {os.getpid()}.", err=True)
    done.wait()
    delivering.stop()
    sending.stop()

"""A small shop with automations, a mail server and a web server, for the tests of automations."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from core.actor import SYSTEM, Actor
from core.automation import administration, registering
from core.automation.sending import Sender
from core.clock import FixedClock
from core.context import Context
from core.db import Database
from core.extension.hooks import Hooks
from core.jobs.handlers import Handlers
from core.jobs.worker import Worker
from core.migration.run import Publication, bootstrap, publish
from core.records.operations import create_record, delete_record, update_record
from core.records.queries import get_record
from core.schema.layers import effective
from core.schema.yamlnodes import Source
from core.settings import Mail, Settings
from core.tables.registry import Registries
from core.testing.databases import Prepared
from core.testing.site import free_port
from core.workflow import guard
from core.workflow.queue import notices
from core.workflow.staff.people import STAFF
from core.workflow.staff.roster import Staff
from tests.integration.flow_world import START

ROLES = "roles:\n  - {name: clerk}\n  - {name: robot}\n  - {name: approver}\n  - {name: Admin}\n"

MEMBER = """
record_type: member
label: {zh: 会员, en: Member}
title_field: name
fields:
  - {name: "no", type: text, required: true, unique: true}
  - {name: name, type: text, required: true, max_length: 40}
  - {name: email, type: email}
  - {name: phone, type: phone}
  - {name: level, type: select, default: basic, options: [{value: basic, label: {zh: 普通, en: Basic}}, {value: vip, label: {zh: 贵宾, en: VIP}}]}
  - {name: points, type: integer, default: 0, max: "1000"}
  - {name: credit, type: money}
  - {name: birthday, type: date}
  - {name: seen_at, type: datetime}
  - {name: sponsor, type: link, target: member}
  - {name: pin, type: text, sensitive: secret}
  - name: lines
    type: table
    fields:
      - {name: what, type: text}
      - {name: amount, type: money}
  - {name: total, type: rollup, of: lines, take: amount, how: sum}
checks:
  - {check: "points is empty or points >= 0", message: {zh: 积分不能为负, en: Points cannot be negative}, fields: [points]}
policies:
  - {name: staff, who: {role: [clerk, Admin]}, actions: ["*"]}
  - {name: robot, who: {role: robot}, actions: [view, edit], rows: "level == 'basic' or level == 'vip'", fields: {view: ["no", name, level, points, lines, total], edit: [level, points]}}
"""

VISIT = """
record_type: visit
label: {zh: 回访, en: Visit}
title_field: subject
fields:
  - {name: subject, type: text, required: true}
  - {name: member, type: link, target: member}
  - {name: due, type: date}
  - {name: cost, type: money}
policies:
  - {name: staff, who: {role: [clerk, robot, Admin]}, actions: ["*"]}
"""

OFFER = """
record_type: offer
title_field: name
document: true
fields:
  - {name: name, type: text, required: true}
  - {name: rate, type: rate}
policies:
  - {name: staff, who: {role: [clerk, robot, Admin]}, actions: ["*"]}
  - {name: approvers, who: {role: approver}, actions: ["*"]}
"""

OFFER_FLOW = """
flow: offer_release
version: 1
document: offer
steps:
  - {id: check, type: approve, approvers: {role: approver}, decide: any}
"""

BASE = {
    "roles.yaml": ROLES, "member.yaml": MEMBER, "visit.yaml": VISIT, "offer.yaml": OFFER,
    "offer_flow.yaml": OFFER_FLOW,
}  # fmt: skip

KEY = "a test key of more than thirty-two characters"


def release_of(*automations: str, number: int = 1, base: dict[str, str] = BASE):
    """Return the release of the shop with these automations."""
    files = [Source("core", path, text) for path, text in base.items()]
    files += [Source("core", f"a{n}.yaml", text) for n, text in enumerate(automations)]
    return effective(files, None, number)


def publish_shop(db: Database) -> None:
    """Put the shop in force, without any automation."""
    bootstrap(db)
    publish(db, Publication(release_of(), [], "", SYSTEM, START))


class AutomationWorld:
    """A database with the shop's schema, a clock, and somebody to act."""

    def __init__(self, db: Database, registries: Registries, folder) -> None:
        self.db = db
        self.registries = registries
        self.hooks = Hooks()
        guard.register(self.hooks)
        self.clock = FixedClock(START)
        self.handlers = Handlers()
        notices.register(self.handlers)
        registering.register(self.handlers)
        self.folder = folder
        url = db.url.render_as_string(hide_password=False)
        self.settings = Settings(folder, url, KEY, locale="en")

    def publish(self, *automations: str) -> None:
        """Put the shop with these automations in force."""
        number = self.registries.current().release.number + 1
        release = release_of(*automations, number=number)
        publish(self.db, Publication(release, [], "", SYSTEM, START))

    def ctx(self, role: str = "", **rest: Any) -> Context:
        self.clock.move(timedelta(milliseconds=1))
        actor = Actor(f"u-{role}", role.title(), frozenset({role})) if role else SYSTEM
        return Context.of(self, actor, **rest)

    def create(self, type_name: str = "member", *, door: str = "api", **values: Any) -> str:
        if type_name == "member":
            values = {
                "no": f"M{len(values)}{self.clock.now().timestamp()}",
                "name": "Lin",
            } | values
        return create_record(self.ctx("clerk", door=door), type_name, values)["id"]

    def change(
        self, record_id: str, type_name: str = "member", *, door="api", **values: Any
    ) -> None:
        ctx = self.ctx("clerk", door=door)
        update_record(ctx, type_name, record_id, values, version=None)

    def delete(self, record_id: str, type_name: str = "member") -> None:
        delete_record(self.ctx("clerk"), type_name, record_id, version=None)

    def get(self, record_id: str, type_name: str = "member") -> dict[str, Any]:
        return get_record(self.ctx(), type_name, record_id)

    def deliver(self) -> None:
        """Do everything that is due in the outbox."""
        worker = Worker(self.db, self.ctx, handlers=self.handlers, elected=False)
        worker._clock = self.clock
        while worker.turn():
            self.clock.move(timedelta(milliseconds=1))

    def send(self, **settings: Any) -> None:
        """Send every message that is due."""
        import dataclasses

        made = dataclasses.replace(self.settings, **settings)
        sender = Sender(made, self.db, self.registries, self.clock)
        while sender.turn():
            pass

    def later(self, **by: float) -> None:
        self.clock.move(timedelta(**by))

    def runs(self, **query: Any) -> list[dict[str, Any]]:
        """Return the runs, oldest first, each in full."""
        items = administration.list_runs(self.ctx(), limit=200, **query)["items"]
        return [administration.get_run(self.ctx(), one["id"]) for one in reversed(items)]

    def states(self) -> list[tuple[str, str]]:
        return [(one["automation"], one["state"]) for one in self.runs()]


@pytest.fixture(scope="session")
def automation_database(backend, made_once):
    return made_once(f"automations-{backend}", partial(Prepared, backend, prepare=publish_shop))


@pytest.fixture
def world(automation_database, tmp_path):
    asked = STAFF.asking(lambda _connection, _registry: Staff())
    with automation_database.fresh() as database, asked:
        yield AutomationWorld(database, automation_database.registries(), tmp_path)


class Mailbox:
    """What a local mail server received."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.refuse = ""

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  aiosmtpd's name
        if self.refuse:
            return self.refuse
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def mailbox() -> Iterator[tuple[Mailbox, Mail]]:
    box = Mailbox()
    port = free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, Mail("127.0.0.1", port, "Shop <shop@example.com>")
    controller.stop()


class Receiver:
    """A local web server that keeps what it was sent."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], bytes]] = []
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.status = 200
        self.headers: dict[str, str] = {}
        self.port = 0

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, _, body in self.calls]


@contextmanager
def listening(box: Receiver) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box.calls.append((self.path, dict(self.headers), body))
            if box.answer is not None:
                box.answer(self)
                return
            self.send_response(box.status)
            for name, value in box.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_args: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    box.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    box = Receiver()
    with listening(box):
        yield box

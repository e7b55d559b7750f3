"""Tills whose server is killed: what was acknowledged is stored, nothing twice, all adds up."""

import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from core.cli.verify import verify
from core.ledger.reading import balance
from core.records.idempotency import request
from core.testing.campaigns import IS_NIGHTLY
from core.testing.processes import Program, guanxi
from core.testing.site import free_port, wait_until_ready
from core.till.models import certificate
from tests.integration.till_world import PRODUCTS, fill, line

#: How often the whole server is killed, and how often one of its two workers before that.
LIVES, WORKERS_A_LIFE = (75, 3) if IS_NIGHTLY else (2, 1)
CLIENTS, MEMBERS = 4, 3

GOLD = {"code": "GOLD", "name": "Gold", "default_rate": "0.95", "points_rate": "0.1",
        "identity_multiple": "1", "small_change": True, "small_change_cap": "500.00"}  # fmt: skip

#: What an honest till may be told when another till was quicker with the same card.
MAY_REFUSE = {"points_rules.not_enough", "ledger.insufficient", "card_types.over_cap"}

#: The connection ended before the answer had come.
LOST = (OSError, http.client.HTTPException)


class Busy(Exception):
    """The server asks to be asked again."""


@dataclass(slots=True)
class Asked:
    """One request, to be sent again as it is until it is answered."""

    key: str
    path: str
    body: bytes

    @property
    def change(self) -> Decimal:
        """What a sale puts onto the card, less what it takes from it."""
        body = json.loads(self.body)
        paid = (one for one in body.get("payments", ()) if one["method"] == "small_change")
        return Decimal(body.get("keep_change", 0)) - sum(Decimal(one["amount"]) for one in paid)


@dataclass(slots=True)
class World:
    """What all tills share: the server of the moment, the cards, and what became of requests."""

    token: str
    cards: list[str]
    port: int = 0
    done: threading.Event = field(default_factory=threading.Event)
    sent: dict[str, Asked] = field(default_factory=dict)
    acknowledged: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    found: Counter[str] = field(default_factory=Counter)

    def told(self, asked: Asked, status: int, body: Any) -> None:
        """Note an answer; whatever is neither a sale nor an honest refusal is a failure."""
        if status == 201:
            self.acknowledged[asked.key] = body
        else:
            assert (status, body["code"] in MAY_REFUSE) == (409, True), body
            self.refused[asked.key] = body["code"]


class Till(threading.Thread):
    """Sells and takes back, and asks about or repeats whatever was not answered."""

    def __init__(self, world: World, name: str) -> None:
        super().__init__()
        self.world, self.name = world, name
        self.chance = random.Random(name)
        self.sold: list[str] = []
        self.connection: http.client.HTTPConnection | None = None
        self.broken: AssertionError | None = None

    def run(self) -> None:
        try:
            for number in range(1_000_000):
                if self.world.done.is_set():
                    return
                asked = self.next(f"{self.name}-{number}")
                self.world.sent[asked.key] = asked
                self.settle(asked)
        except AssertionError as error:
            self.broken = error
        finally:
            self.hang_up()

    def next(self, key: str) -> Asked:
        """A return of something sold before, or a sale with points and small change."""
        chance = self.chance
        if self.sold and chance.random() < 0.15:
            order = self.sold.pop(chance.randrange(len(self.sold)))
            method = chance.choice(["cash", "small_change"])
            back = {"lines": [{"line": 1, "quantity": "1"}], "method": method}
            return Asked(key, f"/api/v1/till/orders/{order}/returns", json.dumps(back).encode())
        codes = ["CUP-1", *chance.choices(list(PRODUCTS), k=chance.randint(0, 2))]
        paid = [{"method": "cash", "amount": "1000"}]
        has_sold = bool(self.sold)
        if has_sold and chance.random() < 0.3:
            paid.append({"method": "small_change", "amount": f"0.{chance.randint(10, 60)}"})
        sale = {
            "store": "S1",
            "card": chance.choice(self.world.cards),
            "lines": [line(code, "2") for code in codes],
            "spend_points": chance.choice([0, 1, 3, 10]) if has_sold else 0,
            "payments": paid,
            "keep_change": chance.choice(["0", "0.37", "0.99"]),
        }
        return Asked(key, "/api/v1/till/orders", json.dumps(sale).encode())

    def settle(self, asked: Asked) -> None:
        """Send a request until it is answered, or the tills close."""
        while not self.world.done.is_set():
            try:
                return self.try_once(asked)
            except (ConnectionRefusedError, Busy):  # nothing was sent, or nothing was written
                time.sleep(0.05)
            except LOST:
                self.world.unanswered.add(asked.key)
            self.hang_up()
        return None

    def try_once(self, asked: Asked) -> None:
        """Send a request, or ask by its key whether it was done when it was sent before."""
        if asked.key in self.world.unanswered and self.chance.random() < 0.5:
            status, body, _ = self.call("GET", f"/api/v1/requests/{asked.key}")
            if status == 200:
                self.world.found["by key"] += 1
                return self.note(asked, body["status"], body["answer"])
            assert status == 404, body
        status, body, replayed = self.call("POST", asked.path, asked)
        if status == 503:  # too many waited for one card; the same request is sent again
            assert body["code"] == "unavailable", body
            raise Busy
        self.world.found["by repeating"] += replayed
        return self.note(asked, status, body)

    def note(self, asked: Asked, status: int, body: Any) -> None:
        self.world.told(asked, status, body)
        if status == 201 and asked.path.endswith("/orders"):
            self.sold.append(body["id"])

    def call(self, verb: str, path: str, asked: Asked | None = None) -> tuple[int, Any, bool]:
        """Return status, body and whether it is an answer given before; raises one of LOST."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.world.port, timeout=3)
        headers = {"Authorization": f"Bearer {self.world.token}"}
        if asked:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": asked.key}
        self.connection.request(verb, path, asked and asked.body, headers)
        with self.connection.getresponse() as answer:
            body = answer.read()
            return answer.status, json.loads(body), "Idempotent-Replayed" in answer.headers

    def hang_up(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def workers_of(pid: int) -> list[int]:
    """Return the living children of a process, oldest first."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    found = [int(one) for task in tasks for one in task.read_text().split()]
    return sorted((one for one in found if "\nState:\tZ" not in _status(one)), key=_started)


def _started(pid: int) -> int:
    """Return when a process started; numbers of processes begin anew, so they do not tell."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return 0


def _status(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/status").read_text()
    return "\nState:\tZ"


def kill_a_worker(server: Program) -> None:
    """Kill the older worker of two and wait until the server has started another."""
    victim = workers_of(server.pid)[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: server.returncode is None and len(workers_but(server, victim)) == 2)


def workers_but(server: Program, victim: int) -> set[int]:
    return set(workers_of(server.pid)) - {victim}


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when something holds; raises TimeoutError."""
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.02)


def sell_a_while(world: World, chance: random.Random) -> None:
    """Return at a random moment after the tills got another answer."""
    before = len(world.acknowledged)
    wait_until(lambda: len(world.acknowledged) > before)
    time.sleep(chance.uniform(0, 0.3))


def live_and_die(site: Any, world: World, chance: random.Random) -> None:
    """Serve under load; kill workers one after the other, then the whole process tree."""
    world.port = free_port()
    server = Program(
        guanxi, "serve", "--port", str(world.port), "--workers", "2",
        environ=site.environ, streams=(None, 1, 2), new_group=True,
    )  # fmt: skip
    try:
        wait_until_ready(f"http://127.0.0.1:{world.port}")
        for _ in range(WORKERS_A_LIFE):
            sell_a_while(world, chance)
            kill_a_worker(server)
        sell_a_while(world, chance)
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.fixture
def world(site):
    made = fill(site)
    gold = made.approve("card_type", GOLD)["id"]
    cards = []
    for number in range(MEMBERS):
        member = made.make("member", f"C{number}", no=f"C{number}", name="会员")
        values = {"card_type": gold, "store": made.ids["store"]["S1"], "status": "active"}
        card = made.make("card", f"C{number}", member=member, **values)
        shown = site.client("admin").get(f"/api/v1/records/card/{card}").json
        cards.append(shown["number"])
    cashier = site.actor("cashier")
    return World(site.services.tokens.issue(cashier.id, cashier.stamp), cards)


def test_killed_tills_keep_what_was_acknowledged_and_double_nothing(site, world):
    tills = [Till(world, f"T{number}") for number in range(CLIENTS)]
    chance = random.Random(site.backend)
    try:
        world.port = free_port()
        for till in tills:
            till.start()
        for _ in range(LIVES):
            live_and_die(site, world, chance)
    finally:
        world.done.set()
        for till in tills:
            till.join()
    assert [till.broken for till in tills] == [None] * CLIENTS
    settle_the_rest(site, world)
    told = f"{LIVES * WORKERS_A_LIFE} workers and {LIVES} trees killed on {site.backend}: "
    told += f"{len(world.sent)} requests, {len(world.acknowledged)} done, "
    print(
        told + f"{len(world.refused)} refused, {len(world.unanswered)} unanswered, {world.found}"
    )

    assert len(world.acknowledged) > 20
    assert stored_requests(site) == {key: one["id"] for key, one in world.acknowledged.items()}
    ids, numbers = stored_orders(site)
    assert sorted(ids) == sorted(one["id"] for one in world.acknowledged.values())
    assert len(set(numbers)) == len(numbers)
    assert points_of_members(site) == points_by_certificates(site)
    assert change_on_cards(site) == change_by_requests(site, world)
    proved = CliRunner().invoke(verify, [], env=site.environ)
    assert (proved.exit_code, proved.output.splitlines()[-1]) == (0, "Proved."), proved.output


def settle_the_rest(site, world):
    """Ask for what was open when the tills closed, as they would have after a restart."""
    client = site.client("cashier")
    for key in world.sent.keys() - world.acknowledged.keys() - world.refused.keys():
        asked, known = world.sent[key], client.get(f"/api/v1/requests/{key}")
        headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
        answer = client.post(asked.path, data=asked.body, headers=headers)
        assert (known.status_code == 200) == ("Idempotent-Replayed" in answer.headers)
        if known.status_code == 200:
            world.found["at the end"] += 1
            assert known.json["answer"] == answer.json
        world.told(asked, answer.status_code, answer.json)


def stored_requests(site):
    """Return key -> id of the order, as the cashier's requests are kept."""
    mine = sa.select(request.c.key, request.c.answer).where(
        request.c.user == site.actor("cashier").id
    )
    with site.services.db.read() as connection:
        rows = connection.execute(mine).all()
    return {key: json.loads(answer)["id"] for key, answer in rows}


def stored_orders(site):
    """Return ids and receipt numbers of all orders."""
    order = site.services.registries.current().tables["order"].main
    with site.services.db.read() as connection:
        rows = connection.execute(sa.select(order.c.id, order.c.no)).all()
    return [row.id for row in rows], [row.no for row in rows]


def points_by_certificates(site):
    """Return member -> earned less spent, less what returns took and gave, by certificates."""
    with site.services.db.read() as connection:
        rows = connection.execute(sa.select(certificate.c.order_id, certificate.c.priced)).all()
    priced = {row.order_id: msgspec.json.decode(row.priced) for row in rows}
    sums: Counter[str] = Counter()
    for one in priced.values():
        if "sale" not in one:
            sums[one["member"]] += sum(one["points"].values()) - one["spend_points"]
            continue
        given = sum(lot["points"] for lot in one["lots"]) + one["F"]
        sums[priced[one["sale"]]["member"]] += given - sum(one["claw_back"].values())
    return dict(sums)


def points_of_members(site):
    """Return member -> points, of those who have an account."""
    ids = site.client("admin").get("/api/v1/records/member?fields=id&limit=50").json["items"]
    ctx = site.context("admin")
    found = {one["id"]: balance(ctx, "points", one["id"]) for one in ids}
    return {member: one.balance for member, one in found.items() if one.account_id}


def change_by_requests(site, world):
    """Return card -> minor units of small change, by what was acknowledged."""
    cards = {one["id"]: one["card"]["id"] for one in world.acknowledged.values() if "card" in one}
    sums: Counter[str] = Counter()
    for key, one in world.acknowledged.items():
        if "card" in one:
            sums[cards[one["id"]]] += int(world.sent[key].change * 100)
        elif b'"small_change"' in world.sent[key].body:
            sums[cards[one["sale"]]] += int(Decimal(one["refund"]) * 100)
    return {card: amount for card, amount in sums.items() if amount}


def change_on_cards(site):
    """Return card -> minor units of small change, of those that have some."""
    ids = site.client("admin").get("/api/v1/records/card?fields=id&limit=50").json["items"]
    ctx = site.context("admin")
    found = {one["id"]: balance(ctx, "small_change", one["id"], "CNY").balance for one in ids}
    return {card: amount for card, amount in found.items() if amount}

"""What the till costs: quotes over REST, and sales committed by a server with eight clients."""

import http.client
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from tests.bench.measure import Caller, Result, repeat
from tests.bench.requests import application, ok, wait_ready
from tests.bench.shop import Shop, caller_of, open_shop, people
from tests.bench.site import PASSWORD

#: Sales a second that a server with two workers must commit, by database.
RATES = {"postgresql": 250, "sqlite": 120}

#: Lines of a committed sale, clients, seconds that are measured, and before them seconds in which
#: processes read the rules and connections learn their statements.
LINES, CLIENTS, SECONDS, WARM = 3, 8, 8.0, 5.0

#: Every tenth request is sent twice with its key.
DUPLICATE = 10


def till(database: str, environ: Mapping[str, str]) -> Iterator[Result]:
    """Measure quotes and sales on a shop with 100 discount documents in force."""
    people(environ)
    app = application(environ)
    shop = open_shop(app)
    seller = caller_of(app, "seller")

    def quote(number: int) -> None:
        ok(seller("POST", "/api/v1/till/quote", body=shop.cart(abs(number))))

    quoted = repeat(quote, 300)
    yield Result(
        database,
        "quote of 10 lines, 100 rules, over REST",
        **quoted,
        limit="3 ms CPU",
        is_met=quoted["cpu_ms"] <= 3,
    )
    sold = repeat(partial(_sell, seller, shop), 300)
    yield Result(database, f"sale of {LINES} lines, points and ledger, in process", **sold)
    app.extensions["guanxi"].db.dispose()
    yield served_sales(database, environ, shop)


def _sell(seller: Caller, shop: Shop, number: int) -> None:
    key = f"bench-{number}"
    answer = seller("POST", "/api/v1/till/orders", body=shop.cart(abs(number), LINES),
                    idempotency_key=key)  # fmt: skip
    ok(answer, 201)


def served_sales(
    database: str, environ: Mapping[str, str], shop: Shop, port: int = 8241
) -> Result:
    """Measure sales of eight clients against a server with two workers; none is doubled."""
    guanxi = str(Path(sys.executable).with_name("guanxi"))
    command = [guanxi, "serve", "--port", str(port), "--workers", "2"]
    server = subprocess.Popen(command, env=dict(environ), stdout=subprocess.DEVNULL)
    try:
        wait_ready(port)
        # Clients are a process of their own, so that they hold nobody's lock up.
        with get_context("spawn").Pool(1) as pool:
            pool.apply(_clients, (port, shop, "warm", WARM))
            before = _orders(environ)
            seconds, answered, keys = pool.apply(_clients, (port, shop, "client", SECONDS))
        written = _orders(environ) - before
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
    assert written == keys, (written, keys)
    rate = keys / seconds
    return Result(
        database,
        f"sales of {LINES} lines, 8 clients, every tenth twice",
        per_second=rate,
        note=f"{answered} answers, {keys} orders, none doubled",
        limit=f"{RATES[database]}/s",
        is_met=rate >= RATES[database],
    )


def _orders(environ: Mapping[str, str]) -> int:
    engine = application(environ).extensions["guanxi"].db.engine
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT COUNT(*) FROM r_order")).scalar()
    engine.dispose()
    return int(found or 0)


def _clients(port: int, shop: Shop, name: str, seconds: float) -> tuple[float, int, int]:
    """Return how long eight clients sold, how many answers they got and how many keys they used."""
    from concurrent.futures import ThreadPoolExecutor

    token = _token(port)
    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        done = list(
            threads.map(
                lambda at: _client(port, token, shop, at, f"{name}-{at}", seconds), range(CLIENTS)
            )
        )
    seconds = time.perf_counter() - begin
    return seconds, sum(one for one, _ in done), sum(keys for _, keys in done)


def _client(
    port: int, token: str, shop: Shop, at: int, name: str, seconds: float
) -> tuple[int, int]:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    end, answers, keys = time.perf_counter() + seconds, 0, 0
    while time.perf_counter() < end:
        body = msgspec.json.encode(shop.cart(at + CLIENTS * keys, LINES))
        key, ids = f"{name}-{keys}", set()
        for _ in range(2 if keys % DUPLICATE == 0 else 1):
            ids.add(_order(connection, token, key, body))
            answers += 1
        assert len(ids) == 1, ids
        keys += 1
    return answers, keys


def _order(connection: Any, token: str, key: str, body: bytes) -> str:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": key,
    }
    connection.request("POST", "/api/v1/till/orders", body, headers)
    answer = connection.getresponse()
    content = answer.read()
    assert answer.status == 201, content
    return str(msgspec.json.decode(content)["id"])


def _token(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = msgspec.json.encode({"username": "seller", "password": PASSWORD, "provider": "db"})
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/v1/security/login", body, headers)
    return str(msgspec.json.decode(connection.getresponse().read())["access_token"])

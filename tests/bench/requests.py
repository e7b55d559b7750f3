"""What requests cost: lists, reads, creates and updates over REST, in process and served."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any
from unittest.mock import patch

import msgspec

from core.app import create_app
from core.settings import Settings
from tests.bench.measure import Caller, Result, proportional_memory, repeat
from tests.bench.site import PASSWORD, fill

FEW, MANY = 10_000, 1_000_000
LIST = "filter=store_code%20%3D%3D%20'S{:03d}'%20and%20status%20%3D%3D%20'active'&sort=-last_visit_at&limit=50"
RECORDS = "/api/v1/records/bench_member"


def application(environ: Mapping[str, str]) -> Any:
    """Return the application of an installation, made once for this process."""
    with patch.dict(os.environ, environ):
        return create_app(Settings.load(environ))


def sign_in(app: Any) -> Caller:
    """Return a caller with the clerk's rights."""
    caller = Caller(app, "")
    body = {"username": "bench", "password": PASSWORD, "provider": "db"}
    status, answer, _ = caller("POST", "/api/v1/security/login", body=body)
    assert status == 200, answer
    return Caller(app, msgspec.json.decode(answer)["access_token"])


def member(number: int) -> dict[str, Any]:
    """Return the values of one new member."""
    return {
        "card_no": f"N{number:010d}",
        "member_name": f"新会员 {number}",
        "phone": "13800000000",
        "email": f"n{number}@example.com",
        "gender": "f",
        "birthday": "1990-02-03",
        "id_no": f"ID{number}",
        "card_type": "gold",
        "status": "active",
        "store_code": f"S{number % 200:03d}",
        "balance": "12.50",
        "points": 7,
        "growth": 9,
        "discount": "0.95",
        "issued_on": "2026-01-01",
        "expires_on": "2027-01-01",
        "last_visit_at": "2026-03-04T05:06:07Z",
        "marketing_opt_in": True,
        "tags": ["vip"],
        "remark": "由基准创建",
    }


def ok(answer: tuple[int, bytes, dict[str, str]], status: int = 200) -> Any:
    """Return an answer's body once its status is the one expected."""
    assert answer[0] == status, answer
    return msgspec.json.decode(answer[1])


def _page(caller: Caller, number: int) -> None:
    """Ask for a page of one of 200 stores; the filters were seen before, as people's are."""
    # Not decoded: reading the answer is the client's cost.
    status, answer, _ = caller("GET", RECORDS, query=LIST.format(number % 200))
    assert status == 200, answer
    assert b'"items":[{' in answer, "the page is empty"


def request_costs(database: str, environ: Mapping[str, str]) -> Iterator[Result]:
    """Measure requests at 10,000 and at 1,000,000 rows, with policies and history on."""
    app = application(environ)
    services = app.extensions["guanxi"]
    caller = sign_in(app)
    fill(services.db, FEW)

    page = partial(_page, caller)
    few = repeat(page, 400, warm_up=200)
    yield Result(database, f"list page of 50 over {FEW:,} rows", **few)
    fill(services.db, MANY - FEW, start=FEW)
    many = repeat(page, 400, warm_up=200)
    yield Result(
        database,
        f"list page of 50 over {MANY:,} rows",
        **many,
        limit="2 ms CPU",
        is_met=many["cpu_ms"] <= 2,
    )
    ratio = many["cpu_ms"] / few["cpu_ms"]
    yield Result(
        database,
        "  its cost against the smaller table",
        note=f"{ratio:.2f} x",
        limit="1.3 x",
        is_met=ratio <= 1.3,
    )
    items = ok(caller("GET", RECORDS, query=LIST.format(1)))["items"]
    ids = [item["id"] for item in items]
    get = repeat(lambda n: ok(caller("GET", f"{RECORDS}/{ids[n % 50]}")), 1000)
    yield Result(database, "get one", **get, limit="1 ms CPU", is_met=get["cpu_ms"] <= 1)
    create = repeat(lambda n: ok(caller("POST", RECORDS, body=member(n + 50)), 201), 600)
    yield Result(
        database,
        "create, validated, with history",
        **create,
        limit="2.5 ms CPU",
        is_met=create["cpu_ms"] <= 2.5,
    )
    versions = {item["id"]: item["version"] for item in items}

    def update(number: int) -> None:
        key = ids[number % 50]
        body = {"points": number % 1000 + 1, "remark": f"第 {number} 次"}
        answer = ok(caller("PATCH", f"{RECORDS}/{key}", body=body, if_match=f'"{versions[key]}"'))
        versions[key] = answer["version"]

    update_costs = repeat(update, 600)
    yield Result(
        database,
        "versioned update, with history",
        **update_costs,
        limit="2.5 ms CPU",
        is_met=update_costs["cpu_ms"] <= 2.5,
    )
    services.db.dispose()


def served(database: str, environ: Mapping[str, str], port: int = 8231) -> Iterator[Result]:
    """Measure start, throughput and memory of a server with two workers."""
    command = [
        str(Path(sys.executable).with_name("guanxi")),
        "serve",
        "--port",
        str(port),
        "--workers",
        "2",
    ]
    begin = time.perf_counter()
    server = subprocess.Popen(command, env=dict(environ), stdout=subprocess.DEVNULL)
    try:
        wait_ready(port)
        start = time.perf_counter() - begin
        yield Result(
            database, "server start", note=f"{start:.2f} s", limit="2 s", is_met=start <= 2
        )
        token = _token(port)
        for name, path, limit in (
            ("list page of 50", f"{RECORDS}?{LIST.format(1)}", 825),
            ("get one", f"{RECORDS}/{_first_id(port, token)}", 1310),
        ):
            rate = _load(port, path, token)
            yield Result(
                database,
                f"served, 8 clients: {name}",
                per_second=rate,
                note=f"goal {limit}/s on 2 free cores",
            )
        memory = proportional_memory(server.pid)
        yield Result(
            database,
            "memory of the process tree",
            note=f"{memory:.0f} MiB",
            limit="170 MiB",
            is_met=memory <= 170,
        )
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)


def wait_ready(port: int) -> None:
    """Wait until a server is ready; raises TimeoutError when it does not become so."""
    for _ in range(400):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError("the server did not become ready")


def _token(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = msgspec.json.encode({"username": "bench", "password": PASSWORD, "provider": "db"})
    connection.request(
        "POST", "/api/v1/security/login", body, {"Content-Type": "application/json"}
    )
    return str(msgspec.json.decode(connection.getresponse().read())["access_token"])


def _first_id(port: int, token: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"{RECORDS}?limit=1", headers={"Authorization": f"Bearer {token}"})
    return str(msgspec.json.decode(connection.getresponse().read())["items"][0]["id"])


def _load(port: int, path: str, token: str, seconds: float = 4.0) -> float:
    """Return requests a second of eight clients that wait for each answer."""
    done: list[int] = []

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        end, count = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
            count += 1
        done.append(count)

    clients = [Thread(target=client) for _ in range(8)]
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    return sum(done) / seconds

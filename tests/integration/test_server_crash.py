"""A server killed under load: what it acknowledged is there, nothing is there twice."""

import contextlib
import http.client
import json
import os
import random
import signal
import threading
import time

from core.testing.processes import Program, guanxi
from core.testing.site import free_port, wait_until_ready

ROUNDS = 2
CLIENTS = 4


class Till(threading.Thread):
    """Creates members one after the other until the server is gone."""

    def __init__(self, port: int, token: str, name: str) -> None:
        super().__init__()
        self.port, self.token, self.name = port, token, name
        self.sent: list[str] = []
        self.acknowledged: dict[str, str] = {}

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            for number in range(100_000):
                key = f"{self.name}-{number}"
                self.sent.append(key)
                try:
                    self.acknowledged[key] = self.create(connection, key)
                except (OSError, http.client.HTTPException):
                    return

    def create(self, connection: http.client.HTTPConnection, key: str) -> str:
        """The id of the member that the server says it has created."""
        body = json.dumps({"no": key, "name": "会员"})
        connection.request("POST", "/api/v1/records/member", body.encode(), {
            "Content-Type": "application/json", "Idempotency-Key": key,
            "Authorization": f"Bearer {self.token}",
        })  # fmt: skip
        with connection.getresponse() as answer:
            made = json.loads(answer.read())
        assert answer.status == 201, made
        return made["id"]


def test_killed_server_keeps_what_it_acknowledged_and_doubles_nothing(site):
    clerk = site.actor("clerk")
    token = site.services.tokens.issue(clerk.id, clerk.stamp)
    chance, tills = random.Random(7), []
    for turn in range(ROUNDS):
        port = free_port()
        server = Program(
            guanxi, "serve", "--port", str(port),
            environ=site.environ, streams=(None, 1, 2), new_group=True,
        )  # fmt: skip
        wait_until_ready(f"http://127.0.0.1:{port}")
        round_of = [Till(port, token, f"T{turn}-{client}") for client in range(CLIENTS)]
        for till in round_of:
            till.start()
        time.sleep(chance.uniform(0.5, 1.5))
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        for till in round_of:
            till.join()
        tills += round_of

    client = site.client("clerk")
    stored: dict[str, str] = {}
    after = ""
    while after is not None:
        query = f"/api/v1/records/member?fields=no&limit=200&after={after}"
        page = client.get(query).json
        for item in page["items"]:
            assert item["no"] not in stored
            stored[item["no"]] = item["id"]
        after = page["next"]
    assert sum(len(till.acknowledged) for till in tills) > 20
    for till in tills:
        assert till.acknowledged.items() <= stored.items()
        for key in set(till.sent) - till.acknowledged.keys():
            asked = client.get(f"/api/v1/requests/{key}")
            assert (asked.status_code == 200) == (key in stored)
    assert stored.keys() <= {key for till in tills for key in till.sent}

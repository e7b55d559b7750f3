"""A throw-away installation with a 20-field member type and many rows."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from core.db import Database

HERE = Path(__file__).parent
PASSWORD = "Kite-orbit-71-maple"

_COLUMNS = {
    "id": "{uuid}",
    "version": "1",
    "release": "1",
    "created_at": "{instant}",
    "created_by": "'system'",
    "updated_at": "{instant}",
    "updated_by": "'system'",
    "chain": "''",
    "events": "0",
    "card_no": "'C' || {padded}",
    "member_name": "'Member ' || n",
    "phone": "'138' || {padded}",
    "email": "'m' || n || '@example.com'",
    "gender": "CASE n % 3 WHEN 0 THEN 'f' WHEN 1 THEN 'm' ELSE 'x' END",
    "birthday": "{day}",
    "id_no": "'ID' || {padded}",
    "card_type": "CASE n % 4 WHEN 0 THEN 'plain' WHEN 1 THEN 'gold' WHEN 2 THEN 'diamond' ELSE 'staff' END",
    "status": "CASE WHEN (n / 200) % 10 < 7 THEN 'active' WHEN (n / 200) % 10 < 8 THEN 'frozen' ELSE 'expired' END",
    "store_code": "'S' || {store}",
    "balance": "{money}",
    "points": "n % 10000",
    "growth": "n % 5000",
    "discount": "{rate}",
    "issued_on": "{day}",
    "expires_on": "{later}",
    "last_visit_at": "{instant}",
    "marketing_opt_in": "{truth}",
    "tags": "{tags}",
    "remark": "'Remark of member ' || n",
}
SQLITE_WORDS = {
    "uuid": "printf('%08x-%04x-7000-8000-%012x', n / 65536, n % 65536, n)",
    "instant": "strftime('%Y-%m-%dT%H:%M:%S', 1700000000 + n * 13 % 80000000, 'unixepoch') || '.000000Z'",
    "padded": "printf('%08d', n)",
    "store": "printf('%03d', n % 200)",
    "day": "date('1960-01-01', (n % 18000) || ' days')",
    "later": "date('2026-01-01', (n % 1000) || ' days')",
    "money": "n % 100000",
    "rate": "9000 + n % 1000",
    "truth": "n % 2",
    "tags": "'[\"vip\"]'",
}
POSTGRES_WORDS = {
    "uuid": "lpad(to_hex(n / 65536), 8, '0') || '-' || lpad(to_hex(n % 65536), 4, '0') || '-7000-8000-' || lpad(to_hex(n), 12, '0')",
    "instant": "to_timestamp(1700000000 + n::bigint * 13 % 80000000)",
    "padded": "lpad(n::text, 8, '0')",
    "store": "lpad((n % 200)::text, 3, '0')",
    "day": "date '1960-01-01' + n % 18000",
    "later": "date '2026-01-01' + n % 1000",
    "money": "(n % 100000) / 100.0",
    "rate": "(9000 + n % 1000) / 10000.0",
    "truth": "n % 2 = 1",
    "tags": "'[\"vip\"]'",
}


def environment(url: str, home: Path) -> dict[str, str]:
    """Return the environment of an installation."""
    return {
        **os.environ,
        "GUANXI_DATABASE_URL": url,
        "GUANXI_HOME": str(home),
        "GUANXI_ADMIN_PASSWORD": PASSWORD,
        "GUANXI_USER_PASSWORD": PASSWORD,
        "GUANXI_DEMO_PASSWORD": PASSWORD,
        "GUANXI_ENV": "development",
    }


def guanxi(environ: Mapping[str, str], *arguments: str) -> str:
    """Run the command line; raises CalledProcessError with its output shown."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("guanxi")), *arguments],
        env=dict(environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        done.check_returncode()
    return done.stdout


def fill(db: Database, rows: int, *, start: int = 0) -> None:
    """Add `rows` members by SQL alone, and tell the planner about them."""
    words = SQLITE_WORDS if db.is_sqlite else POSTGRES_WORDS
    names = ", ".join(_COLUMNS)
    values = ", ".join(part.format_map(words) for part in _COLUMNS.values())
    series = (
        f"WITH RECURSIVE s(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM s WHERE n < {start + rows - 1})"
        if db.is_sqlite
        else f"WITH s(n) AS (SELECT generate_series({start}, {start + rows - 1}))"
    )
    with db.write() as connection:
        connection.execute(
            sa.text(
                f"INSERT INTO r_bench_member ({names}) {series} SELECT {values} FROM s".replace(
                    ":", "\\:"
                )
            )
        )
    with db.autocommit() as connection:
        connection.exec_driver_sql("ANALYZE" if db.is_sqlite else "VACUUM ANALYZE r_bench_member")


@contextmanager
def installation(url: str, home: Path) -> Iterator[dict[str, str]]:
    """Yield the environment of a new installation that has the bench type and a clerk."""
    environ = environment(url, home)
    guanxi(environ, "init")
    guanxi(environ, "user", "add", "bench", "--role", "clerk")
    guanxi(environ, "schema", "apply", str(HERE / "bench_member.yaml"))
    yield environ

"""Receipt numbers: unique per store and day, drawn in blocks so that tills never wait.

A counter that every sale locks until its commit would let a store sell one thing at a time.
Each process draws a block ahead of its sales; what a stopped server had left of its block is
never used, so numbers may have gaps and are never given twice.
"""

import os
import threading
from collections.abc import Iterator
from datetime import date

from core.context import Context
from core.db import Database
from core.extension.sales import StoreFacts
from core.records.counters import next_number

#: Numbers drawn at once by one process for one store and day.
BLOCK = 20

#: Blocks that a process keeps; the longest drawn are forgotten.
MOST_BLOCKS = 500

_lock = threading.Lock()
_drawn: dict[tuple[str, str, date], Iterator[int]] = {}
# What a process drew is its own: one that it forks begins with a block of its own.
os.register_at_fork(after_in_child=_drawn.clear)


def receipt_number(ctx: Context, store: StoreFacts, on: date) -> str:
    """Return the next receipt number of a store and day, such as `SH01-260309-000007`.

    Call it outside the sale's transaction: a block is drawn in one of its own.
    """
    with _lock:
        number = next(_drawn.get(_key(ctx.db, store, on), iter(())), None)
        if number is None:
            number = _draw(ctx.db, store, on)
    return f"{store.code}-{on:%y%m%d}-{number:06d}"


def _draw(db: Database, store: StoreFacts, on: date) -> int:
    """Draw a block and return its first number."""
    with db.write() as connection:
        first = next_number(connection, f"till.receipt:{store.id}:{on:%Y%m%d}", count=BLOCK)
    mine = _key(db, store, on)
    _drawn.pop(mine, None)
    _drawn[mine] = iter(range(first + 1, first + BLOCK))
    while len(_drawn) > MOST_BLOCKS:
        del _drawn[next(iter(_drawn))]
    return first


def _key(db: Database, store: StoreFacts, on: date) -> tuple[str, str, date]:
    return db.url.render_as_string(hide_password=False), store.id, on

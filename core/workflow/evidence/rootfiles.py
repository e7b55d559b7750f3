"""Roots outside of the database: one file of JSON lines each, the root and then its leaves."""

import os
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Problem
from core.i18n import N_
from core.jobs.handlers import Chore, Event, Handler, Handlers
from core.workflow.evidence import merkle
from core.workflow.evidence.events import canonical
from core.workflow.evidence.folding import broken
from core.workflow.evidence.roots import (
    TOPIC,
    Root,
    gone,
    last_root,
    leaf_text,
    list_leaves,
    list_roots,
    make_roots,
    root,
)
from core.workflow.models import event

#: How often the worker looks whether a day has begun.
_LOOK_EVERY = timedelta(minutes=10)

#: So many leaves are looked up at once.
_CHUNK = 500

#: Longest line of a file that is read.
_LINE = 1000


def register(handlers: Handlers, folder: Path) -> None:
    """Have the worker make a root every day and carry it to `folder`."""

    def carry(ctx: Context, told: Event) -> None:
        del told  # whatever is missing is written, also what a crash left
        with ctx.reading() as connection:
            export_roots(connection, folder)

    handlers.add_chore(Chore("evidence.roots", _LOOK_EVERY, make_daily))
    handlers.add(Handler("evidence.roots", TOPIC, carry, in_transaction=False))


def make_daily(ctx: Context) -> None:
    """Make the day's roots, unless they are there."""
    with ctx.reading() as connection:
        last = last_root(connection)
    if last is None or last.day < ctx.today.isoformat():
        make_roots(ctx)


def export_roots(connection: Connection, folder: Path) -> int:
    """Write the files that `folder` lacks, each whole or not at all; return how many.

    Raises:
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    there = {path.name for path in folder.iterdir()}
    written = 0
    for one in list_roots(connection):
        if one.file_name in there:
            continue
        unfinished = folder / f".{one.file_name}.{os.getpid()}"
        with unfinished.open("w", encoding="utf-8") as file:
            file.writelines(export_lines(connection, one))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / one.file_name)
        written += 1
    return written


def export_lines(connection: Connection, one: Root) -> Iterator[str]:
    """Yield the lines of a root's file."""
    yield canonical(asdict(one)) + "\n"
    for row in list_leaves(connection, one.number):
        yield leaf_text(row) + "\n"


def root_files(path: Path) -> list[Path]:
    """Return the files of roots at a path: itself, or all in the folder by name."""
    return sorted(path.glob("*.jsonl")) if path.is_dir() else [path]


_ALTERED = N_("{file} was altered")


def file_problems(connection: Connection, path: Path) -> Iterator[Problem]:
    """Yield what a root's file shows to be cut off or changed, or that the file itself was.

    Raises:
        OSError: it cannot be read.
    """
    # An altered byte need not be text any more.
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            one = msgspec.convert(_decoded(file.readline(_LINE)), Root)
        except ValueError:
            yield broken(N_("{file} is no file of a root"), file=path.name)
            return
        if one.hash != one.sealed():
            yield broken(_ALTERED, file=path.name)
            return
        if not _is_stored(connection, one):
            yield broken(N_("root {number} is missing or was made anew"), number=one.number)
        tree = merkle.Tree()
        try:
            yield from _leaf_problems(connection, file, one, tree)
        except (ValueError, KeyError):
            yield broken(_ALTERED, file=path.name)
            return
    if (len(tree), tree.root()) != (one.leaves, one.merkle):
        yield broken(_ALTERED, file=path.name)


def _is_stored(connection: Connection, one: Root) -> bool:
    query = sa.select(root.c.hash).where(root.c.number == one.number)
    return connection.execute(query).scalar() == one.hash


def _leaf_problems(
    connection: Connection, file: TextIO, one: Root, tree: merkle.Tree
) -> Iterator[Problem]:
    keys = sa.tuple_(event.c.instance_id, event.c.seq)
    while some := list(islice(_rest(file), _CHUNK)):
        for row in some:
            tree.add(merkle.leaf_hash(leaf_text(row)))
        wanted = [(str(row["instance_id"]), int(row["events"])) for row in some]
        query = sa.select(event.c.instance_id, event.c.hash).where(keys.in_(wanted))
        found = {tuple(pair) for pair in connection.execute(query)}
        for row in some:
            if (row["instance_id"], row["head"]) not in found:
                yield gone(row, one.number)


def _rest(file: TextIO) -> Iterator[dict[str, Any]]:
    while line := file.readline(_LINE):
        yield _decoded(line)


def _decoded(line: str) -> dict[str, Any]:
    return msgspec.json.decode(line, type=dict[str, Any])

"""Sales and returns of tills that had no line: booked once, in each till's own order.

Batches may arrive late, twice and in any order. Entries are kept as they come and booked when
every one before them of the same till was: so the result depends on the till's order alone.
What is refused is kept with the reason, never dropped, and does not hold up what follows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.errors import Conflict, Invalid, Problem, UserError, problem_body, told
from core.i18n import N_
from core.policies.access import access
from core.till.certificates import canonical, hash_of
from core.till.models import entry, terminal
from core.till.reading import Reader, read_return, read_sale
from core.till.returning import number_of, require_rights, take_back
from core.till.selling import commit, price

Json = Mapping[str, Any]

#: Entries of one batch, and the highest number of one.
MOST_ENTRIES, MOST_SEQUENCE = 500, 10**9

_LONGEST = 40
_KINDS = ("sale", "return")


class SequenceReused(Conflict):
    """A till handed in another entry under a number that it used before."""

    code = "till.sequence_reused"
    text = N_("The till {terminal} used the number {sequence} for something else before.")


class SaleNotBooked(Conflict):
    """What is returned was refused itself, or is not there."""

    code = "till.sale_not_booked"
    text = N_("The sale that is returned was not booked.")


@dataclass(frozen=True, slots=True)
class Entry:
    """One sale or return of a till.

    Attributes:
        body: as it was handed in, without its number.
    """

    sequence: int
    body: Json


def read_batch(body: Json) -> tuple[str, tuple[Entry, ...]]:
    """Return the till's name and its entries.

    Raises:
        Invalid: keys are unknown or values not right; all problems at once.
    """
    reader = Reader()
    reader.keys(body, frozenset({"terminal", "entries"}))
    name = reader.text(body, "terminal", required=True)
    if len(name) > _LONGEST:
        text = N_("At most {limit} characters; this has {length}.")
        reader.refuse("terminal", "field.too_long", text, limit=_LONGEST, length=len(name))
    listed = body.get("entries")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_ENTRIES:
        text = N_("Send 1 to {limit} entries.")
        reader.refuse("entries", "field.wrong_type", text, limit=MOST_ENTRIES)
        listed = []
    made = []
    for at, one in enumerate(listed):
        number = one.get("sequence") if isinstance(one, dict) else None
        if (
            isinstance(number, bool)
            or not isinstance(number, int)
            or not (0 < number <= MOST_SEQUENCE)
        ):
            text = N_("Each entry needs its number, from 1 on without gaps.")
            reader.refuse(f"entries.{at}.sequence", "till.sequence", text)
        else:
            rest = {key: value for key, value in one.items() if key != "sequence"}
            made.append(Entry(number, rest))
    reader.finish()
    return name, tuple(made)


def hand_in(ctx: Context, name: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """Keep what a till hands in, book what can be, and return what became of each entry.

    Raises:
        Forbidden: the actor may not hand in offline sales.
        SequenceReused: a number came with another entry before; nothing of the batch is kept.
    """
    access(ctx, "order").require("till.offline")
    # Whoever is told that an entry waits may forget it.
    with ctx.writing(durable=True) as connection:
        _keep(ctx, connection, name, entries)
    while _book_next(ctx, name):
        pass
    return _told(ctx, name, [one.sequence for one in entries])


def _keep(ctx: Context, connection: Connection, name: str, entries: Sequence[Entry]) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    first = dialect.insert(terminal).values(terminal=name, booked=0).on_conflict_do_nothing()
    connection.execute(first)
    for one in entries:
        text = canonical(one.body)
        row = {
            "terminal": name, "sequence": one.sequence, "hash": hash_of(text), "body": text,
            "state": "waiting", "answer": "{}", "order_id": "", "received_at": to_wire(ctx.now),
        }  # fmt: skip
        connection.execute(dialect.insert(entry).values(row).on_conflict_do_nothing())
        known = connection.execute(sa.select(entry.c.hash).where(_is(name, one.sequence))).scalar()
        if known != row["hash"]:
            raise SequenceReused(terminal=name, sequence=one.sequence)


def _is(name: str, sequence: int) -> sa.ColumnElement[bool]:
    return (entry.c.terminal == name) & (entry.c.sequence == sequence)


def _book_next(ctx: Context, name: str) -> bool:
    """Book the till's next entry; return whether there was one."""
    with ctx.reading() as connection:
        at = connection.execute(
            sa.select(terminal.c.booked).where(terminal.c.terminal == name)
        ).scalar_one()
        row = connection.execute(sa.select(entry).where(_is(name, at + 1))).one_or_none()
    if row is None:
        return False
    try:
        _book(ctx, name, row.sequence, msgspec.json.decode(row.body))
    except UserError as refusal:
        _refuse(ctx, name, row.sequence, refusal)
    return True


def _book(ctx: Context, name: str, sequence: int, body: dict[str, Any]) -> None:
    kind = body.pop("kind", "sale")
    known = body.pop("audit_seq", None)
    if kind not in _KINDS or isinstance(known, bool) or not isinstance(known, int | None):
        text = N_("Use sale or return, and the audit number that the till knew.")
        raise Invalid(problems=[Problem("kind", "till.entry", text)])
    if kind == "return":
        sale_id = _sale_of(ctx, name, body.pop("of", None))
        given_back = read_return(body)
        require_rights(ctx, sale_id, given_back, is_offline=True)
        number = number_of(ctx, sale_id, given_back)
        with ctx.writing(durable=True) as connection:
            if _take_turn(connection, name, sequence):
                made = take_back(ctx, sale_id, replace(given_back, preview=False), number)
                _note(connection, name, sequence, "done", made, made["id"])
        return
    asked = replace(
        read_sale(body, is_order=True), known_seq=MOST_SEQUENCE if known is None else known
    )
    priced = price(ctx, asked)
    with ctx.writing(durable=True) as connection:
        if _take_turn(connection, name, sequence):
            made = commit(ctx, asked, priced)
            _note(connection, name, sequence, "done", made, made["id"])


def _sale_of(ctx: Context, name: str, of: Any) -> str:
    """Return the order that a return is of: an order's id, or an earlier number of the till."""
    if isinstance(of, str):
        return of
    if isinstance(of, int) and not isinstance(of, bool) and 0 < of <= MOST_SEQUENCE:
        with ctx.reading() as connection:
            found = connection.execute(
                sa.select(entry.c.order_id).where(_is(name, of), entry.c.state == "done")
            ).scalar()
        if found:
            return str(found)
    raise SaleNotBooked


def _take_turn(connection: Connection, name: str, sequence: int) -> bool:
    """Move the till on to an entry; False when another request has booked it meanwhile."""
    moved = connection.execute(
        terminal.update()
        .where(terminal.c.terminal == name, terminal.c.booked == sequence - 1)
        .values(booked=sequence)
    )
    return bool(moved.rowcount)


def _note(
    connection: Connection, name: str, sequence: int, state: str, answer: Any, order_id: str = ""
) -> None:
    values = {"state": state, "answer": canonical(answer), "order_id": order_id}
    connection.execute(entry.update().where(_is(name, sequence)).values(values))


def _refuse(ctx: Context, name: str, sequence: int, refusal: UserError) -> None:
    """Keep why an entry was not booked, and let the next one have its turn."""
    problems = [problem_body(one, ctx.locale) for one in refusal.problems]
    text = told(refusal.text, ctx.locale, refusal.params)
    answer = {"code": refusal.code, "message": text, "problems": problems}
    with ctx.writing(durable=True) as connection:
        if _take_turn(connection, name, sequence):
            _note(connection, name, sequence, "refused", answer)


def _told(ctx: Context, name: str, numbers: Sequence[int]) -> dict[str, Any]:
    wanted = sa.select(entry).where(entry.c.terminal == name, entry.c.sequence.in_(set(numbers)))
    with ctx.reading() as connection:
        rows = connection.execute(wanted.order_by(entry.c.sequence)).all()
        booked = connection.execute(
            sa.select(terminal.c.booked).where(terminal.c.terminal == name)
        ).scalar_one()
    entries = [
        {
            "sequence": row.sequence,
            "state": row.state,
            "order": row.order_id or None,
            "answer": msgspec.json.decode(row.answer),
        }
        for row in rows
    ]
    return {"terminal": name, "booked": booked, "entries": entries}

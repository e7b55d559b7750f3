"""A record's accounts as its reader sees them: balances, lots, entries, and who changed them.

A member's accounts are its own and those of records that link to it, such as its cards.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from core.clock import to_wire
from core.context import Context
from core.errors import Conflict, Invalid, NotFound, Problem
from core.i18n import N_, pick, translate
from core.ids import is_id
from core.ledger.models import account, entry, posting
from core.ledger.reading import Balance, PostingRow, accounts_of, balance, lots_of, postings_of
from core.ledger.reckoning import Lot
from core.policies.access import access
from core.records.filtertexts import value_filter
from core.records.queries import Query, get_record, list_records
from core.schema.accountkinds import AccountKind
from core.schema.model import RecordType

#: Records of one type, such as cards of a member, whose accounts are looked at.
MOST_OWNERS = 50
MOST_ENTRIES = 200
_CURSOR = re.compile(r"([0-9]{1,15})\.([0-9]{1,9})")
_EFFECTIVE = "effective"


class DocumentRequired(Conflict):
    """A balance is changed by a document that was approved, and by nothing else."""

    code = "ledger.document_required"
    text = N_("No approved document says so, so the account stays as it is.")


@dataclass(frozen=True, slots=True)
class Owned:
    """An account with what it belongs to.

    Attributes:
        kind: None where the release has no such kind any more.
        lots: those with something left, in the order they are spent.
        expiring: month such as `2026-12` -> what ends in it, what has ended left out.
    """

    balance: Balance
    kind: AccountKind | None
    owner_type: str
    owner_id: str
    lots: tuple[Lot, ...]
    expiring: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class EntryLine:
    """One entry of an account, with the balance after it; instants in wire form."""

    seq: int
    position: int
    posting: str
    what: str
    ref: tuple[str, str]
    valid_at: str
    known_at: str
    actor_name: str
    memo: str
    reverses: str | None
    category: str
    lot: str | None
    amount: int
    balance: int


def accounts_about(ctx: Context, type_name: str, record_id: str) -> list[Owned]:
    """Return the accounts of a record and of those that link to it, as far as its reader sees.

    Accounts of points stand there before anything was posted; those of money come with their
    currency.

    Raises:
        NotFound: there is no such record, or not for this actor.
    """
    with ctx.reading():
        get_record(ctx, type_name, record_id, fields=("id",))
        return [
            one
            for owner_type, owner_id in _owners(ctx, type_name, record_id)
            for one in _accounts(ctx, owner_type, owner_id)
        ]


def entries_of(
    ctx: Context, account_id: str, *, after: str = "", limit: int = 50
) -> tuple[list[EntryLine], str | None]:
    """Return a page of an account's entries, the newest first, and where the next one begins.

    Raises:
        NotFound: there is no such account, or its owner is not for this actor.
        Invalid: `after` is not where a page ended.
    """
    with ctx.reading() as connection:
        row = find_account(ctx, account_id)
        # The balance is that after the event `seq`; somebody may have posted since it was read.
        mine, left = entry.c.account_id == account_id, row["balance"]
        mine = sa.and_(mine, entry.c.seq <= row["seq"])
        if after:
            place = _CURSOR.fullmatch(after)
            if place is None:
                text = N_("This is not where a page ended.")
                raise Invalid(problems=[Problem("after", "query.cursor", text)])
            at = sa.tuple_(entry.c.seq, entry.c.position)
            here = sa.tuple_(sa.literal(int(place[1])), sa.literal(int(place[2])))
            newer = sa.select(sa.cast(sa.func.sum(entry.c.amount), sa.BigInteger))
            left -= connection.execute(newer.where(mine, at >= here)).scalar() or 0
            mine = sa.and_(mine, at < here)
        rows = connection.execute(
            sa.select(entry, posting)
            .join(posting, posting.c.id == entry.c.posting_id)
            .where(mine)
            .order_by(entry.c.seq.desc(), entry.c.position.desc())
            .limit(limit + 1)
        ).all()
    lines = []
    for one in rows[:limit]:
        lines.append(
            EntryLine(
                one.seq, one.position, one.posting_id, one.what, (one.ref_type, one.ref_id),
                one.valid_at, one.known_at, one.actor_name, one.memo, one.reverses, one.category,
                one.lot_id, one.amount, left,
            )
        )  # fmt: skip
        left -= one.amount
    is_more = len(rows) > limit
    return lines, f"{lines[-1].seq}.{lines[-1].position}" if is_more else None


def find_account(ctx: Context, account_id: str) -> Mapping[str, Any]:
    """Return the row of an owner's account.

    Raises:
        NotFound: there is none, or its owner is not for this actor.
    """
    if not is_id(account_id):
        raise NotFound
    with ctx.reading() as connection:
        wanted = sa.select(account).where(account.c.id == account_id, account.c.owner_id != "")
        row = connection.execute(wanted).mappings().first()
        if row is None:
            raise NotFound
        kind = ctx.registry.release.account_kinds.get(row["kind"])
        owner_type = kind.owner if kind else row["owner_type"]
        get_record(ctx, owner_type, row["owner_id"], fields=("id",))
    return dict(row)


def document_posting(ctx: Context, account_id: str, document: Any) -> PostingRow:
    """Return what an approved document posted on an account; nothing is ever posted here.

    Args:
        ctx: who asks, who must see the account's owner and the document.
        account_id: of the account.
        document: `{"type", "id"}`, or the id alone.

    Raises:
        NotFound: there is no such account, or its owner is not for this actor.
        DocumentRequired: there is no document, it is not in force, or it says nothing of the
            account.
    """
    with ctx.reading():
        row = find_account(ctx, account_id)
        for ref in _refs(ctx, document):
            found = _posted(ctx, account_id, ref)
            if found is not None:
                return found
    refusal = DocumentRequired()
    kinds = ctx.registry.release.account_kinds
    owner_type = kinds[row["kind"]].owner if row["kind"] in kinds else row["owner_type"]
    names = [
        f"{pick(one.label, ctx.locale, one.name)} ({one.name})"
        for one in _documents_about(ctx, owner_type)
    ]
    refusal.hint = (
        translate(_HINT, ctx.locale, documents=", ".join(names))
        if names
        else N_("Have a document approved that says how much, and why.")
    )
    raise refusal


_HINT = N_("Have one of these documents approved: {documents}.")


def _owners(ctx: Context, type_name: str, record_id: str) -> Iterator[tuple[str, str]]:
    """Yield a record, then the records of other types that own accounts and link to it."""
    yield type_name, record_id
    owning = {one.owner for one in ctx.registry.release.account_kinds.values()}
    for name in sorted(owning - {type_name}):
        found = ctx.registry.release.type(name)
        rights = access(ctx, name)
        if found is None or not rights.may("view"):
            continue
        seen: set[str] = set()
        for field in found.fields:
            if field.type == "link" and field.target == type_name and field.name in rights.certain:
                where = value_filter(field.name, record_id)
                query = Query(filter=where, fields=("id",), limit=MOST_OWNERS)
                seen.update(one["id"] for one in list_records(ctx, name, query).items)
        for one in sorted(seen):
            yield name, one


def _accounts(ctx: Context, owner_type: str, owner_id: str) -> Iterator[Owned]:
    """Yield the accounts of one record in the order of their kinds' names."""
    kinds = ctx.registry.release.account_kinds
    found = {(one.kind, one.unit): one for one in accounts_of(ctx, owner_id)}
    for name, kind in kinds.items():
        if kind.owner == owner_type and kind.unit == "points" and (name, "points") not in found:
            found[name, "points"] = balance(ctx, name, owner_id)
    for (name, _), one in sorted(found.items()):
        lots = tuple(lots_of(ctx, one.account_id)) if one.account_id else ()
        yield Owned(one, kinds.get(name), owner_type, owner_id, lots, _expiring(ctx, lots))


def _expiring(ctx: Context, lots: Iterable[Lot]) -> dict[str, int]:
    months: dict[str, int] = {}
    now = to_wire(ctx.now)
    for one in lots:
        if one.ends_on is not None and not one.has_ended(now):
            month = one.ends_on[:7]
            months[month] = months.get(month, 0) + one.remaining
    return dict(sorted(months.items()))


def _refs(ctx: Context, document: Any) -> Sequence[tuple[str, str]]:
    """Return the documents that may be meant."""
    if isinstance(document, Mapping):
        type_name, record_id = document.get("type"), document.get("id")
        if not isinstance(type_name, str) or set(document) != {"type", "id"}:
            return ()
        names = [type_name]
    else:
        record_id, names = document, list(ctx.registry.release.types)
    if not isinstance(record_id, str) or not is_id(record_id):
        return ()
    types = [ctx.registry.release.type(name) for name in names]
    return [(one.name, record_id) for one in types if one is not None and one.document]


def _posted(ctx: Context, account_id: str, ref: tuple[str, str]) -> PostingRow | None:
    """Return what a document in force posted on an account, the latest of several."""
    for one in reversed(postings_of(ctx, ref)):
        if any(each.account_id == account_id for each in one.entries):
            try:
                record = get_record(ctx, *ref)
            except NotFound:
                return None
            return one if record.get("status") == _EFFECTIVE else None
    return None


def _documents_about(ctx: Context, owner_type: str) -> list[RecordType]:
    """Return the documents that name a record of a type, in themselves or in their rows."""
    return [
        one
        for one in ctx.registry.release.types.values()
        if one.document
        and not one.archived
        and any(
            field.target == owner_type
            for each in one.fields
            for field in (each, *each.fields)
            if field.type in {"link", "links"}
        )
    ]

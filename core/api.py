"""Everything a plugin may import, in one place; what is not here may change without notice.

Hooks and their arguments, the errors that refuse, field types to build on, and
the few operations that rules need: reading tables, counters, settings, records.
"""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from core.actor import SYSTEM
from core.context import Context
from core.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Problem,
    Unavailable,
    UserError,
)
from core.expression import Expression
from core.extension.hookspecs import Change, Document, Event, Review, hookimpl
from core.extension.sales import Goods, Return, ReturnLine, Sale, SaleLine, Shown, StoreFacts
from core.i18n import N_, pick, translate
from core.ids import new_id
from core.jobs.outbox import emit as emit_event
from core.ledger.errors import Insufficient
from core.ledger.expiring import last_day
from core.ledger.expiry import write_off
from core.ledger.holding import Hold, find_hold, hold, post_hold, void_hold
from core.ledger.moves import DEFAULT, Move, Moved, Posted, Taken
from core.ledger.moving import reverse, transfer
from core.ledger.posting import post
from core.ledger.reading import (
    Balance,
    EntryRow,
    PostingRow,
    Standing,
    accounts_of,
    as_of,
    balance,
    lots_from,
    lots_of,
    postings_of,
)
from core.ledger.reckoning import Lot
from core.ledger.tracing import lapsed, lock_account, named_lots
from core.records.codes import (
    draw_code,
    forget_codes,
    keep_codes,
    owners_of_codes,
    try_code,
    unlock_code,
)
from core.records.counters import next_number
from core.records.finding import find_record
from core.records.inforce import Effect, audit_seq, in_force
from core.records.operations import create_many, create_record, update_record
from core.records.plugin_settings import plugin_settings
from core.records.queries import get_record
from core.schema.accountkinds import Lots
from core.schema.actiontypes import ActionCall, PluginAction
from core.schema.fieldtypes import FieldError, FieldType
from core.schema.model import Field
from core.schema.numbertypes import DecimalType, IntegerType
from core.schema.recordfiles import FileCall, RecordFile, Sheet
from core.schema.texttypes import TextType
from core.schema.writtentypes import matches as secret_matches
from core.schema.writtentypes import result_kind
from core.till.certificates import priced_sales
from core.till.conditions import SaleConditions
from core.till.goods import store_of

__all__ = [
    "DEFAULT",
    "N_",
    "ActionCall",
    "Balance",
    "Change",
    "Conflict",
    "Context",
    "DecimalType",
    "Document",
    "Effect",
    "EntryRow",
    "Event",
    "Field",
    "FieldError",
    "FieldType",
    "FileCall",
    "Forbidden",
    "Goods",
    "Hold",
    "Insufficient",
    "IntegerType",
    "Invalid",
    "Lot",
    "Lots",
    "Move",
    "Moved",
    "NotFound",
    "PluginAction",
    "Posted",
    "PostingRow",
    "Problem",
    "RecordFile",
    "Return",
    "ReturnLine",
    "Review",
    "Sale",
    "SaleConditions",
    "SaleLine",
    "Sheet",
    "Shown",
    "Standing",
    "StoreFacts",
    "Taken",
    "TextType",
    "Unavailable",
    "UserError",
    "accounts_of",
    "as_of",
    "audit_seq",
    "balance",
    "create_many",
    "create_record",
    "draw_code",
    "emit_event",
    "find_hold",
    "find_record",
    "forget_codes",
    "get_record",
    "hold",
    "hookimpl",
    "in_force",
    "keep_codes",
    "lapsed",
    "last_day",
    "lock_account",
    "lots_from",
    "lots_of",
    "named_lots",
    "new_id",
    "next_number",
    "on_behalf",
    "option_label",
    "owners_of_codes",
    "plugin_settings",
    "post",
    "post_hold",
    "postings_of",
    "priced_sales",
    "query",
    "reverse",
    "secret_matches",
    "store_of",
    "stored_expression",
    "table",
    "transfer",
    "translate",
    "try_code",
    "unlock_code",
    "update_record",
    "void_hold",
    "write_off",
]


def table(ctx: Context, record_type: str, rows: str = "") -> sa.Table:
    """Return the table of a record type, or of its table field `rows`, in the release in force.

    Rows name their record in `record_id` and stand in the order of `position`.

    Raises:
        NotFound: there is no such record type or table field.
    """
    ctx.registry.record_type(record_type)
    tables = ctx.registry.tables[record_type]
    found = tables.children.get(rows) if rows else tables.main
    if found is None:
        raise NotFound
    return found


def option_label(ctx: Context, record_type: str, field: str, value: str) -> str:
    """Return the label of a select field's option in the reader's language."""
    found = ctx.registry.record_type(record_type).field(field)
    for option in found.options if found else ():
        if option.value == value:
            return pick(option.label, ctx.locale, value)
    return value


def stored_expression(ctx: Context, record_type: str, field: str, text: str) -> Expression:
    """Return what a `condition` or `expression` field holds, ready to be evaluated.

    Raises:
        NotFound: there is no such record type.
        ExpressionError: the forms changed since it was saved, so that it is no longer right.
    """
    found = ctx.registry.record_type(record_type).field(field)
    if found is None:
        raise NotFound
    return ctx.registry.expression(found.scope, text, result_kind(found))


def on_behalf(ctx: Context) -> Context:
    """Return a context in which the product does what follows from what somebody did.

    No policy restricts it, and the history names that person. Rules hold as ever; `door` is
    `plugin`, by which hooks tell such changes from people's own.
    """
    return replace(ctx, actor=replace(SYSTEM, name=ctx.actor.name), door="plugin")


def query(ctx: Context, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
    """Return the rows of a statement, read in the transaction under way.

    It sees every row, whoever acts: rules must hold for what a person may not see too.
    """
    with ctx.reading() as connection:
        return list(connection.execute(statement))

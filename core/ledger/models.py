"""The tables of the ledger: accounts, postings with their entries, lots and holds.

Amounts are whole numbers of the smallest unit: points, or the minor unit of a currency.
Times are UTC, RFC 3339 with microseconds, so text order is time order. What is posted stays
as it was written; an account's balance and a lot's remainder are sums of entries, kept beside
them so that nobody has to add up a life of purchases at the till.
"""

import sqlalchemy as sa

from core.appendonly import append_only
from core.db import metadata

_ID = sa.String(36)
_TIME = sa.String(27)
_NAME = sa.String(80)
_HASH = sa.String(64)

#: What may change in an account: sums of its entries, and the head of its chain.
SUMS = ("balance", "held", "owed", "totals", "seq", "chain", "known_at")

account = append_only(
    sa.Table(
        "gx_account",
        metadata,
        sa.Column("id", _ID, primary_key=True),
        sa.Column("kind", _NAME, nullable=False, doc="name of the account kind"),
        sa.Column("unit", sa.String(8), nullable=False, doc="`points` or a currency's code"),
        sa.Column("owner_type", _NAME, nullable=False, doc="empty for the programme's account"),
        sa.Column("owner_id", _ID, nullable=False, doc="empty for the programme's account"),
        sa.Column("opened_at", _TIME, nullable=False),
        sa.Column("balance", sa.BigInteger, nullable=False, doc="0 for the programme's account"),
        sa.Column(
            "held", sa.BigInteger, nullable=False, doc="sum of the holds that have not ended"
        ),
        sa.Column("owed", sa.BigInteger, nullable=False, doc="what was taken beyond the lots"),
        sa.Column("totals", sa.Text, nullable=False, doc="JSON: category -> sum of its entries"),
        sa.Column("seq", sa.BigInteger, nullable=False, doc="number of the last event"),
        sa.Column("chain", _HASH, nullable=False, doc="hash of the last event"),
        sa.Column("known_at", _TIME, nullable=False, doc="when the last event was posted"),
        sa.CheckConstraint("held >= 0 AND owed >= 0", name="ck_gx_account__sums"),
    ),
    changing=SUMS,
)
sa.Index("ux_gx_account__owner", account.c.kind, account.c.unit, account.c.owner_id, unique=True)
sa.Index("ix_gx_account__owner_id", account.c.owner_id)
#: Accounts of which something is held: few, however many holds there were.
IS_HELD = account.c.held > sa.literal_column("0")
sa.Index("ix_gx_account__held", account.c.id, sqlite_where=IS_HELD, postgresql_where=IS_HELD)

posting = append_only(
    sa.Table(
        "gx_posting",
        metadata,
        sa.Column("id", _ID, primary_key=True),
        sa.Column("key", sa.String(200), nullable=False, doc="what is posted once"),
        sa.Column("body_hash", _HASH, nullable=False, doc="of what was asked under the key"),
        sa.Column("what", _NAME, nullable=False, doc="such as sale, return, expire, transfer"),
        sa.Column("ref_type", _NAME, nullable=False, doc="record type of what gave rise to it"),
        sa.Column("ref_id", _ID, nullable=False),
        sa.Column("reverses", _ID, nullable=True, doc="the posting that it takes back"),
        sa.Column("valid_at", _TIME, nullable=False, doc="the business instant"),
        sa.Column("known_at", _TIME, nullable=False, doc="when it was posted"),
        sa.Column("actor", _ID, nullable=False),
        sa.Column("actor_name", sa.String(200), nullable=False),
        sa.Column("door", sa.String(12), nullable=False),
        sa.Column("memo", sa.Text, nullable=False),
        sa.Column("may_owe", sa.Boolean, nullable=False, doc="it may leave a debt"),
        sa.Column("answer", sa.Text, nullable=False, doc="JSON: what whoever posted was told"),
        sa.Column("hash", _HASH, nullable=False, doc="of the row, its entries and its lots"),
    )
)
sa.Index("ux_gx_posting__key", posting.c.key, unique=True)
sa.Index("ux_gx_posting__reverses", posting.c.reverses, unique=True)
sa.Index("ix_gx_posting__ref", posting.c.ref_type, posting.c.ref_id)
sa.Index("ix_gx_posting__known_at", posting.c.known_at)
sa.Index("ix_gx_posting__valid_at", posting.c.valid_at)

entry = append_only(
    sa.Table(
        "gx_entry",
        metadata,
        sa.Column("posting_id", _ID, primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, doc="1, 2, 3 … within the posting"),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, doc="the account's event; 0: programme"),
        sa.Column("category", _NAME, nullable=False),
        sa.Column("lot_id", _ID, nullable=True),
        sa.Column("amount", sa.BigInteger, nullable=False, doc="+ credits, - debits the account"),
        sa.Column("why", _NAME, nullable=False, doc="category of the counter-entry"),
        sa.Column("chain", _HASH, nullable=False, doc="over the posting and the event before"),
        sqlite_with_rowid=False,
    )
)
#: With the amounts in it, so that adding up an account reads nothing else.
sa.Index("ix_gx_entry__account", entry.c.account_id, entry.c.seq, entry.c.amount)
#: What ended unused, in the words of its index.
IS_LAPSE = entry.c.why == sa.literal_column("'expired'")
sa.Index("ix_gx_entry__lapse", entry.c.lot_id, sqlite_where=IS_LAPSE, postgresql_where=IS_LAPSE)

lot = append_only(
    sa.Table(
        "gx_lot",
        metadata,
        sa.Column("id", _ID, primary_key=True),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("category", _NAME, nullable=False),
        sa.Column("posting_id", _ID, nullable=False),
        sa.Column("issued", sa.BigInteger, nullable=False),
        sa.Column("issued_at", _TIME, nullable=False),
        sa.Column("available_at", _TIME, nullable=False, doc="pending until then"),
        sa.Column("expires_at", _TIME, nullable=True, doc="of no use from then on; null is never"),
        sa.Column("ends_on", sa.String(10), nullable=True, doc="the last store day where it came"),
        sa.Column("remaining", sa.BigInteger, nullable=False),
        sa.CheckConstraint("remaining BETWEEN 0 AND issued", name="ck_gx_lot__remaining"),
    ),
    changing=("remaining",),
)
_is_left = lot.c.remaining > sa.literal_column("0")
sa.Index("ix_gx_lot__left", lot.c.account_id, sqlite_where=_is_left, postgresql_where=_is_left)
sa.Index("ix_gx_lot__expiring", lot.c.expires_at, sqlite_where=_is_left, postgresql_where=_is_left)
sa.Index("ix_gx_lot__posting", lot.c.posting_id)

hold = append_only(
    sa.Table(
        "gx_hold",
        metadata,
        sa.Column("id", _ID, primary_key=True),
        sa.Column("key", sa.String(200), nullable=False, doc="what is held once"),
        sa.Column("body_hash", _HASH, nullable=False, doc="of what was asked under the key"),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, doc="the account's event"),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("lots", sa.Text, nullable=False, doc="JSON: [[lot, amount], …] in spend order"),
        sa.Column("ref_type", _NAME, nullable=False),
        sa.Column("ref_id", _ID, nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("expires_at", _TIME, nullable=False, doc="it times out then"),
        sa.Column("actor", _ID, nullable=False),
        sa.Column("actor_name", sa.String(200), nullable=False),
        sa.Column("chain", _HASH, nullable=False),
        sa.CheckConstraint("amount > 0", name="ck_gx_hold__amount"),
    )
)
sa.Index("ux_gx_hold__key", hold.c.key, unique=True)
sa.Index("ix_gx_hold__account", hold.c.account_id, hold.c.seq)

hold_end = append_only(
    sa.Table(
        "gx_hold_end",
        metadata,
        sa.Column("hold_id", _ID, primary_key=True),
        sa.Column("account_id", _ID, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, doc="the account's event"),
        sa.Column("how", sa.String(10), nullable=False, doc="posted, voided or timed_out"),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("posting_id", _ID, nullable=True, doc="what was posted of it"),
        sa.Column("actor", _ID, nullable=False),
        sa.Column("actor_name", sa.String(200), nullable=False),
        sa.Column("chain", _HASH, nullable=False),
        sqlite_with_rowid=False,
    )
)
sa.Index("ix_gx_hold_end__account", hold_end.c.account_id, hold_end.c.seq)

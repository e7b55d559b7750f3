"""Account kinds and moves for tests of the ledger."""

from datetime import UTC, datetime

from core.schema.accountkinds import AccountCategory, AccountKind, Lots

START = datetime(2026, 3, 10, 4, tzinfo=UTC)

POINTS = AccountKind(
    name="points",
    owner="member",
    categories=(
        *(AccountCategory(name=name) for name in "ABC"),
        AccountCategory(name="D", negative=True),
        *(AccountCategory(name=name) for name in "EF"),
        AccountCategory(name="R", uses=True),
    ),
    lots=Lots(expiry="months", after=12),
)
CHANGE = AccountKind(
    name="small_change",
    owner="card",
    unit="money",
    cap=10_000,
    categories=(AccountCategory(name="change"),),
)
#: Nothing of it is used up: what is taken falls off the categories themselves.
VOUCHERS = AccountKind(
    name="vouchers",
    owner="member",
    categories=(AccountCategory(name="paid"), AccountCategory(name="given")),
)
KINDS = {one.name: one for one in (POINTS, CHANGE, VOUCHERS)}

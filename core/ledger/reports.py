"""What a finance department asks of the ledger: the daily roll-forward, and the liability.

Both are sums of entries, so they can be had for any business day as known at any instant.
Amounts are smallest units and say what happened to the balance: what was used stands negative.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.clock import to_wire
from core.context import Context
from core.errors import Forbidden, Invalid, NotFound, Problem
from core.i18n import N_
from core.ledger.summing import Sums, moved, owed
from core.schema.accountkinds import AccountKind

#: Who may see what is owed to everybody.
READERS = frozenset({"Admin", "configurator", "auditor", "approver"})
#: Why a balance moved, as the columns of a roll-forward; what else there is comes last.
WHYS = ("issued", "sold", "spent", "expired", "moved", "settled")
OTHER = "other"
#: Days of one roll-forward at most.
MOST_DAYS = 366
#: Days that are read, whatever the zone.
FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(9998, 12, 30)


@dataclass(frozen=True, slots=True)
class Line:
    """One store day of one category, or of several days or categories added up.

    Attributes:
        day: the store day; the first one of several.
        category: empty for all of a unit.
        moves: why -> what it did to the balance.
        close: `open` and all moves.
    """

    day: date
    unit: str
    category: str
    open: int
    moves: Mapping[str, int]
    close: int


@dataclass(frozen=True, slots=True)
class RollForward:
    """The lines of some days, by day, unit and category.

    Attributes:
        is_proved: on each day and for each reason, the programme's own entries are the
            counterpart of the owners', to the smallest unit; so are those of before, at least
            as a whole.
    """

    kind: AccountKind
    first: date
    last: date
    lines: tuple[Line, ...]
    is_proved: bool


@dataclass(frozen=True, slots=True)
class Owed:
    """What is owed of one category and month of expiry.

    Attributes:
        category: that of the lot; empty for debts of owners, which are negative.
        month: such as `2026-12`, that of the last day where it came; empty for what never ends.
        has_ended: its last day was over before, and it was not written off yet.
    """

    unit: str
    category: str
    month: str
    amount: int
    has_ended: bool = False


def may_read(ctx: Context) -> bool:
    """Return whether the actor may see the reports."""
    return ctx.actor.is_system or bool(ctx.actor.roles & READERS)


def known_kind(ctx: Context, name: str) -> AccountKind:
    """Return an account kind, for those who may read the reports.

    Raises:
        Forbidden: the actor may not.
        NotFound: there is none.
    """
    if not may_read(ctx):
        raise Forbidden
    found = ctx.registry.release.account_kinds.get(name)
    if found is None:
        raise NotFound
    return found


def report_day(name: str, text: str) -> date:
    """Return the store day that a parameter called `name` says.

    Raises:
        Invalid: it is none, or none that every zone has.
    """
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or not FIRST_DAY <= found <= LAST_DAY:
        told = N_("This must be a day such as 2026-10-01.")
        raise Invalid(problems=[Problem(name, "query.day", told)])
    return found


def roll_forward(
    ctx: Context, kind: str, first: date, last: date, *, known_at: datetime | None = None
) -> RollForward:
    """Return how the balances of a kind moved on each store day from `first` to `last`.

    Args:
        ctx: its zone is that of store days.
        kind: name of the account kind.
        first: the first store day, in business time.
        last: the last one, which belongs to them.
        known_at: what was posted later is left out; nothing without it.

    Raises:
        Forbidden: the actor may not read reports.
        NotFound: there is no such kind.
        Invalid: the days are in no order, or too many.
    """
    found = known_kind(ctx, kind)
    count = (last - first).days + 1
    if not 0 < count <= MOST_DAYS:
        text = N_("The last day is the first or one of the {most} days from it on.")
        raise Invalid(problems=[Problem("to", "ledger.bad_days", text, {"most": MOST_DAYS})])
    begins = [_begin(first + timedelta(days=at), ctx.time_zone) for at in range(count + 1)]
    sums = moved(ctx, kind, begins, known_at)
    return RollForward(found, first, last, tuple(roll(found, first, count, sums)), proved(sums))


def roll(kind: AccountKind, first: date, count: int, sums: Sums) -> list[Line]:
    """Return the lines of `count` days, each opening with what the one before closed with."""
    moves: dict[tuple[str, str, int], dict[str, int]] = defaultdict(dict)
    standing: dict[tuple[str, str], int] = defaultdict(int)
    for (unit, category, why, at, is_programme), amount in sums.items():
        if is_programme:
            continue
        if at < 0:
            standing[unit, category] += amount
            continue
        named = why if why in WHYS else OTHER
        of_day = moves[unit, category, at]
        of_day[named] = of_day.get(named, 0) + amount
    rank = {one.name: at for at, one in enumerate(kind.categories)}
    pairs = {each for each, before in standing.items() if before}
    pairs |= {(unit, category) for unit, category, _ in moves}
    ordered = sorted(pairs, key=lambda each: (each[0], rank.get(each[1], len(rank)), each[1]))
    lines = []
    for at in range(count):
        for unit, category in ordered:
            of_day = moves.get((unit, category, at), {})
            before = standing[unit, category]
            after = standing[unit, category] = before + sum(of_day.values())
            line = Line(first + timedelta(days=at), unit, category, before, of_day, after)
            lines.append(line)
    return lines


def proved(sums: Sums) -> bool:
    """Return whether owners' and programme's sums cancel out by unit, reason and day."""
    left: dict[tuple[str, str, int], int] = defaultdict(int)
    for (unit, _, why, at, _), amount in sums.items():
        left[unit, why, at] += amount
    return not any(left.values())


def by_day(lines: Iterable[Line]) -> list[Line]:
    """Return the lines of each day and unit added up over the categories."""
    groups: dict[tuple[date, str], list[Line]] = {}
    for one in lines:
        groups.setdefault((one.day, one.unit), []).append(one)
    return [
        Line(
            day, unit, "", sum(one.open for one in group), _moves(group),
            sum(one.close for one in group),
        )
        for (day, unit), group in groups.items()
    ]  # fmt: skip


def by_category(lines: Iterable[Line]) -> list[Line]:
    """Return the lines of each unit and category added up over the days, which are in order."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for one in lines:
        groups.setdefault((one.unit, one.category), []).append(one)
    return [
        Line(group[0].day, unit, category, group[0].open, _moves(group), group[-1].close)
        for (unit, category), group in groups.items()
    ]


def _moves(lines: Iterable[Line]) -> dict[str, int]:
    moves: dict[str, int] = defaultdict(int)
    for one in lines:
        for why, amount in one.moves.items():
            moves[why] += amount
    return dict(moves)


def liability(
    ctx: Context, kind: str, on: date, *, known_at: datetime | None = None
) -> list[Owed]:
    """Return what was owed at the end of a store day, by category and month of expiry.

    Args:
        ctx: its zone is that of store days.
        kind: name of the account kind.
        on: the store day, in business time.
        known_at: what was posted later is left out; nothing without it.

    Raises:
        Forbidden: the actor may not read reports.
        NotFound: there is no such kind.
    """
    found = known_kind(ctx, kind)
    end = _begin(on + timedelta(days=1), ctx.time_zone)
    sums: dict[tuple[str, str, str, bool], int] = defaultdict(int)
    for unit, category, expires_at, ends_on, amount in owed(ctx, kind, end, known_at):
        month = (ends_on or "")[:7]
        # What ends with this very day was good all day, and is written off on the next.
        sums[unit, category or "", month, bool(expires_at and expires_at < end)] += amount
    rank = {one.name: at for at, one in enumerate(found.categories)}
    return [
        Owed(unit, category, month, amount, has_ended)
        for (unit, category, month, has_ended), amount in sorted(
            sums.items(),
            key=lambda each: (each[0][0], rank.get(each[0][1], len(rank)), each[0][2] or "~"),
        )
        if amount
    ]


def _begin(day: date, zone: ZoneInfo) -> str:
    return to_wire(datetime.combine(day, time(), zone).astimezone(UTC))

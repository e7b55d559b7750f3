"""Records that are probably one, found by the keys that their form declares.

What the actor does not see as it is takes no part, so that nothing is learnt from a match.
Keys are gathered on disk and grouped there: the time grows with the records, the memory not.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from core.context import Context
from core.errors import Forbidden, NotFound
from core.i18n import N_
from core.policies.access import Access, access
from core.records.binding import bound
from core.records.likeness import alike, normal, spellings, words
from core.records.scratch import Scratch
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Field

#: Records that one search looks at, and groups that it returns, the largest first.
MOST_SCANNED = 500_000
MOST_GROUPS = 200
#: Records of one group that are named.
MOST_IN_GROUP = 21
#: Records that a new one is compared with, and that are told.
_CANDIDATES = 200
_TOLD = 5
#: In larger blocks a record is compared with its neighbours in the alphabet only.
_WHOLE_BLOCK = 60
_NEIGHBOURS = 10
_PART = 2_000
_BETWEEN = "\x1f"


@dataclass(frozen=True, slots=True)
class Rule:
    """One declared key, with its fields.

    Attributes:
        exact: fields whose values mean the same.
        fuzzy: fields whose values are alike.
    """

    exact: tuple[Field, ...]
    fuzzy: tuple[Field, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of its fields."""
        return tuple(one.name for one in (*self.exact, *self.fuzzy))

    def key(self, values: Mapping[str, Any]) -> str:
        """Return what equal records share; empty when something is not filled in."""
        parts = [normal(one, values.get(one.name)) for one in self.exact]
        has_texts = all(values.get(one.name) for one in self.fuzzy)
        return _BETWEEN.join(parts) if all(parts) and has_texts else ""

    def texts(self, values: Mapping[str, Any]) -> list[str]:
        """Return the words of the values that need only be alike."""
        return [words(values[one.name]) for one in self.fuzzy]


@dataclass(frozen=True, slots=True)
class Group:
    """Records that are probably one, and the fields by which they were found."""

    ids: tuple[str, ...]
    fields: tuple[tuple[str, ...], ...]
    count: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        groups: the first of them.
        count: how many there are.
        scanned: records looked at.
        is_whole: whether these were all that the actor sees.
    """

    groups: list[Group]
    count: int
    scanned: int
    is_whole: bool


def rules_for(ctx: Context, type_name: str) -> list[Rule]:
    """Return the declared keys all of whose fields the actor sees in every record."""
    rights = access(ctx, type_name)
    fields = {one.name: one for one in rights.record_type.fields}
    return [
        Rule(
            tuple(fields[name] for name in one.fields if name not in one.fuzzy),
            tuple(fields[name] for name in one.fuzzy),
        )
        for one in rights.record_type.duplicates
        if rights.certain.issuperset(one.fields)
    ]


class KeyStore(Scratch):
    """The keys of records, on disk."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Keep the keys of `rules`."""
        super().__init__("CREATE TABLE key (rule INT, key TEXT, id TEXT, texts TEXT)")
        self.rules = rules

    def add(self, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Keep records: (id, Python values)."""
        self._database.executemany(
            "INSERT INTO key VALUES (?, ?, ?, ?)",
            [
                (number, key, record_id, _BETWEEN.join(rule.texts(values)))
                for record_id, values in rows
                for number, rule in enumerate(self.rules)
                if (key := rule.key(values))
            ],
        )

    def index(self) -> None:
        """Make finding fast; call it once most records are there."""
        self._database.execute("CREATE INDEX by_key ON key (rule, key, id, texts)")

    def find(self, values: Mapping[str, Any]) -> list[tuple[str, Rule]]:
        """Return the records that are probably the one with these values, with the rule."""
        found: dict[str, Rule] = {}
        for number, rule in enumerate(self.rules):
            key = rule.key(values)
            if not key:
                continue
            rows = self._database.execute(
                "SELECT id, texts FROM key WHERE rule = ? AND key = ? LIMIT ?",
                (number, key, _CANDIDATES),
            )
            for record_id, texts in rows:
                if _are_alike(rule, rule.texts(values), texts.split(_BETWEEN)):
                    found.setdefault(record_id, rule)
        return list(found.items())

    def pairs(self) -> Iterator[tuple[str, str, Rule]]:
        """Yield the pairs of records that are probably one."""
        query = (
            "SELECT key, id, texts FROM key WHERE rule = ?1 AND key IN "
            "(SELECT key FROM key WHERE rule = ?1 GROUP BY key HAVING count(*) > 1) ORDER BY key"
        )
        for number, rule in enumerate(self.rules):
            rows = self._database.execute(query, (number,))
            for _key, block in groupby(rows, key=itemgetter(0)):
                pairs = _block_pairs(rule, [row[1:] for row in block])
                yield from ((*pair, rule) for pair in pairs)


def _block_pairs(rule: Rule, rows: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of one block, in which all have the same key."""
    if not rule.fuzzy:
        yield from ((rows[0][0], other) for other, _texts in rows[1:])
        return
    split = [(record_id, texts.split(_BETWEEN)) for record_id, texts in rows]
    if len(split) <= _WHOLE_BLOCK:
        orders, reach = [split], len(split)
    else:
        # Names that are alike begin or end alike: they are neighbours in one of two orders.
        forward = sorted(split, key=lambda one: one[1])
        backward = sorted(split, key=lambda one: one[1][0][::-1])
        orders, reach = [forward, backward], _NEIGHBOURS
    for order in orders:
        for place, (left, texts) in enumerate(order):
            for right, others in order[place + 1 : place + 1 + reach]:
                if _are_alike(rule, texts, others):
                    yield left, right


def _are_alike(rule: Rule, texts: Sequence[str], others: Sequence[str]) -> bool:
    return not rule.fuzzy or all(map(alike, texts, others))


def scan(ctx: Context, rights: Access, store: KeyStore) -> tuple[int, bool]:
    """Put the keys of all records that the actor sees into a store.

    Returns how many there were, and whether these were all.
    """
    names = sorted({name for rule in store.rules for name in rule.names})
    table = ctx.registry.tables[rights.record_type.name].main
    statement = (
        sa.select(table.c.id, *(table.c[name] for name in names))
        .where(table.c.deleted_at.is_(None))
        .order_by(table.c.id.desc())
        .limit(MOST_SCANNED + 1)
    )
    clause = rights.row_clause("view")
    if clause is not None:
        statement = statement.where(clause)
    count = 0
    with ctx.reading() as connection:
        streaming = connection.execution_options(stream_results=True, yield_per=_PART)
        for part in streaming.execute(statement, bound(ctx)).partitions():
            rows = part[: MOST_SCANNED - count]
            store.add([(row[0], dict(zip(names, row[1:], strict=True))) for row in rows])
            count += len(part)
    store.index()
    return min(count, MOST_SCANNED), count <= MOST_SCANNED


def find_duplicates(ctx: Context, type_name: str, *, limit: int = MOST_GROUPS) -> Found:
    """Return the groups of records that are probably one, the largest first.

    Raises:
        NotFound: the type declares no `duplicates`.
        Forbidden: the actor sees no records, or none of the fields that are compared.
    """
    rights = access(ctx, type_name)
    rights.require("view")
    if not rights.record_type.duplicates:
        raise NotFound(N_("This form does not say what makes two records one."))
    rules = rules_for(ctx, type_name)
    if not rules:
        raise Forbidden
    with KeyStore(rules) as store:
        scanned, is_whole = scan(ctx, rights, store)
        groups = _groups(store.pairs())
    groups.sort(key=lambda one: (-one.count, one.ids))
    return Found(groups[:limit], len(groups), scanned, is_whole)


def _groups(pairs: Iterator[tuple[str, str, Rule]]) -> list[Group]:
    """Return pairs put together where they share a record."""
    parents: dict[str, str] = {}
    reasons: dict[str, set[tuple[str, ...]]] = defaultdict(set)

    def root(one: str) -> str:
        while (above := parents.setdefault(one, one)) != one:
            parents[one] = parents[above]
            one = parents[one]
        return one

    for left, right, rule in pairs:
        first, second = sorted((root(left), root(right)))
        parents[second] = first
        reasons[first].add(rule.names)
    members: dict[str, list[str]] = defaultdict(list)
    why: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for one in parents:
        members[root(one)].append(one)
        why[root(one)] |= reasons.get(one, set())
    return [
        Group(tuple(sorted(ids)[:MOST_IN_GROUP]), tuple(sorted(why[top])), len(ids))
        for top, ids in members.items()
    ]


def find_similar(
    ctx: Context, type_name: str, values: Any, *, record_id: str = ""
) -> list[dict[str, Any]]:
    """Return the records that are probably the one with these wire values: `id` and `fields`.

    Few records are looked at, through the indexes of the fields; a telephone number that
    is written in an unusual way is found by `find_duplicates` alone.

    Raises:
        Forbidden: the actor sees no records of the type.
    """
    rights = access(ctx, type_name)
    rights.require("view")
    given = python_values(rights, values)
    found: dict[str, tuple[str, ...]] = {}
    for rule in rules_for(ctx, type_name):
        if rule.key(given):
            for one in _candidates(ctx, rights, rule, given):
                if one != record_id:
                    found.setdefault(one, rule.names)
    return [{"id": one, "fields": list(names)} for one, names in list(found.items())[:_TOLD]]


def python_values(rights: Access, values: Any) -> dict[str, Any]:
    """Return the values of fields that can be read, as Python values; others are left out."""
    found: dict[str, Any] = {}
    names = {name for rule in rights.record_type.duplicates for name in rule.fields}
    for one in rights.record_type.fields:
        if one.name in names and isinstance(values, Mapping):
            try:
                found[one.name] = field_type(one.type).load(values.get(one.name), one)
            except FieldError:
                continue  # whoever saves it is told what is wrong with it
    return found


def _candidates(
    ctx: Context, rights: Access, rule: Rule, given: Mapping[str, Any]
) -> Iterator[str]:
    table = ctx.registry.tables[rights.record_type.name].main
    statement = sa.select(table.c.id, *(table.c[name] for name in rule.names)).where(
        table.c.deleted_at.is_(None)
    )
    for one in rule.exact:
        forms = dict.fromkeys(spellings(one, given[one.name]))
        statement = statement.where(table.c[one.name].in_(list(forms)))
    clause = rights.row_clause("view")
    if clause is not None:
        statement = statement.where(clause)
    statement = statement.order_by(table.c.id).limit(_CANDIDATES)
    with ctx.reading() as connection:
        rows = connection.execute(statement, bound(ctx)).all()
    for row in rows:
        stored = dict(zip(rule.names, row[1:], strict=True))
        is_same = rule.key(stored) == rule.key(given)
        if is_same and _are_alike(rule, rule.texts(given), rule.texts(stored)):
            yield row[0]

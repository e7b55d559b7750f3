"""Dashboards: those of the schema, and those that people built for themselves and others.

Both are the same thing of the schema language. One that somebody built is a row of its
own, like a saved view; it holds questions, never rights: whoever opens it gets what they
may see.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.clock import to_wire
from core.context import Context
from core.db import metadata
from core.errors import Forbidden, Invalid, NotFound, Problem, StaleVersion, TooLarge
from core.i18n import N_, pick
from core.ids import is_id, new_id
from core.policies.access import access
from core.records.audience import (
    audience_problems,
    check_audience,
    gets,
    is_configurator,
    is_meant_for,
)
from core.records.cards import compute_card
from core.schema.dashboardchecks import MAX_CARDS, card_flaws
from core.schema.dashboards import Card, Dashboard, TimeRange
from core.schema.dashboardtexts import written_card
from core.tables.columns import ID, JSON

_LONGEST_LABEL = 60
_LONGEST_FILTER = 2_000
_MOST_DASHBOARDS = 100

dashboard_table = sa.Table(
    "gx_dashboard",
    metadata,
    sa.Column("id", ID, primary_key=True),
    sa.Column("owner", sa.String(36), nullable=False, index=True),
    sa.Column("label", sa.String(_LONGEST_LABEL), nullable=False),
    sa.Column("shared_with", JSON, nullable=False, doc='role names, or ["*"]'),
    sa.Column("content", JSON, nullable=False, doc="a dashboard as in the schema language"),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("updated_at", sa.String(27), nullable=False),
)

#: The keys of a dashboard that people write; `time` and `cards` as in the schema language.
KEYS: Mapping[str, type | tuple[type, ...]] = {
    "label": str,
    "time": str,
    "cards": list,
    "shared_with": list,
}


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What people write of a dashboard."""

    label: str = ""
    time: TimeRange = ""
    cards: tuple[Card, ...] = ()
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """A dashboard that the actor gets.

    Attributes:
        name: its name in the schema, or the id of one that somebody built.
        label: what it is called, in the actor's language.
        owner: who built it; empty for those of the schema.
        shared_with: roles that get it; of one that was built `*` is everybody, none the owner.
        version: of one that was built; 0 for those of the schema.
        may_change: whether who asks may change and delete it here.
    """

    name: str
    label: str
    content: Dashboard
    owner: str = ""
    shared_with: tuple[str, ...] = ()
    version: int = 0
    may_change: bool = False

    @property
    def cards(self) -> tuple[Card, ...]:
        """Return the cards that are shown."""
        return tuple(card for card in self.content.cards if not card.hidden)

    def card(self, name: str) -> Card:
        """Return one of the cards.

        Raises:
            NotFound: there is none called so.
        """
        found = next((card for card in self.cards if card.name == name), None)
        if found is None:
            raise NotFound
        return found

    def wire(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "name": self.name,
            "label": self.label,
            "owner": self.owner,
            "shared_with": list(self.shared_with),
            "version": self.version,
            "may_change": self.may_change,
            "time": self.content.time,
            "cards": [written_card(card) for card in self.cards],
        }


def list_dashboards(ctx: Context) -> list[Shown]:
    """Return every dashboard that the actor gets: the schema's, then those that were built."""
    shown = [
        _of_schema(ctx, one)
        for one in ctx.registry.release.dashboards.values()
        if is_meant_for(ctx, one.shared_with)
    ]
    query = sa.select(dashboard_table).order_by(dashboard_table.c.label, dashboard_table.c.id)
    with ctx.reading() as connection:
        rows = connection.execute(query).mappings()
        built = [_built(ctx, dict(row)) for row in rows]
    return shown + [one for one in built if gets(ctx, one.owner, one.shared_with)]


def find_dashboard(ctx: Context, name: str) -> Shown:
    """Return one dashboard by its name in the schema, or by its id.

    Raises:
        NotFound: there is none for this actor.
    """
    one = ctx.registry.release.dashboards.get(name)
    if one is not None and is_meant_for(ctx, one.shared_with):
        return _of_schema(ctx, one)
    with ctx.reading() as connection:
        return _find(ctx, connection, name)


def _of_schema(ctx: Context, one: Dashboard) -> Shown:
    label = pick(one.label, ctx.locale, one.dashboard)
    return Shown(one.dashboard, label, one, shared_with=one.shared_with)


def _built(ctx: Context, row: Mapping[str, Any]) -> Shown:
    return Shown(
        name=row["id"],
        label=row["label"],
        content=msgspec.convert(row["content"], Dashboard),
        owner=row["owner"],
        shared_with=tuple(row["shared_with"]),
        version=row["version"],
        may_change=row["owner"] == ctx.actor.id or is_configurator(ctx),
    )


def _find(ctx: Context, connection: Connection, name: str) -> Shown:
    query = sa.select(dashboard_table).where(dashboard_table.c.id == name)
    row = connection.execute(query).mappings().first() if is_id(name) else None
    if row is None:
        raise NotFound
    found = _built(ctx, dict(row))
    if not gets(ctx, found.owner, found.shared_with):
        raise NotFound
    return found


def save_dashboard(ctx: Context, values: Mapping[str, Any]) -> Shown:
    """Save a new dashboard of the actor's and return it.

    Raises:
        Invalid: something in it is wrong; all of it is named.
        Forbidden: it may not be shared so, or a card asks what the actor may not ask.
        TooLarge: the actor has too many.
    """
    written = _read(ctx, values)
    identity = new_id()
    with ctx.writing() as connection:
        own = sa.select(sa.func.count()).where(dashboard_table.c.owner == ctx.actor.id)
        if connection.execute(own).scalar_one() >= _MOST_DASHBOARDS:
            raise TooLarge(N_("At most {most} items."), most=_MOST_DASHBOARDS)
        row = {"id": identity, "owner": ctx.actor.id, "version": 1}
        row |= _row(ctx, identity, written)
        connection.execute(dashboard_table.insert(), row)
    return _built(ctx, row)


def change_dashboard(ctx: Context, name: str, values: Mapping[str, Any], *, version: int) -> Shown:
    """Change the named parts of a dashboard that somebody built and return it.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: it is somebody else's or of the schema, may not be shared so, or a card
            asks what the actor may not ask.
        StaleVersion: somebody changed it in between.
        Invalid: something in it is wrong; all of it is named.
    """
    found = find_dashboard(ctx, name)
    known = {
        "label": found.label,
        "time": found.content.time,
        "cards": [written_card(card) for card in found.content.cards],
        "shared_with": list(found.shared_with),
    }
    written = _read(ctx, known | dict(values), before=found)
    with ctx.writing() as connection:
        _changeable(ctx, connection, found, version)
        row = _row(ctx, name, written) | {"version": version + 1}
        where = dashboard_table.c.id == name
        connection.execute(dashboard_table.update().where(where).values(row))
        return _find(ctx, connection, name)


def remove_dashboard(ctx: Context, name: str, *, version: int) -> None:
    """Delete a dashboard that somebody built.

    Raises:
        NotFound: it is not there for this actor.
        Forbidden: it is somebody else's or of the schema.
        StaleVersion: somebody changed it in between.
    """
    found = find_dashboard(ctx, name)
    with ctx.writing() as connection:
        _changeable(ctx, connection, found, version)
        connection.execute(dashboard_table.delete().where(dashboard_table.c.id == name))


def _changeable(ctx: Context, connection: Connection, found: Shown, version: int) -> None:
    if not found.version:
        raise Forbidden(N_("This dashboard is part of the forms; change it there."))
    now = _find(ctx, connection, found.name)
    if not now.may_change:
        raise Forbidden
    if now.version != version:
        raise StaleVersion(version=now.version)


def _row(ctx: Context, identity: str, written: _Written) -> dict[str, Any]:
    content = Dashboard(dashboard=identity, time=written.time, cards=written.cards)
    return {
        "label": written.label.strip(),
        "shared_with": list(written.shared_with),
        "content": msgspec.to_builtins(content),
        "updated_at": to_wire(ctx.now),
    }


def _read(ctx: Context, values: Mapping[str, Any], before: Shown | None = None) -> _Written:
    """Return what somebody wrote, checked; cards that they changed are tried.

    Raises:
        Invalid: something is wrong; all of it is named.
        Forbidden: it may not be shared so, or a card asks what the actor may not ask.
    """
    try:
        written = msgspec.convert(dict(values), _Written)
    except msgspec.ValidationError as error:
        text = N_("This is of the wrong kind.")
        path = str(error).rpartition("`$.")[2].rstrip("`") if "`$." in str(error) else ""
        raise Invalid(problems=[Problem(path, "field.wrong_type", text)]) from error
    problems = list(_problems(ctx, written))
    if problems:
        raise Invalid(problems=problems)
    check_audience(ctx, set(written.shared_with) - set(before.shared_with if before else ()))
    known = before.content.cards if before else ()
    for card in written.cards:
        if card not in known:
            compute_card(ctx, card)
    return written


def _problems(ctx: Context, written: _Written) -> Iterable[Problem]:
    label = written.label.strip()
    if not 0 < len(label) <= _LONGEST_LABEL or not label.isprintable():
        text = N_("A name has 1 to {limit} characters.")
        yield Problem("label", "view.label", text, {"limit": _LONGEST_LABEL})
    if len(written.cards) > MAX_CARDS:
        text = N_("At most {limit} items.")
        yield Problem("cards", "view.too_many", text, {"limit": MAX_CARDS})
    seen: set[str] = set()
    for at, card in enumerate(written.cards[:MAX_CARDS]):
        yield from card_problems(ctx, card, f"cards.{at}.")
        if card.name in seen:
            text = N_("{name} stands twice.")
            yield Problem(f"cards.{at}.name", "card.duplicate", text, {"name": card.name[:80]})
        seen.add(card.name)
    yield from audience_problems(ctx, written.shared_with)


def card_problems(ctx: Context, card: Card, prefix: str = "") -> Iterable[Problem]:
    """Yield what is wrong with a card that somebody wrote, but for its filter."""
    known = ctx.registry.release.type(card.type)
    if known is not None and not access(ctx, card.type).may("view"):
        told = N_("There is no record type {name}.")
        yield Problem(f"{prefix}type", "card.unknown", told, {"name": card.type})
        return
    for flaw in card_flaws(ctx.registry.release.types, card):
        path = prefix + ".".join(map(str, flaw.path))
        yield Problem(path.rstrip("."), f"card.{flaw.code}", flaw.text, flaw.params)
    for language, text in card.label.items():
        if len(text) > _LONGEST_LABEL or not text.isprintable() or len(language) > 11:  # noqa: PLR2004
            told = N_("A name has 1 to {limit} characters.")
            yield Problem(f"{prefix}label", "view.label", told, {"limit": _LONGEST_LABEL})
    if len(card.filter) > _LONGEST_FILTER:
        told = N_("At most {limit} characters.")
        yield Problem(f"{prefix}filter", "field.too_long", told, {"limit": _LONGEST_FILTER})

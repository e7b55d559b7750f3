"""What a list's address asks for, laid over the view it names."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec
from flask import request

from core.context import Context
from core.errors import Invalid, NotFound, Problem
from core.policies.access import Access, access
from core.records.filtertexts import joined
from core.records.queries import Query
from core.records.views import SavedView, saved_views, schema_views
from core.schema.model import RecordType, View
from core.schema.viewchecks import view_flaws
from core.tables.indexes import view_order

#: Columns of a list whose type declares no view.
_DEFAULT_COLUMNS = 6

NO_COLUMN = frozenset({"table", "backlink", "long_text", "rich_text", "json", "links", "secret"})

#: Said in the address of a list that leaves its view's groups aside.
NONE = "-"

_MOST_TRAIL = 40


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks of a list."""

    view: str = ""
    type: str = ""
    filter: str = ""
    search: str = ""
    sort: str = ""
    columns: str = ""
    group: str = ""
    day: str = ""
    date: str = ""
    span: str = ""
    after: str = ""
    trail: tuple[str, ...] = ()

    def link(self, **changes: Any) -> str:
        """Return a query string like this one with `changes`; another order starts anew."""
        values = {name: getattr(self, name) for name in self.__slots__}
        if not {"after", "trail"} & changes.keys():
            values["after"], values["trail"] = "", ()
        values |= changes
        pairs = [(name, value) for name, value in values.items() if name != "trail" and value]
        pairs += [("trail", cursor) for cursor in values["trail"]]
        return "?" + urlencode(pairs)


def asked() -> Asked:
    """Return what this request's address asks."""
    args = request.args
    return Asked(
        view=args.get("view", ""),
        type=args.get("type", ""),
        filter=args.get("filter", "").strip(),
        search=args.get("search", "").strip(),
        sort=args.get("sort", ""),
        columns=args.get("columns", ""),
        group=args.get("group", ""),
        day=args.get("day", ""),
        date=args.get("date", ""),
        span=args.get("span", ""),
        after=args.get("after", ""),
        trail=tuple(args.getlist("trail")[-_MOST_TRAIL:]),
    )


@dataclass(frozen=True, slots=True)
class Look:
    """A view as it is looked at now.

    Attributes:
        view: what is shown, the address's changes included but for its filter.
        saved: the saved view it comes from, if any.
        views: the schema's views that the reader gets; `others` are the saved ones.
    """

    asked: Asked
    view: View
    saved: SavedView | None
    views: tuple[View, ...]
    others: list[SavedView] = field(default_factory=list)

    @property
    def filter(self) -> str:
        """Return the view's filter and the typed one as one."""
        return joined(self.view.filter, self.asked.filter)

    def query(self, names: Iterable[str] | None = None, **rest: Any) -> Query:
        """Return the question of the list, in the view's order."""
        return Query(
            filter=self.filter,
            sort=view_order(self.view),
            fields=None if names is None else tuple(names),
            search=self.asked.search,
            **rest,
        )


def look(ctx: Context, record_type: RecordType) -> Look:
    """Return what the address of a list asks to see.

    Raises:
        NotFound: there is no such view for the reader.
    """
    wanted = asked()
    views = schema_views(ctx, record_type)
    others = saved_views(ctx, record_type.name)
    saved = next((one for one in others if one.id == wanted.view), None)
    view = saved.view if saved else _named(record_type, views, wanted.view)
    changes: dict[str, Any] = {}
    if wanted.columns:
        changes["columns"] = tuple(dict.fromkeys(wanted.columns.split(",")))
    if wanted.sort:
        changes["sort"] = (wanted.sort,)
    else:
        rights = access(ctx, record_type.name)
        hidden = rights.names - rights.certain
        # Whoever made the view may see more: its order tells others nothing they may not ask.
        changes["sort"] = tuple(key for key in view.sort if key.lstrip("-") not in hidden)
    if wanted.group:
        changes["group_by"] = "" if wanted.group == NONE else wanted.group
    if wanted.type in {"list", "kanban", "calendar"}:
        changes["type"] = wanted.type
    if wanted.day:
        changes["date_field"] = wanted.day
    return Look(wanted, msgspec.structs.replace(view, **changes), saved, views, others)


def require_sound(record_type: RecordType, view: View) -> None:
    """Refuse a view that cannot be shown: an address may say anything, and fields go away.

    Raises:
        Invalid: with everything that is wrong.
    """
    problems = [
        Problem(".".join(map(str, flaw.path)), f"view.{flaw.code}", flaw.text, flaw.params)
        for flaw in view_flaws(record_type, view)
    ]
    if problems:
        raise Invalid(problems=problems)


def _named(record_type: RecordType, views: tuple[View, ...], name: str) -> View:
    for view in views:
        if view.name == name:
            return view
    if name:
        raise NotFound
    return views[0] if views else default_view(record_type)


def default_view(record_type: RecordType) -> View:
    """Return the list of a type that declares no view."""
    columns = tuple(each.name for each in record_type.fields if each.type not in NO_COLUMN)
    return View(name="", columns=columns[:_DEFAULT_COLUMNS])


def shown_somewhere(rights: Access) -> frozenset[str]:
    """Return the fields shown, be it as masks, in some of the rows that are shown."""
    return rights.possible | rights.masked

"""Merging records on a page: side by side, value by value; what was merged, and its undoing."""

from typing import Any

from flask import flash, render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Forbidden, Invalid, NotFound, UserError
from core.i18n import N_, translate
from core.ids import is_id
from core.policies.access import access
from core.records.merging import ALL, JOINED, MOST, can_take, merge_records
from core.records.queries import get_record
from core.records.unmerging import Unmerged, find_survivor, list_merges, undo_merge
from core.schema.model import RecordType
from core.web.display import field_label, value_text
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body, went
from core.web.reading import make_reading
from core.web.titles import find_titles

_LONGEST_REASON = 500


def may_merge(ctx: Context, record_type: RecordType) -> bool:
    """Return whether the actor may merge some records of a type."""
    rights = access(ctx, record_type.name)
    is_possible = record_type.soft_delete and not record_type.document
    return is_possible and rights.may("edit") and rights.may("delete")


@pages.get("/records/<type_name>/merge")
@page
def show_merge(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Show records side by side, to choose what lives on."""
    record_type = ctx.registry.record_type(type_name)
    _require(ctx, record_type)
    return _merge_page(ctx, record_type, _asked(request.args.getlist("ids")))


@pages.post("/records/<type_name>/merge")
@page
def merge_shown(ctx: Context, type_name: str) -> ResponseReturnValue:
    """Merge the records as the form says and go to the one that lives on."""
    record_type = ctx.registry.record_type(type_name)
    _require(ctx, record_type)
    ids = _asked(request.form.getlist("ids"))
    survivor = request.form.get("survivor", "")
    try:
        if survivor not in ids:
            raise Invalid(N_("Choose the record that lives on."))
        versions = {one: _version(one) for one in ids}
        fields = {one.name for one in record_type.fields if can_take(one)}
        take = {
            name.removeprefix("take."): source
            for name, source in request.form.items()
            if name.removeprefix("take.") in fields and source not in {"", survivor}
        }
        merge_records(
            ctx,
            type_name,
            survivor,
            {one: version for one, version in versions.items() if one != survivor},
            version=versions[survivor],
            take=take,
            reason=request.form.get("reason", "").strip()[:_LONGEST_REASON],
        )
    except UserError as error:
        return _merge_page(ctx, record_type, ids, error), error.status
    flash(translate(N_("Merged. This can be undone."), ctx.locale), "good")
    return went(f"/records/{type_name}/{survivor}/merges")


@pages.get("/records/<type_name>/<record_id>/merges")
@page
def show_merges(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue:
    """Show what was merged into a record, each with its undoing."""
    return _merges_page(ctx, type_name, record_id)


@pages.post("/records/<type_name>/<record_id>/merges/<merge_id>/undo")
@page
def undo_merged(
    ctx: Context, type_name: str, record_id: str, merge_id: str
) -> ResponseReturnValue:
    """Take a merge back and say what stayed as it is."""
    try:
        done = undo_merge(ctx, type_name, merge_id)
    except UserError as error:
        return _merges_page(ctx, type_name, record_id, error=error), error.status
    return _merges_page(ctx, type_name, record_id, undone=done)


def merged_page(ctx: Context, type_name: str, record_id: str) -> ResponseReturnValue | None:
    """Return the page of a record that was merged into another one; None where it was not."""
    survivor = find_survivor(ctx, type_name, record_id)
    if survivor is None:
        return None
    record_type = ctx.registry.record_type(type_name)
    titles = find_titles(ctx, [(type_name, survivor), (type_name, record_id)])
    return render_template(
        "gx/merged.html",
        type=record_type,
        label_plural=type_label(record_type, ctx.locale),
        id=record_id,
        title=titles.get((type_name, record_id), record_id),
        survivor=survivor,
        survivor_title=titles.get((type_name, survivor), survivor),
    )


def _require(ctx: Context, record_type: RecordType) -> None:
    if not may_merge(ctx, record_type):
        raise Forbidden


def _asked(ids: list[str]) -> list[str]:
    """Return the records named, each once.

    Raises:
        NotFound: there are fewer than two, too many, or some are no records.
    """
    found = list(dict.fromkeys(ids))
    if not 2 <= len(found) <= MOST + 1 or not all(map(is_id, found)):  # noqa: PLR2004  a pair
        raise NotFound(N_("Pick two records or more."))
    return found


def _version(record_id: str) -> int:
    text = request.form.get(f"version.{record_id}", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 10):  # noqa: PLR2004  digits
        raise Invalid(N_("The form is incomplete. Please load the page again."))
    return int(text)


def _merge_page(
    ctx: Context, record_type: RecordType, ids: list[str], error: UserError | None = None
) -> str:
    with ctx.reading():
        records = [get_record(ctx, record_type.name, one, as_wire=True) for one in ids]
    reading = make_reading(ctx, record_type.fields, records)
    survivor = request.form.get("survivor", "")
    if survivor not in ids:
        # The oldest one has most behind it: its id is known outside, its history is longest.
        survivor = min(records, key=lambda one: str(one.get("created_at") or "~"))["id"]
    rows = []
    # What somebody sees the mask of alone stays where it is.
    masked = {name for one in records for name in one.get("masked", ())}
    for field in record_type.fields:
        texts = [value_text(field, one.get(field.name), reading) for one in records]
        if not can_take(field) or field.name in masked or len(set(texts)) < 2:  # noqa: PLR2004  all the same
            continue
        chosen = request.form.get(f"take.{field.name}", "") or _best(ids, survivor, texts)
        rows.append(
            {
                "name": field.name,
                "label": field_label(field, ctx.locale),
                "values": list(zip(ids, texts, strict=True)),
                "chosen": chosen,
                "can_join": field.type in JOINED,
                "is_fixed": field.set_once,
            }
        )
    titles = find_titles(ctx, [(record_type.name, one) for one in ids])
    return render_template(
        "gx/merge.html",
        type=record_type,
        label_plural=type_label(record_type, ctx.locale),
        records=[
            {
                "id": one["id"],
                "version": one.get("version", 0),
                "title": titles.get((record_type.name, one["id"]), one["id"]),
                "created_at": one.get("created_at"),
            }
            for one in records
        ],
        rows=rows,
        survivor=survivor,
        all=ALL,
        reason=request.form.get("reason", ""),
        error=problem_body(error) if error else None,
    )


def _best(ids: list[str], survivor: str, texts: list[str]) -> str:
    """Return whose value is proposed: the survivor's, or the first that there is."""
    by_id = dict(zip(ids, texts, strict=True))
    if by_id[survivor]:
        return survivor
    return next((one for one, text in by_id.items() if text), survivor)


def _merges_page(
    ctx: Context,
    type_name: str,
    record_id: str,
    *,
    undone: Unmerged | None = None,
    error: UserError | None = None,
) -> str:
    record_type = ctx.registry.record_type(type_name)
    merges: list[dict[str, Any]] = list_merges(ctx, type_name, record_id)
    every = [(type_name, each) for one in merges for each in (one["survivor"], *one["losers"])]
    kept = [one[:2] for one in undone.kept] if undone else []
    titles = find_titles(ctx, [(type_name, record_id), *every, *kept])
    return render_template(
        "gx/merges.html",
        type=record_type,
        label_plural=type_label(record_type, ctx.locale),
        id=record_id,
        title=titles.get((type_name, record_id), record_id),
        merges=merges,
        titles={key[1]: text for key, text in titles.items()},
        undone=undone,
        kept=[
            {
                "url": f"/records/{name}/{one}",
                "title": titles.get((name, one), one),
                "field": _label(ctx, name, path),
            }
            for name, one, path in (undone.kept if undone else ())
        ],
        may_undo=may_merge(ctx, record_type),
        error=problem_body(error) if error else None,
    )


def _label(ctx: Context, type_name: str, name: str) -> str:
    record_type = ctx.registry.release.type(type_name)
    field = record_type.field(name) if record_type else None
    return field_label(field, ctx.locale) if field else name

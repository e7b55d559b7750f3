"""Decision tables: who approves what, as a matrix that people read, and what it leaves open."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from flask import render_template
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import NotFound
from core.i18n import N_, pick, translate
from core.schema.decisionchecks import find_gap
from core.schema.decisiontables import DecisionTable, Value
from core.schema.flows import Flow, Step
from core.schema.flowtexts import steps_of
from core.web.administration import require_builder
from core.web.flowdrawing import PeopleWords, tables_of
from core.web.page import page, pages

HIT_TEXTS = {
    "first": N_("The first row that holds says who approves."),
    "unique": N_("Exactly one row holds and says who approves."),
    "collect": N_("Everybody approves whom a row names that holds."),
}
_EITHER = {True: N_("yes"), False: N_("no")}


@dataclass(frozen=True, slots=True)
class Asking:
    """A flow that asks a decision table; `steps` are those that do, by id with their titles."""

    name: str
    title: str
    steps: list[tuple[str, str]]


@pages.get("/decision-tables/")
@page
def show_tables(ctx: Context) -> ResponseReturnValue:
    """Show every decision table, with the flows that ask it."""
    require_builder(ctx)
    release = ctx.registry.release
    return render_template(
        "gx/decisiontables.html",
        tables=[
            {
                "name": name,
                "label": pick(one.label, ctx.locale, name),
                "is_own": one.layer == "site",
                "rows": len(one.rows),
                "has_gap": find_gap(one) is not None,
                "flows": _flows(ctx, name),
            }
            for name, one in release.decision_tables.items()
        ],
    )


@pages.get("/decision-tables/<name>")
@page
def show_table(ctx: Context, name: str) -> ResponseReturnValue:
    """Show one decision table as a matrix, with what no row is for."""
    require_builder(ctx)
    release = ctx.registry.release
    table = release.decision_tables.get(name)
    if table is None:
        raise NotFound
    words = PeopleWords(ctx, release)
    return render_template(
        "gx/decisiontable.html",
        table=table,
        label=pick(table.label, ctx.locale, name),
        hit=translate(HIT_TEXTS[table.hit], ctx.locale),
        inputs=_inputs(ctx, table),
        rows=[
            {
                "cells": ["" if cell.strip() in {"", "-"} else cell for cell in row.when],
                "people": words.people(row.approvers),
                "note": pick(row.note, ctx.locale),
            }
            for row in table.rows
        ],
        has_notes=any(row.note for row in table.rows),
        gap=_gap(ctx, table),
        flows=_flows(ctx, name),
    )


def _inputs(ctx: Context, table: DecisionTable) -> list[str]:
    return [pick(one.label, ctx.locale, one.name) for one in table.inputs]


def _gap(ctx: Context, table: DecisionTable) -> list[tuple[str, str]]:
    """Return values for which no row holds, by input; empty when each has one."""
    values = find_gap(table)
    if values is None:
        return []
    said = [_said(ctx, value) for value in values]
    return list(zip(_inputs(ctx, table), said, strict=True))


def _said(ctx: Context, value: Value | None) -> str:
    """Return a value as people read it; texts that no cell names are told as that."""
    if value is None:
        return translate(N_("empty"), ctx.locale)
    if isinstance(value, bool):
        return translate(_EITHER[value], ctx.locale)
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, date):
        return value.isoformat()
    return value if value and value.isprintable() else translate(N_("anything else"), ctx.locale)


def _flows(ctx: Context, name: str) -> list[Asking]:
    """Return the flows that ask a table, each with its steps that do."""
    found = []
    for flow in ctx.registry.release.flows.values():
        steps = [(step.id, _title(ctx, step)) for step in _asking(flow, name)]
        if steps:
            title = pick(flow.title, ctx.locale, flow.flow)
            found.append(Asking(flow.flow, title, steps))
    return found


def _asking(flow: Flow, name: str) -> Iterable[Step]:
    return (step for _, step in steps_of(flow) if name in tables_of(step))


def _title(ctx: Context, step: Step) -> str:
    return pick(step.title, ctx.locale, step.id)

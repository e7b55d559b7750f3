"""Pages of approval flows: drawn, in words, with their proof and tests; replay and what-if."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from flask import render_template, request
from flask.typing import ResponseReturnValue

from core.context import Context
from core.errors import Invalid, NotFound, Problem
from core.i18n import N_, pick, translate
from core.records.audience import is_configurator
from core.schema.fieldtypes import field_type
from core.schema.flowguards import GuardNote, guard_notes
from core.schema.flows import Flow
from core.schema.flowtexts import flows_in_order, texts_of
from core.schema.loader import load_documents
from core.schema.model import Field, Release
from core.schema.yamlnodes import Source
from core.tables.releases import load_sources
from core.web.administration import require_builder
from core.web.flowdrawing import FlowWords
from core.web.navigation import type_label
from core.web.page import page, pages, problem_body
from core.web.taskrows import span
from core.web.tasktexts import RESULT_TEXTS, STATE_TEXTS, TASK_STATE_TEXTS
from core.web.titles import find_titles
from core.workflow.models import OPEN_STATES, instance
from core.workflow.rehearsal import previews
from core.workflow.rehearsal.plainworld import PlainFlow
from core.workflow.rehearsal.tests import run_tests
from core.workflow.rehearsal.whatif import Supposition, what_if
from core.workflow.seen import seen_record

#: Running approvals that a flow's page lists.
_RUNNING = 10
#: People that a what-if can send away.
_PEOPLE = 30

GAP_TEXTS: Mapping[str, tuple[str, str]] = {
    "empty": (N_("Nobody can decide {step}"), "bad"),
    "few": (N_("Too few people can decide {step}"), "bad"),
    "distinct": (N_("{step} must be decided by different people, and there is one"), "bad"),
    "single": (N_("One person alone decides {step}: {people}"), "warn"),
}
#: What a clock does, in one word.
RUNG_TEXTS: Mapping[str, str] = {
    "remind": N_("Reminded"), "escalate": N_("Asks others too"),
    "approve": N_("Approved by itself"), "reject": N_("Rejected by itself"),
    "return": N_("Returned"), "pause": N_("Administrators are told"),
}  # fmt: skip
_HANDLED = {
    "pause": N_("It then waits, and administrators are told."),
    "fail": N_("It then cannot be submitted."),
    "auto_pass": N_("It then passes by itself."),
    "to": N_("It then goes to whom the flow names for this."),
}


@pages.get("/flows/")
@page
def show_flows(ctx: Context) -> ResponseReturnValue:
    """Show every flow, by the documents that they decide, in the order they are tried."""
    require_builder(ctx)
    release = ctx.registry.release
    documents = sorted({one.document for one in release.flows.values()})
    groups = []
    for name in documents:
        chosen = flows_in_order(release.flows, name)
        below = [one for one in release.flows.values() if one.document == name]
        rest = [one for one in below if one not in chosen]
        lines = [_line(ctx, one, place) for place, one in enumerate(chosen, start=1)]
        lines += [_line(ctx, one, 0) for one in rest]
        groups.append((type_label(release.types[name], ctx.locale), name, lines))
    return render_template(
        "gx/flows.html",
        groups=groups,
        tables=len(release.decision_tables),
        documents=document_choices(ctx) if is_configurator(ctx) else (),
    )


def document_choices(ctx: Context) -> list[tuple[str, str]]:
    """Return the record types that a flow can decide, with what people call them."""
    found = ctx.registry.release.types.values()
    return [
        (one.name, type_label(one, ctx.locale, plural=False))
        for one in found
        if one.document and not one.archived
    ]


def _line(ctx: Context, flow: Flow, place: int) -> dict[str, Any]:
    release = ctx.registry.release
    failed = run_tests(flow, release)
    return {
        "name": flow.flow,
        "title": pick(flow.title, ctx.locale, flow.flow),
        "version": flow.version,
        "place": place,
        "when": flow.when,
        "is_own": flow.layer == "site",
        "tests": len(flow.tests),
        "failed": len(failed),
    }


@pages.get("/flows/<name>")
@page
def show_flow(ctx: Context, name: str) -> ResponseReturnValue:
    """Show one flow: its steps, who decides, what the proof and its tests say."""
    require_builder(ctx)
    release, flow = ctx.registry.release, _flow(ctx, name)
    words = FlowWords(ctx, release, flow)
    proof = previews.prove_flow(ctx, release, flow)
    return render_template(
        "gx/flow.html",
        flow=flow,
        title=pick(flow.title, ctx.locale, flow.flow),
        document=type_label(release.types[flow.document], ctx.locale),
        cards=words.cards(flow.steps),
        facts=words.facts(),
        endings=words.endings(),
        tests=_tests(ctx, flow, release),
        proof=shown_proof(ctx, proof),
        notes=[_note(ctx, one) for one in guard_notes(release, flow)],
        running=_running(ctx, flow),
        yaml=_yaml(ctx, flow) if is_configurator(ctx) else "",
    )


@pages.get("/flows/replay/<draft_id>")
@page
def show_replay(ctx: Context, draft_id: str) -> ResponseReturnValue:
    """Show how past approvals would have gone by the flows of a draft."""
    require_builder(ctx)
    previews.require_configurator(ctx)
    written = request.args.get("months", "3")
    months = int(written) if written.isascii() and written.isdecimal() and len(written) < 3 else 3  # noqa: PLR2004
    months = min(max(months, 1), previews.MOST_MONTHS)
    release = _drafts().draft_release(ctx, draft_id)
    found = previews.replay(ctx, release, months=months)
    titles = find_titles(
        ctx, [(one["record"]["type"], one["record"]["id"]) for one in found["items"]]
    )
    return render_template(
        "gx/replay.html",
        span_text=lambda seconds: span(ctx, seconds, business=True),
        draft=draft_id,
        months=months,
        found=found,
        titles=titles,
        documents=[
            type_label(release.types[one], ctx.locale) for one in found["documents"]
        ],
    )  # fmt: skip


@pages.get("/flows/whatif/<instance_id>")
@page
def ask_what_if(ctx: Context, instance_id: str) -> ResponseReturnValue:
    """Show how a running approval goes on, and ask what should be otherwise."""
    return _what_if_page(ctx, instance_id, {}, (), "")


@pages.post("/flows/whatif/<instance_id>")
@page
def answer_what_if(ctx: Context, instance_id: str) -> ResponseReturnValue:
    """Show how a running approval goes on with other values, people away or things done."""
    given = {
        key.removeprefix("field:"): text.strip()
        for key, text in request.form.items()
        if key.startswith("field:") and text.strip()
    }
    away = tuple(request.form.getlist("away"))
    return _what_if_page(ctx, instance_id, given, away, request.form.get("do", ""))


def _what_if_page(
    ctx: Context, instance_id: str, given: Mapping[str, str], away: Sequence[str], acts: str
) -> ResponseReturnValue:
    require_builder(ctx)
    found = what_if(ctx, instance_id)
    with ctx.reading() as connection:
        row = connection.execute(sa.select(instance).where(instance.c.id == instance_id))
        about = dict(row.mappings().one())
    seen = seen_record(ctx, about["record_type"], about["record_id"]) or {}
    people = {
        one["id"]: one["name"]
        for stop in found["now"]["stops"]
        for seat in stop["seats"]
        for one in seat["people"]
    }
    wanted = [line.strip() for line in acts.splitlines() if line.strip()]
    error, status = None, 200
    is_asked = bool(given or away or wanted)
    if is_asked:
        try:
            found = what_if(ctx, instance_id, Supposition(_fields(given, seen), away, wanted))
        except Invalid as refused:
            error, status = problem_body(refused), refused.status
    titles = find_titles(ctx, [(about["record_type"], about["record_id"])])
    flow = ctx.registry.release.flows.get(about["flow"])
    shown = render_template(
        "gx/whatif.html",
        found=found,
        about=about,
        title=next(iter(titles.values()), about["record_id"]),
        flow_title=pick(flow.title, ctx.locale, flow.flow) if flow else about["flow"],
        inputs=list(_inputs(ctx, about, seen)),
        people=list(people.items())[:_PEOPLE],
        given=given,
        away=away,
        acts=acts,
        rung_text=lambda do: translate(RUNG_TEXTS[do], ctx.locale),
        span_text=lambda seconds: span(ctx, seconds, business=True),
        state_text=lambda state: translate(STATE_TEXTS[state], ctx.locale),
        result_text=lambda code: translate(_WORDS[code], ctx.locale) if code in _WORDS else code,
        refusal_text=lambda code: _refusal(ctx, code),
        added=[one["step"] for one in found["differences"] if one["what"] == "added"],
        differences=list(_told_differences(ctx, found)),
        is_asked=is_asked and error is None,
        error=error,
    )
    return shown, status


#: How a task ended, in a word.
_WORDS: Mapping[str, str] = {
    code: text for code, text in {**TASK_STATE_TEXTS, **RESULT_TEXTS}.items() if text
}
#: Why nobody does an act of a what-if.
_IDLE = {
    "nothing_waits": N_("Nothing waits there."),
    "nobody_sits": N_("Nobody can sit there."),
}


def _refusal(ctx: Context, code: str) -> str:
    """Return why an act is refused: in words where they need no names, else its code."""
    return translate(_IDLE[code], ctx.locale) if code in _IDLE else code


#: What of a task can differ between two courses.
_DIFFERENCES = {
    "added": N_("{step} is asked too."),
    "removed": N_("{step} is not asked any more."),
    "people": N_("{step}: {before} → {after}."),
    "due": N_("The times of {step} move."),
    "open": N_("Waits then at: {after}."),
    "state": N_("It is then: {after}."),
    "ending": N_("It ends: {after}."),
}


def _told_differences(ctx: Context, found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what differs between the two courses of a what-if, in words."""
    titles = {
        stop["step"]: stop["title"]
        for course in (found["now"], found["then"])
        for stop in (*course["stops"], *course["open"])
    }
    nobody = translate(N_("nobody"), ctx.locale)

    def told(what: str, value: Any) -> str:
        if what in {"state", "ending"}:
            return translate(STATE_TEXTS[value], ctx.locale)
        return ", ".join(titles.get(one, one) for one in value) or nobody

    for one in found["differences"]:
        params = {"step": titles.get(one["step"], one["step"])}
        if one["what"] not in {"added", "removed", "due"}:
            params |= {side: told(one["what"], one[side]) for side in ("before", "after")}
        yield translate(_DIFFERENCES[one["what"]], ctx.locale, **params)


def _fields(given: Mapping[str, str], seen: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a form changes; `lines.rate` changes every row."""
    found: dict[str, Any] = {}
    for path, text in given.items():
        name, _, column = path.partition(".")
        if not column:
            found[name] = text
            continue
        rows = found.get(name, seen.get(name))
        if not isinstance(rows, list):
            told = N_("There is no field {name}.")
            raise Invalid(problems=[Problem(path, "field.unknown", told, {"name": path[:80]})])
        found[name] = [{**row, column: text} for row in rows]
    return found


def _inputs(
    ctx: Context, about: Mapping[str, Any], seen: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """Yield what the flow's conditions are about, of what the reader may see."""
    release = ctx.registry.release
    flow = release.flows.get(about["flow"])
    record_type = release.types[about["record_type"]]
    if flow is None or flow.document != record_type.name:
        return
    plain = PlainFlow(release, flow)
    paths = {
        path
        for one in texts_of(msgspec.to_builtins(flow))
        if one.use in {"condition", "value"}
        for path in plain.compiled(one.text).paths
    }
    for path in sorted(paths):
        name, _, column = path.partition(".")
        found = record_type.field(name)
        if found is None or name not in seen or field_type(found.type).computed:
            continue
        inner = next((one for one in found.fields if one.name == column), None)
        if (found.type == "table") != (inner is not None):
            continue
        yield _input(ctx, path, inner or found, _present(seen[name], column))


def _present(value: Any, column: str) -> str:
    """Return a value, or those of a column, as a hint."""
    if isinstance(value, list):
        cells = [str(row.get(column, "")) if isinstance(row, dict) else str(row) for row in value]
        return ", ".join(dict.fromkeys(cells))[:80]
    return "" if value is None else str(value)[:80]


def _input(ctx: Context, path: str, one: Field, present: str) -> dict[str, Any]:
    options = [(it.value, pick(it.label, ctx.locale, it.value)) for it in one.options]
    if one.type == "boolean":
        options = [(word, word) for word in ("true", "false")]
    label = pick(one.label, ctx.locale, one.name)
    return {"path": path, "label": label, "present": present, "options": options}


def _flow(ctx: Context, name: str) -> Flow:
    found = ctx.registry.release.flows.get(name)
    if found is None:
        raise NotFound
    return found


def _drafts() -> Any:
    """Return the draft operations; they bring Alembic along, which few processes ever need."""
    from core.migration import drafts  # noqa: PLC0415  slow

    return drafts


def _tests(ctx: Context, flow: Flow, release: Release) -> list[dict[str, Any]]:
    failed = {one.place: one for one in run_tests(flow, release)}
    return [
        {
            "name": one.name,
            "do": one.do,
            "problem": translate(failed[at].text, ctx.locale, **failed[at].params)
            if at in failed
            else "",
        }
        for at, one in enumerate(flow.tests)
    ]


def shown_proof(ctx: Context, proof: Mapping[str, Any]) -> dict[str, Any]:
    """Return a proof in words."""
    titles = {name: pick(title, ctx.locale, name) for name, title in proof["titles"].items()}
    gaps = []
    for gap in proof["gaps"]:
        text, tone = GAP_TEXTS[gap["kind"]]
        steps = [titles.get(one, one) for one in gap["steps"]]
        seat = titles.get(f"{gap['steps'][0]}.{gap['seat']}", gap["seat"])
        step = " · ".join([*steps, *([seat] if seat else [])])
        people = ", ".join(one["name"] for one in gap["people"])
        more = gap["count"] - len(gap["places"])
        gaps.append(
            {
                "text": translate(text, ctx.locale, step=step, people=people),
                "tone": tone,
                "branch": gap["branch"],
                "places": [one["name"] for one in gap["places"]],
                "more": more,
                "handled": translate(_HANDLED[gap["handled"]], ctx.locale)
                if gap["handled"]
                else "",
            }
        )
    unknown = [titles.get(one, one) for one in proof["unknown"]]
    return {**proof, "gaps": gaps, "unknown": unknown}


def _note(ctx: Context, note: GuardNote) -> str:
    """Return what is worth knowing about the cases of a step."""
    empty = translate(N_("empty"), ctx.locale)
    examples = "; ".join(
        ", ".join(f"{name}: {empty if value is None else value}" for name, value in one.items())
        for one in note.examples
    )
    if note.kind == "left":
        text = N_("{step}: no case takes {examples}; it goes the other way.")
        return translate(text, ctx.locale, step=note.step, examples=examples)
    first, second = note.cases
    text = N_("{step}: cases {first} and {second} both hold for {examples}; the first goes.")
    return translate(
        text, ctx.locale, step=note.step, first=first, second=second, examples=examples
    )


def _running(ctx: Context, flow: Flow) -> list[dict[str, str]]:
    """Return running approvals by this flow whose documents the reader may see."""
    query = (
        sa.select(
            instance.c.id, instance.c.record_type, instance.c.record_id, instance.c.opened_at
        )
        .where(instance.c.flow == flow.flow, instance.c.state.in_(OPEN_STATES))
        .order_by(instance.c.opened_at.desc())
        .limit(_RUNNING)
    )
    with ctx.reading() as connection:
        rows = list(connection.execute(query).mappings())
    titles = find_titles(ctx, [(row["record_type"], row["record_id"]) for row in rows])
    return [
        {
            "id": row["id"],
            "title": titles[row["record_type"], row["record_id"]],
            "at": row["opened_at"],
        }
        for row in rows
        if (row["record_type"], row["record_id"]) in titles
    ]


def _yaml(ctx: Context, flow: Flow) -> str:
    """Return the flow's file as the next version of it would begin."""
    with ctx.reading() as connection:
        stored = load_sources(connection, ctx.registry.release.number)
    for source in stored:
        if source["layer"] != flow.layer or "flow:" not in source["text"]:
            continue
        found, _ = load_documents([Source(flow.layer, source["path"], source["text"])])
        if any((one.kind, one.name) == ("flow", flow.flow) for one in found):
            version = f"version: {flow.version + 1}"
            return re.sub(r"(?m)^version:\s*\S+", version, source["text"], count=1)
    return ""

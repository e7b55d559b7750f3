"""Rows of the audit queue as lists show them: who waits, how long, how far it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from core.context import Context
from core.i18n import N_, pick, translate
from core.schema.peopletypes import USERS
from core.web.navigation import type_label
from core.web.tasktexts import SLA_TEXTS, STATE_TEXTS, STATE_TONES
from core.web.titles import find_titles, role_labels
from core.workflow.engine.tree import compile_flow

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


@dataclass(frozen=True, slots=True)
class Chip:
    """A word or a number beside a title, with its colour's meaning in words."""

    text: str
    tone: str = ""
    told: str = ""


def task_lines(ctx: Context, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows of a box as lists show them."""
    absent = {(USERS, row["on_behalf_of"]) for row in rows if row["on_behalf_of"]}
    names = find_titles(ctx, absent)
    return [_line(ctx, row, names.get((USERS, row["on_behalf_of"]), "")) for row in rows]


def task_line(ctx: Context, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of a box as lists show it."""
    return task_lines(ctx, [row])[0]


def _line(ctx: Context, row: Mapping[str, Any], for_name: str) -> dict[str, Any]:
    record_type = ctx.registry.release.type(row["record"]["type"])
    name = row["record"]["type"]
    if record_type is not None:
        name = type_label(record_type, ctx.locale, plural=False)
    state = row["instance_state"]
    is_over = row["state"] != "open"
    return {
        "id": row["id"],
        "title": row["title"] or name,
        "type": row["record"]["type"],
        "type_label": name,
        "step": pick(row["step"]["title"], ctx.locale, row["step"]["id"]),
        "initiator": row["initiator"]["name"],
        "opened_at": row["opened_at"],
        "due_at": row["due_at"],
        "sla": sla_tone(row),
        "sla_text": sla_text(ctx, row),
        "age": age_text(ctx, row),
        "href": f"/records/{row['record']['type']}/{row['record']['id']}",
        "state_label": state_text(ctx, state) if is_over or state != "running" else "",
        "tone": STATE_TONES.get(state, ""),
        "instance_state": state,
        "instance": row["instance"],
        "round": row["round"],
        "progress": progress_text(ctx, row),
        "chips": chips(ctx, row),
        "for_name": for_name,
        "claimed": claim(ctx, row),
        "subject_hash": row["subject_hash"],
        "may": list(row["may"]),
        "is_bulk": bool(row.get("bulk", True)) and bool({"approve", "reject"} & set(row["may"])),
    }


def state_text(ctx: Context, state: str) -> str:
    """Return an instance's state in the reader's language."""
    return translate(STATE_TEXTS.get(state, state), ctx.locale)


def sla_tone(row: Mapping[str, Any]) -> str:
    """Return green, amber, red or paused; empty where nothing is due."""
    return str((row["sla"] or {}).get("state", ""))


def sla_text(ctx: Context, row: Mapping[str, Any]) -> str:
    """Return what is left of the time to decide, with a word for its colour."""
    tone = sla_tone(row)
    if not tone:
        return ""
    word = translate(SLA_TEXTS[tone], ctx.locale)
    if row["sla"]["seconds"] is None:
        return word
    left = int(row["sla"]["seconds"])
    text = N_("{time} over") if left < 0 else N_("{time} left")
    spent = span(ctx, abs(left), business=row["sla"]["business"])
    told = translate(text, ctx.locale, time=spent)
    return told if tone == "green" else f"{word} · {told}"


def age_text(ctx: Context, row: Mapping[str, Any]) -> str:
    """Return how long an open task has waited."""
    if row["state"] != "open":
        return ""
    waited = ctx.now - datetime.fromisoformat(row["opened_at"])
    spent = span(ctx, int(waited.total_seconds()))
    return translate(N_("waits {time}"), ctx.locale, time=spent)


def span(ctx: Context, seconds: int, *, business: bool = False) -> str:
    """Return a length of time in its two largest units; business days are eight hours."""
    day = 8 * _HOUR if business else _DAY
    days, rest = divmod(max(0, seconds), day)
    hours, rest = divmod(rest, _HOUR)
    if days:
        text = N_("{days} bd {hours} h") if business else N_("{days} d {hours} h")
        return translate(text, ctx.locale, days=days, hours=hours)
    minutes = rest // _MINUTE
    if hours:
        return translate(N_("{hours} h {minutes} min"), ctx.locale, hours=hours, minutes=minutes)
    return translate(N_("{minutes} min"), ctx.locale, minutes=minutes)


def progress_text(ctx: Context, row: Mapping[str, Any]) -> str:
    """Return how many voices were given, and whose are still waited for: 2/3 · finance."""
    progress = row["progress"]
    if progress["seats"] < 2:  # noqa: PLR2004  one voice needs no count
        return ""
    text = f"{progress['approved']}/{progress['seats']}"
    if progress["pending"]:
        comma = "、" if ctx.locale == "zh" else ", "
        place = (row["record"]["type"], row["step"]["id"])
        names = comma.join(voice_name(ctx, each, place) for each in progress["pending"])
        text += " · " + translate(N_("waits for {names}"), ctx.locale, names=names)
    return text


def post_labels(ctx: Context) -> dict[str, str]:
    """Return the roles and positions by name, with their labels in the reader's language."""
    positions = ctx.registry.release.positions
    return role_labels(ctx) | {
        each.name: pick(each.label, ctx.locale, each.name) for each in positions
    }


def voice_name(ctx: Context, key: str, place: tuple[str, str] = ("", "")) -> str:
    """Return what people call a voice: a named seat, a role, a position or a person.

    Args:
        ctx: who reads.
        key: of the seat.
        place: record type and step, for the titles of named seats.
    """
    name = key.partition("@")[0]
    found = post_labels(ctx).get(name)
    if found is None:
        found = find_titles(ctx, {(USERS, name)}).get((USERS, name))
    return found or _seat_titles(ctx, *place).get(name, name)


def _seat_titles(ctx: Context, type_name: str, step: str) -> dict[str, str]:
    """Return the named seats of a step, as the flows now in force call them."""
    flows = ctx.registry.release.flows
    return {
        key: pick(seat.title, ctx.locale, key)
        for flow in flows.values()
        if flow.document == type_name
        for node in compile_flow(flow, flows).nodes.values()
        if node.id == step
        for key, seat in node.step.seats.items()
    }


def chips(ctx: Context, row: Mapping[str, Any]) -> list[Chip]:
    """Return what makes a task heavy: its risk and its amount."""
    found = []
    risk = row["risk"]
    if risk not in (None, "", "0", 0):
        text = translate(N_("risk {value}"), ctx.locale, value=str(risk))
        found.append(Chip(text, "warn"))
    if row["priority"]:
        found.append(Chip(translate(N_("priority {value}"), ctx.locale, value=row["priority"])))
    if row["round"] > 1:
        text = translate(N_("round {number}"), ctx.locale, number=row["round"])
        found.append(Chip(text, "info"))
    return found


def claim(ctx: Context, row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return who works on a task now: name, initial, until when, and whether it is the reader."""
    found = row["claimed"]
    if not found:
        return None
    return {
        "name": found["name"],
        "initial": found["name"][:1].upper(),
        "until": found["until"],
        "is_me": found["by"] == ctx.actor.id,
    }

"""What a change of the schema would do: problems, differences, impact and steps.

Everything that shows a change before it is published (the designer, the REST
draft, `guanxi schema plan`) shows one of these.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from core.actor import Actor
from core.clock import Clock
from core.db import Database
from core.errors import Invalid, Problem, SchemaError, problem_body
from core.i18n import N_, pick, translate
from core.migration.facts import count_rows, duplicate_problems
from core.migration.plan import Plan, make_plan
from core.migration.run import Publication, publish
from core.migration.sources import Stored, read_stored
from core.migration.steps import SENTENCES, Step, sentence_params
from core.schema.automationtexts import expressions_of, names_field
from core.schema.diff import Change, diff
from core.schema.layers import effective
from core.schema.model import Action, Policy, RecordType, Release
from core.tables.registry import Registries
from core.tables.releases import load_release, load_sources, read_revision

#: Longest note of a release.
MAX_NOTE = 2_000


class Author(Protocol):
    """Who changes the schema, and where; a request's context is one."""

    @property
    def db(self) -> Database:
        """Return the database."""

    @property
    def registries(self) -> Registries:
        """Return the process's registries."""

    @property
    def actor(self) -> Actor:
        """Return who acts."""

    @property
    def clock(self) -> Clock:
        """Return the clock."""


@dataclass(frozen=True, slots=True)
class Running:
    """The release in force with the sources it was made of; number 0 before the first."""

    release: Release
    sources: list[Stored]


def read_running(connection: sa.Connection) -> Running:
    """Return the release in force and its sources."""
    number = read_revision(connection).schema
    if not number:
        return Running(Release(number=0), [])
    sources = read_stored(load_sources(connection, number))
    return Running(load_release(connection, number), sources)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that was thought through but not made.

    Attributes:
        running: what is in force.
        sources: all sources as they would be.
        release: the release they give; None where problems prevent one.
        problems: everything that stands against publishing it.
        plan: the steps; None without a release.
        rows: record type name -> number of records, for the types that change.
    """

    running: Running
    sources: list[Stored]
    release: Release | None = None
    problems: tuple[Problem, ...] = ()
    changes: tuple[Change, ...] = ()
    plan: Plan | None = None
    rows: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Return whether publishing it would change nothing."""
        if self.release is None:
            return False
        number = self.running.release.number
        return number > 0 and self.running.release == msgspec.structs.replace(
            self.release, number=number
        )

    def to_json(self, locale: str = "en") -> dict[str, Any]:
        """Return it for the REST API, texts in `locale`."""
        steps = self.plan.steps if self.plan else ()
        return {
            "base": self.running.release.number,
            "checks": [problem_body(one, locale) for one in self.problems],
            "diff": [
                {name: getattr(one, name) for name in Change.__slots__} for one in self.changes
            ],
            "impact": impact(self),
            "plan": {
                "steps": [
                    {
                        "phase": step.phase,
                        "operation": step.op,
                        "table": step.table,
                        "name": step.name,
                        "text": step_text(step, locale),
                        "reason": translate(step.why, locale, **step.params),
                    }
                    for step in steps
                ],
                "indexes": [step.name for step in steps if step.op == "create_index"],
            },
        }

    def to_text(self, locale: str = "en") -> str:
        """Return it for a terminal."""
        return "\n".join(_lines(self, locale))


def propose(
    connection: sa.Connection,
    sources: Sequence[Stored],
    running: Running,
    *,
    problems: Iterable[Problem] = (),
    make: Callable[[], Release] | None = None,
) -> Proposal:
    """Return what publishing `sources` would do; `make` gives the release in another way."""
    problems = tuple(problems)
    number = running.release.number + 1
    try:
        if make is not None:
            release = make()
        else:
            before = running.release if running.release.number else None
            release = effective([one.source() for one in sources], before, number)
    except SchemaError as error:
        return Proposal(running, list(sources), problems=(*problems, *error.problems))
    plan, against = make_plan(running.release, release)
    if not against:
        against = duplicate_problems(connection, plan)
    changes = diff(running.release, release)
    touched = {one.type for one in changes}
    rows = count_rows(connection, running.release, touched)
    return Proposal(
        running=running,
        sources=list(sources),
        release=release,
        problems=(*problems, *against),
        changes=changes,
        plan=plan,
        rows=rows,
    )


def publish_proposal(
    author: Author,
    proposal: Proposal,
    note: str,
    *,
    also: Callable[[sa.Connection, int], None] | None = None,
) -> int:
    """Publish a proposal without problems and return the release's number.

    `also` runs in the transaction that puts the release in force.

    Raises:
        SchemaError: it has problems.
        Invalid: the note is over `MAX_NOTE`.
    """
    if proposal.problems or proposal.release is None:
        raise SchemaError(problems=proposal.problems)
    if len(note) > MAX_NOTE:
        text = N_("At most {limit} characters; this has {length}.")
        params = {"limit": MAX_NOTE, "length": len(note)}
        raise Invalid(problems=[Problem("note", "field.too_long", text, params)])
    return publish(
        author.db,
        Publication(
            release=proposal.release,
            sources=[msgspec.to_builtins(one) for one in proposal.sources],
            note=note,
            actor=author.actor,
            at=author.clock.now(),
            also=also,
        ),
    )


# -- impact ---------------------------------------------------------------------------------

_TOUCHING = frozenset({"archive_field", "rename_field", "retype_field", "change_field"})


def impact(proposal: Proposal) -> dict[str, Any]:
    """Return how much a change touches: records per type, and what uses the changed fields."""
    used: dict[str, set[str]] = {
        kind: set() for kind in ("views", "policies", "rules", "expressions")
    }
    for change in proposal.changes:
        record_type = proposal.running.release.types.get(change.type)
        if change.kind not in _TOUCHING or record_type is None:
            continue
        if not change.properties or set(change.properties) - _COSMETIC:
            name = _former_name(record_type, change)
            for kind, place in _uses(proposal.running.release, record_type, name):
                used[kind].add(place)
    rows = dict(sorted(proposal.rows.items()))
    return {"rows": rows, **{kind: sorted(places) for kind, places in used.items()}}


_COSMETIC = frozenset({"label", "help", "placeholder", "unit"})


def _former_name(record_type: RecordType, change: Change) -> str:
    before = next((one for one in record_type.fields if one.id == change.id), None)
    return before.name if before else change.field.rpartition(".")[2]


def _mentions(name: str, *texts: str) -> bool:
    pattern = rf"(?<!\w){re.escape(name)}(?!\w)"
    return any(re.search(pattern, text) for text in texts if text)


def _uses(release: Release, record_type: RecordType, name: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, place) of everything in a release that names a field of a type."""
    for view in record_type.views:
        columns = (*view.columns, *(one.removeprefix("-") for one in view.sort), *view.totals)
        texts = (view.filter, view.group_by, *(rule.when for rule in view.color_when))
        if name in columns or name == view.date_field or _mentions(name, *texts):
            yield "views", f"{record_type.name}.{view.name}"
    yield from (("rules", place) for place in _rule_uses(record_type, name))
    for policy in (*record_type.policies, *release.policies):
        applies = not policy.types or {"*", record_type.name} & set(policy.types)
        if applies and _policy_uses(policy, name):
            yield "policies", policy.name
    yield from (
        ("automations", one) for one in _automations_naming(release, record_type.name, name)
    )
    for other in release.types.values():
        wanted = name if other.name == record_type.name else f".{name}"
        for place, text in _expressions(other):
            if wanted in text and _mentions(name, text):
                yield "expressions", f"{other.name}.{place}"


def _rule_uses(record_type: RecordType, name: str) -> Iterator[str]:
    """Yield the rules and stages that name a field of their type."""
    for rule in record_type.rules:
        if any(name in _acted_on(action) for action in rule.then):
            yield f"{record_type.name}.{rule.name}"
    for stage in record_type.stages:
        if name in (stage.field, *stage.require, *stage.lock):
            yield f"{record_type.name}.{stage.state}"


def _acted_on(action: Action) -> tuple[str, ...]:
    """Return the fields that an action of a rule names."""
    single = action.set, action.limit_options
    return (*single, *action.clear, *action.require, *action.lock, *action.show, *action.fields)


def _automations_naming(release: Release, type_name: str, name: str) -> Iterator[str]:
    for one in release.automations.values():
        texts = (text for _, text in expressions_of(one))
        if names_field(one, type_name, name) or _mentions(name, *texts):
            yield one.automation


def _policy_uses(policy: Policy, name: str) -> bool:
    return name in (*policy.fields.view, *policy.fields.edit) or _mentions(name, policy.rows)


def _expressions(record_type: RecordType) -> Iterator[tuple[str, str]]:
    """Yield (place, text) of a type's expressions, views and policies aside."""
    for one in record_type.fields:
        for inner in (one, *one.fields):
            for key in _EXPRESSION_KEYS:
                text = getattr(inner, key)
                if text:
                    yield (f"{inner.name}.{key}", text)
            for option, text in inner.options_when.items():
                yield (f"{inner.name}.options_when.{option}", text)
    for number, check in enumerate(record_type.checks):
        yield (f"checks.{number}", check.check)
    for rule in record_type.rules:
        yield (f"rules.{rule.name}", rule.when)
        yield from ((f"rules.{rule.name}.then", action.to) for action in rule.then)
    if record_type.delete:
        yield ("delete", record_type.delete.allow_when)


_EXPRESSION_KEYS = (
    "formula", "take", "default_expr", "filter", "visible_when", "required_when", "read_only_when",
)  # fmt: skip


# -- texts ----------------------------------------------------------------------------------


def step_text(step: Step, locale: str) -> str:
    """Return what a step does, in `locale`."""
    return translate(SENTENCES[step.op], locale, **sentence_params(step))


_MARKS = {"add": "+", "archive": "-", "drop": "-", "restore": "+"}


def _lines(proposal: Proposal, locale: str) -> Iterator[str]:
    for problem in proposal.problems:
        yield f"! {problem}"
    if proposal.is_empty:
        yield translate(N_("Nothing changes."), locale)
    elif proposal.release is not None and proposal.plan is not None:
        base = proposal.running.release.number
        yield translate(
            N_("Release {base} -> {number}"), locale, base=base, number=proposal.release.number
        )
        yield from (f"  {_change_text(proposal, change)}" for change in proposal.changes)
        yield from _step_lines(proposal.plan, locale)
        if proposal.rows:
            yield translate(N_("Records"), locale)
            yield from (f"  {name}: {count}" for name, count in sorted(proposal.rows.items()))


def _step_lines(plan: Plan, locale: str) -> Iterator[str]:
    if plan.steps:
        yield translate(N_("Steps"), locale)
    for step in plan.steps:
        reason = translate(step.why, locale, **step.params)
        yield f"  {step_text(step, locale)}" + (f": {reason}" if reason else "")


def _change_text(proposal: Proposal, change: Change) -> str:
    verb, _, what = change.kind.partition("_")
    place = f"{change.type}.{change.field}" if change.field else change.type
    label = _label(proposal, change)
    details = f" ({', '.join(change.properties)})" if change.properties else ""
    former = ""
    record_type = proposal.running.release.types.get(change.type)
    if change.kind == "rename_field" and record_type is not None:
        former = f" <- {_former_name(record_type, change)}"
    return f"{_MARKS.get(verb, '~')} {what} {place}{former}{label}{details}"


def _label(proposal: Proposal, change: Change) -> str:
    """Return the labels of the field or type that changes, in both languages."""
    release = proposal.release or proposal.running.release
    found = release.types.get(change.type) or proposal.running.release.types.get(change.type)
    if found is None:
        return ""
    label = found.label
    if change.field:
        every = (*found.fields, *found.archived_fields)
        one = next((one for one in every if one.id == change.id), None)
        label = one.label if one else {}
    both = [pick(label, locale) for locale in ("en", "zh") if label.get(locale)]
    return f" [{' / '.join(both)}]" if both else ""

"""What a change of the schema would do: problems, differences, impact and steps.

Everything that shows a change before it is published (the designer, the REST
draft, `guanxi schema plan`) shows one of these.
"""

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
from core.migration.accounts import account_problems
from core.migration.conversion import Rehearsal, ValueMove
from core.migration.facts import (
    count_rows,
    duplicate_problems,
    running_field_problems,
    running_problems,
)
from core.migration.impact import impact
from core.migration.plan import Plan, make_plan
from core.migration.run import Publication, publish
from core.migration.sources import Stored, read_stored
from core.migration.steps import SENTENCES, Step, sentence_params
from core.schema.diff import Change, diff
from core.schema.following import follow_renames
from core.schema.layers import effective
from core.schema.model import Release
from core.schema.threeway import Conflict
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
        rehearsals: what conversions would do to the values there are.
        conflicts: where an upgrade changes what this site has changed too.
        impact: what uses the things that change, and how much of it there is.
    """

    running: Running
    sources: list[Stored]
    release: Release | None = None
    problems: tuple[Problem, ...] = ()
    changes: tuple[Change, ...] = ()
    plan: Plan | None = None
    rows: dict[str, int] = field(default_factory=dict)
    rehearsals: tuple[Rehearsal, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    impact: dict[str, Any] = field(default_factory=dict)

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
            "impact": self.impact,
            "conversions": [one.to_json(locale) for one in self.rehearsals],
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
    if make is None:
        sources = followed(sources, running)
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
        against = duplicate_problems(connection, plan) + running_problems(connection, plan)
        against += running_field_problems(connection, running.release, release)
        against += account_problems(connection, running.release, release)
    rehearsals = () if against else rehearse(connection, running.release, plan)
    against = (*against, *(it for one in rehearsals for it in one.problems()))
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
        rehearsals=rehearsals,
        impact=impact(connection, running.release, changes, rows),
    )


def followed(sources: Sequence[Stored], running: Running) -> list[Stored]:
    """Return the sources with what some of them rename renamed in all of them."""
    known = [one.source() for one in running.sources]
    renamed = follow_renames([one.source() for one in sources], running.release, known)
    return [
        one if one.text == it.text else msgspec.structs.replace(one, text=str(it.text))
        for one, it in zip(sources, renamed, strict=True)
    ]


def rehearse(connection: sa.Connection, running: Release, plan: Plan) -> tuple[Rehearsal, ...]:
    """Return what the conversions of a plan would do to the values there are."""
    steps = [step for step in plan.of_phase("prepare") if step.op == "convert"]
    return tuple(
        ValueMove(step, running.types.get(step.name)).rehearse(connection) for step in steps
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
        yield from _rehearsal_lines(proposal, locale)
        yield from _step_lines(proposal.plan, locale)
        if proposal.rows:
            yield translate(N_("Records"), locale)
            yield from (f"  {name}: {count}" for name, count in sorted(proposal.rows.items()))


_FIRST_FAILURES = 20


def _rehearsal_lines(proposal: Proposal, locale: str) -> Iterator[str]:
    if proposal.rehearsals:
        yield translate(N_("Values"), locale)
    for one in proposal.rehearsals:
        told = one.to_json(locale)
        names = {key: ", ".join(it["name"] for it in told[key]) for key in ("from", "to")}
        text = N_("{type}: {old} -> {new}: {succeeded} succeed, {failed} fail")
        counts = {"succeeded": one.succeeded, "failed": one.failed}
        params = {"type": told["type"], "old": names["from"], "new": names["to"], **counts}
        yield f"  {translate(text, locale, **params)}"
        for it in told["failures"][:_FIRST_FAILURES]:
            yield f"    {it['record']} {it['title']} “{it['value']}”: {it['reason']}"


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
    if change.kind in {"rename_field", "rename_type"}:
        former = f" <- {change.old}"
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

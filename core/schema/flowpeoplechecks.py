"""Checks who decides in a flow: sources, seats, rules, returns, rungs and rights on fields."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from core.businesstime import BusinessTimeError, parse_duration
from core.expression import Scope
from core.i18n import N_
from core.schema.decisiontables import CellError, row_conditions
from core.schema.draft import Draft
from core.schema.fieldtypes import field_type
from core.schema.flowpeople import Approvers, Source, sources_of
from core.schema.flowpeople import People as PeopleRules
from core.schema.flows import HUMAN, Decide, Flow, Return, Rung, SeatSpec, Step
from core.schema.flowtexts import placed_names
from core.schema.model import RecordType
from core.schema.names import TYPE_NAME as SEAT_NAME
from core.schema.yamlnodes import Node

Path = tuple[str | int, ...]

#: Each kind of source, and what may stand beside it.
KINDS: Mapping[str, frozenset[str]] = {
    "user": frozenset(),
    "role": frozenset({"at"}),
    "position": frozenset({"at"}),
    "manager_of": frozenset({"level"}),
    "chain_of": frozenset({"upto"}),
    "field": frozenset(),
    "chosen_by": frozenset({"among"}),
    "of_step": frozenset(),
    "table": frozenset({"in"}),
    "expr": frozenset(),
}
#: Types of fields that say who decides.
_WHO_FIELDS = frozenset({"user", "users", "role", "department"})
_VERBS: Mapping[str, frozenset[str]] = {
    "approve": frozenset({"approve", "reject", "abstain"}),
    "fill": frozenset({"complete"}),
}
_ANY_VERBS = frozenset(
    {"return", "transfer", "delegate", "add_before", "add_after", "add_beside", "remove_added"}
    | {"take_back", "claim", "remind"}
)
_WEIGHT = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})")
_RETURN_WORDS = frozenset({"initiator", "previous", "chosen"})


@dataclass(slots=True)
class People:
    """Checks what one flow says of people.

    Attributes:
        before: step -> the steps that are walked before it, whatever way was taken there.
        earlier: step -> the steps that may have been walked before it.
    """

    draft: Draft
    flow: Flow
    node: Node
    document: RecordType
    scope: Scope
    before: dict[str, tuple[str, ...]] = field(default_factory=dict)
    earlier: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def check(self, steps: list[tuple[Path, Step]]) -> None:
        """Note every problem of all steps, which come with their places in the file."""
        self._walk(self.flow.steps, (), ())
        humans = [step.id for _, step in steps if step.type in HUMAN]
        if self.flow.start.by is not None:
            self._approvers(self.flow.start.by, self.node.at("start", "by"), humans, "")
        self._people(self.flow.people, self.node.at("people"), humans)
        for path, step in steps:
            node = self.node.at(*path)
            if step.type == "cc" and step.to is not None:
                self._approvers(step.to, node.at("to"), humans, step.id)
                self._fields(step, node.at("fields"))
            if step.type in HUMAN:
                self._human(step, node, humans)

    def _walk(
        self, steps: Iterable[Step], before: tuple[str, ...], earlier: tuple[str, ...]
    ) -> tuple[str, ...]:
        """Note what is walked before each step; return what may have been walked at the end."""
        for step in steps:
            self.before[step.id], self.earlier[step.id] = before, earlier
            if step.type in HUMAN:
                before, earlier = (*before, step.id), (*earlier, step.id)
                continue
            strands = [one.steps for one in step.cases] + [one.steps for one in step.lanes]
            strands.append(step.else_ or ())
            ends = [self._walk(one, before, earlier) for one in strands]
            for end in ends:
                earlier += tuple(one for one in end if one not in earlier)
        return earlier

    def _missing(self, node: Node, key: str) -> None:
        self.draft.add(node, "missing", N_("“{key}” is missing."), key=key)

    def _meaningless(self, node: Node, key: str, what: str) -> None:
        text = N_("“{key}” means nothing with {what}.")
        self.draft.add(node.keys.get(key, node), "not_for_this", text, key=key, what=what)

    # -- sources --------------------------------------------------------------------------

    def _approvers(self, approvers: Approvers, node: Node, humans: list[str], step: str) -> None:
        sources = sources_of(approvers)
        if not sources:
            self._missing(node, "role")
        for at, source in enumerate(sources):
            place = node if isinstance(approvers, Source) else node.at(at)
            self._source(source, place, humans, step)

    def _source(self, source: Source, node: Node, humans: list[str], step: str) -> None:
        named = [key for key in KINDS if getattr(source, key)]
        if len(named) != 1:
            text = N_("Name exactly one of: {kinds}.")
            self.draft.add(node, "one_source", text, kinds=", ".join(KINDS))
            return
        kind = named[0]
        for key in node.keys:
            if key not in {kind, *KINDS[kind]}:
                self._meaningless(node, key, kind)
        self.draft.check_roles(node.at("role"), source.roles)
        said = getattr(source, kind)
        if kind == "of_step" or (kind in {"manager_of", "chain_of"} and said in humans):
            self._decided(said, node.at(kind), step)
        elif kind == "position":
            self._position(source, node)
        elif kind == "field":
            self._field(source, node.at("field"))
        elif kind == "chosen_by":
            self._choice(source, node, humans, step)
        elif kind == "table":
            self._table(source, node)
        self._upto(source, node.at("upto"))

    def _table(self, source: Source, node: Node) -> None:
        """Check that a decision table exists and takes what it is given."""
        found = self.draft.decision_tables.get(source.table)
        if found is None:
            known = self.draft.decision_tables
            self.draft.add_unknown(node.at("table"), "decision_table", source.table, known)
            return
        if len(source.in_) != len(found.inputs):
            text = N_("The table {name} takes {number} inputs: {inputs}.")
            inputs = ", ".join(one.name for one in found.inputs)
            self.draft.add(
                node.at("in"), "table_inputs", text,
                name=source.table, number=len(found.inputs), inputs=inputs,
            )  # fmt: skip
            return
        try:
            conditions = row_conditions(found, [placed_names(one) for one in source.in_])
        except CellError:
            return  # told at the table
        for condition in conditions:
            before = len(self.draft.problems)
            self.draft.expression(node.at("in"), condition, self.scope)
            if len(self.draft.problems) > before:
                return

    def _upto(self, source: Source, node: Node) -> None:
        if source.upto is None:
            return
        if source.upto.role:
            self.draft.check_roles(node.at("role"), [source.upto.role])
        elif not source.upto.level:
            self._missing(node, "level")

    def _position(self, source: Source, node: Node) -> None:
        known = [one.name for one in self.draft.positions]
        if source.position not in known:
            self.draft.add_unknown(node.at("position"), "position", source.position, known)

    def _field(self, source: Source, node: Node) -> None:
        name = source.field.removeprefix("doc.")
        found = self.document.field(name)
        if found is None:
            names = [one.name for one in self.document.fields if one.type in _WHO_FIELDS]
            self.draft.add_unknown(node, "field", source.field, names)
        elif found.type not in _WHO_FIELDS:
            text = N_("{name} holds neither people nor a role nor a department.")
            self.draft.add(node, "not_people", text, name=name)

    def _choice(self, source: Source, node: Node, humans: list[str], step: str) -> None:
        if source.chosen_by != "initiator":
            self._decided(source.chosen_by, node.at("chosen_by"), step)
        if source.among is not None:
            if source.among.chosen_by:
                text = N_("Those who may be named cannot be named by somebody in turn.")
                self.draft.add(node.at("among"), "nested_choice", text)
            self._source(source.among, node.at("among"), humans, step)

    def _decided(self, named: str, node: Node, step: str) -> None:
        """Check that a step is named which may have been decided before."""
        earlier = self.earlier.get(step, ())
        if named not in earlier:
            self.draft.add_unknown(node, "earlier_step", named, earlier)

    # -- steps ----------------------------------------------------------------------------

    def _human(self, step: Step, node: Node, humans: list[str]) -> None:
        self._asked(step, node, humans)
        if step.people is not None:
            self._people(step.people, node.at("people"), humans)
        self._decide(step, node)
        self._verbs(step, node)
        if step.return_ is not None:
            self._return(step.return_, step, node.at("return"))
        for at, rung in enumerate(step.due):
            self._rung(rung, step, node.at("due", at), humans)
        self._fields(step, node.at("fields"))
        for name in step.sign if isinstance(step.sign, dict) else ():
            if name not in step.seats:
                self.draft.add_unknown(node.at("sign").keys[name], "seat", name, step.seats)
        self._duration(node.at("queue", "lease"), step.queue.lease)

    def _asked(self, step: Step, node: Node, humans: list[str]) -> None:
        if (step.approvers is None) == (not step.seats):
            text = N_("Say either `approvers` or `seats`.")
            self.draft.add(node, "approvers_or_seats", text)
        if step.approvers is not None:
            self._approvers(step.approvers, node.at("approvers"), humans, step.id)
        for name, seat in step.seats.items():
            self._approvers(seat.approvers, node.at("seats", name, "approvers"), humans, step.id)
            self._seat(name, seat, node.at("seats"))

    def _seat(self, name: str, seat: SeatSpec, node: Node) -> None:
        if not SEAT_NAME.fullmatch(name) or name == "escalated":
            text = N_("A name is of small letters, digits and single _; not {name}.")
            self.draft.add(node.keys.get(name, node), "bad_name", text, name=name[:80])
        if seat.weight < 1:
            text = N_("A voice weighs at least 1.")
            self.draft.add(node.at(name, "weight"), "bad_weight", text)
        voices = None if isinstance(seat.need, str) else _voices(seat.approvers, each=True)
        if not isinstance(seat.need, str) and voices is not None and seat.need.quorum > voices:
            text = N_("{quorum} approvals are asked of {voices} at most.")
            place = node.at(name, "need")
            self.draft.add(place, "quorum", text, quorum=seat.need.quorum, voices=voices)

    def _verbs(self, step: Step, node: Node) -> None:
        allowed = _VERBS[step.type] | _ANY_VERBS
        for at, verb in enumerate(step.may):
            if verb not in allowed:
                self.draft.add_unknown(node.at("may", at), "verb", verb, allowed)
        ends = "complete" if step.type == "fill" else "approve"
        if ends not in step.verbs:
            text = N_("A step that nobody can approve never ends.")
            self.draft.add(node.at("may"), "dead_step", text)
        if step.return_ is not None and "return" not in step.verbs:
            text = N_("Nobody may return here; add it to `may`.")
            self.draft.add(node.keys.get("return", node), "no_verb", text)

    def _decide(self, step: Step, node: Node) -> None:
        for key, needed in (("on_reject", "any"), ("veto", "all")):
            if key in node.entries and step.decide != needed:
                self._meaningless(node, key, _rule(step))
        if step.seats and "need" in node.entries:
            self._meaningless(node, "need", "seats")
        if isinstance(step.decide, Decide):
            self._numbered(step.decide, step, node.at("decide"))

    def _numbered(self, rule: Decide, step: Step, place: Node) -> None:
        if step.type == "fill":
            text = N_("Work without a verdict is `any`, `all` or `sequence`.")
            self.draft.add(place, "fill_rule", text)
        if sum(map(bool, (rule.quorum, rule.weight, rule.groups))) != 1:
            text = N_("Name exactly one of: {kinds}.")
            self.draft.add(place, "one_rule", text, kinds="quorum, weight, groups")
            return
        voices = most_voices(step)
        if rule.quorum and voices is not None and rule.quorum > voices:
            text = N_("{quorum} approvals are asked of {voices} at most.")
            at = place.at("quorum")
            self.draft.add(at, "quorum", text, quorum=rule.quorum, voices=voices)
        if rule.weight:
            self._weight(rule.weight, place.at("weight"))
        if rule.groups:
            self._groups(rule.groups, step, place.at("groups"))

    def _weight(self, text: str, node: Node) -> None:
        found = _WEIGHT.fullmatch(text)
        if found is None or int(found[1]) > int(found[2]):
            said = N_("“{value}” is no part of all weights, such as 2/3.")
            self.draft.add(node, "bad_weight", said, value=text[:40])

    def _groups(self, text: str, step: Step, node: Node) -> None:
        if not step.seats:
            said = N_("Groups are named seats; there are none.")
            self.draft.add(node, "no_groups", said)
        elif text != "all" and not (text.isdecimal() and 1 <= int(text) <= len(step.seats)):
            said = N_("This is `all`, or a number from 1 to {most}.")
            self.draft.add(node, "bad_groups", said, most=len(step.seats))

    def _return(self, back: Return, step: Step, node: Node) -> None:
        before = self.before[step.id]
        for at, target in enumerate(back.to):
            if target not in _RETURN_WORDS and target not in before:
                place = node.at("to", at)
                if target in self.before:
                    text = N_(
                        "It cannot return to {name}: only to an earlier step beside it, "
                        "or before the block it stands in."
                    )
                    self.draft.add(place, "return_target", text, name=target)
                else:
                    self.draft.add_unknown(place, "step", target, {*before, *_RETURN_WORDS})
        if not back.to:
            self._missing(node, "to")

    def _rung(self, rung: Rung, step: Step, node: Node, humans: list[str]) -> None:
        self._duration(node.at("at"), rung.at)
        if rung.do == "escalate":
            if rung.to is None:
                self._missing(node, "to")
            else:
                self._approvers(rung.to, node.at("to"), humans, step.id)
        for key in ("to", "keep_original"):
            if key in node.entries and rung.do != "escalate":
                self._meaningless(node, key, rung.do)
        if rung.do in {"approve", "reject"} and not rung.i_accept_auto:
            text = N_("Nobody decides then; `i_accept_auto: true` says that this is meant.")
            self.draft.add(node.at("do"), "auto", text)
        if rung.do in {"approve", "reject"} and rung.do not in _VERBS[step.type]:
            self.draft.add_unknown(node.at("do"), "verb", rung.do, _VERBS[step.type])

    def _fields(self, step: Step, node: Node) -> None:
        known = {one.name: one for one in self.document.fields}
        for key in ("read", "edit", "require", "hide"):
            seen: set[str] = set()
            for at, written in enumerate(getattr(step.fields, key)):
                name, sign, seat = written.partition("@")
                place = node.at(key, at)
                if name not in known:
                    self.draft.add_unknown(place, "field", name, known)
                    continue
                if written in seen:
                    text = N_("{name} stands twice.")
                    self.draft.add(place, "duplicate", text, name=written[:80])
                seen.add(written)
                if sign and seat not in step.seats:
                    self.draft.add_unknown(place, "seat", seat, step.seats)
                if key in {"edit", "require"} and field_type(known[name].type).computed:
                    text = N_("{name} is computed; nobody sets it.")
                    self.draft.add(place, "computed", text, name=name)

    def _duration(self, node: Node, text: str) -> None:
        try:
            parse_duration(text)
        except BusinessTimeError as error:
            self.draft.add(node, "bad_duration", error.text, **error.params)

    # -- rules about people ---------------------------------------------------------------

    def _people(self, people: PeopleRules, node: Node, humans: list[str]) -> None:
        if node.word("self_approval") == "allow":
            text = N_("Nobody approves their own work; use forbid, to_manager or skip.")
            self.draft.add(node.at("self_approval"), "own_work", text)
        if people.empty == "auto_pass" and not people.i_accept_auto_pass:
            text = N_("Nobody decides then; `i_accept_auto_pass: true` says that this is meant.")
            self.draft.add(node.at("empty"), "auto", text)
        for key in ("empty", "vacant"):
            to = getattr(getattr(people, key), "to", None)
            if isinstance(to, Source | tuple):
                self._approvers(to, node.at(key, "to"), humans, "")
        seen: set[str] = set()
        for at, name in enumerate(people.distinct):
            place = node.at("distinct", at)
            if name not in humans:
                self.draft.add_unknown(place, "step", name, humans)
            elif name in seen:
                self.draft.add(place, "duplicate", N_("{name} stands twice."), name=name)
            seen.add(name)
        if len(people.distinct) == 1:
            text = N_("It takes two steps for their people to be distinct.")
            self.draft.add(node.at("distinct"), "distinct", text)


def _rule(step: Step) -> str:
    if isinstance(step.decide, str):
        return step.decide
    return next(
        (key for key in ("quorum", "weight", "groups") if getattr(step.decide, key)), "decide"
    )


def most_voices(step: Step) -> int | None:
    """Return how many voices a step can have at most; None where only people tell."""
    if step.seats:
        found = [
            1 if seat.need == "any" else _voices(seat.approvers, each=True)
            for seat in step.seats.values()
        ]
    elif step.approvers is None:
        return None
    else:
        # A rule with a number counts persons, whatever pool they come from.
        each = step.need == "all" or isinstance(step.decide, Decide)
        found = [_voices(step.approvers, each=each)]
    return None if None in found else sum(one for one in found if one is not None)


def _voices(approvers: Approvers, *, each: bool) -> int | None:
    """Return how many voices sources have at most; `each` member of a pool has one of its own."""
    total = 0
    for source in sources_of(approvers):
        if source.user:
            total += len(set(source.users))
        elif source.manager_of:
            total += 1
        elif source.chain_of and source.upto is not None and source.upto.level:
            total += source.upto.level
        elif (source.role or source.position) and not each:
            total += len(source.roles) or 1
        else:
            return None
    return total


__all__ = ["KINDS", "People", "most_voices"]

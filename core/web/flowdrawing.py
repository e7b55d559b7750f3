"""A flow in words: its steps as nested cards, its people, rules, rights and timeouts."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from core.businesstime import BusinessTimeError, parse_duration
from core.context import Context
from core.i18n import N_, pick, translate
from core.schema.flowpeople import Approvers, Empty, People, Source, sources_of
from core.schema.flows import Decide, Flow, Rung, SeatSpec, Step
from core.schema.flowtexts import own_names
from core.schema.model import Release

#: Type of a step -> icon and what it is called.
TYPE_TEXTS: Mapping[str, tuple[str, str]] = {
    "approve": ("circle-check", N_("Approval step")),
    "fill": ("pencil", N_("Work")),
    "cc": ("send", N_("Copies")),
    "branch": ("git-branch", N_("Branch")),
    "parallel": ("stack-2", N_("In parallel")),
    "inclusive": ("stack-2", N_("Every case that holds")),
    "subflow": ("versions", N_("Another flow")),
    "effect": ("rocket", N_("Does")),
    "wait": ("clock", N_("Waits")),
}
VERB_TEXTS: Mapping[str, str] = {
    "approve": N_("Approve"), "reject": N_("Reject"), "abstain": N_("Abstain"),
    "complete": N_("Complete"), "return": N_("Return"), "transfer": N_("Transfer"),
    "delegate": N_("Ask for advice"), "add_before": N_("Ask before"),
    "add_after": N_("Ask afterwards"), "add_beside": N_("Add a voice"),
    "remove_added": N_("Remove an added voice"), "take_back": N_("Take back"),
    "claim": N_("Claim"), "remind": N_("Remind"),
}  # fmt: skip
_DECIDE: Mapping[str, str] = {
    "any": N_("One approval is enough"),
    "all": N_("All must approve"),
    "sequence": N_("One after the other"),
}
_RUNGS: Mapping[str, str] = {
    "remind": N_("after {time}: remind"),
    "escalate": N_("after {time}: ask {people} too"),
    "approve": N_("after {time}: approved by itself"),
    "reject": N_("after {time}: rejected by itself"),
    "return": N_("after {time}: returned"),
    "pause": N_("after {time}: administrators are told"),
}
_UNITS: Mapping[str, str] = {
    "m": N_("{count} minutes"), "h": N_("{count} hours"),
    "bh": N_("{count} business hours"), "bd": N_("{count} business days"),
}  # fmt: skip
_SELF = {
    "forbid": N_("nobody decides on their own work"),
    "to_manager": N_("own work goes to the initiator's manager"),
    "skip": N_("a step for own work only is skipped"),
}
_SAME = {
    "consecutive": N_("who approved the step before need not approve again"),
    "any_prior": N_("who approved the same content before need not approve again"),
    "skip_if_same_subject": N_("who approved the same content before need not approve again"),
}
_EMPTY = {
    "pause": N_("without an approver it waits, and administrators are told"),
    "fail": N_("without an approver it cannot be submitted"),
    "auto_pass": N_("without an approver it passes by itself"),
}
_SIGN = {"password": N_("with the password"), "handwritten": N_("with a handwritten signature")}
_SUBJECT = {
    "deny": N_("what is decided cannot be edited meanwhile"),
    "new_round": N_("an edit of what is decided asks everybody again"),
    "stale_affected": N_("an edit asks those again whom it concerns"),
}


def tables_of(step: Step) -> list[str]:
    """Return the decision tables that a step asks for its people, each once, in order."""
    asked = [step.approvers, *(seat.approvers for seat in step.seats.values()), step.to]
    found = [source.table for one in asked if one is not None for source in sources_of(one)]
    return list(dict.fromkeys(name for name in found if name))


@dataclass(slots=True)
class Line:
    """One thing that is said of a step: what about, and what, and where more of it stands."""

    name: str
    text: str
    href: str = ""


@dataclass(slots=True)
class Strand:
    """One way through a block.

    Attributes:
        when: its condition; empty for a strand that is always walked.
    """

    title: str
    when: str
    steps: "list[Card]"


@dataclass(slots=True)
class Card:
    """A step as it is drawn."""

    id: str
    type: str
    icon: str
    kind: str
    title: str
    lines: list[Line] = field(default_factory=list)
    strands: list[Strand] = field(default_factory=list)


class PeopleWords:
    """Says who is asked, in the reader's language."""

    def __init__(self, ctx: Context, release: Release, document: str = "") -> None:
        """Speak of people of a release; the fields that name some are those of `document`."""
        self._locale, self._release = ctx.locale, release
        self._roles = {one.name: one.label for one in release.roles}
        self._positions = {one.name: one.label for one in release.positions}
        fields = release.types[document].fields if document else ()
        self._fields = {one.name: one.label for one in fields}

    def t(self, text: str, **params: object) -> str:
        """Return a text in the reader's language."""
        return translate(text, self._locale, **params)

    @property
    def comma(self) -> str:
        """Return what stands between names."""
        return "、" if self._locale.startswith("zh") else ", "

    def table(self, name: str) -> str:
        """Return what a decision table is called."""
        found = self._release.decision_tables.get(name)
        return pick(found.label, self._locale, name) if found else name

    def _field(self, written: str) -> str:
        name, _, seat = written.partition("@")
        label = pick(self._fields.get(name, {}), self._locale, name)
        return self.t(N_("{field} (from {seat})"), field=label, seat=seat) if seat else label

    def people(self, approvers: Approvers) -> str:
        """Return who is asked."""
        return self.comma.join(map(self._source, sources_of(approvers)))

    def _source(self, source: Source) -> str:
        if source.role:
            roles = (pick(self._roles.get(one, {}), self._locale, one) for one in source.roles)
            return self.comma.join(roles) + self._at(source)
        if source.position:
            held = self._positions.get(source.position, {})
            return pick(held, self._locale, source.position) + self._at(source)
        if source.user:
            return self.comma.join(source.users)
        return self._found(source)

    def _at(self, source: Source) -> str:
        if not source.at:
            return ""
        if source.at == "initiator":
            return self.t(N_(" (where the initiator works)"))
        return self.t(N_(" (of {place})"), place=self._field(own_names(source.at)))

    def _found(self, source: Source) -> str:
        """Return whom a source finds by way of somebody or something else."""
        if source.manager_of:
            text = (
                N_("manager of {person}")
                if source.level == 1
                else N_("manager of {person}, level {level}")
            )
            return self.t(text, person=self._person(source.manager_of), level=source.level)
        if source.chain_of:
            said = self.t(N_("managers of {person} in turn"), person=self._person(source.chain_of))
            if source.upto is not None and source.upto.level:
                said += self.t(N_(", {level} at most"), level=source.upto.level)
            return said
        if source.chosen_by:
            person = self._person(source.chosen_by)
            said = self.t(N_("whom {person} names"), person=person)
            among = source.among
            return said if among is None else f"{said} ({self._source(among)})"
        for text, value in (
            (
                N_("whoever is in {name}"),
                self._field(own_names(source.field)) if source.field else "",
            ),
            (N_("who decided {name}"), source.of_step),
            (
                N_("by the decision table {name}"),
                self.table(source.table) if source.table else "",
            ),
        ):
            if value:
                return self.t(text, name=value)
        return own_names(source.expr)

    def _person(self, text: str) -> str:
        if text == "initiator":
            return self.t(N_("the initiator"))
        return self.t(N_("whoever is asked")) if text == "seat" else self._field(own_names(text))


class FlowWords(PeopleWords):
    """Says what a flow says, in the reader's language."""

    def __init__(self, ctx: Context, release: Release, flow: Flow) -> None:
        """Speak of a flow of a release."""
        super().__init__(ctx, release, flow.document)
        self._flow = flow

    def cards(self, steps: Iterable[Step]) -> list[Card]:
        """Return steps as they are drawn."""
        return [self._card(step) for step in steps]

    def _card(self, step: Step) -> Card:
        icon, kind = TYPE_TEXTS[step.type]
        title = pick(step.title, self._locale, step.id)
        card = Card(step.id, step.type, icon, self.t(kind), title)
        card.lines = [line for line in self._lines(step) if line.text]
        for number, case in enumerate(step.cases, start=1):
            name = pick(case.title, self._locale) or self.t(N_("Case {number}"), number=number)
            card.strands.append(Strand(name, own_names(case.when), self.cards(case.steps)))
        for number, lane in enumerate(step.lanes, start=1):
            name = pick(lane.title, self._locale) or self.t(N_("Strand {number}"), number=number)
            card.strands.append(Strand(name, "", self.cards(lane.steps)))
        if step.else_ is not None:
            card.strands.append(Strand(self.t(N_("Otherwise")), "", self.cards(step.else_)))
        return card

    def _line(self, name: str, text: str) -> Line:
        return Line(self.t(name), text)

    def _lines(self, step: Step) -> Iterator[Line]:
        if step.type in {"approve", "fill"}:
            yield from self._asked(step)
            yield from self._handled(step)
        elif step.type == "cc" and step.to is not None:
            yield self._line(N_("Copied to"), self.people(step.to))
        elif step.type == "subflow":
            yield self._line(N_("Flow"), self._title(step.flow))
            yield self._line(N_("For each of"), own_names(step.each))
            if step.wait == "none":
                yield self._line(N_("Goes on"), self.t(N_("at once, without waiting")))
        elif step.type == "wait":
            yield self._line(N_("Until"), own_names(step.until))
            yield self._line(N_("For"), self.duration(step.for_) if step.for_ else "")
        elif step.type == "effect":
            yield self._line(N_("Actions"), self.comma.join(one.do for one in step.actions))

    def _title(self, name: str) -> str:
        found = self._release.flows.get(name)
        return pick(found.title, self._locale, name) if found else name

    def _asked(self, step: Step) -> Iterator[Line]:
        if step.approvers is not None:
            yield self._line(N_("Decided by"), self.people(step.approvers))
        for name, seat in step.seats.items():
            yield Line(pick(seat.title, self._locale, name), self._seat(seat))
        for name in tables_of(step):
            about = self.t(N_("Decision table"))
            yield Line(about, self.table(name), f"/decision-tables/{name}")
        yield self._line(N_("Rule"), self._rule(step))
        yield self._line(
            N_("May"), self.comma.join(self.t(VERB_TEXTS[verb]) for verb in step.verbs)
        )

    def _seat(self, seat: SeatSpec) -> str:
        said = self.people(seat.approvers)
        if seat.need == "all":
            said += self.t(N_(" (each of them)"))
        elif not isinstance(seat.need, str):
            said += self.t(N_(" ({count} of them)"), count=seat.need.quorum)
        return said + (
            self.t(N_(", weight {weight}"), weight=seat.weight) if seat.weight > 1 else ""
        )

    def _rule(self, step: Step) -> str:
        rule = step.decide
        if isinstance(rule, Decide):
            if rule.quorum:
                return self.t(N_("{count} approvals pass"), count=rule.quorum)
            if rule.weight:
                return self.t(N_("{part} of all weights pass"), part=rule.weight)
            if rule.groups == "all":
                return self.t(N_("Every group must approve"))
            return self.t(N_("{count} groups must approve"), count=rule.groups)
        said = self.t(_DECIDE[rule])
        if rule == "any" and step.on_reject == "first":
            said += self.t(N_("; the first rejection rejects"))
        if rule == "all" and not step.veto:
            said += self.t(N_("; decided when everybody has voted"))
        return said

    def _handled(self, step: Step) -> Iterator[Line]:
        back = step.return_
        if back is not None:
            then = {
                "resume": N_("straight back here afterwards"),
                "rewalk": N_("everything again afterwards"),
                "ask": N_("the approver says how it goes on"),
            }[back.then]
            names = self.comma.join(map(self._target, back.to))
            yield self._line(N_("Returns to"), f"{names}{self.t(N_('; '))}{self.t(then)}")
        yield self._line(N_("Timeouts"), self.t(N_("; ")).join(map(self._rung, step.due)))
        yield from self._rights(step)
        ways = step.sign if isinstance(step.sign, dict) else {"": step.sign}
        signed = [
            f"{pick(step.seats[seat].title, self._locale, seat)} {self.t(_SIGN[way])}"
            if seat
            else self.t(_SIGN[way])
            for seat, way in ways.items()
            if way in _SIGN
        ]
        yield self._line(N_("Signed"), self.comma.join(signed))
        if step.people is not None:
            yield self._line(N_("People"), self.t(N_("; ")).join(self.rules(step.people)))

    def _target(self, name: str) -> str:
        known = {
            "initiator": N_("the initiator"),
            "previous": N_("the step before"),
            "chosen": N_("any earlier step"),
        }
        return self.t(known[name]) if name in known else name

    def _rung(self, rung: Rung) -> str:
        people = self.people(rung.to) if rung.to is not None else ""
        return self.t(_RUNGS[rung.do], time=self.duration(rung.at), people=people)

    def _rights(self, step: Step) -> Iterator[Line]:
        rights = step.fields
        if rights.default == "hide":
            yield self._line(N_("Sees only"), self.comma.join(map(self._field, rights.read)))
        yield self._line(N_("Edits"), self.comma.join(map(self._field, rights.edit)))
        yield self._line(N_("Must fill in"), self.comma.join(map(self._field, rights.require)))
        yield self._line(N_("Hidden"), self.comma.join(map(self._field, rights.hide)))

    # -- the whole flow -------------------------------------------------------------------

    def duration(self, text: str) -> str:
        """Return a duration in words."""
        try:
            found = parse_duration(text)
        except BusinessTimeError:
            return text
        return self.t(_UNITS[found.unit], count=found.amount)

    def rules(self, people: People) -> list[str]:
        """Return what holds for people."""
        said = [self.t(_SELF[people.self_approval])]
        if people.same_person in _SAME:
            said.append(self.t(_SAME[people.same_person]))
        empty = people.empty
        if isinstance(empty, Empty):
            to = self.people(empty.to) if empty.to is not None else ""
            said.append(self.t(N_("without an approver it goes to {people}"), people=to))
        else:
            said.append(self.t(_EMPTY[empty]))
        if people.distinct:
            steps = self.comma.join(people.distinct)
            said.append(self.t(N_("different people decide {steps}"), steps=steps))
        return said

    def facts(self) -> list[Line]:
        """Return what holds for the flow as a whole."""
        flow = self._flow
        subject = self.comma.join(map(self._field, flow.subject)) or self.t(N_("every field"))
        withdraw = {
            "first_vote": N_("until the first vote"),
            "outcome": N_("until it is decided"),
        }[flow.withdraw.until]
        found = [
            Line(self.t(N_("Meant for")), own_names(flow.when) or self.t(N_("every document"))),
            Line(self.t(N_("May be submitted when")), own_names(flow.start.require)),
            Line(self.t(N_("Voted on")), subject),
            Line(self.t(N_("People")), self.t(N_("; ")).join(self.rules(flow.people))),
            Line(self.t(N_("Meanwhile")), self.t(_SUBJECT[flow.in_flight.subject_edit])),
            Line(self.t(N_("May be withdrawn")), self.t(withdraw)),
            Line(
                self.t(N_("Reminded")),
                self.t(N_("once in {time}"), time=self.duration(flow.remind.every)),
            ),
            Line(self.t(N_("Calendar")), flow.calendar),
        ]
        return [one for one in found if one.text]

    def endings(self) -> list[Line]:
        """Return what the end of the flow does to the document."""
        names = {
            "approved": N_("Approved"),
            "rejected": N_("Rejected"),
            "withdrawn": N_("Withdrawn"),
        }
        return [
            Line(
                self.t(names[ending]),
                self.comma.join(
                    f"{self._field(name)} = {own_names(str(value))}"
                    for name, value in outcome.set.items()
                ),
            )
            for ending, outcome in self._flow.outcome.items()
        ]

"""What an approval flow is: steps, who decides them, by which rule, until when.

Names of attributes are the keys of the schema language; `return_`, `else_` and the like
are written without the underscore. Blocks nest and there is no jump but `return`, so a
flow always ends. Expressions see the document's fields, with or without `doc.` before
them. Durations are texts: `30m` and `2h` by the wall clock, `24bh` open business hours,
`3bd` business days.
"""

from typing import Any, Literal

from core.schema.automations import AutomationAction
from core.schema.flowpeople import Approvers, Empty, People, Source, Upto, Vacant, sources_of
from core.schema.modelbase import Label, Model

StepType = Literal[
    "approve", "fill", "cc", "branch", "parallel", "inclusive", "subflow", "effect", "wait"
]
#: Steps that people see as a task.
HUMAN = frozenset({"approve", "fill"})
#: Steps that hold other steps.
BLOCKS = frozenset({"branch", "parallel", "inclusive"})

Verb = Literal[
    "approve", "reject", "abstain", "complete", "return", "transfer", "delegate", "add_before",
    "add_after", "add_beside", "remove_added", "take_back", "claim", "remind",
]  # fmt: skip
CommentRule = Literal["required", "optional", "hidden"]
Signing = Literal["click", "password", "handwritten"]


class Need(Model, frozen=True, kw_only=True):
    """How many of a seat's people must agree.

    Attributes:
        quorum: so many approvals.
    """

    quorum: int


class SeatSpec(Model, frozen=True, kw_only=True):
    """A named seat: one voice, or with `need` a group of voices with a rule of its own.

    Attributes:
        approvers: who may sit in it.
        title: what people call it.
        need: `any` (one voice, whoever is first), `all` (everyone's voice), or a quorum.
        weight: of its vote, for `decide: {weight: …}`.
    """

    approvers: Approvers
    title: Label = {}
    need: Literal["any", "all"] | Need = "any"
    weight: int = 1


class Decide(Model, frozen=True, kw_only=True):
    """A decision rule with a number.

    Attributes:
        quorum: so many approvals pass.
        weight: a fraction such as `2/3` of all weights passes.
        groups: `all`, or so many of the named seats as groups, each by its own `need`.
    """

    quorum: int = 0
    weight: str = ""
    groups: str = ""


class Return(Model, frozen=True, kw_only=True):
    """Where a step may send the document back to.

    Attributes:
        to: `initiator`, `previous`, `chosen` (any step walked before) or ids of steps.
        then: `resume` goes straight back here after the route was looked at again,
            `rewalk` repeats everything after the target, `ask` lets the approver say.
        rounds_max: so many returns of one instance; 0 is any number.
    """

    to: tuple[str, ...] = ("initiator",)
    then: Literal["resume", "rewalk", "ask"] = "rewalk"
    rounds_max: int = 0


class Rung(Model, frozen=True, kw_only=True):
    """What happens when a task has waited so long.

    Attributes:
        at: how long after it opened.
        do: `remind`, `escalate` (adds a candidate), `approve`, `reject`, `return` or `pause`.
        to: whom it is escalated to.
        keep_original: whether those who were asked first may still decide.
        i_accept_auto: must be true where nobody decides: `approve`, `reject`.
    """

    at: str
    do: Literal["remind", "escalate", "approve", "reject", "return", "pause"]
    to: Approvers | None = None
    keep_original: bool = True
    i_accept_auto: bool = False


class FieldRights(Model, frozen=True, kw_only=True):
    """What the people of a step see and change of the document, within their own rights.

    Attributes:
        default: `read`, or `hide` for fields that no list names.
        read: fields shown.
        edit: fields that may be changed with the decision.
        require: fields that must not be empty when it passes; they may be changed.
        hide: fields not shown; `cost_price@marketing` hides it from one named seat.
    """

    default: Literal["read", "hide"] = "read"
    read: tuple[str, ...] = ()
    edit: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()


class Comment(Model, frozen=True, kw_only=True, rename={"return_": "return"}):
    """Whether a verb needs an opinion; a rejection and a return do unless it is said.

    Attributes:
        approve: with an approval: `required`, `optional` or `hidden`.
        reject: with a rejection.
        abstain: with an abstention.
        complete: with the completion of a `fill` step or of advice.
        return_: with a return.
        transfer: when it is passed on.
        delegate: when advice is asked for.
        add_before: when somebody is asked before.
        add_after: when somebody is asked afterwards.
        add_beside: when a voice is added.
        phrases: sentences that are offered.
    """

    approve: CommentRule = "optional"
    reject: CommentRule = "required"
    abstain: CommentRule = "optional"
    complete: CommentRule = "optional"
    return_: CommentRule = "required"
    transfer: CommentRule = "optional"
    delegate: CommentRule = "optional"
    add_before: CommentRule = "optional"
    add_after: CommentRule = "optional"
    add_beside: CommentRule = "optional"
    phrases: tuple[str, ...] = ()

    def rule(self, verb: str) -> CommentRule:
        """Return the rule of a verb; verbs that are not listed have none to obey."""
        found = getattr(self, "return_" if verb == "return" else verb, "optional")
        return found if isinstance(found, str) else "optional"  # type: ignore[return-value]


class Queue(Model, frozen=True, kw_only=True):
    """How a step's tasks are worked off.

    Attributes:
        claim: `off`, `soft` (others see who works on it) or `required` (before deciding).
        lease: how long a claim holds without a sign of life.
        bulk: whether it may be decided together with others.
        priority: higher comes first where a queue is sorted by it.
        risk: an expression that gives a number or a word, shown as a chip.
    """

    claim: Literal["off", "soft", "required"] = "soft"
    lease: str = "5m"
    bulk: bool = True
    priority: int = 0
    risk: str = ""


class Case(Model, frozen=True, kw_only=True):
    """One way through a branch or an inclusive block.

    Attributes:
        when: the condition; unknown (null) is not true.
        title: what people call it.
        steps: what is walked.
    """

    when: str
    title: Label = {}
    steps: tuple["Step", ...] = ()


class Lane(Model, frozen=True, kw_only=True):
    """One strand of a parallel block.

    Attributes:
        title: what people call it.
        steps: what is walked.
    """

    title: Label = {}
    steps: tuple["Step", ...] = ()


class Step(
    Model, frozen=True, kw_only=True,
    rename={"return_": "return", "else_": "else", "for_": "for"},
):  # fmt: skip
    """One step of a flow; which keys it may have depends on its type.

    Attributes:
        id: unique in the flow.
        type: `approve`, `fill` (work without a verdict), `cc`, `branch`, `parallel`,
            `inclusive`, `subflow`, `effect` or `wait`.
        title: what people call it.
        approvers: who decides; with one rule for all of them.
        seats: named seats, in the place of `approvers`.
        decide: `any`, `all`, `sequence`, or a rule with a number.
        on_reject: of `any`: reject when `all` have rejected, or at the `first` rejection.
        veto: of `all`: whether one rejection rejects at once, or only when all have voted.
        need: `all` makes a voice of each member of a pool.
        may: verbs that its people have; any other is refused.
        people: changes to the flow's rules about people; the whole block is replaced.
        return_: where it may be sent back to.
        due: what happens when it waits.
        fields: what its people see and change.
        comment: which verbs need an opinion.
        sign: how a vote is signed: one way, or seat -> way.
        queue: how its tasks are worked off.
        to: of `cc`: who gets a copy.
        cases: of `branch` (the first that holds) and `inclusive` (all that hold).
        else_: of `branch` and `inclusive`: what is walked when no case holds; mandatory.
        lanes: of `parallel`: what is walked side by side.
        flow: of `subflow`: the flow whose steps are walked.
        each: of `subflow`: an expression that gives a list; once for each of it.
        wait: of `subflow`: `all` waits for every run, `none` goes on at once.
        actions: of `effect`: what is done once the transaction has been committed.
        until: of `wait`: an expression: a date or instant to wait for, or a condition.
        for_: of `wait`: how long.
    """

    id: str
    type: StepType = "approve"
    title: Label = {}
    approvers: Approvers | None = None
    seats: dict[str, SeatSpec] = {}
    decide: Literal["any", "all", "sequence"] | Decide = "any"
    on_reject: Literal["all", "first"] = "all"
    veto: bool = True
    need: Literal["any", "all"] = "any"
    may: tuple[Verb, ...] = ()
    people: People | None = None
    return_: Return | None = None
    due: tuple[Rung, ...] = ()
    fields: FieldRights = FieldRights()
    comment: Comment = Comment()
    sign: Signing | dict[str, Signing] = "click"
    queue: Queue = Queue()
    to: Approvers | None = None
    cases: tuple[Case, ...] = ()
    else_: tuple["Step", ...] | None = None
    lanes: tuple[Lane, ...] = ()
    flow: str = ""
    each: str = ""
    wait: Literal["all", "none"] = "all"
    actions: tuple[AutomationAction, ...] = ()
    until: str = ""
    for_: str = ""

    @property
    def verbs(self) -> tuple[str, ...]:
        """Return the verbs of its people: what `may` says, else the type's own."""
        if self.may:
            return self.may
        return ("complete",) if self.type == "fill" else ("approve", "reject")

    def signing(self, seat: str) -> Signing:
        """Return how the vote of a seat is signed."""
        return self.sign if isinstance(self.sign, str) else self.sign.get(seat, "click")


class Start(Model, frozen=True, kw_only=True):
    """Who may submit, and what must hold then.

    Attributes:
        verb: `submit`.
        by: who, besides what policies ask.
        require: a condition on the document; it is asked again when it takes effect.
        open_per_record: 1; nothing is decided twice at once.
    """

    verb: Literal["submit"] = "submit"
    by: Approvers | None = None
    require: str = ""
    open_per_record: Literal[1] = 1


class InFlight(Model, frozen=True, kw_only=True):
    """What may happen to a document while it is being decided.

    Attributes:
        subject_edit: a change of what is voted on: `deny`, `new_round` (all votes are
            asked for again) or `stale_affected` (those whose steps the change concerns).
        other_edit: a change of anything else: `allow` or `deny`.
        on_delete: `deny`, or `terminate` the approval with it.
        on_flow_publish: running instances `stay` on their version, or are offered to
            `migrate`.
    """

    subject_edit: Literal["deny", "new_round", "stale_affected"] = "deny"
    other_edit: Literal["allow", "deny"] = "allow"
    on_delete: Literal["deny", "terminate"] = "deny"
    on_flow_publish: Literal["stay", "migrate"] = "stay"


class NoOverlap(Model, frozen=True, kw_only=True):
    """What must not overlap with other documents in force.

    Attributes:
        of: the field that must not be shared, such as a scope or a store.
        during: two date fields, from and to; an empty one is without end.
        among: values that the others have, such as `{status: effective}`.
    """

    of: str
    during: tuple[str, ...] = ()
    among: dict[str, str] = {}


class AtApply(Model, frozen=True, kw_only=True):
    """What is looked at again in the transaction that makes it effective.

    Attributes:
        recheck: `require` asks the start's condition again, `none` does not.
        conflict_key: an expression; documents with the same value take effect one after
            the other.
        no_overlap: what must not overlap with others.
        base_moved: the live record changed in fields that the proposal does not touch:
            `rebase_untouched` keeps both, `block` refuses. Touched fields always block.
    """

    recheck: Literal["require", "none"] = "require"
    conflict_key: str = ""
    no_overlap: NoOverlap | None = None
    base_moved: Literal["block", "rebase_untouched"] = "rebase_untouched"


class Withdraw(Model, frozen=True, kw_only=True):
    """Until when the initiator may take a submitted document back.

    Attributes:
        by: `initiator`.
        until: `first_vote` or `outcome`.
    """

    by: Literal["initiator"] = "initiator"
    until: Literal["first_vote", "outcome"] = "outcome"


class Remind(Model, frozen=True, kw_only=True):
    """How often the approvers may be reminded.

    Attributes:
        by: `initiator`.
        every: not again before so long.
    """

    by: Literal["initiator"] = "initiator"
    every: str = "2h"


class Outcome(Model, frozen=True, kw_only=True):
    """What an ended flow does to its document.

    Attributes:
        set: field -> value; what the field does not accept as a value is an expression.
        emit: a topic announced to automations and programs.
    """

    set: dict[str, Any] = {}
    emit: str = ""


class Expectation(Model, frozen=True, kw_only=True):
    """What must hold at the end of a test.

    Attributes:
        outcome: how the instance ended: `approved`, `rejected`, `withdrawn`, …
        open: what waits: `step`, `step.seat`, `step.escalated`; exactly these.
        state: the state of the instance, such as `returned`.
    """

    outcome: str = ""
    open: tuple[str, ...] | None = None
    state: str = ""


class FlowTest(Model, frozen=True, kw_only=True):
    """One test of the flow, run whenever it is published.

    Attributes:
        name: what it shows.
        doc: values of the document.
        do: what happens: `submit`, `STEP.VERB`, `STEP.SEAT.VERB`, `edit FIELD=VALUE`
            (`edit lines.rate=0.6` in every row), `wait DURATION`, `withdraw`.
        expect: what must hold then.
    """

    name: str
    doc: dict[str, Any] = {}
    do: tuple[str, ...]
    expect: Expectation


class Flow(Model, frozen=True, kw_only=True):
    """An approval definition; immutable once published under its version.

    Attributes:
        flow: its name.
        version: higher with every change.
        title: what people call it.
        document: the record type it decides.
        when: the flow is chosen for documents for which this holds; empty is any.
        order: among several flows of a record type the lowest comes first.
        subject: the fields a vote is a vote on; empty means every field.
        apply: `on_approve`: the live record is untouched until then.
        start: who may submit and what must hold.
        in_flight: what may happen meanwhile.
        at_apply: what is looked at again at the end.
        calendar: the business calendar of its clocks; a store's own goes first.
        people: who may decide what others did.
        withdraw: until when it can be taken back.
        remind: how often its approvers may be reminded.
        steps: what is walked, one after the other.
        outcome: what the end does to the document.
        tests: run whenever it is published.
    """

    flow: str
    version: int
    layer: str = ""
    title: Label = {}
    document: str
    when: str = ""
    order: int = 0
    subject: tuple[str, ...] = ()
    apply: Literal["on_approve"] = "on_approve"
    start: Start = Start()
    in_flight: InFlight = InFlight()
    at_apply: AtApply = AtApply()
    calendar: str = ""
    people: People = People()
    withdraw: Withdraw = Withdraw()
    remind: Remind = Remind()
    steps: tuple[Step, ...]
    outcome: dict[Literal["approved", "rejected", "withdrawn"], Outcome] = {}
    tests: tuple[FlowTest, ...] = ()


__all__ = [
    "BLOCKS",
    "HUMAN",
    "Approvers",
    "AtApply",
    "Case",
    "Comment",
    "Decide",
    "Empty",
    "Expectation",
    "FieldRights",
    "Flow",
    "FlowTest",
    "InFlight",
    "Lane",
    "Need",
    "NoOverlap",
    "Outcome",
    "People",
    "Queue",
    "Remind",
    "Return",
    "Rung",
    "SeatSpec",
    "Source",
    "Start",
    "Step",
    "Upto",
    "Vacant",
    "Withdraw",
    "sources_of",
]

"""What the audit queue calls its boxes, states and verbs, and the keys that reach them."""

from dataclasses import dataclass

from core.i18n import N_

BOX_TEXTS = {
    "todo": N_("For me"),
    "started": N_("Started by me"),
    "done": N_("Done by me"),
    "cc": N_("Copies"),
    "claimable": N_("To claim"),
    "team": N_("Team"),
}

#: Box -> the letter that follows `g`.
BOX_KEYS = {"todo": "t", "started": "s", "done": "d", "cc": "c", "claimable": "l", "team": "m"}

STATE_TEXTS = {
    "running": N_("Waiting"),
    "approved": N_("Approved"),
    "rejected": N_("Rejected"),
    "withdrawn": N_("Withdrawn"),
    "terminated": N_("Ended"),
    "suspended": N_("Suspended"),
    "apply_blocked": N_("Could not take effect"),
    "returned": N_("Returned"),
}

STATE_TONES = {
    "running": "info",
    "approved": "good",
    "rejected": "bad",
    "suspended": "warn",
    "apply_blocked": "bad",
    "returned": "warn",
}

TASK_STATE_TEXTS = {
    "waiting": N_("Not yet open"),
    "open": N_("Open"),
    "suspended": N_("Suspended"),
    "done": N_("Done"),
    "cancelled": N_("Closed"),
}

RESULT_TEXTS = {
    "pass": N_("Passed"),
    "reject": N_("Rejected"),
    "return": N_("Returned"),
    "auto": N_("Passed by itself"),
    "moot": N_("No longer needed"),
    "returned": N_("Closed by a return"),
    "withdrawn": N_("Withdrawn"),
    "terminated": N_("Ended"),
    "migrated": N_("Replaced by a new version of the flow"),
    "revised": N_("Begun again on changed content"),
    "undecided": N_("Undecided"),
}

RESULT_TONES = {"pass": "good", "auto": "good", "reject": "bad", "return": "warn"}

SEAT_TEXTS = {
    "waiting": N_("waits for its turn"),
    "open": N_("pending"),
    "voted": N_("decided"),
    "advised": N_("waits for advice"),
    "skipped": N_("passed over"),
    "removed": N_("removed"),
    "moot": N_("no longer needed"),
}

BALLOT_TEXTS = {
    "approve": N_("approved"),
    "reject": N_("rejected"),
    "abstain": N_("abstained"),
    "complete": N_("completed"),
}

SLA_TEXTS = {
    "green": N_("on time"),
    "amber": N_("due soon"),
    "red": N_("overdue"),
    "paused": N_("clock stands"),
}

#: Orders of the boxes where work waits; what is over is looked at from the newest.
SORT_TEXTS = {
    "": N_("Oldest first"),
    "due_at": N_("Due first"),
    "priority": N_("Highest priority first"),
    "-opened_at": N_("Newest first"),
}

FLAG_TEXTS = {
    "overdue": N_("Overdue"),
    "attention": N_("Needs an administrator"),
    "snoozed": N_("Put aside"),
}

#: Boxes that people work off, from one end.
WORKED_OFF = frozenset({"todo", "claimable", "team"})


@dataclass(frozen=True, slots=True)
class VerbLook:
    """How the queue shows a verb.

    Attributes:
        label: what its button says.
        done: what is said once it was done.
        key: the key that arms it; empty is reached by the palette alone.
        css: classes of its button.
        asks: what else it needs: people, person, target, added; empty is nothing.
    """

    label: str
    done: str
    icon: str
    key: str = ""
    css: str = ""
    asks: str = ""


#: Verbs of a seat, in the order of their buttons.
VERBS: dict[str, VerbLook] = {
    "approve": VerbLook(N_("Approve"), N_("Approved."), "check", "a", "gx-approve"),
    "complete": VerbLook(N_("Complete"), N_("Completed."), "check", "a", "gx-approve"),
    "reject": VerbLook(N_("Reject"), N_("Rejected."), "x", "r", "btn-danger"),
    "abstain": VerbLook(N_("Abstain"), N_("Abstained."), "dots"),
    "return": VerbLook(N_("Send back"), N_("Sent back."), "arrow-back-up", "b", "", "target"),
    "transfer": VerbLook(N_("Pass on"), N_("Passed on."), "arrow-right", "t", "", "person"),
    "delegate": VerbLook(
        N_("Ask for advice"), N_("Advice asked for."), "help-circle", "d", "", "person"
    ),
    "add_before": VerbLook(
        N_("Ask others before me"), N_("Others were added."), "users", "i", "", "people"
    ),
    "add_after": VerbLook(
        N_("Ask others after me"), N_("Others were added."), "users", "", "", "people"
    ),
    "add_beside": VerbLook(
        N_("Add a voice beside mine"), N_("Others were added."), "users", "", "", "people"
    ),
    "remove_added": VerbLook(N_("Remove somebody added"), N_("Removed."), "user", "", "", "added"),
    "take_back": VerbLook(N_("Take my decision back"), N_("Taken back."), "arrow-back-up", "u"),
}

#: Verbs that end one's part in the task, so that the next task opens.
LEAVING = frozenset({
    "approve", "complete", "reject", "abstain", "return", "transfer", "delegate", "add_before",
    "add_after",
})  # fmt: skip

#: Reasons why a step's people are who they are.
KIND_TEXTS = {
    "user": N_("named in person"),
    "role": N_("as {name}"),
    "post": N_("as {name}"),
}

VIA_TEXTS = {
    "escalated": N_("because it waited too long"),
    "away": N_("standing in for {name}"),
    "transfer": N_("passed on to you"),
    "vacant": N_("because somebody left"),
    "manager": N_("as the manager"),
    "empty": N_("because nobody else could decide"),
}

#: Texts that the queue's scripts show.
BROWSER_TEXTS = (
    N_("Please write an opinion first."),
    N_("Please choose where it goes back to."),
    N_("Please choose somebody."),
    N_("All clear"),
    N_("Nothing waits in this box."),
    N_("{count} left"),
    N_("Undo"),
    N_("From now on decisions are sent at once."),
    N_("From now on decisions can be undone for five seconds."),
    N_("hold decisions for undo"),
    N_("send decisions at once"),
    N_("Filter saved."),
    N_("Name of this filter"),
    N_("Save this filter"),
    N_("Undone. Nothing was sent."),
    N_("It was sent already."),
    N_("Not sent: {reason}"),
    N_("Show it"),
    N_("{count} new"),
    N_("The list is from {time}; the server cannot be reached."),
    N_("Your opinion is kept on this device."),
    N_("{name} works on this."),
    N_("You work on this."),
    N_("{name} took this over."),
    N_("Take it over?"),
    N_("{name} works on this until {time} and will be told."),
    N_("Take over"),
    N_("Ctrl+Enter sends: {verb}"),
    N_("Command"),
    N_("Type a command"),
    N_("No such command."),
    N_("next task"),
    N_("previous task"),
    N_("open the task"),
    N_("select the task"),
    N_("select all"),
    N_("write a note"),
    N_("search"),
    N_("this help"),
    N_("every command"),
    N_("choose a phrase"),
    N_("send what is armed"),
    N_("leave the field"),
    N_("put aside"),
    N_("claim or release"),
    N_("undo"),
    N_("go to: {box}"),
    N_("open the record"),
    N_("print"),
    N_("{count} selected"),
    N_("Put aside."),
    N_("Claimed."),
    N_("Released."),
    N_("ready"),
    N_("needs an opinion"),
    N_("needs a signature"),
    N_("changed meanwhile"),
    N_("not yours"),
    N_("decided already"),
    N_("cannot be done together"),
    N_("done"),
    N_("nothing to do"),
    N_("refused"),
    N_("failed"),
    N_("At most {limit} at once."),
    N_("{done} of {total} done"),
    N_("Try the failed ones again"),
    N_("Decide {count}"),
    N_("Nothing can be decided."),
    N_("Sending …"),
    N_("Noted."),
    N_("Write something first."),
    N_("Approve {count} tasks"),
    N_("Reject {count} tasks"),
    N_("Close"),
    N_("Opinion for all of them"),
)

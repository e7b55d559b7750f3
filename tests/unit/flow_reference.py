"""A slow, obvious interpreter of approval flows, to hold the engine against.

It was written from the contract and not from the engine, keeps no ids, no events and no
rows, and does one thing after the other. A flow is the plain mapping of its file; a
strand walks a list of steps, a task is one pass through a step.
"""

from typing import Any

from tests.unit.flow_reference_parts import LIVE, TERMINAL, VOTES, Chair, No, Strand, Task, beneath
from tests.unit.flow_reference_walk import Walk


class Reference(Walk):
    """One instance and what people can do with it, a method for every verb."""

    def do(self, verb: str, who: str, **rest: Any) -> None:
        """Do something or refuse; the caller throws a refused reference away."""
        if self.status in TERMINAL and "task" not in rest:
            raise No("flow.already_ended")
        getattr(self, "do_" + verb)(who, **rest)
        if self.status == "running":
            self.end_of_flow()

    def over(self, task: Task) -> set[str]:
        """Why nothing can be done with a task any more."""
        codes = set()
        if self.status == "suspended":
            codes.add("flow.suspended")
        if self.status in TERMINAL | {"returned"}:
            codes.add("flow.already_ended")
        if task.state in ("done", "cancelled"):
            codes |= {"flow.already_decided", "flow.already_ended"}
        return codes

    def mine(self, task: Task, who: str, verb: str, seat: int | None) -> Chair:
        """The seat somebody acts in."""
        meant = self.seats_of(task, who, verb, seat)
        advising = [one for one in meant if (one.kind, one.state) == ("advice", "open")]
        if verb == "complete" and advising:
            return advising[0]
        if verb not in task.step["may"]:
            raise No
        # Whoever has spoken names their second seat, so that a double click never fills two.
        spoke = any(one.voter == who and one.kind != "advice" for one in task.chairs)
        held = [one for one in meant if one.state == "open"]
        if not held or (spoke and seat is None):
            raise No("flow.not_possible", "flow.already_decided")
        chair = held[0]
        if chair.kind == "advice" and verb not in (*VOTES, "claim"):
            raise No
        must_claim = task.step["queue"]["claim"] == "required" and chair.kind == "main"
        asking = ("transfer", "delegate", "add_before", "add_after", "add_beside")
        if must_claim and verb in (*VOTES, "return", *asking) and chair.claimed != who:
            raise No("flow.claimed_by" if chair.claimed else "flow.claim_required")
        return chair

    def seats_of(self, task: Task, who: str, verb: str, seat: int | None) -> list[Chair]:
        """Everything that somebody sits in, or the one of it that is named."""
        if over := self.over(task):
            raise No(*over)
        own = [one for one in task.chairs if who in self.sitters(one)]
        if verb not in task.step["may"] and verb != "complete":
            raise No
        meant = own if seat is None else [one for one in own if one is task.chairs[seat]]
        if not meant:
            raise No(
                "flow.not_a_candidate",
                "flow.verb_not_allowed",
                *(["flow.sod_violation"] if own else []),
            )
        if who == self.maker:
            raise No("flow.sod_violation", "flow.verb_not_allowed")
        return meant

    def sitters(self, chair: Chair) -> set[str]:
        """Everybody who has a place in a seat, whether they may speak or not."""
        if chair.state == "removed":
            return set()
        return {one for name in chair.people for one in self.people.roles.get(name, (name,))}

    def do_submit(self, who: str) -> None:
        if self.status not in ("new", "returned"):
            raise No("flow.duplicate_open")
        self.status = "running"
        self.top = Strand(self.flow["steps"])
        self.walk(self.top, 0)

    def do_approve(self, who: str, task: Task, seat: int | None) -> None:
        self.vote(who, task, seat, "approve")

    def do_reject(self, who: str, task: Task, seat: int | None) -> None:
        self.vote(who, task, seat, "reject")

    def do_abstain(self, who: str, task: Task, seat: int | None) -> None:
        self.vote(who, task, seat, "abstain")

    def do_complete(self, who: str, task: Task, seat: int | None) -> None:
        self.vote(who, task, seat, "complete")

    def vote(self, who: str, task: Task, seat: int | None, verb: str) -> None:
        chair = self.mine(task, who, verb, seat)
        self.speak(chair, who, "approve" if verb == "complete" else verb)
        self.settle(task)

    def speak(self, chair: Chair, who: str, ballot: str) -> None:
        self.tick += 1
        chair.state, chair.voter, chair.ballot, chair.spoke = "voted", who, ballot, self.tick
        chair.claimed = ""

    def do_return(
        self, who: str, task: Task, seat: int | None, to: str = "", then: str = ""
    ) -> None:
        self.mine(task, who, "return", seat)
        back = task.step["return"]
        if to not in ("", *back["to"]) and "chosen" not in back["to"]:
            raise No("flow.return_target_invalid")
        self.go_back(
            task, to or back["to"][0], then if back["then"] == "ask" and then else back["then"]
        )

    def go_back(self, task: Task, to: str, then: str) -> None:
        """End the task and everything behind the target, and ask the target again."""
        strand, place = (self.top, 0) if to == "initiator" else self.place_before(task, to)
        assert strand is not None
        task.state, task.result = "done", "return"
        self.saved = task.clocks
        for one in self.tasks:
            if beneath(one, strand):
                self.cancel(one)
        self.straight = None
        if to == "initiator":
            self.status = "returned"
        else:
            self.walk(strand, place)
        self.straight = (task.path, task.strand.item) if then == "resume" else None

    def place_before(self, task: Task, to: str) -> tuple[Strand, int]:
        """Where an earlier step stands, in the strand of a task or one around it."""
        strand, at = task.strand, task
        while any(one.path == to for one in self.tasks):
            ids = [strand.prefix + one["id"] for one in strand.steps]
            if to in ids[: ids.index(at.path)]:
                return strand, ids.index(to)
            if strand.parent is None:
                break
            strand, at = strand.parent.strand, strand.parent
        raise No("flow.return_target_invalid")

    def do_transfer(self, who: str, task: Task, seat: int | None, to: tuple[str, ...]) -> None:
        chair = self.mine(task, who, "transfer", seat)
        self.free(task, to, who)
        chair.people, chair.claimed = {to[0]}, ""
        self.stand_in(chair)
        self.settle(task)

    def free(self, task: Task, people: tuple[str, ...], who: str) -> None:
        """Refuse somebody as a new holder of a seat: oneself, the maker, who sits there by name."""
        codes = set()
        for person in people:
            if person == self.maker:
                codes.add("flow.sod_violation")
            seated = any(person in one.people and one.state in LIVE for one in task.chairs)
            if person == who or seated or person in self.people.disabled:
                codes.add("flow.person_invalid")
        if codes:
            raise No(*codes)

    def do_delegate(self, who: str, task: Task, seat: int | None, to: tuple[str, ...]) -> None:
        chair = self.asker(who, task, seat, "delegate", to)
        chair.state = "advised"
        self.add(task, chair, "advice", to, "any")

    def asker(
        self, who: str, task: Task, seat: int | None, verb: str, to: tuple[str, ...]
    ) -> Chair:
        """The seat in which somebody asks others, at most three deep."""
        chair = self.mine(task, who, verb, seat)
        if chair.depth >= 3:
            raise No("flow.add_sign_depth")
        self.free(task, to, who)
        return chair

    def add(self, task: Task, chair: Chair, kind: str, to: tuple[str, ...], rule: str) -> None:
        for index, person in enumerate(to):
            new = Chair(person, {person}, "waiting", kind, rule=rule, parent=chair)
            task.chairs.append(new)
            if rule != "sequence" or index == 0:
                self.open_chair(task, new)
        self.settle(task)

    def do_add_before(
        self, who: str, task: Task, seat: int | None, to: tuple[str, ...], rule: str
    ) -> None:
        chair = self.asker(who, task, seat, "add_before", to)
        chair.state, chair.asking = "waiting", True
        self.add(task, chair, "before", to, rule)

    def do_add_after(
        self, who: str, task: Task, seat: int | None, to: tuple[str, ...], rule: str
    ) -> None:
        chair = self.asker(who, task, seat, "add_after", to)
        self.speak(chair, who, "approve")
        self.add(task, chair, "after", to, rule)

    def do_add_beside(self, who: str, task: Task, seat: int | None, to: tuple[str, ...]) -> None:
        chair = self.asker(who, task, seat, "add_beside", to)
        self.add(task, chair, "beside", to, "any")

    def do_remove_added(self, who: str, task: Task, to: int) -> None:
        if over := self.over(task):
            raise No(*over)
        if not any(who in self.sitters(one) for one in task.chairs):
            raise No("flow.not_a_candidate")
        if who == self.maker:
            raise No("flow.sod_violation")
        chair = task.chairs[to]
        if chair.kind == "main" or chair.state not in ("open", "waiting"):
            raise No("flow.seat_not_removable")
        rule = task.step["decide"]
        voices = [one for one in task.chairs if one.kind in ("main", "beside")]
        voices = [one for one in voices if one.state not in ("removed", "passed_over")]
        least = rule.get("quorum", 0) if isinstance(rule, dict) else 0
        if chair.kind == "beside" and len(voices) - 1 < least:
            raise No("flow.seat_not_removable")
        chair.state = "removed"
        for one in task.chairs:
            # Whoever was asked on behalf of it is not needed any more either.
            if one.state in LIVE and one.parent and one.parent.state == "removed":
                one.state = "removed"
        self.settle(task)

    def do_claim(self, who: str, task: Task, seat: int | None, then: str) -> None:
        chair = self.mine(task, who, "claim", seat)
        if chair.claimed not in ("", who) and then != "steal":
            raise No("flow.claimed_by")
        chair.claimed = who

    def do_take_back(self, who: str, task: Task, seat: int | None) -> None:
        if self.status != "running":
            raise No("flow.suspended" if self.status == "suspended" else "flow.already_ended")
        chair = self.spoken_in(task, who, seat)
        if task.state == "done":
            self.undo(task)
        for one in task.chairs:
            if one.parent is chair and one.kind == "after":
                one.state = "removed"
        chair.state, chair.ballot, chair.voter = "open", None, ""
        if task.step["decide"] == "sequence":
            for one in task.chairs[task.chairs.index(chair) + 1 :]:
                if one.kind == "main" and one.state == "open":
                    one.state = "waiting"
        self.settle(task)

    def spoken_in(self, task: Task, who: str, seat: int | None) -> Chair:
        """The seat whose vote somebody takes back."""
        own = [one for one in task.chairs if one.ballot and one.voter == who]
        own = [one for one in own if seat is None or one is task.chairs[seat]]
        if not own:
            raise No("flow.not_a_candidate")
        after = [one for one in task.chairs if one.parent is own[-1] and one.kind == "after"]
        if any(one.ballot for one in after):
            raise No("flow.has_successor_vote")
        if task.state == "cancelled" or (task.state == "done" and task.result != "pass"):
            raise No("flow.already_ended", "flow.has_successor_vote")
        return own[-1]

    def behind(self, task: Task) -> list[Task]:
        """Everything that was entered because a task had ended, and the blocks around it."""
        found: list[Task] = []
        at: Task | None = task
        while at is not None and at.ended:
            for one in self.tasks:
                below = beneath(one, at.strand)
                if below is not None and below.born > at.ended:
                    found.append(one)
            at = at.strand.parent
            if at is not None and (at.state != "done" or at.detached):
                at = None
        return found

    def undo(self, task: Task) -> None:
        """Call in everything behind a decided task, unless somebody has spoken there."""
        behind = self.behind(task)
        if any(one.voter not in ("", "auto", "system") for t in behind for one in t.chairs):
            raise No("flow.has_successor_vote")
        for one in behind:
            self.cancel(one)
        at: Task | None = task
        while at is not None:
            at.strand.over, at.ended = False, 0
            block = at.strand.parent
            if block is not None and block.state == "done":
                block.state, block.result = "waiting", ""
            at = None if block is None or block.detached else block
        task.state, task.result = "open", ""
        for one in task.chairs:
            if one.state == "moot" and one.kind in ("main", "beside"):
                one.state = "open"

    def do_suspend(self, who: str) -> None:
        if self.status == "suspended":
            raise No("flow.suspended")
        self.former, self.status = self.status, "suspended"

    def do_resume(self, who: str) -> None:
        if self.status != "suspended":
            raise No
        self.status = self.former

    def do_withdraw(self, who: str) -> None:
        if who != self.maker:
            raise No("flow.not_initiator")
        self.end("withdrawn")

    def do_terminate(self, who: str) -> None:
        self.end("terminated")

    def do_fire(self, who: str, task: Task, rung: int) -> None:
        if self.status != "running" or task.clocks.get(rung, 1) > 0:
            raise No
        del task.clocks[rung]
        if rung < 0:
            self.pass_on(task, "pass")
            return
        one = task.step["due"][rung]
        asked = [chair for chair in task.chairs if chair.state == "open"]
        if one["do"] == "escalate":
            for chair in asked:
                if not one["keep_original"]:
                    chair.people = set()
                chair.people |= set(self.pools(one["to"]))
        elif one["do"] in ("approve", "reject"):
            for chair in asked:
                self.speak(chair, "system", one["do"])
            self.settle(task)
        elif one["do"] == "return":
            back = task.step["return"]
            then = "rewalk" if back["then"] == "ask" else back["then"]
            self.go_back(task, back["to"][0], then)

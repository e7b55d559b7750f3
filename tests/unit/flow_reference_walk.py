"""How the reference interpreter walks: into steps and out of them, seats, tallies and time."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.unit.flow_reference_parts import (
    LIVE,
    Chair,
    No,
    People,
    Strand,
    Task,
    decided,
    fixed,
    seconds,
)


class Walk:
    """One instance, walked slowly."""

    def __init__(
        self,
        flow: dict[str, Any],
        subflows: dict[str, list[dict[str, Any]]],
        people: People,
        holds: Callable[[str], bool],
        items: Callable[[str], list[Any]],
    ) -> None:
        self.flow, self.subflows, self.people = fixed(flow), fixed(subflows), people
        self.holds, self.items = holds, items
        self.maker, self.subject = "ann", "h1"
        self.status = "new"
        self.former = ""
        self.tasks: list[Task] = []
        self.top: Strand | None = None
        self.straight: tuple[str, Any] | None = None
        self.saved: dict[int, int] = {}
        self.tick = 0

    # --- who ---------------------------------------------------------------------------

    def rules(self, task: Task) -> dict[str, Any]:
        """What holds for people of a task; a subflow is a flow with rules of its own."""
        return {} if task.strand.prefix else self.flow.get("people", {})

    def reached(self, name: str) -> set[str]:
        """Active people behind a role's or a person's name, without the maker."""
        found = self.people.roles.get(name, (name,))
        return set(found) - self.people.disabled - {self.maker}

    def able(self, chair: Chair) -> set[str]:
        found: set[str] = set()
        for name in chair.people:
            found |= self.reached(name)
        return found

    def pools(self, source: Any) -> list[str]:
        names: list[str] = []
        for one in source if isinstance(source, list) else [source]:
            for kind in ("role", "user"):
                held = one.get(kind, ())
                names += [held] if isinstance(held, str) else list(held)
        return list(dict.fromkeys(names))

    # --- walking -----------------------------------------------------------------------

    def walk(self, strand: Strand, index: int) -> None:
        """Enter the step at `index`; past the last one the strand is over."""
        if self.status != "running":
            return
        if index < len(strand.steps):
            self.enter(strand, strand.steps[index])
            return
        strand.over = True
        if strand.parent is not None:
            self.block_over(strand.parent)

    def end_of_flow(self) -> None:
        """Approve once nothing is waited for, detached runs included."""
        if self.top is not None and self.top.over and not any(one.live for one in self.tasks):
            self.status = "approved"

    def block_over(self, block: Task) -> None:
        if block.state != "waiting" or not all(one.over for one in block.strands):
            return
        if block.detached:
            block.state, block.result = "done", "pass"
        else:
            self.pass_on(block, "pass")

    def pass_on(self, task: Task, result: str) -> None:
        task.state, task.result = "done", result
        self.tick += 1
        task.ended = self.tick
        self.walk_behind(task)

    def walk_behind(self, task: Task) -> None:
        at = [one["id"] for one in task.strand.steps].index(task.step["id"])
        self.walk(task.strand, at + 1)

    def enter(self, strand: Strand, step: dict[str, Any]) -> None:
        path = strand.prefix + step["id"]
        kind = step["type"]
        before = [one for one in self.tasks if one.path == path and one.strand.item == strand.item]
        task = Task(step, path, strand, self.subject)
        self.tick += 1
        task.born = self.tick
        self.tasks.append(task)
        clocks = None
        if self.straight is not None:
            # Only the last pass counts: an earlier one was asked to be repeated.
            satisfied = bool(before) and (before[-1].state, before[-1].subject) == (
                "done", self.subject,
            ) and before[-1].result in ("pass", "keep")  # fmt: skip
            if (path, strand.item) == self.straight:
                self.straight, clocks = None, self.saved
            elif satisfied and kind in ("approve", "fill", "wait", "effect"):
                self.pass_on(task, "keep")
                return
        if kind in ("approve", "fill"):
            self.seat(task, clocks)
        elif kind == "wait":
            task.state = "waiting"
            task.clocks[-1] = seconds(step["for"])
        elif kind == "cc":
            self.pass_on(task, "pass")
        else:
            self.open_block(task, kind)

    def open_block(self, task: Task, kind: str) -> None:
        task.state = "waiting"
        task.strands = [
            Strand(steps, prefix, task, item) for steps, prefix, item in self.lanes(task, kind)
        ]
        straight, reached = self.straight, False
        for one in task.strands:
            # What stands beside the step that is gone back to is not asked again either.
            self.straight = straight
            self.walk(one, 0)
            reached = reached or (straight is not None and self.straight is None)
        if reached:
            self.straight = None
        if not task.strands:
            self.pass_on(task, "pass")
        elif task.detached and task.state == "waiting":
            self.walk_behind(task)
        elif task.detached:
            self.pass_on(task, "pass")

    def lanes(self, task: Task, kind: str) -> list[tuple[list[dict[str, Any]], str, Any]]:
        """What is walked side by side in a block: steps, what their ids begin with, the item."""
        step, inner = task.step, task.strand
        lanes: list[tuple[list[dict[str, Any]], str, Any]] = []
        if kind == "parallel":
            lanes = [(one["steps"], inner.prefix, inner.item) for one in step["lanes"]]
        elif kind == "subflow":
            steps = self.subflows[step["flow"]]
            for item in self.items(step["each"]):
                lanes.append((steps, inner.prefix + step["id"] + "/", item))
        else:
            holding = [one["steps"] for one in step["cases"] if self.holds(one["when"])]
            if kind == "branch":
                holding = holding[:1]
            lanes = [(one, inner.prefix, inner.item) for one in holding or [step["else"]]]
        return lanes

    # --- seats -------------------------------------------------------------------------

    def seat(self, task: Task, clocks: dict[int, int] | None) -> None:
        step = task.step
        pools = self.pools(step["approvers"])
        if isinstance(step["decide"], dict):
            # Numbers count persons.
            pools = list(dict.fromkeys(p for one in pools for p in self.everybody(one)))
            task.chairs = [Chair(one, {one}, "waiting") for one in pools]
        elif step["decide"] == "any":
            task.chairs = [Chair("+".join(pools), set(pools), "waiting")] if pools else []
        else:
            task.chairs = [Chair(one, {one}, "waiting") for one in pools]
        task.clocks = self.clocks_of(step) if clocks is None else clocks
        if not task.chairs:
            self.nobody(task)
            return
        self.open_chairs(task)
        self.settle(task)

    @staticmethod
    def clocks_of(step: dict[str, Any]) -> dict[int, int]:
        return {rung: seconds(one["at"]) for rung, one in enumerate(step.get("due", ()))}

    def everybody(self, name: str) -> list[str]:
        """Active people behind a name; a disabled person keeps a voice of their own."""
        if name not in self.people.roles:
            return [name]
        return [one for one in self.people.roles[name] if one not in self.people.disabled]

    def open_chairs(self, task: Task) -> None:
        """Open what waits for its turn; of a sequence only the first that has not spoken."""
        sequence = task.step["decide"] == "sequence"
        voices = [one for one in task.chairs if one.kind in ("main", "beside")]
        first = all(one.state == "waiting" for one in voices)
        for chair in voices:
            if sequence and any(self.due(task, one) for one in voices):
                return
            if chair.state == "waiting" and not chair.asking:
                self.open_chair(task, chair)
                if sequence and not first and chair.kind == "main":
                    task.clocks = self.clocks_of(task.step)

    def due(self, task: Task, chair: Chair) -> bool:
        """Whether a voice is to be heard before the next of a sequence."""
        waits_after = chair.ballot is not None and self.said(task, chair) is None
        return chair.state in ("open", "advised") or chair.asking or waits_after

    def open_chair(self, task: Task, chair: Chair) -> None:
        chair.state = "open"
        self.stand_in(chair)
        if not self.able(chair):
            self.man(task, chair)
        if chair.state == "open":
            self.repeat(task, chair)

    def stand_in(self, chair: Chair) -> None:
        for name in sorted(chair.people - set(self.people.roles)):
            deputy = self.people.deputies.get(name, "")
            if deputy and deputy != self.maker:
                chair.people.add(deputy)

    def man(self, task: Task, chair: Chair) -> None:
        """Nobody can sit here: do what the flow says about its maker, then about nobody."""
        rules = self.rules(task)
        own = any(self.maker in self.people.roles.get(name, (name,)) for name in chair.people)
        if own and rules.get("self_approval") == "skip":
            chair.state = "passed_over"
            return
        if own and rules.get("self_approval") == "to_manager":
            boss = self.people.managers.get(self.maker, "")
            if boss and self.reached(boss):
                chair.people.add(boss)
                return
        if rules.get("empty", "pause") == "auto_pass":
            chair.state = "passed_over"
        elif rules.get("empty", "pause") == "fail":
            raise No

    def nobody(self, task: Task) -> None:
        if self.rules(task).get("empty", "pause") == "auto_pass":
            self.pass_on(task, "pass")
        elif self.rules(task).get("empty", "pause") == "fail":
            raise No
        else:
            task.result = "stuck"

    def repeat(self, task: Task, chair: Chair) -> None:
        """Count the voice of whoever approved the same content in an earlier step."""
        rule = self.rules(task).get("same_person", "none")
        if rule == "none" or chair.kind != "main" or task.step["type"] != "approve":
            return
        able = self.able(chair)
        earlier = self.tasks[: self.tasks.index(task)]
        passed = [one for one in earlier if one.result == "pass"]
        if rule == "consecutive":
            near = right_before(task)
            passed = [one for one in passed if one.path == near][-1:]
        approved = [one for one in passed if one.step["type"] == "approve"]
        for near in reversed(approved):
            if near.path == task.path or near.subject != self.subject:
                continue
            for one in near.chairs:
                if one.ballot == "approve" and {one.voter} == able:
                    chair.state, chair.ballot, chair.voter = "voted", "approve", "auto"
                    return

    # --- verdicts ----------------------------------------------------------------------

    def settle(self, task: Task) -> None:
        """Look at a task again: hear who was asked, open what may open, end what is decided."""
        if not (task.state == "open" and self.status == "running"):
            return
        seen = None
        while seen != (seen := [(one.state, one.asking) for one in task.chairs]):
            for chair in reversed(task.chairs):
                self.hear(task, chair)
            if not self.verdict(task):
                task.result = ""
                self.open_chairs(task)
        verdict = self.verdict(task)
        late = any(one.kind == "after" and one.state in LIVE for one in task.chairs)
        if verdict == "stuck":
            self.nobody(task)
        elif verdict == "reject" or (verdict and not late):
            self.close(task, verdict)

    def verdict(self, task: Task) -> str:
        voices = [one for one in task.chairs if one.kind in ("main", "beside")]
        voices = [one for one in voices if one.state not in ("removed", "passed_over")]
        said = [self.said(task, one) for one in voices]
        return decided(task.step["decide"], said, task.step) if voices else "pass"

    def said(self, task: Task, chair: Chair) -> str | None:
        """What a voice says: an approval holds once those asked afterwards agree."""
        if chair.ballot != "approve":
            return chair.ballot
        verdict = self.answer(task, chair, "after")
        return {"": None, "reject": "reject"}.get(verdict, "approve")

    def answer(self, task: Task, chair: Chair, kind: str) -> str:
        """What those say who were asked before or after a voice; "" while they are silent."""
        asked = [one for one in task.chairs if one.parent is chair and one.kind == kind]
        asked = [one for one in asked if one.state not in ("removed", "passed_over")]
        if not asked:
            return "stuck"
        return decided(asked[0].rule, [self.said(task, one) for one in asked], {})

    def hear(self, task: Task, chair: Chair) -> None:
        """Close what has been answered around a voice, and give it back to its holder."""
        for kind in ("before", "after"):
            asked = [one for one in task.chairs if one.parent is chair and one.kind == kind]
            if self.answer(task, chair, kind):
                for one in asked:
                    if one.state in LIVE:
                        one.state = "moot"
                if kind == "before" and chair.state == "waiting" and chair.asking:
                    chair.state, chair.asking = "open", False
            elif asked[0].rule == "sequence" and not any(self.due(task, one) for one in asked):
                following = [one for one in asked if one.state == "waiting" and not one.asking]
                if following:
                    self.open_chair(task, following[0])
        advice = [one for one in task.chairs if one.parent is chair and one.kind == "advice"]
        if chair.state == "advised" and not any(one.state in LIVE for one in advice):
            chair.state = "open"

    def close(self, task: Task, verdict: str) -> None:
        for chair in task.chairs:
            if chair.state in LIVE:
                chair.state = "moot"
        if verdict == "reject":
            task.state, task.result = "done", "reject"
            self.end("rejected")
        else:
            self.pass_on(task, "pass")

    def end(self, status: str) -> None:
        self.status = status
        for task in self.tasks:
            self.cancel(task)

    def cancel(self, task: Task) -> None:
        if task.live:
            task.state = "cancelled"
        for chair in task.chairs:
            if chair.state in LIVE:
                chair.state = "moot"

    # --- time --------------------------------------------------------------------------

    def running_clocks(self) -> Iterator[tuple[Task, int]]:
        """Clocks that run: of a running instance, where somebody can decide."""
        if self.status != "running":
            return
        for task in self.tasks:
            asked = [one for one in task.chairs if one.state == "open"]
            stands = bool(asked) and not any(self.able(one) for one in asked)
            if task.live and not stands:
                for rung in list(task.clocks):
                    yield task, rung

    def pass_time(self, passed: int) -> None:
        for task, rung in self.running_clocks():
            task.clocks[rung] -= passed
        if passed:
            for task in self.tasks:
                for chair in task.chairs:
                    chair.claimed = ""


def right_before(task: Task) -> str:
    """The human step before a task, outwards from strand to strand; a block between hides it."""
    strand, path = task.strand, task.path
    while True:
        ids = [strand.prefix + one["id"] for one in strand.steps]
        for one, known in reversed(list(zip(strand.steps, ids, strict=True))[: ids.index(path)]):
            if one["type"] in {"approve", "fill"}:
                return known
            if one["type"] in {"branch", "parallel", "inclusive", "subflow"}:
                return ""
        if strand.parent is None:
            return ""
        strand, path = strand.parent.strand, strand.parent.path

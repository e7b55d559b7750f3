"""What the reference interpreter of flows works with: voices, tasks, strands, and the tally."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Self

TERMINAL = {"approved", "rejected", "withdrawn", "terminated"}
LIVE = {"open", "waiting", "advised"}
VOTES = ("approve", "reject", "abstain", "complete")


class No(Exception):
    """Refused: with one of these codes; with any where the contract names none."""

    def __init__(self, *codes: str) -> None:
        super().__init__(*codes)
        self.codes = codes


@dataclass(eq=False)
class Chair:
    """One voice: who may sit in it and what was said."""

    key: str
    people: set[str]
    state: str = "open"
    kind: str = "main"
    ballot: str | None = None
    voter: str = ""
    rule: str = "any"
    parent: "Chair | None" = None
    claimed: str = ""
    asking: bool = False
    spoke: int = 0

    @property
    def depth(self) -> int:
        return 1 + self.parent.depth if self.parent else 0


@dataclass(eq=False)
class Task:
    """One pass through a step."""

    step: dict[str, Any]
    path: str
    strand: "Strand"
    subject: str
    state: str = "open"
    result: str = ""
    chairs: list[Chair] = field(default_factory=list)
    strands: list["Strand"] = field(default_factory=list)
    clocks: dict[int, int] = field(default_factory=dict)
    born: int = 0
    ended: int = 0

    @property
    def detached(self) -> bool:
        return self.step.get("wait") == "none"

    @property
    def live(self) -> bool:
        return self.state in {"open", "waiting"}


@dataclass(eq=False)
class Strand:
    """Steps that are walked one after the other."""

    steps: list[dict[str, Any]]
    prefix: str = ""
    parent: Task | None = None
    item: Any = None
    over: bool = False


def decided(rule: Any, said: list[str | None], step: dict[str, Any]) -> str:
    """Tally: "", pass, reject, or stuck where no vote can decide it any more."""
    total, yes, no = len(said), said.count("approve"), said.count("reject")
    abstained = said.count("abstain")
    left = total - yes - no - abstained
    if rule == "any":
        passes = yes >= 1
        rejects = no >= 1 and (step.get("on_reject") == "first" or no + abstained == total)
    elif rule in ("all", "sequence"):
        veto = rule == "sequence" or step.get("veto", True)
        rejects = no >= 1 and (veto or not left)
        passes = yes >= 1 and yes + abstained == total
    else:
        need = rule["quorum"] if "quorum" in rule else Fraction(rule["weight"]) * total
        passes, rejects = yes >= need, no >= 1 and yes + left < need
        left = left if yes + left >= need else 0
    verdict = "pass" if passes else "reject" if rejects else ""
    return verdict or ("" if left else "stuck")


@dataclass
class People:
    """Who there is: plain, shared by reference with the world the engine asks."""

    roles: dict[str, tuple[str, ...]]
    disabled: set[str] = field(default_factory=set)
    managers: dict[str, str] = field(default_factory=dict)
    deputies: dict[str, str] = field(default_factory=dict)

    def __deepcopy__(self, memo: Any) -> Self:
        return self


def beneath(task: Task, strand: Strand) -> Task | None:
    """The task of a strand that a task is, or stands in."""
    at = task
    while at.strand is not strand:
        if at.strand.parent is None:
            return None
        at = at.strand.parent
    return at


def seconds(text: str) -> int:
    return int(text[:-1]) * {"m": 60, "h": 3600}[text[-1]]


class Fixed(dict[str, Any]):
    """A mapping that is never copied, since nobody changes it."""

    def __deepcopy__(self, memo: Any) -> Self:
        return self


def fixed(value: Any) -> Any:
    """Return a value whose mappings are never copied."""
    if isinstance(value, dict):
        return Fixed({name: fixed(one) for name, one in value.items()})
    return [fixed(one) for one in value] if isinstance(value, list) else value

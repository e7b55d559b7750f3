"""How far an approval is, step by step, as the record's and the approval's own pages draw it."""

from dataclasses import dataclass, field

from core.context import Context
from core.i18n import N_, pick, translate
from core.web.taskrows import post_labels, state_text
from core.web.tasktexts import BALLOT_TEXTS, RESULT_TEXTS, STATE_TONES
from core.workflow.course import Course, CourseStep, Passage

TYPE_TEXTS = {
    "approve": N_("Approval"),
    "fill": N_("To fill in"),
    "cc": N_("Copy"),
    "branch": N_("Branch"),
    "parallel": N_("Side by side"),
    "inclusive": N_("Every case that holds"),
    "subflow": N_("Other flow"),
    "effect": N_("Automatic"),
    "wait": N_("Waiting time"),
}

TYPE_ICONS = {
    "approve": "circle-check",
    "fill": "pencil",
    "cc": "send",
    "branch": "git-branch",
    "parallel": "git-branch",
    "inclusive": "git-branch",
    "subflow": "layout-list",
    "effect": "rocket",
    "wait": "clock",
}

_TONES = {"open": "now", "waiting": "now", "suspended": "now", "done": "done"}


@dataclass(frozen=True, slots=True)
class ProgressLine:
    """One step as it is drawn.

    Attributes:
        tone: `done`, `now`, `ahead` or `left` (it will not be reached any more).
        lane: what the case or strand that begins here is called.
        told: a line for each pass: who decided what, or who is waited for.
    """

    title: str
    icon: str
    tone: str
    depth: int
    lane: str
    told: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Progress:
    """An approval as it is drawn."""

    instance: str
    title: str
    state: str
    tone: str
    round: int
    initiator: str
    opened_at: str
    ended_at: str
    lines: list[ProgressLine]


def draw_progress(ctx: Context, course: Course) -> Progress:
    """Return an approval's course as people read it."""
    return Progress(
        instance=course.instance,
        title=pick(course.title, ctx.locale, ""),
        state=state_text(ctx, course.state),
        tone=STATE_TONES.get(course.state, ""),
        round=course.round,
        initiator=course.initiator,
        opened_at=course.opened_at,
        ended_at=course.ended_at,
        lines=[_line(ctx, step, is_over=course.is_over) for step in course.steps],
    )


def _line(ctx: Context, step: CourseStep, *, is_over: bool) -> ProgressLine:
    kind = translate(TYPE_TEXTS[step.type], ctx.locale)
    tone = _TONES.get(step.state, "left" if is_over or step.passages else "ahead")
    lane = ""
    if step.lane is not None:
        lane = pick(step.lane, ctx.locale, "") or translate(N_("otherwise"), ctx.locale)
    return ProgressLine(
        title=pick(step.title, ctx.locale, "") or kind,
        icon=TYPE_ICONS[step.type],
        tone=tone,
        depth=step.depth,
        lane=lane,
        told=[_told(ctx, step, one) for one in step.passages if _is_told(step, one)],
    )


def _is_told(step: CourseStep, passage: Passage) -> bool:
    return step.type in {"approve", "fill", "wait"} or bool(passage.result and passage.item)


def _told(ctx: Context, step: CourseStep, passage: Passage) -> tuple[str, str]:
    """Return what is said of one pass, and when it ended or began."""
    comma = "、" if ctx.locale == "zh" else ", "
    parts = []
    if len(step.passages) > 1:
        parts.append(translate(N_("pass {number}"), ctx.locale, number=passage.number))
    if isinstance(passage.item, str):
        parts.append(passage.item)
    voted = [
        f"{name} {translate(BALLOT_TEXTS.get(verb, verb), ctx.locale)}"
        for name, verb in passage.voted
    ]
    if voted:
        parts.append(comma.join(voted))
    if passage.state == "open" and passage.asked:
        names = comma.join(_asked(ctx, kind, actor, name) for kind, actor, name in passage.asked)
        parts.append(translate(N_("waits for {names}"), ctx.locale, names=names))
    if passage.result and not (passage.voted and passage.result in {"pass", "reject"}):
        text = RESULT_TEXTS.get(passage.result, "")
        parts += [translate(text, ctx.locale)] if text else []
    return " · ".join(parts), passage.closed_at or passage.opened_at


def _asked(ctx: Context, kind: str, actor: str, name: str) -> str:
    if kind == "user":
        return name or actor
    key = actor.partition("@")[0]
    return post_labels(ctx).get(key, key)

"""What plugins find in documents: who is told, what of it is kept, and what fails alone."""

from collections.abc import Sequence
from typing import Any

import pytest

from core.api import Context, Document, Review, hookimpl, table
from core.errors import Forbidden, NotFound
from core.extension import reviews as extension_reviews
from core.extension.hooks import Hooks
from core.records.operations import update_record
from core.workflow import reviewing
from core.workflow.reviewing import review_record, review_task
from core.workflow.voiding import void
from tests.integration.flow_steps import act, effective, make_rule, refusal, submitted
from tests.integration.flow_world import ADMIN, APPROVER, FINANCE, LIN, WANG, World, person


class Looking:
    """A plugin that says what it was shown."""

    def __init__(self) -> None:
        self.seen: list[Document] = []

    @hookimpl
    def guanxi_review_document(self, ctx: Context, document: Document) -> Sequence[Review]:
        self.seen.append(document)
        assert ctx.connection is not None
        assert not ctx.is_writing
        before = None if document.before is None else str(document.before["rate"])
        row = (str(before), str(document.values["rate"]), document.values["status"])
        return [
            Review("ok", "Looked."),
            Review(
                "note", "Changes.", "In detail.", ("before", "after", "status"), (row,),
                (("rule", document.record_id),),
            ),
        ]  # fmt: skip


class Failing:
    """A plugin that cannot say anything."""

    @hookimpl
    def guanxi_review_document(self) -> Sequence[Review]:
        raise ZeroDivisionError


class Junk:
    """A plugin that says something else."""

    @hookimpl
    def guanxi_review_document(self) -> Any:
        return ["fine"]


class Writing:
    """A plugin that writes where it is asked to look only."""

    @hookimpl
    def guanxi_review_document(self, ctx: Context) -> Sequence[Review]:
        with ctx.writing():
            return [Review("ok", "Wrote.")]


@pytest.fixture
def looking(world: World) -> Looking:
    looking = Looking()
    world.hooks.register_plugin("looking", looking)
    return looking


def rows(reviews: list[dict[str, Any]]) -> Any:
    return reviews[1]["rows"]


def test_reviews_are_told_to_who_submits_and_who_decides(world: World, looking: Looking) -> None:
    record_id, sent = submitted(world)
    told = review_record(world.ctx(LIN), "rule", record_id)
    assert told == [
        {
            "plugin": "looking", "level": "ok", "title": "Looked.", "detail": "", "columns": [],
            "rows": [], "records": [],
        },
        {
            "plugin": "looking", "level": "note", "title": "Changes.", "detail": "In detail.",
            "columns": ["before", "after", "status"], "rows": [["None", "0.9000", "effective"]],
            "records": [["rule", record_id]],
        },
    ]  # fmt: skip
    assert review_task(world.ctx(APPROVER), sent["task"]) == told
    assert review_task(world.ctx(WANG), sent["task"]) == told
    refusal(Forbidden, review_task, world.ctx(FINANCE), sent["task"])
    refusal(Forbidden, review_record, world.ctx(FINANCE), "rule", record_id)
    stranger = person("77", "Nobody", "marketing")
    refusal(NotFound, review_task, world.ctx(stranger), sent["task"])
    refusal(NotFound, review_record, world.ctx(stranger), "rule", record_id)
    act(world, APPROVER, "approve", sent["task"])
    assert review_task(world.ctx(APPROVER), sent["task"]) == []
    assert review_record(world.ctx(LIN), "rule", record_id) == []


def test_same_content_is_looked_at_once(world: World, looking: Looking) -> None:
    record_id, sent = submitted(world)
    first = review_record(world.ctx(LIN), "rule", record_id)
    assert review_task(world.ctx(APPROVER), sent["task"]) == first
    assert len(looking.seen) == 1
    # A document that took effect meanwhile may change what is to be said.
    effective(world, code="A2")
    review_record(world.ctx(LIN), "rule", record_id)
    assert len(looking.seen) == 2
    other = make_rule(world, code="A3")
    review_record(world.ctx(LIN), "rule", other)
    update_record(world.ctx(LIN), "rule", other, {"rate": "0.5"}, version=None)
    assert rows(review_record(world.ctx(LIN), "rule", other)) == [["None", "0.5000", "effective"]]
    assert len(looking.seen) == 4


def test_what_was_quickly_looked_at_is_soon_looked_at_again(
    world: World, looking: Looking, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A balance may have been spent since; a replay of receipts is too dear to take twice."""
    times = iter([0.0, 0.1, 4.9, 5.2, 25.2, 424.0, 426.0, 426.1])
    monkeypatch.setattr(reviewing, "monotonic", lambda: next(times))
    record_id, _ = submitted(world)
    seen = []
    for _ in range(5):
        review_record(world.ctx(LIN), "rule", record_id)
        seen.append(len(looking.seen))
    # It took 0.1 s, then 20 s: asked at 4.9 and 424 it is told again.
    assert seen == [1, 1, 2, 2, 3]


def test_what_a_plugin_writes_does_not_end_its_caller(world: World) -> None:
    world.hooks.register_plugin("writing", Writing())
    record_id, _ = submitted(world)
    ctx, ended = world.ctx(LIN), list[bool]()
    ctx.ended.append(ended.append)
    assert review_record(ctx, "rule", record_id)[0]["title"] == "Wrote."
    assert ended == []


def test_proposals_are_reviewed_as_they_would_be(world: World, looking: Looking) -> None:
    record_id = effective(world)
    assert review_record(world.ctx(LIN), "rule", record_id) == []
    update_record(world.ctx(LIN), "rule", record_id, {"rate": "0.5"}, version=None)
    told = review_record(world.ctx(LIN), "rule", record_id)
    assert rows(told) == [["0.9000", "0.5000", "effective"]]
    ended = effective(world, code="A2")
    sent = void(world.ctx(LIN), "rule", ended, reason="Old.")
    told = review_task(world.ctx(APPROVER), sent["task"])
    assert rows(told) == [["0.9000", "0.9000", "void"]]


def test_failing_plugin_is_named_and_keeps_no_other_back(world: World, looking: Looking) -> None:
    world.hooks.register_plugin("failing", Failing())
    world.hooks.register_plugin("junk", Junk())
    record_id = make_rule(world)
    for times in (1, 2):
        told = review_record(world.ctx(LIN, locale="zh"), "rule", record_id)
        assert [(one["plugin"], one["level"]) for one in told] == [
            ("looking", "ok"), ("looking", "note"), ("failing", "warning"), ("junk", "warning"),
        ]  # fmt: skip
        assert told[2]["title"] == "插件 failing 未能完成检查。"
        # What failed is not kept, and nobody is switched off.
        assert len(looking.seen) == times
    assert world.hooks.is_running(world.ctx(ADMIN), "failing")


def test_plugin_that_hangs_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging:
        @hookimpl
        def guanxi_review_document(self, ctx: Context) -> Sequence[Review]:
            while True:
                table(ctx, "rule")

    monkeypatch.setattr(extension_reviews, "REVIEW_SECONDS", 0.05)
    world.hooks.register_plugin("hanging", Hanging())
    record_id = make_rule(world)
    (told,) = review_record(world.ctx(LIN), "rule", record_id)
    assert (told["plugin"], told["level"]) == ("hanging", "warning")


def test_nothing_is_asked_without_reviewers(world: World) -> None:
    record_id = make_rule(world)
    assert review_record(world.ctx(LIN), "rule", record_id) == []
    assert not Hooks().reviews.exist(world.ctx(LIN), "rule")

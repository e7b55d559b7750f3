"""Automations on changes of records: triggers, conditions, actions, rights, runs."""

import pytest

from core.automation import administration
from core.errors import Forbidden, NotFound
from core.records.history import record_history
from core.records.queries import Query, list_records
from core.workflow.queue.inbox import list_tasks
from core.workflow.queue.notices import list_notices
from tests.integration.automation_world import *  # noqa: F403

PROMOTE = """
automation: promote
label: {zh: 升级, en: Promote}
type: member
trigger: {on: updated, fields: [points]}
when: "points >= 100 and (old.points is empty or old.points < 100)"
run_as: {role: robot}
actions:
  - {do: set, values: {level: "'vip'"}}
"""


def all_of(world, type_name):
    return list_records(world.ctx(), type_name, Query(limit=100)).items


def test_change_that_meets_the_condition_has_its_action_done_once(world):
    world.publish(PROMOTE)
    member = world.create(points=50)
    world.deliver()
    world.change(member, points=120)
    world.deliver()
    world.deliver()
    assert world.get(member)["level"] == "vip"
    assert world.states() == [("promote", "done")]
    last = record_history(world.ctx(), "member", member)[0]
    assert (last["actor"], last["actor_name"], last["door"]) == (
        "auto:promote",
        "Promote",
        "automation",
    )


def test_condition_compares_with_what_was_before_the_event(world):
    world.publish(PROMOTE)
    member = world.create(points=150)
    world.change(member, points=200)
    world.change(member, points=10)
    world.change(member, points=110)
    world.deliver()
    assert len(world.runs()) == 1
    assert world.runs()[0]["input"]["version"] == 4


def test_change_of_another_field_sets_nothing_going(world):
    world.publish(
        PROMOTE.replace('when: "points >= 100 and (old.points is empty or old.points < 100)"', "")
    )
    member = world.create()
    world.change(member, name="Other")
    world.deliver()
    assert world.runs() == []


@pytest.mark.parametrize(("doors", "fires"), [("[import, form]", True), ("[api]", False)])
def test_doors_that_are_not_declared_set_nothing_going(world, doors, fires):
    world.publish(PROMOTE + f"applies_to: {doors}\n")
    member = world.create(door="import")
    world.change(member, door="import", points=500)
    world.deliver()
    assert bool(world.runs()) is fires


def test_created_and_deleted_records_set_their_automations_going(world):
    world.publish(
        """
automation: welcome
type: member
trigger: {on: created}
when: "old is empty"
run_as: {system: true}
actions:
  - {do: create, type: visit, values: {subject: "CONCAT('Welcome ', name)", member: id, due: "DATEADD(TODAY(), 3, 'day')", cost: "10 / 3"}}
""",
        """
automation: farewell
type: member
trigger: {on: deleted}
run_as: {system: true}
actions:
  - {do: create, type: visit, values: {subject: "CONCAT('Gone: ', name, ' ', TEXT(total))"}}
""",
    )
    member = world.create(name="Wang", lines=[{"what": "a", "amount": "2.50"}])
    world.deliver()
    visit = all_of(world, "visit")[0]
    assert (visit["subject"], visit["member"], str(visit["cost"])) == (
        "Welcome Wang",
        member,
        "3.33",
    )
    assert visit["due"].isoformat() == "2026-01-08"
    other = world.create(name="Zhao", lines=[{"what": "a", "amount": "2.50"}])
    world.delete(other)
    world.deliver()
    subjects = sorted(one["subject"] for one in all_of(world, "visit"))
    assert subjects == ["Gone: Zhao 2.50", "Welcome Wang", "Welcome Zhao"] or subjects[
        0
    ].startswith("Gone: Zhao 2.5")


def test_state_change_sets_going_only_from_and_to_the_named_states(world):
    world.publish("""
automation: demoted
type: member
trigger: {on: state_changed, field: level, leaves: [vip], enters: [basic]}
run_as: {role: robot}
actions:
  - {do: set, values: {points: "0"}}
""")
    member = world.create(points=7)
    world.change(member, level="vip")
    world.deliver()
    assert world.get(member)["points"] == 7
    world.change(member, level="basic")
    world.deliver()
    assert world.get(member)["points"] == 0


def test_document_is_submitted_and_its_state_is_followed(world):
    world.publish(
        """
automation: send_in
type: offer
trigger: {on: created}
run_as: {role: robot}
actions:
  - {do: submit}
""",
        """
automation: tell
type: offer
trigger: {on: state_changed, enters: [submitted]}
run_as: {system: true}
actions:
  - {do: notify, to: {role: clerk}, title: {zh: "{name} 已提交", en: "{name} is in"}}
""",
    )
    offer = world.create("offer", name="Spring")
    world.deliver()
    assert world.get(offer, "offer")["status"] == "submitted"
    assert [
        one["record"]["id"] for one in list_tasks(world.ctx("approver"), box="todo")["items"]
    ] == [offer]
    told = list_notices(world.ctx("clerk", locale="zh"))
    assert [(one["message"], one["link"]) for one in told] == [
        ("Spring 已提交", f"/records/offer/{offer}")
    ]


def test_linked_record_is_set_through_its_link(world):
    world.publish("""
automation: thank
type: member
trigger: {on: created}
when: "sponsor is not empty"
run_as: {system: true}
actions:
  - {do: set, record: sponsor, values: {points: "sponsor.points + 10", seen_at: "NOW()"}}
""")
    sponsor = world.create(points=5)
    world.create(sponsor=sponsor)
    world.deliver()
    assert world.get(sponsor)["points"] == 15


def test_actions_use_the_record_as_it_is_when_they_run(world):
    world.publish("""
automation: count
type: member
trigger: {on: updated, fields: [name]}
run_as: {role: robot}
actions:
  - {do: set, values: {points: "points + 1"}}
""")
    member = world.create(points=0)
    world.change(member, name="B")
    world.change(member, name="C")
    world.change(member, points=100)
    world.deliver()
    assert world.get(member)["points"] == 102


def test_action_without_the_right_fails_and_nothing_of_the_run_stays(world):
    world.publish("""
automation: bold
type: member
trigger: {on: created}
run_as: {role: robot}
retry: {times: 0}
actions:
  - {do: create, type: visit, values: {subject: "name"}}
  - {do: set, values: {credit: "100"}}
""")
    world.create()
    world.deliver()
    run = world.runs()[0]
    assert run["state"] == "dead"
    assert [one["state"] for one in run["results"]] == ["undone", "failed"]
    assert "credit" in run["error"]
    assert all_of(world, "visit") == []


def test_rules_of_the_record_hold_for_automations(world):
    world.publish("""
automation: broken
type: member
trigger: {on: created}
run_as: {system: true}
retry: {times: 0}
actions:
  - {do: set, values: {points: "-5"}}
""")
    member = world.create()
    world.deliver()
    assert world.runs()[0]["state"] == "dead"
    assert "Points cannot be negative" in world.runs()[0]["error"]
    assert world.get(member)["points"] == 0


@pytest.mark.parametrize("text", ["phone", "CONCAT(name, phone)", "old.phone", "sponsor.phone"])
def test_field_that_the_actor_may_not_see_never_leaves_in_a_notice(world, text):
    world.publish(f"""
automation: leak
type: member
trigger: {{on: updated}}
run_as: {{role: robot}}
retry: {{times: 0}}
actions:
  - {{do: notify, to: {{role: clerk}}, title: {{en: "{{{text}}}"}}}}
""")
    sponsor = world.create(phone="13800000000")
    member = world.create(phone="13900000000", sponsor=sponsor)
    world.change(member, name="Other")
    world.deliver()
    assert world.runs()[0]["state"] == "dead"
    assert "may not see" in world.runs()[0]["error"]
    assert list_notices(world.ctx("clerk")) == []


def test_texts_show_labels_titles_and_never_read_a_value_as_a_hole(world):
    world.publish("""
automation: say
type: member
trigger: {on: created}
run_as: {system: true}
actions:
  - {do: notify, to: {user: [created_by]}, title: {zh: "{level} {sponsor} {{x}} {name}", en: "{level} {credit}"}}
""")
    sponsor = world.create(name="Old One")
    world.create(name="{level} {7*7} {{x}}", sponsor=sponsor, credit="12.50")
    world.deliver()
    zh = [one["message"] for one in list_notices(world.ctx("clerk", locale="zh"))]
    en = [one["message"] for one in list_notices(world.ctx("clerk", locale="en"))]
    assert zh[0] == "普通 Old One {x} {level} {7*7} {{x}}"
    assert en[0] == "Basic 12.50"


def test_action_with_a_condition_of_its_own_is_skipped_when_it_does_not_hold(world):
    world.publish("""
automation: maybe
type: member
trigger: {on: created}
run_as: {system: true}
actions:
  - {do: set, when: "points > 5", values: {level: "'vip'"}}
  - {do: set, values: {points: "points + 1"}}
""")
    member = world.create(points=1)
    world.deliver()
    assert [one["state"] for one in world.runs()[0]["results"]] == ["skipped", "done"]
    assert (world.get(member)["level"], world.get(member)["points"]) == ("basic", 2)


def test_automations_that_set_each_other_going_are_stopped_and_named(world):
    world.publish(
        """
automation: ping
type: member
trigger: {on: updated, fields: [points]}
run_as: {role: robot}
actions:
  - {do: set, values: {level: "IF(level == 'vip', 'basic', 'vip')"}}
""",
        """
automation: pong
type: member
trigger: {on: updated, fields: [level]}
run_as: {role: robot}
actions:
  - {do: set, values: {points: "points + 1"}}
""",
    )
    member = world.create()
    world.change(member, points=5)
    world.deliver()
    states = world.states()
    assert states[-1][1] == "stopped"
    assert len(states) <= 9
    stopped = world.runs(state="stopped")[0]
    assert "ping → pong → ping" in stopped["error"]
    assert stopped["cause"] == world.runs()[-2]["id"]


def test_run_that_fails_is_tried_again_and_then_given_up(world):
    world.publish("""
automation: needs_sponsor
type: member
trigger: {on: created}
run_as: {system: true}
retry: {times: 2, wait: 10}
actions:
  - {do: set, record: sponsor, values: {points: "1"}}
""")
    member = world.create()
    world.deliver()
    assert world.states() == [("needs_sponsor", "retrying")]
    world.later(seconds=11)
    world.deliver()
    assert world.runs()[0]["attempts"] == 2
    world.later(seconds=11)
    world.deliver()
    assert world.runs()[0]["attempts"] == 2  # the second wait is twice as long
    world.later(seconds=11)
    world.deliver()
    assert world.states() == [("needs_sponsor", "dead")]
    sponsor = world.create()
    world.change(member, sponsor=sponsor)
    run = world.runs()[0]
    assert administration.replay(world.ctx(), run["id"]) == run["id"]
    world.deliver()
    assert world.runs(record_id=member)[0]["state"] == "done"
    assert world.get(sponsor)["points"] == 1


def test_run_that_is_done_is_replayed_as_a_new_one(world):
    world.publish(
        PROMOTE.replace("{level: \"'vip'\"}", '{points: "points + 1"}').replace("when", "# when")
    )
    member = world.create(points=1)
    world.change(member, points=2)
    world.deliver()
    first = world.runs()[0]
    again = administration.replay(world.ctx("Admin"), first["id"])
    assert again != first["id"]
    world.deliver()
    shown = administration.get_run(world.ctx(), again)
    assert (shown["state"], shown["input"]["again"], shown["input"]["again_by"]) == (
        "done",
        first["id"],
        "Admin",
    )


def test_runs_with_one_concurrency_key_wait_for_the_one_that_is_tried_again(world):
    world.publish("""
automation: in_turn
type: member
trigger: {on: updated, fields: [name]}
run_as: {system: true}
retry: {times: 1, wait: 10}
concurrency_key: id
actions:
  - {do: set, values: {points: "IF(old.name == 'A', 5000, points + 1)"}}
""")
    member, other = world.create(name="A"), world.create(name="X")
    world.change(member, name="B")
    world.change(member, name="C")
    world.change(other, name="Y")
    world.deliver()
    assert [one["state"] for one in world.runs(record_id=member)] == ["retrying", "waiting"]
    assert [one["state"] for one in world.runs(record_id=other)] == ["done"]
    world.later(seconds=11)
    world.deliver()
    assert [one["state"] for one in world.runs(record_id=member)] == ["dead", "done"]
    assert world.get(member)["points"] == 1


def test_condition_that_cannot_be_told_is_a_dead_run_and_others_go_on(world):
    world.publish(
        """
automation: heavy
type: member
trigger: {on: created}
when: "any(lines, any(lines, any(lines, amount > 1000000)))"
run_as: {system: true}
actions: [{do: set, values: {points: "1"}}]
""",
        PROMOTE.replace("updated, fields: [points]", "created").replace(
            'when: "points >= 100 and (old.points is empty or old.points < 100)"', ""
        ),
    )
    member = world.create(lines=[{"what": "x", "amount": "1"}] * 60)
    world.deliver()
    assert sorted(world.states()) == [("heavy", "dead"), ("promote", "done")]
    assert "when: BudgetExceeded" in world.runs(state="dead")[0]["error"]
    assert world.get(member)["level"] == "vip"


def test_automation_that_is_switched_off_sets_nothing_going(world):
    world.publish(PROMOTE)
    administration.set_on(world.ctx("Admin"), "promote", is_on=False)
    member = world.create(points=1)
    world.change(member, points=200)
    world.deliver()
    assert world.runs() == []
    shown = administration.list_automations(world.ctx("Admin"))[0]
    assert (shown["is_on"], shown["changed_by"]) == (False, "Admin")
    administration.set_on(world.ctx("Admin"), "promote", is_on=True)
    world.change(member, points=20)
    world.change(member, points=300)
    world.deliver()
    assert world.states() == [("promote", "done")]


def test_automation_that_starts_off_waits_for_somebody_to_switch_it_on(world):
    world.publish(PROMOTE + "off: true\n")
    member = world.create()
    world.change(member, points=200)
    world.deliver()
    assert world.runs() == []


def test_only_administrators_and_configurators_see_runs(world):
    world.publish(PROMOTE)
    for act in (
        administration.list_runs,
        administration.list_automations,
        lambda ctx: administration.set_on(ctx, "promote", is_on=False),
        lambda ctx: administration.replay(ctx, "x"),
    ):
        with pytest.raises(Forbidden):
            act(world.ctx("clerk"))
    with pytest.raises(NotFound):
        administration.get_run(world.ctx("Admin"), "no such run")


def test_secret_field_is_never_told_to_old(world):
    world.publish("""
automation: pins
type: member
trigger: {on: updated, fields: [pin]}
run_as: {system: true}
actions:
  - {do: notify, to: {role: clerk}, title: {en: "was {old.pin}"}}
""")
    member = world.create(pin="1234")
    world.change(member, pin="9876")
    world.deliver()
    assert [one["message"] for one in list_notices(world.ctx("clerk"))] == ["was •••"]


def test_change_from_before_it_was_published_sets_nothing_going(world):
    world.publish()
    member = world.create(points=1)
    world.change(member, points=300)
    world.publish(PROMOTE)
    world.deliver()
    assert world.runs() == []
    world.change(member, points=1)
    world.change(member, points=200)
    world.deliver()
    assert world.states() == [("promote", "done")]

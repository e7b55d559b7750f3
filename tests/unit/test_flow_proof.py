"""Whether a flow finds its approvers among the staff, place by place."""

import time
from datetime import UTC, datetime

from core.records.people import Person
from core.schema.layers import effective
from core.schema.yamlnodes import Source
from core.workflow.rehearsal.plainworld import PlainFlow
from core.workflow.rehearsal.proving import Place, prove
from core.workflow.staff.roster import Post, Staff

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
SOURCES = [
    Source(
        "core",
        "t.yaml",
        "record_type: note\ndocument: true\nfields:\n  - {name: amount, type: money}\n"
        "  - {name: shop, type: link, target: store}\n  - {name: owner, type: user}\n",
    ),
    Source("core", "s.yaml", "record_type: store\nfields: [{name: name, type: text}]\n"),
    Source(
        "core",
        "r.yaml",
        "roles: [{name: finance}, {name: legal}, {name: nobody}]\n"
        "positions: [{name: manager, manages: true}]\n",
    ),
    Source(
        "core",
        "d.yaml",
        "decision_table: matrix\ninputs: [{name: amount, type: number}]\nrows:\n"
        "  - {when: ['< 10'], approvers: {role: finance}}\n"
        "  - {when: ['>= 10'], approvers: {role: nobody}}\n",
    ),
]
PEOPLE = {
    "1": ("finance",), "2": ("finance",), "3": ("legal",), "4": (), "5": ()
}  # fmt: skip
STAFF = Staff(
    people={one: Person(one, f"p{one}", f"P{one}") for one in PEOPLE},
    roles={"finance": ("1", "2"), "legal": ("3",)},
    places={"4": (Post("manager", "a"), Post("manager", "b")), "3": (Post("manager", "b"),)},
    heads=("manager",),
)
PLACES = [Place(one, "store", one.upper()) for one in "abc"]


def proof(steps, rest="", staff=STAFF, places=PLACES):
    text = f"flow: f\nversion: 1\ndocument: note\n{rest}steps:\n" + "".join(
        f"  - {one}\n" for one in steps
    )
    release = effective([*SOURCES, Source("core", "f.yaml", text)], None, 1)
    return prove(PlainFlow(release, release.flows["f"]), staff, places, NOW)


def gaps(*steps, rest=""):
    return [
        (one.kind, *one.step, one.seat, "".join(one.places), one.handled)
        for one in proof(steps, rest).gaps
    ]


AT = "approvers: {position: manager, at: shop}"


def test_seat_of_a_position_is_looked_up_at_every_store():
    assert gaps(f"{{id: one, {AT}}}") == [
        ("empty", "one", "", "c", "pause"),
        ("single", "one", "", "a", ""),
    ]


def test_seat_of_a_role_does_not_depend_on_stores():
    assert gaps("{id: one, approvers: {role: finance}}") == []
    assert gaps("{id: one, approvers: {role: legal}}") == [("single", "one", "", "", "")]
    assert gaps("{id: one, approvers: {role: nobody}}") == [("empty", "one", "", "", "pause")]
    assert proof(["{id: one, approvers: {role: finance}}"]).places == 0


def test_managers_of_initiators_are_looked_up_where_these_work():
    assert gaps("{id: one, approvers: {manager_of: initiator}}") == [
        ("empty", "one", "", "c", "pause"),
        ("single", "one", "", "b", ""),
        ("single", "one", "", "a", ""),
    ]
    at = "{id: one, approvers: {position: manager, at: initiator}}"
    assert ("empty", "one", "", "c", "pause") in gaps(at)


def test_what_the_flow_does_where_nobody_is_there_is_told():
    rest = "people: {empty: {to: {role: finance}}}\n"
    assert gaps("{id: one, approvers: {role: nobody}}", rest=rest)[0][-1] == "to"
    rest = "people: {empty: fail}\n"
    assert gaps("{id: one, approvers: {role: nobody}}", rest=rest)[0][-1] == "fail"


def test_too_few_people_for_a_quorum_are_told():
    step = "{id: one, approvers: {role: finance}, decide: {quorum: 3}}"
    assert gaps(step) == [("few", "one", "", "", "")]
    seats = "{id: one, decide: all, seats: {f: {approvers: {role: finance}}, l: {approvers: {role: legal}}}}"
    assert gaps(seats) == [("single", "one", "l", "", "")]
    every = "{id: one, decide: all, approvers: {role: [finance, legal]}}"
    assert gaps(every) == [("single", "one", "legal", "", "")]


def test_steps_for_different_people_with_only_the_same_one_are_told():
    rest = "people: {distinct: [one, two]}\n"
    steps = ["{id: one, approvers: {role: legal}}", f"{{id: two, {AT}}}"]
    assert "distinct" not in {one[0] for one in gaps(*steps, rest=rest)}
    same = ["{id: one, approvers: {role: legal}}", "{id: two, approvers: {role: legal}}"]
    assert ("distinct", "one", "two", "", "", "") in gaps(*same, rest=rest)


def test_what_only_a_document_tells_is_not_judged():
    steps = ["{id: one, approvers: {field: owner}}", "{id: two, approvers: {of_step: one}}"]
    found = proof(steps)
    assert (found.gaps, found.unknown) == ((), ("one", "two"))


def test_decision_table_is_as_good_as_its_worst_row():
    step = "{id: one, approvers: {table: matrix, in: [amount]}}"
    assert gaps(step) == [("empty", "one", "", "", "pause")]


def test_case_that_leads_to_a_gap_is_told():
    inner = "{id: deep, approvers: {role: nobody}}"
    branch = f"{{id: b, type: branch, cases: [{{when: amount > 5, steps: [{inner}]}}], else: []}}"
    assert proof([branch]).gaps[0].branch == ("amount > 5",)


def test_sixty_steps_over_five_hundred_stores_are_proved_in_time():
    places = [Place(f"s{n}", "store", f"S{n}") for n in range(500)]
    people = {str(n): Person(str(n), f"p{n}", f"P{n}") for n in range(2_000)}
    staff = Staff(
        people=people,
        roles={"finance": tuple(list(people)[:50]), "legal": ("1", "2")},
        places={str(n): (Post("manager", f"s{n % 490}"),) for n in range(980)},
        heads=("manager",),
    )
    kinds = [AT, "approvers: {role: finance, at: shop}", "approvers: {manager_of: initiator}"]
    steps = [f"{{id: s{n}, {kinds[n % 3]}}}" for n in range(60)]
    begin = time.process_time()
    found = proof(steps, staff=staff, places=places)
    assert time.process_time() - begin < 3
    assert (found.places, found.seats) == (500, 30_000)
    empty = [one for one in found.gaps if one.kind == "empty"]
    assert {len(one.places) for one in empty} >= {10}


def test_gap_that_is_the_same_everywhere_names_no_place():
    found = proof([f"{{id: one, {AT}}}", "{id: two, approvers: {role: nobody}}"])
    assert [(one.step, one.places) for one in found.gaps if one.kind == "empty"] == [
        (("one",), ["c"]),
        (("two",), []),
    ]

"""Who a step asks, who reports to whom, and who stands in for whom."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records.people import Person
from core.schema.flowpeople import Source, Upto
from core.schema.model import Field, RecordType
from core.workflow.engine.state import Identity
from core.workflow.engine.world import Asking, Pool
from core.workflow.staff.deputies import MOST_LINKS, Delegation, Matter, final_deputy, standing
from core.workflow.staff.directory import Directory, Subject
from core.workflow.staff.roster import Post, Staff

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
DAY = timedelta(days=1)

PAPER = RecordType(
    name="paper",
    fields=tuple(
        Field(id=name, name=name, type=kind)
        for name, kind in (
            ("owner", "user"), ("committee", "users"), ("team", "role"), ("unit", "department"),
            ("title", "text"), ("amount", "money"),
        )
    ),
)  # fmt: skip


def staff_of_region() -> Staff:
    """Return a region `r` over two stores, a department in the first, and their people.

    1 clerk and 2 head of store `s`; 3 leads the region; 4 works in the department `d` of
    `s`, which nobody leads; 5 works at store `t`, whose head 6 is disabled; 7 works nowhere.
    """
    names = ("an", "bo", "cai", "ding", "er", "fang", "guo")
    people = {
        str(at): Person(str(at), name, name.title(), is_active=name != "fang")
        for at, name in enumerate(names, start=1)
    }
    return Staff(
        people=people,
        roles={"finance": ("3", "4"), "board": ("7",)},
        places={
            "1": (Post("", "s"),),
            "2": (Post("", "s"), Post("store_manager", "s")),
            "3": (Post("region_manager", "r"), Post("", "s")),
            "4": (Post("", "d"),),
            "5": (Post("", "t"),),
            "6": (Post("store_manager", "t"),),
        },
        above={"s": "r", "t": "r", "d": "s"},
        heads=("store_manager", "region_manager"),
    )


def subject(initiator: str = "1", **values: Any) -> Subject:
    """Return a paper by somebody; expressions are names of its values."""

    def rows(source: Source, _item: Any) -> tuple[Source, ...]:
        return (Source(role="finance"),) if source.table == "matrix" else ()

    return Subject(
        record_type=PAPER,
        values=values,
        initiator=initiator,
        steps=frozenset({"first", "second"}),
        value=lambda text, item: item if text == "item" else values.get(text),
        rows=rows,
    )


def find(
    source: Source, *, staff: Staff | None = None, asking: Asking | None = None, **values: Any
) -> list[tuple[str, list[str]]]:
    """Return the pools of a source: each key with its members."""
    initiator = values.pop("initiator", "1")
    directory = Directory(staff or staff_of_region(), subject(initiator, **values), NOW)
    pools = directory.resolve(source, asking or Asking(step="second"))
    return [(pool.key, [f"{one.kind}:{one.actor}" for one in pool.members]) for pool in pools]


def singles(*people: str) -> list[tuple[str, list[str]]]:
    return [(person, [f"user:{person}"]) for person in people]


def test_named_people_are_one_voice_each_and_unknown_ones_stay() -> None:
    assert find(Source(user=("bo", "an", "bo"))) == singles("2", "1")
    assert find(Source(user=("bo", "nobody"))) == [*singles("2"), ("nobody", [])]


def test_roles_are_pools_and_at_a_place_those_who_work_there() -> None:
    assert find(Source(role=("finance", "empty"))) == [
        ("finance", ["role:finance"]), ("empty", ["role:empty"]),
    ]  # fmt: skip
    assert find(Source(role="finance", at="shop"), shop="s") == [("finance", ["user:3"])]
    assert find(Source(role="finance", at="shop"), shop=["s", "d"]) == [
        ("finance", ["user:3", "user:4"])
    ]
    assert find(Source(role="finance", at="shop"), shop=None) == [("finance", [])]


def test_positions_ask_for_exactly_the_place() -> None:
    manager = Source(position="store_manager", at="shop")
    assert find(manager, shop="s") == [("store_manager@s", ["post:store_manager@s"])]
    at_region = Directory(staff_of_region(), subject(shop="r"), NOW)
    (pool,) = at_region.resolve(manager, Asking(step="second"))
    assert [at_region.people(one) for one in pool.members] == [()]
    own = Source(position="store_manager", at="initiator")
    assert find(own, initiator="2") == [("store_manager@s", ["post:store_manager@s"])]
    assert find(Source(position="store_manager")) == [("store_manager@", ["post:store_manager@"])]
    assert find(manager, shop=None) == [("store_manager", [])]


def test_people_behind_identities_are_the_active_ones_in_order() -> None:
    directory = Directory(staff_of_region(), subject(), NOW)
    behind = {
        Identity("user", "1"): ("1",),
        Identity("user", "6"): (),
        Identity("user", "99"): (),
        Identity("role", "finance"): ("3", "4"),
        Identity("post", "store_manager@s"): ("2",),
        Identity("post", "store_manager@t"): (),
        Identity("post", "store_manager@"): ("2",),
        Identity("post", "@s"): ("1", "2", "3"),
        Identity("post", "@"): (),
    }
    assert {one: directory.people(one) for one in behind} == behind
    assert (directory.name("6"), directory.name("99")) == ("Fang", "99")


def test_who_sits_as_what_agrees_with_the_people_behind_it() -> None:
    staff = staff_of_region()
    places, positions = ("r", "s", "t", "d", ""), ("store_manager", "region_manager", "")
    named = [f"{position}@{place}" for position in positions for place in places]
    all_of_them = [
        *(Identity("user", person) for person in (*staff.people, "99")),
        *(Identity("role", role) for role in ("finance", "board", "empty")),
        *(Identity("post", post) for post in named),
    ]
    for person in (*staff.people, "99"):
        sits = {one for one in all_of_them if person in staff.behind(one)}
        assert {one for one in all_of_them if staff.sits_as(person, one)} == sits
        assert {*staff.identities(person)} == {one for one in sits if one.kind != "user"}


@pytest.mark.parametrize(
    ("person", "manager"),
    [
        ("1", "2"),  # the head of the store
        ("2", "3"),  # a head reports upwards
        ("3", ""),  # who leads the region has nobody above, though they work at a store
        ("4", "2"),  # a department without a head: its store's
        ("5", "3"),  # the store's head is disabled
        ("7", ""),
        ("99", ""),
    ],
)
def test_manager_is_the_nearest_active_head_above(person: str, manager: str) -> None:
    assert staff_of_region().manager(person) == manager


def test_manager_set_by_name_comes_first_while_active() -> None:
    staff = replace(staff_of_region(), assigned={"1": "7", "2": "6", "3": "3"})
    assert [staff.manager(one) for one in "123"] == ["7", "3", ""]


def test_manager_at_one_place_is_the_next_position_above() -> None:
    places = {
        "1": (Post("lead", "s"),),
        "2": (Post("head", "s"),),
        "3": (Post("", "s"),),
        "4": (Post("lead", "s"),),
    }
    people = {one: Person(one, one, one) for one in "1234"}
    staff = Staff(people=people, places=places, heads=("lead", "head"))
    assert [staff.manager(one) for one in "1234"] == ["2", "", "1", "2"]


def test_manager_of_looks_from_initiator_seat_step_or_expression() -> None:
    decided = Asking(step="second", decided={"first": ("4",)}, seat=(Identity("user", "2"),))
    assert find(Source(manager_of="initiator"), asking=decided) == singles("2")
    assert find(Source(manager_of="seat"), asking=decided) == singles("3")
    assert find(Source(manager_of="first"), asking=decided) == singles("2")
    assert find(Source(manager_of="second"), asking=decided) == []
    assert find(Source(manager_of="owner"), owner="5") == singles("3")
    assert find(Source(manager_of="initiator", level=2)) == singles("3")
    assert find(Source(manager_of="initiator", level=3)) == []
    pooled = Asking(step="second", seat=(Identity("role", "finance"), Identity("user", "1")))
    assert find(Source(manager_of="seat"), asking=pooled) == singles("2")


def test_chain_of_managers_ends_at_level_role_circle_or_top() -> None:
    chain = Source(chain_of="initiator")
    assert find(chain) == singles("2", "3")
    assert find(replace_upto(chain, Upto(level=1))) == singles("2")
    assert find(replace_upto(chain, Upto(role="finance"))) == singles("2", "3")
    assert find(replace_upto(chain, Upto(role="board", level=5))) == singles("2", "3")
    circle = replace(staff_of_region(), assigned={"3": "7", "7": "2"})
    assert find(chain, staff=circle) == singles("2", "3", "7")


def replace_upto(source: Source, upto: Upto) -> Source:
    return Source(chain_of=source.chain_of, upto=upto)


def test_fields_give_people_roles_and_departments() -> None:
    assert find(Source(field="owner"), owner="4") == singles("4")
    assert find(Source(field="committee"), committee=["4", "2", "4"]) == singles("4", "2")
    assert find(Source(field="team"), team="finance") == [("finance", ["role:finance"])]
    assert find(Source(field="unit"), unit="d") == [("@d", ["post:@d"])]
    assert find(Source(field="owner"), owner=None) == []
    assert find(Source(field="title"), title="4") == []


def test_chosen_people_must_be_among_those_allowed() -> None:
    named = Asking(step="second", chosen={"second": ("4", "1"), "first": ("2",)})
    free = Source(chosen_by="initiator")
    assert find(free, asking=named) == singles("4", "1")
    bound = Source(chosen_by="initiator", among=Source(role="finance"))
    assert find(bound, asking=named) == singles("4")
    assert find(free) == []


def test_deciders_expressions_items_and_tables_give_people() -> None:
    asking = Asking(step="second", item="5", decided={"first": ("4", "2")})
    assert find(Source(of_step="first"), asking=asking) == singles("4", "2")
    assert find(Source(of_step="second"), asking=asking) == []
    assert find(Source(expr="item"), asking=asking) == singles("5")
    assert find(Source(expr="several"), several=["3", "1"]) == singles("3", "1")
    assert find(Source(table="matrix")) == [("finance", ["role:finance"])]


def away(giver: str, deputy: str, **rest: Any) -> Delegation:
    rest = {"start": NOW - DAY, "end": NOW + DAY} | rest
    return Delegation(id=f"{giver}-{deputy}", giver=giver, deputy=deputy, **rest)


def deputy_of(person: str, *said: Delegation, **values: Any) -> str:
    staff = replace(staff_of_region(), standing=standing(said))
    return Directory(staff, subject(**values), NOW).deputy(person)


def test_deputy_holds_within_the_window_and_not_at_its_end() -> None:
    assert deputy_of("1", away("1", "2")) == "2"
    assert deputy_of("1", away("1", "2", start=NOW)) == "2"
    assert deputy_of("1", away("1", "2", end=NOW)) == ""
    assert deputy_of("1", away("1", "2", start=NOW + timedelta(seconds=1))) == ""
    assert deputy_of("2", away("1", "2")) == ""


def test_deputy_is_for_the_types_and_amounts_it_was_said_for() -> None:
    assert deputy_of("1", away("1", "2", types=("paper", "memo"))) == "2"
    assert deputy_of("1", away("1", "2", types=("memo",))) == ""
    capped = away("1", "2", types=("paper",), amount_field="amount", amount_max=Decimal(100))
    assert deputy_of("1", capped, amount="100.00") == "2"
    assert deputy_of("1", capped, amount="100.01") == ""
    assert deputy_of("1", capped, amount=None) == ""
    assert deputy_of("1", capped, amount="many") == ""
    wide, narrow = away("1", "3"), away("1", "4", types=("paper",))
    assert deputy_of("1", wide, narrow, capped, amount="100") == "2"
    assert deputy_of("1", wide, narrow, capped, amount="101") == "4"
    assert deputy_of("1", wide, away("1", "4", types=("memo",))) == "3"


def test_deputies_of_pools_are_those_who_include_their_roles() -> None:
    said = (away("3", "1", include_roles=True), away("4", "2"), away("2", "7"))
    staff = replace(staff_of_region(), standing=standing(said))
    directory = Directory(staff, subject(), NOW)
    assert directory.stand_ins(Identity("role", "finance")) == (("1", "3"),)
    assert directory.stand_ins(Identity("post", "@s")) == (("1", "3"),)
    assert directory.stand_ins(Identity("role", "board")) == ()
    passed_on = replace(staff, standing=standing((*said, away("1", "5"))))
    assert Directory(passed_on, subject(), NOW).stand_ins(Identity("role", "finance")) == (
        ("5", "3"),
    )


def test_deputy_who_is_disabled_stands_in_for_nobody() -> None:
    assert deputy_of("1", away("1", "6")) == ""
    assert deputy_of("1", away("1", "6"), away("6", "2")) == "2"


def slow_deputy(links: Mapping[str, str], active: frozenset[str], person: str) -> str:
    """Return the deputy by walking the whole chain and judging it afterwards."""
    chain = [person]
    while chain[-1] in links and len(chain) < 50:
        chain.append(links[chain[-1]])
    if len(chain) == 1 or len(set(chain)) < len(chain) or len(chain) - 1 > MOST_LINKS:
        return ""
    return chain[-1] if chain[-1] in active else ""


_people = st.sampled_from("abcdefghij")


@given(
    links=st.dictionaries(_people, _people, max_size=10),
    active=st.frozensets(_people),
    closed=st.frozensets(_people, max_size=3),
)
def test_deputy_chains_agree_with_a_slow_reading(
    links: dict[str, str], active: frozenset[str], closed: frozenset[str]
) -> None:
    said = standing(
        away(giver, deputy, end=NOW if giver in closed else NOW + DAY)
        for giver, deputy in links.items()
    )
    matter = Matter("paper", {}, NOW)
    opened = {giver: deputy for giver, deputy in links.items() if giver not in closed}
    for person in "abcdefghij":
        found = final_deputy(said, person, matter, active.__contains__)
        assert found == slow_deputy(opened, active, person)


def test_chain_of_exactly_five_deputies_is_followed_and_of_six_is_not() -> None:
    people = "abcdefg"
    said = standing(away(one, people[at + 1]) for at, one in enumerate(people[:-1]))
    matter = Matter("paper", {}, NOW)
    assert final_deputy(said, "b", matter, set(people).__contains__) == "g"
    assert final_deputy(said, "a", matter, set(people).__contains__) == ""


def test_pool_keys_are_unique() -> None:
    pools = Directory(staff_of_region(), subject(), NOW).resolve(
        Source(role=("finance", "finance")), Asking(step="first")
    )
    assert pools == (Pool("finance", (Identity("role", "finance"),)),)

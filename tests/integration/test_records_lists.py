"""Lists: filter, order, pages, search, count; and what is wrong with a question."""

import pytest

from core.errors import Invalid, Malformed
from core.records.operations import create_many, create_record
from core.records.queries import Query, get_record, list_wire
from tests.integration.records_world import a_member, an_order, world  # noqa: F401  a fixture


def names(page):
    return [one["no"] for one in page.items]


def walk(ctx, query):
    """Return the keys of every page of a list, in order."""
    found, after = [], ""
    while True:
        page = list_wire(ctx, "member", Query(**{**query, "after": after}))
        found += names(page)
        if page.next is None:
            return found
        after = page.next


def test_pages_follow_each_other_in_every_order(world):
    ctx = world.context("clerk")
    values = [
        a_member(number, phone=phone, credit=credit, visits=number % 3)
        for number, (phone, credit) in enumerate(
            [(None, "1"), ("b", None), ("a", "2.5"), (None, None), ("b", "2.5"), ("é", "10"),
             ("B", None), ("a", "2")], start=1,
        )
    ]  # fmt: skip
    create_many(ctx, "member", values)
    rows = [(one["no"], one["phone"], one["credit"], one["visits"]) for one in values]

    def expected(*keys):
        ordered = sorted(rows)
        for index, down in reversed(keys):
            ordered.sort(
                key=lambda row, index=index: (
                    row[index] or "" if index < 2 else float(row[index] or 0)
                ),
                reverse=down,
            )
            ordered.sort(key=lambda row, index=index: row[index] is None)
        return [row[0] for row in ordered]

    up, down = False, True
    for sort, keys in (
        (("phone", "no"), [(1, up), (0, up)]), (("-phone", "no"), [(1, down), (0, up)]),
        (("credit", "-no"), [(2, up), (0, down)]), (("-credit", "-no"), [(2, down), (0, down)]),
        (("visits", "phone", "no"), [(3, up), (1, up), (0, up)]),
        (("-visits", "-phone", "no"), [(3, down), (1, down), (0, up)]),
        (("no",), [(0, up)]), (("-no",), [(0, down)]),
    ):  # fmt: skip
        wanted = expected(*keys)
        for limit in (1, 3, 8):
            assert walk(ctx, {"sort": sort, "limit": limit}) == wanted, (sort, limit)


def test_sort_by_a_computed_value(world):
    ctx = world.context("clerk")
    create_many(ctx, "member", [a_member(number) for number in range(1, 5)])
    ids = {one["no"]: one["id"] for one in list_wire(ctx, "member", Query()).items}
    for number, no in enumerate(["M0003", "M0003", "M0001"], start=1):
        create_record(ctx, "order", an_order(number, member=ids[no]))
    assert walk(ctx, {"sort": ("-order_count", "no"), "limit": 1}) == [
        "M0003",
        "M0001",
        "M0002",
        "M0004",
    ]


def test_filter_search_and_count(world):
    ctx = world.context("clerk")
    create_many(ctx, "member", [
        a_member(1, name="100% Bob", credit="10"), a_member(2, name="100x bob", credit="9.99"),
        a_member(3, name="a_b\\c"),
    ])  # fmt: skip
    for query, found in (
        (Query(filter="credit >= 10"), ["M0001"]), (Query(filter="credit is empty"), ["M0003"]),
        (Query(filter="name == '100x bob' or credit == 10"), ["M0001", "M0002"]),
        (Query(search="BOB"), ["M0001", "M0002"]), (Query(search="100%"), ["M0001"]),
        (Query(search="_"), ["M0003"]), (Query(search="\\"), ["M0003"]),
    ):  # fmt: skip
        page = list_wire(ctx, "member", Query(
            filter=query.filter, search=query.search, sort=("no",), count="exact", limit=1,
        ))  # fmt: skip
        assert (names(page), page.count) == (found[:1], len(found)), query
        assert list_wire(ctx, "member", Query(
            filter=query.filter, search=query.search, count="capped",
        )).count == len(found)  # fmt: skip


def test_fields_choose_what_comes(world):
    ctx = world.context("clerk")
    order = create_record(ctx, "order", an_order())
    page = list_wire(ctx, "order", Query(fields=("total", "lines")))
    row = {"article": "tea", "quantity": "2.000", "price": "3.50", "amount": "7.00"}
    assert page.items == [{
        "id": order["id"], "version": 1, "total": "7.00", "no_access": [],
        "lines": [{"id": order["lines"][0]["id"], "position": 0, **row}],
    }]  # fmt: skip
    assert "lines" not in list_wire(ctx, "order", Query()).items[0]
    assert set(get_record(ctx, "order", order["id"], fields=("no",))) == {
        "id", "version", "no", "no_access",
    }  # fmt: skip


def test_wrong_questions_are_refused_with_their_place(world):
    ctx = world.context("clerk")
    for query, path in (
        (Query(filter="nmae == 'x'"), "filter"), (Query(filter="name ~ 'x'"), "filter"),
        (Query(filter="name == "), "filter"), (Query(filter="'\x00' == name"), "filter"),
        (Query(filter="name == '\ud800'"), "filter"), (Query(filter="(" * 5000), "filter"),
        (Query(filter="credit > 'a'"), "filter"), (Query(sort=("nmae",)), "sort"),
        (Query(sort=("--name",)), "sort"), (Query(sort=("friends",)), "sort"),
        (Query(sort=("no", "no")), "sort"), (Query(fields=("x",)), "fields"),
        (Query(expand=("x",)), "expand"), (Query(search="\x00"), "search"),
        (Query(search="x" * 1000), "search"),
    ):  # fmt: skip
        with pytest.raises(Invalid) as refused:
            list_wire(ctx, "member", query)
        assert {one.path for one in refused.value.problems} == {path}, query
    with pytest.raises(Invalid) as refused:
        list_wire(ctx, "member", Query(filter="name == 'a' and nmae == 'x'"))
    assert refused.value.problems[0].column == 17


def test_wrong_cursors_are_malformed(world):
    ctx = world.context("clerk")
    create_many(ctx, "member", [a_member(number) for number in range(1, 4)])
    good = list_wire(ctx, "member", Query(sort=("name",), limit=1)).next
    for query in (
        Query(after="x"), Query(after="\ud800"), Query(after=good), Query(after=good[:-3]),
        Query(after="W10", sort=("name",)), Query(after="=" * 5000), Query(limit=0),
        Query(after="WyJuYW1lLGlkIiwxLDJd", sort=("name",)), Query(limit=201),
        Query(after="WyJuYW1lLGlkIiwiXHUwMDAwIiwiYSJd", sort=("name",)),
    ):  # fmt: skip
        with pytest.raises(Malformed):
            list_wire(ctx, "member", query)
    assert len(list_wire(ctx, "member", Query(after=good, sort=("name",))).items) == 2

"""A small shop for the tests of records and policies: its schema, and contexts on it."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from core.actor import SYSTEM, Actor
from core.clock import FixedClock
from core.context import Context
from core.extension.hooks import Hooks
from core.jobs import outbox  # noqa: F401  its table belongs to the world
from core.migration.run import Publication, bootstrap, publish
from core.records import counters, idempotency, proposals  # noqa: F401  likewise
from core.schema.layers import effective
from core.schema.yamlnodes import Source
from core.testing.databases import Prepared

NOW = datetime(2026, 3, 9, 4, 5, 6, 789012, tzinfo=UTC)

ROLES = """
roles:
  - {name: clerk}
  - {name: manager}
  - {name: guest}
  - {name: local}
  - {name: mixed}
positions:
  - {name: head}
  - {name: guard}
"""

STORE = """
record_type: store
title_field: code
fields:
  - {name: code, type: text, required: true, unique: true}
  - {name: is_open, type: boolean, default: true}
  - {name: parent, type: link, target: store}
policies:
  - {name: all, who: {role: [clerk, manager]}, actions: ["*"]}
  - {name: open, who: {role: [local, mixed]}, actions: [view], rows: "is_open == true"}
"""

MEMBER = """
record_type: member
title_field: name
fields:
  - {name: "no", type: text, required: true, unique: true, set_once: true, pattern: "M[0-9]{4}"}
  - {name: name, type: text, required: true, searchable: true, max_length: 20}
  - {name: phone, type: text, sensitive: pii}
  - {name: pin, type: text, sensitive: secret}
  - {name: level, type: select, default: basic, options: [{value: basic}, {value: gold}, {value: old, archived: true}]}
  - {name: credit, type: money, min: "0", max: "1000"}
  - {name: rate, type: rate, visible_when: "level == 'gold'", when_hidden: clear, required_when: "level == 'gold'"}
  - {name: joined, type: date, default_expr: "TODAY()"}
  - {name: visits, type: integer, default: 0}
  - {name: store, type: link, target: store}
  - {name: friends, type: links, target: member}
  - {name: serial, type: sequence, number: "S-{yyyy}{mm}-{0000}", reset: monthly}
  - {name: label_text, type: formula, formula: "CONCAT(no, ' ', name)"}
  - {name: orders, type: backlink, of: order.member}
  - {name: order_count, type: rollup, of: orders, how: count}
  - {name: store_code, type: formula, formula: "store.code"}
  - {name: closed, type: boolean, default: false}
  - {name: remark, type: long_text, read_only_when: "closed == true"}
checks:
  - {check: "visits is empty or visits >= 0", message: {zh: 次数不能为负, en: Visits cannot be negative}, fields: [visits]}
delete: {allow_when: "order_count == 0", message: {zh: 有订单, en: Has orders}}
views:
  - {name: all, type: list, columns: ["no", name], sort: [name]}
policies:
  - {name: staff, who: {role: [clerk, manager]}, actions: ["*"], fields: {clear: ["*"]}}
  - {name: guest, who: {role: guest}, actions: [view], fields: {view: ["no", name]}}
  - {name: local, who: {role: local}, actions: [view, create, edit, history], rows: "created_by == current_user", fields: {view: ["*"], edit: ["no", name, store, visits], clear: ["*"]}}
  - {name: names, who: {role: mixed}, actions: [view, history], fields: {view: ["no", name]}}
  - {name: own, who: {role: mixed}, actions: [view, edit], rows: "created_by == current_user", fields: {clear: ["*"]}}
"""

ORDER = """
record_type: order
title_field: "no"
fields:
  - {name: "no", type: text, required: true, unique: true, no_reuse: true}
  - {name: member, type: link, target: member}
  - {name: helper, type: link, target: member, on_delete: set_null}
  - name: lines
    type: table
    min_rows: 1
    max_rows: 50
    fields:
      - {name: article, type: text, required: true}
      - {name: quantity, type: decimal, precision: 3, required: true}
      - {name: price, type: money, required: true, min: "0"}
      - {name: amount, type: formula, formula: "quantity * price", precision: 2}
  - {name: total, type: rollup, of: lines, take: amount, how: sum}
  - {name: large, type: formula, formula: "total > 100"}
checks:
  - {check: "member is empty or member.closed != true", message: {zh: 会员已停用, en: The member is closed}, fields: [member]}
policies:
  - {name: staff, who: {role: [clerk, manager]}, actions: ["*"]}
  - {name: local, who: {role: [local, mixed]}, actions: [view, create]}
"""

NOTE = """
record_type: note
title_field: title
soft_delete: false
fields:
  - {name: title, type: text, required: true}
  - {name: member, type: link, target: member, on_delete: cascade}
  - {name: code, type: text}
unique_together: [{fields: [title, code]}]
policies:
  - {name: staff, who: {role: [clerk, manager]}, actions: ["*"]}
"""

PERSON = """
record_type: person
title_field: name
fields:
  - {name: name, type: text, required: true, unique: true, searchable: true}
  - {name: phone, type: phone, sensitive: pii, searchable: true}
  - {name: email, type: email, sensitive: pii}
  - {name: born, type: date, sensitive: pii, mask: year}
  - {name: pay, type: money, mask: all}
  - {name: note, type: text}
  - {name: tags, type: multi_select, sensitive: pii, options: [{value: a}, {value: b}]}
  - {name: dialled, type: formula, formula: "CONCAT('+', phone)"}
  - {name: papers, type: table, sensitive: pii, fields: [{name: code, type: text}]}
policies:
  - {name: staff, who: {role: [clerk, manager]}, actions: ["*"], fields: {clear: ["*"]}}
  - {name: desk, who: {role: guest}, actions: [view, create, edit, import, export, history, print], fields: {mask: [note]}}
  - {name: seen, who: {role: mixed}, actions: [view, history, unmask], fields: {view: [name, phone, born, note]}}
  - {name: own, who: {role: mixed}, actions: [view, export], rows: "created_by == current_user", fields: {view: [name, phone, email], clear: [phone]}}
"""

VISIT = """
record_type: visit
title_field: title
fields:
  - {name: title, type: text, required: true}
  - {name: store, type: link, target: store}
policies:
  - {name: staff, who: {role: [clerk, manager]}, actions: ["*"]}
  - {name: own, who: {role: local}, at: store, actions: [view]}
  - {name: below, who: {role: mixed}, at: store, scope: own_and_below, actions: [view, create, edit], rows: "title is not empty"}
  - {name: head, who: {position: head}, at: store, scope: own_and_below, actions: [view]}
"""

RULE = """
record_type: rule
title_field: name
document: true
fields:
  - {name: name, type: text, required: true, unique: true}
  - {name: percent, type: integer, min: "1", max: "90"}
  - name: steps
    type: table
    fields:
      - {name: level, type: integer, required: true}
policies:
  - {name: staff, who: {role: [clerk, manager]}, actions: ["*"]}
"""

PARCEL = """
record_type: parcel
title_field: "no"
soft_delete: false
fields:
  - {name: "no", type: text, required: true, unique: true}
  - name: lines
    type: table
    fields:
      - {name: article, type: text, required: true}
      - {name: rate, type: decimal, default: "2"}
      - name: parts
        type: table
        max_rows: 20
        fields:
          - {name: serial, type: text, required: true, pattern: "[A-Z0-9-]+"}
          - {name: number, type: sequence, number: "N{0000}"}
          - {name: worth, type: money}
          - {name: fragile, type: boolean, default: false}
          - {name: care, type: text, visible_when: "fragile == true", when_hidden: clear, required_when: "fragile == true"}
          - {name: why, type: text, required_when: "rate > 5 and no == 'P9' and worth > 1"}
          - {name: store, type: link, target: store}
          - {name: owner, type: link, target: member, filter: "store == this.store"}
          - {name: doubled, type: formula, formula: "worth * 2"}
      - {name: worth, type: rollup, of: parts, take: worth, how: sum}
      - {name: fragile, type: rollup, of: parts, how: count, filter: "fragile == true"}
      - {name: rated, type: formula, formula: "worth * rate"}
  - {name: total, type: rollup, of: lines, take: worth, how: sum}
  - {name: deep, type: formula, formula: "SUM(lines.parts.worth) + COUNT(lines.parts)"}
checks:
  - {check: "COUNT(lines.parts) <= 30", message: {zh: 配件太多, en: Too many parts}, fields: [lines]}
policies:
  - {name: staff, who: {role: [clerk, manager]}, actions: ["*"]}
"""

SOURCES = [
    Source("core", f"{name}.yaml", text)
    for name, text in (
        ("roles", ROLES),
        ("store", STORE),
        ("member", MEMBER),
        ("order", ORDER),
        ("note", NOTE),
        ("person", PERSON),
        ("visit", VISIT),
        ("rule", RULE),
        ("parcel", PARCEL),
    )
]

_RELEASE = effective(SOURCES, None, 1)


def publish_shop(database):
    """Publish the schema on an empty database."""
    bootstrap(database)
    publish(
        database,
        Publication(release=_RELEASE, sources=[], note="", actor=SYSTEM, at=NOW),
    )


class World:
    """A database with the shop's schema in force."""

    def __init__(self, database, registries):
        self.db = database
        self.registries = registries
        self.hooks = Hooks()
        self.clock = FixedClock(NOW)

    def context(self, *roles, user="", **rest):
        """Return a context of a person with `roles`; of the product itself without any."""
        actor = SYSTEM
        if roles:
            actor = Actor(id=user or roles[0], name=roles[0], roles=frozenset(roles))
        return Context.of(self, actor, **rest)

    def later(self, seconds=1):
        """Let time pass."""
        self.clock.move(timedelta(seconds=seconds))


@pytest.fixture(scope="session")
def shop_database(backend, made_once):
    return made_once(f"shop-{backend}", partial(Prepared, backend, prepare=publish_shop))


@pytest.fixture
def world(shop_database):
    with shop_database.fresh() as database:
        yield World(database, shop_database.registries())


def codes(error):
    """Return the (path, code) pairs of a refusal, sorted."""
    return sorted((one.path, one.code) for one in error.value.problems)


def a_member(number=1, **rest):
    return {"no": f"M{number:04}", "name": f"Name {number}", **rest}


def an_order(number=1, **rest):
    return {
        "no": f"O{number}",
        "lines": [{"article": "tea", "quantity": "2", "price": "3.50"}],
        **rest,
    }

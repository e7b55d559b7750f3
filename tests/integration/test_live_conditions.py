"""What a form is given to compute while somebody types: no more than its reader may see."""

import json
import re

import pytest

from core.records.operations import create_record

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True, scope="session")

CLAIM = """
record_type: claim
label: {zh: 理赔, en: Claim}
title_field: name
fields:
  - {name: name, type: text}
  - {name: member, type: link, target: member}
  - {name: limit, type: money}
  - {name: phone, type: lookup, through: member, field: phone}
  - {name: email, type: lookup, through: member, field: email}
  - {name: taken, type: text, fetch_from: member.email, fetch_mode: if_empty}
  - name: lines
    type: table
    fields:
      - {name: price, type: money, required_when: "limit > 5"}
      - {name: count, type: integer, required_when: "name is not empty"}
      - {name: amount, type: formula, formula: "price * count", currency: CNY}
  - {name: total, type: rollup, of: lines, take: amount, how: sum}
  - {name: over, type: formula, formula: "total - limit", currency: CNY}
  - {name: twice, type: formula, formula: "total * 2", currency: CNY}
  - {name: more, type: text, visible_when: "over > 0"}
  - {name: much, type: text, visible_when: "twice > 0"}
  - {name: claims, type: backlink, of: claim_part.claim}
  - {name: parts, type: rollup, of: claims, how: count}
  - {name: note, type: text, visible_when: "parts > 0"}
policies:
  - {name: clerks, who: {role: clerk}, actions: ["*"]}
  - {name: cashiers, who: {role: cashier}, actions: [view, edit], fields: {view: [name, member, phone, email, taken, lines, total, over, twice, more, much, parts, note], edit: [name, member, taken, lines, more, much, note]}}
---
record_type: claim_part
label: {zh: 部分, en: Part}
title_field: name
fields:
  - {name: name, type: text}
  - {name: claim, type: link, target: claim}
"""


@pytest.fixture
def site_schema():
    return tuple(CLAIM.split("---\n"))


@pytest.fixture
def told(site, make_context):
    made = create_record(
        make_context("clerk"),
        "claim",
        {"name": "C", "limit": "7.77", "lines": [{"price": "2.50", "count": 2}]},
    )

    def conditions(who):
        page = site.browser(who).get(f"/records/claim/{made['id']}").text
        found = re.search(r'id="conditions">(.*?)</script>', page, re.DOTALL)
        return json.loads(found[1]), page

    return conditions


def has(rules, *names):
    return [any(key in rules[name] for key in ("formula", "fetch")) for name in names]


def test_a_form_computes_what_its_reader_sees_in_the_order_of_reading(told):
    rules, _page = told("clerk")
    fields = rules["fields"]
    assert has(fields, "phone", "email", "taken", "total", "over", "twice") == [True] * 6
    assert has(fields["lines"]["columns"], "amount", "price") == [True, False]
    assert rules["computed"].index("total") < rules["computed"].index("over")
    assert fields["over"]["reads"] == ["limit", "total"]
    assert (fields["over"]["scale"], fields["over"]["unit"]) == (2, "CNY")
    assert [set(one) for one in rules["cells"]["lines"].values()] == [{"amount"}]
    # What other records decide is decided when the form is saved.
    assert ("formula" in fields["parts"], "tree" in fields["note"]["visible"]) == (False, False)


def test_a_form_is_not_told_what_its_reader_may_not_see(told):
    rules, page = told("cashier")
    fields = rules["fields"]
    assert "limit" not in fields
    assert "7.77" not in page
    assert has(fields, "total", "twice", "over") == [True, True, False]
    assert ("tree" in fields["much"]["visible"], "tree" in fields["more"]["visible"]) == (
        True,
        False,
    )
    columns = fields["lines"]["columns"]
    assert ["tree" in columns[name]["required"][0] for name in ("price", "count")] == [False, True]
    # The shop's cashiers see a member's telephone and not the e-mail.
    assert (has(fields, "phone", "taken"), "email" in fields) == ([True, False], False)
    assert rules["follows"] == {"member": ["phone"]}

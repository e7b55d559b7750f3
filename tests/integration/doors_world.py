"""A form with every kind of rule, and every door through which a value comes into it."""

import csv
from collections.abc import Callable, Mapping
from typing import Any

from core.errors import UserError
from core.records.importing import run_import
from core.records.operations import create_record, update_record
from tests.integration.hostile_world import input_values, page_token

#: Where the rules are: a value is wrong by its type, its bounds, by a rule, or by others' values.
GATE = """
record_type: gate
title_field: code
fields:
  - {name: code, type: text, required: true, unique: true, max_length: 12, pattern: "[A-Z][A-Z0-9]*"}
  - {name: amount, type: integer, min: "0", max: "100"}
  - {name: price, type: money, min: "0"}
  - {name: ratio, type: rate}
  - {name: day, type: date, min: "2020-01-01"}
  - {name: moment, type: datetime}
  - {name: hour, type: time}
  - {name: span, type: duration}
  - {name: flag, type: boolean}
  - {name: mail, type: email}
  - {name: tel, type: phone}
  - {name: web, type: url}
  - {name: shade, type: color}
  - {name: note, type: long_text, max_length: 20}
  - {name: kind, type: select, options: [{value: a}, {value: b}, {value: c}, {value: gone, archived: true}], options_when: {c: "amount > 10"}}
  - {name: tags, type: multi_select, options: [{value: x}, {value: y}]}
  - {name: store, type: link, target: store, filter: "code != 'CLOSED'"}
  - {name: once, type: text, set_once: true}
  - {name: fixed, type: text, read_only_when: "kind == 'b'"}
  - {name: why, type: text, required_when: "amount > 50"}
  - {name: aside, type: text, visible_when: "kind == 'a'", when_hidden: reject}
  - {name: stage, type: select, options: [{value: open}, {value: won}]}
  - {name: locked, type: text}
  - {name: twice, type: formula, formula: "amount * 2"}
  - {name: first, type: text}
  - {name: second, type: text}
unique_together: [{fields: [first, second]}]
checks:
  - {check: "price is empty or price <= 500", message: {zh: 太贵, en: Too dear}, fields: [price]}
rules:
  - {name: refused, when: "note == 'bad'", then: [{error: {zh: 不行, en: No}, fields: [note]}]}
  - {name: needed, when: "flag == true", then: [{require: [tel]}]}
  - {name: closed, when: "stage == 'won'", then: [{lock: [locked]}, {limit_options: tags, options: [x]}]}
stages:
  - {field: stage, state: won, require: [mail]}
"""

Found = set[tuple[str, str]]

#: What a good record has; each case lays its values over it.
GOOD = {"code": "GOOD"}

#: What is wrong -> the values, and every problem that they have, by path and code.
WRONG: Mapping[str, tuple[dict[str, Any], Found]] = {
    "required": ({"code": "", "note": "x"}, {("code", "field.required")}),
    "pattern": ({"code": "low"}, {("code", "field.pattern")}),
    "too long": ({"code": "X" * 13}, {("code", "field.too_long")}),
    "character": ({"once": "a\x1b[2J"}, {("once", "field.bad_character")}),
    "integer": ({"amount": "many"}, {("amount", "field.not_a_number")}),
    "huge integer": ({"amount": "9" * 30}, {("amount", "field.too_large")}),
    "too small": ({"amount": "-1"}, {("amount", "field.too_small")}),
    "too large": ({"amount": "101"}, {("amount", "field.too_large")}),
    "fraction": ({"amount": "1.5"}, {("amount", "field.not_whole")}),
    "money": ({"price": "NaN"}, {("price", "field.not_a_number")}),
    "precision": ({"price": "1.234"}, {("price", "field.too_precise")}),
    "check": ({"price": "501"}, {("price", "check.failed")}),
    "rate": ({"ratio": "x"}, {("ratio", "field.not_a_number")}),
    "date": ({"day": "2026-02-30"}, {("day", "field.bad_date")}),
    "early": ({"day": "2019-12-31"}, {("day", "field.too_small")}),
    "time": ({"hour": "25:00"}, {("hour", "field.bad_time")}),
    "duration": ({"span": "long"}, {("span", "field.bad_duration")}),
    "email": ({"mail": "a@"}, {("mail", "field.bad_email")}),
    "phone": ({"tel": "12ab"}, {("tel", "field.bad_phone")}),
    "url": ({"web": "javascript:alert(1)"}, {("web", "field.bad_url")}),
    "color": ({"shade": "red"}, {("shade", "field.bad_color")}),
    "option": ({"kind": "z"}, {("kind", "field.not_an_option")}),
    "archived": ({"kind": "gone"}, {("kind", "field.option")}),
    "option when": ({"kind": "c", "amount": "5"}, {("kind", "field.option")}),
    "no record": ({"store": "01890000-0000-7000-8000-000000000000"}, {("store", "link.not_found")}),
    "filter": ({"store": "CLOSED"}, {("store", "link.not_found")}),
    "required when": ({"amount": "51"}, {("why", "field.required")}),
    "hidden": ({"kind": "b", "aside": "x"}, {("aside", "field.hidden")}),
    "rule": ({"note": "bad"}, {("note", "rule.failed")}),
    "rule requires": ({"flag": "true"}, {("tel", "field.required")}),
    "rule limits": ({"stage": "won", "mail": "a@b.cn", "tags": ["y"]}, {("tags", "field.option")}),
    "stage": ({"stage": "won"}, {("mail", "field.required")}),
    "taken": ({"code": "TAKEN"}, {("code", "conflict.taken")}),
    "taken together": ({"first": "1", "second": "2"}, {("first", "conflict.taken"), ("second", "conflict.taken")}),
    "computed": ({"twice": "3"}, {("twice", "field.read_only")}),
}  # fmt: skip

#: What a stored record forbids -> what it holds, the changes, and what they are refused with.
FORBIDDEN: Mapping[str, tuple[dict[str, Any], dict[str, Any], Found]] = {
    "set once": ({"once": "x"}, {"once": "y"}, {("once", "field.set_once")}),
    "read only when": ({"kind": "b"}, {"fixed": "x"}, {("fixed", "field.read_only")}),
    "locked": (
        {"stage": "won", "mail": "a@b.cn"},
        {"locked": "x"},
        {("locked", "field.read_only")},
    ),
    "still needed": ({"amount": "60", "why": "x"}, {"why": ""}, {("why", "field.required")}),
    "no more": ({}, {"code": ""}, {("code", "field.required")}),
}

API = "/api/v1/records/gate"
JSON = {"Accept": "application/json"}


class Doors:
    """Ways to send values into the form; each returns the problems by path and code."""

    def __init__(self, site: Any, folder: Any) -> None:
        """Open the doors of a site on which `GATE` is published."""
        self._site, self.folder = site, folder
        self.client, self._browser = site.client("admin"), site.browser("admin")
        self._token = page_token(self._browser)
        closed = {"code": "CLOSED", "name": "C"}
        self.store = self.client.post("/api/v1/records/store", json=closed).json["id"]
        self._number = 0
        self.made = self.make({"code": "TAKEN", "first": "1", "second": "2"})

    def make(self, values: dict[str, Any]) -> dict[str, Any]:
        """Create a good record."""
        made = self.client.post(API, json=values)
        assert made.status_code == 201, made.json
        return dict(made.json)

    def wire(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return a case's values as JSON has them: links by id, yes as true."""
        told = dict(values)
        if told.get("store") == "CLOSED":
            told["store"] = self.store
        if told.get("flag") == "true":
            told["flag"] = True
        return told

    def _form(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"csrf_token": self._token, **self.wire(values)}

    # -- new records ----------------------------------------------------------------------

    def api(self, values: dict[str, Any]) -> Found:
        """`POST` of one record."""
        return problems_of(self.client.post(API, json=self.wire(GOOD | values)))

    def bulk(self, values: dict[str, Any]) -> Found:
        """`create` of the bulk route."""
        body = {"create": [self.wire(GOOD | values)]}
        (result,) = self.client.post(f"{API}/bulk", json=body).json["results"]
        return told(result.get("error"))

    def form(self, values: dict[str, Any]) -> Found:
        """The page of a new record."""
        form = self._form(GOOD | values)
        return problems_of(self._browser.post("/records/gate/new", data=form, headers=JSON))

    def link(self, values: dict[str, Any]) -> Found:
        """A link for somebody without an account."""
        names = sorted({"code", *values})
        token = self._link({"type": "gate", "fields": names, "single_use": False})
        return self._fill(token, self.wire(GOOD | values))

    def _link(self, body: dict[str, Any]) -> str:
        made = self.client.post("/api/v1/links", json=body)
        assert made.status_code == 201, made.json
        return str(made.json["token"])

    def _fill(self, token: str, form: dict[str, Any]) -> Found:
        stranger = self._site.app.test_client()
        page = stranger.get(f"/fill/{token}").text
        form["csrf_token"] = input_values(page)["csrf_token"]
        return problems_of(stranger.post(f"/fill/{token}", data=form, headers=JSON))

    def duplicate(self, values: dict[str, Any]) -> Found:
        """A duplicate with other values."""
        body = self.wire(GOOD | {"first": None} | values)
        return problems_of(self.client.post(f"{API}/{self.made['id']}/duplicate", json=body))

    def imported(self, values: dict[str, Any]) -> Found:
        """A row of a file."""
        return self._imported(GOOD | values)

    def _imported(self, values: dict[str, Any], *, update: bool = False) -> Found:
        told = {n: ";".join(v) if isinstance(v, list) else v for n, v in values.items()}
        path = self.folder / "gate.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([list(told), list(told.values())])
        ctx = self._site.context("admin", door="import")
        report = run_import(ctx, "gate", path, update=update)
        return {(one.problem.path, one.problem.code) for one in report.problems}

    def inside(self, door: Any) -> Callable[[dict[str, Any]], Found]:
        """Return what creates as plugins and automations do."""

        def create(values: dict[str, Any]) -> Found:
            ctx = self._site.context("admin", door=door)
            return refusal(lambda: create_record(ctx, "gate", self.wire(GOOD | values)))

        return create

    # -- changes --------------------------------------------------------------------------

    def fresh(self, **values: Any) -> dict[str, Any]:
        """Make one more good record to be changed."""
        self._number += 1
        return self.make({"code": f"N{self._number}", **self.wire(values)})

    def patch(self, values: dict[str, Any], **held: Any) -> Found:
        """`PATCH` of one record."""
        url = f"{API}/{self.fresh(**held)['id']}"
        body, headers = self.wire(values), {"If-Match": '"1"'}
        return problems_of(self.client.patch(url, json=body, headers=headers))

    def bulk_change(self, values: dict[str, Any], **held: Any) -> Found:
        """`update` of the bulk route."""
        item = {"id": self.fresh(**held)["id"], "version": 1, **self.wire(values)}
        (result,) = self.client.post(f"{API}/bulk", json={"update": [item]}).json["results"]
        return told(result.get("error"))

    def save(self, values: dict[str, Any], **held: Any) -> Found:
        """The page of a record."""
        made = self.fresh(**held)
        form = self._form({"version": "1", "code": made["code"], **held, **values})
        answer = self._browser.post(f"/records/gate/{made['id']}", data=form, headers=JSON)
        return problems_of(answer)

    def merge(self, values: dict[str, Any], **held: Any) -> Found:
        """The page of a record of which somebody else changed another field meanwhile."""
        made = self.fresh(**held)
        url = f"{API}/{made['id']}"
        other = self.client.patch(url, json={"flag": False}, headers={"If-Match": '"1"'})
        assert other.status_code == 200, other.json
        form = self._form({"version": "1", "code": made["code"], **held, **values})
        answer = self._browser.post(f"/records/gate/{made['id']}", data=form, headers=JSON)
        return problems_of(answer)

    def cell(self, values: dict[str, Any], **held: Any) -> Found:
        """A cell of the list."""
        ((name, value),) = self.wire(values).items()
        made = self.fresh(**held)
        form = {"csrf_token": self._token, "version": "1", name: value}
        url = f"/records/gate/{made['id']}/cells/{name}"
        return problems_of(self._browser.post(url, data=form, headers=JSON))

    def edits(self, values: dict[str, Any], **held: Any) -> Found:
        """The same change to many records, on trial."""
        made = self.fresh(**held)
        items = [{"id": made["id"], "version": 1}]
        body = {"changes": self.wire(values), "items": items}
        begun = self.client.post(f"{API}/edits", json=body)
        if begun.status_code >= 400:
            return told(begun.json)
        url = f"/api/v1/edits/{begun.json['id']}/results"
        (result,) = self.client.get(url).json["items"]
        return told(result.get("error"))

    def import_update(self, values: dict[str, Any], **held: Any) -> Found:
        """A row of a file that changes a record."""
        made = self.fresh(**held)
        return self._imported({"code": made["code"], **values}, update=True)

    def link_change(self, values: dict[str, Any], **held: Any) -> Found:
        """A link to one record for somebody without an account."""
        made = self.fresh(**held)
        names = sorted(values)
        body = {"type": "gate", "record": made["id"], "fields": names, "single_use": False}
        token = self._link(body)
        return self._fill(token, {"version": "1", **self.wire(values)})

    def inside_change(self, door: Any) -> Callable[..., Found]:
        """Return what changes a record as plugins and automations do."""

        def change(values: dict[str, Any], **held: Any) -> Found:
            ctx = self._site.context("admin", door=door)
            made = self.fresh(**held)
            return refusal(
                lambda: update_record(ctx, "gate", made["id"], self.wire(values), version=None)
            )

        return change


def refusal(act: Callable[[], Any]) -> Found:
    """Return the problems that calling `act` is refused with."""
    try:
        act()
    except UserError as error:
        return {(one.path, one.code) for one in error.problems} or {("", error.code)}
    return set()


def told(error: Mapping[str, Any] | None) -> Found:
    """Return the problems of an error in its JSON form."""
    if error is None:
        return set()
    return {(one["path"], one["code"]) for one in error["problems"]} or {("", error["code"])}


def problems_of(answer: Any) -> Found:
    """Return the problems of an answer."""
    return told(answer.json) if answer.status_code >= 400 else set()

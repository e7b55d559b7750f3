"""What every key of the schema language means, with an example, in the words of its users.

The reference page and the JSON Schema for editors are made from it. A sentence may be left
empty where the docstring of the model says it already, under `Attributes`.
"""

import inspect
import re
from collections.abc import Mapping

from core.schema import (
    accountguide,
    automations,
    calendarguide,
    calendars,
    changemodel,
    dashboardguide,
    dashboards,
    decisionguide,
    flowguide,
    loader,
    model,
    prints,
    rights,
    rightsguide,
)

Keys = Mapping[str, tuple[str, str]]

#: Model -> key -> what it says, and a value such as people write.
KEYS: Mapping[type, Keys] = {
    model.RecordType: {
        "record_type": (
            "First key: a form and its table; small letters, digits, `_`.",
            "vip_visit",
        ),
        "extend": ("First key: a plugin adds to the form of another.", "member"),
        "customize": ("First key: this site changes a form; its layer wins.", "member"),
        "was": ("The form's name before; its records and history go with it.", "callback"),
        "archive": ("Fields of other layers that this site puts away; values stay.", "[fax]"),
        "id": ("The form's immutable identity; found by itself.", "core.member"),
        "label": ("What people call one record.", "{zh: VIP 回访, en: VIP visit}"),
        "label_plural": ("What people call the list.", "{zh: 回访, en: Visits}"),
        "icon": ("Name of the icon in the menu.", "users"),
        "description": ("What the form is for.", "{zh: 大客户回访记录, en: Visits to VIPs}"),
        "title_field": ("The field that names a record in links and titles.", "name"),
        "menu": ("Its group of the menu, by a name of your own or a shipped one.", "members"),
        "document": ("It takes effect only through an approval.", "true"),
        "soft_delete": ("Deleting keeps the row, out of everybody's sight.", "false"),
        "fields": ("The fields, in order.", "[{name: code, type: text}]"),
        "checks": (
            "Conditions that every saved record meets.",
            '[{check: "amount > 0", message: {zh: 金额要大于零, en: More than zero}}]',
        ),
        "rules": (
            "What holds for several fields while a condition does.",
            "[{name: vip, when: \"level == 'gold'\", then: [{require: [reason]}]}]",
        ),
        "stages": ("What a record needs in one state.", "[{state: done, require: [result]}]"),
        "unique_together": ("Combinations that no two share.", "[{fields: [member, day]}]"),
        "duplicates": ("Fields by which two records are probably one.", "[{fields: [phone]}]"),
        "delete": (
            "When a record may be deleted.",
            '{allow_when: "uses == 0", message: {zh: 已使用, en: It is in use}}',
        ),
        "layout": (
            "Tabs and sections of the form; without it all fields, in order.",
            "[{tab: {zh: 基本, en: Basics}, sections: [{fields: [code]}]}]",
        ),
        "views": ("Ways to look at the records.", "[{name: all, columns: [code]}]"),
        "policies": (
            "Who may do what with these records.",
            "[{name: clerks, who: {role: clerk}, actions: [view, create, edit]}]",
        ),
        "changes": ("", "[{retype: {field: age, to: integer}}]"),
    },
    model.Field: {
        "was": ("The field's name before; column, values and expressions follow.", "tel"),
        "id": ("Its identity; found by itself, or by `guanxi schema fmt`.", "f_phiysxx2"),
        "name": ("Its column and API key.", "phone"),
        "type": ("One of the field types.", "phone"),
        "label": ("What people call it.", "{zh: 手机, en: Telephone}"),
        "help": ("A sentence below the control.", "{zh: 含区号, en: With the area code}"),
        "placeholder": ("Grey text in the empty control.", "{zh: 请输入, en: Type here}"),
        "unit": ("What stands behind a number.", "{zh: 元, en: CNY}"),
        "required": ("Nothing is saved without it.", "true"),
        "unique": ("No two live records have the same value.", "true"),
        "no_reuse": ("With `unique`: values of deleted records stay taken too.", "true"),
        "set_once": ("It can be filled in, then never changed.", "true"),
        "copyable": ("", "false"),
        "searchable": ("The search of lists finds records by parts of it.", "true"),
        "index": ("Lists filter and sort fast by it.", "true"),
        "sensitive": ("`pii`: personal; `secret`: never shown whole or searched.", "pii"),
        "mask": ("What is left of a value that is masked; of itself makes it be masked.", "last4"),
        "default": ("The value of a new record.", "active"),
        "default_expr": ("The value of a new record, worked out.", '"TODAY()"'),
        "min": ("The least value.", '"0"'),
        "max": ("The greatest value.", '"100"'),
        "min_length": ("The fewest characters.", "2"),
        "max_length": ("The most characters.", "40"),
        "pattern": ("A regular expression for the whole text.", '"[A-Z0-9]{2,8}"'),
        "precision": ("Digits after the point; the type's own when it is not said.", "2"),
        "currency": ("Code of a currency; CNY when it is not said.", "CNY"),
        "options": ("The choices.", "[{value: gold, label: {zh: 金卡, en: Gold}}]"),
        "options_from": (
            "The choices are another form's records.",
            "[{type: store, value: code}]",
        ),
        "target": ("The form that a link leads to.", "member"),
        "filter": (
            "What may be linked, or what is rolled up; `this` is the record at hand.",
            "\"status == 'active'\"",
        ),
        "on_delete": ("What becomes of the link when its record is deleted.", "set_null"),
        "fields": ("The columns of a table field.", "[{name: what, type: text}]"),
        "min_rows": ("The fewest rows of a table field.", "1"),
        "max_rows": ("The most rows of a table field.", "50"),
        "of": ("", "items"),
        "offers": (
            "The choice of the records that link here; the page offers a new one for each option.",
            "kind",
        ),
        "take": ("The field that a rollup takes from each row.", "cost"),
        "how": ("What a rollup works out.", "sum"),
        "through": ("The link that a lookup reads through.", "member"),
        "field": ("The field that a lookup reads there.", "phone"),
        "fetch_from": ("", "product.list_price"),
        "fetch_mode": ("", "if_empty"),
        "scope": ("", "order"),
        "gives": ("", "number"),
        "formula": ("The expression of a formula.", '"price * quantity"'),
        "number": ("Pattern of a sequence.", '"HF-{yyyy}{mm}-{0000}"'),
        "reset": ("When a sequence starts over.", "monthly"),
        "accept": ("", "[application/pdf, image/*]"),
        "max_size": ("", "5 MB"),
        "max_count": ("", "3"),
        "visible_when": ("It is shown while this holds.", "\"channel == 'phone'\""),
        "required_when": ("It is required while this holds.", '"amount > 100"'),
        "read_only_when": (
            "It cannot be changed while this holds; a backlink offers no new one.",
            "\"status == 'done'\"",
        ),
        "options_when": (
            "Option to the condition under which it can be chosen, or is offered.",
            "{gold: \"member.status == 'active'\"}",
        ),
        "when_hidden": ("What becomes of its value while it is hidden.", "clear"),
        "deprecated": ("Forms show it only where the layout names it.", "true"),
    },
    model.Option: {
        "value": ("What is stored.", "gold"),
        "was": ("The value before; stored values and expressions follow.", "golden"),
        "label": ("What people read.", "{zh: 金卡, en: Gold}"),
        "color": ("Colour of its badge.", "orange"),
        "archived": ("Still readable, no longer chosen.", "true"),
    },
    model.OptionSource: {
        "type": ("The form whose records are the choices.", "store"),
        "value": ("The field that is stored.", "code"),
        "when": ("This source counts while the condition holds.", "\"kind == 'shop'\""),
        "filter": (
            "Which of its records; `this` is the record at hand.",
            '"region == this.region"',
        ),
    },
    model.Check: {
        "check": ("The condition that must hold.", '"until >= since"'),
        "message": ("What is said when it does not.", "{zh: 日期不对, en: The dates are wrong}"),
        "severity": ("`error` refuses; `warn` says it and saves.", "warn"),
        "fields": ("The fields that it is said at.", "[until]"),
    },
    model.Rule: {
        "name": ("Its name; a customization replaces it by naming it again.", "vip"),
        "on": ("", "change"),
        "when": ("The condition; without it always.", "\"level == 'gold'\""),
        "then": ("What it does.", "[{require: [reason]}]"),
        "applies_to": ("The doors that it is for; without it all.", "[form, api]"),
    },
    model.Action: {
        "set": ("The field that gets the value of `to`.", "priority"),
        "to": ("The expression that `set` takes the value from.", "\"'high'\""),
        "clear": ("", "[reason]"),
        "require": ("", "[reason]"),
        "lock": ("", "[member]"),
        "show": ("", "[reason]"),
        "limit_options": ("", "channel"),
        "options": ("What `limit_options` leaves.", "[phone, shop]"),
        "error": ("", "{zh: 金额过大, en: Too large an amount}"),
        "warn": ("", "{zh: 大额, en: A large amount}"),
        "fields": ("The fields that `error` and `warn` are said at.", "[amount]"),
    },
    model.Stage: {
        "state": ("", "done"),
        "field": ("The select field that holds the state.", "stage"),
        "require": ("", "[result]"),
        "lock": ("", "[member]"),
    },
    model.UniqueTogether: {
        "fields": ("The fields.", "[member, day]"),
        "no_reuse": ("Deleted records count too.", "true"),
    },
    model.DuplicateRule: {
        "fields": ("The fields that must all be filled in and mean the same.", "[name, birthday]"),
        "fuzzy": ("Those of them that need only be alike.", "[name]"),
    },
    model.DeleteRule: {
        "allow_when": ("It may be deleted while this holds.", '"uses == 0"'),
        "message": ("What is said otherwise.", "{zh: 已使用, en: It is in use}"),
    },
    model.Tab: {
        "tab": ("What the tab is called.", "{zh: 基本, en: Basics}"),
        "sections": ("What it shows.", "[{fields: [code, name]}]"),
        "visible_when": ("It is shown while this holds.", "\"level == 'gold'\""),
    },
    model.Section: {
        "fields": ("The fields, in order.", "[code, name]"),
        "title": ("The heading.", "{zh: 联系, en: Contact}"),
        "columns": ("In how many columns.", "3"),
        "visible_when": ("It is shown while this holds.", "\"level == 'gold'\""),
    },
    model.View: {
        "name": ("Its name in addresses.", "board"),
        "type": ("A list, a board, or a calendar.", "kanban"),
        "label": ("What people call it.", "{zh: 看板, en: Board}"),
        "columns": ("What a row, a card, or an entry tells.", "[name, phone]"),
        "filter": ("Which records.", "\"status == 'active'\""),
        "sort": ("", "[-created_at, name]"),
        "group_by": ("", "status"),
        "totals": ("", "{amount: sum}"),
        "date_field": ("", "visited_on"),
        "color_when": ("Colours by condition.", '[{when: "amount > 1000", color: red}]'),
        "shared_with": ("", "[clerk]"),
    },
    model.ColorRule: {
        "when": ("The condition; the first that holds counts.", '"amount > 1000"'),
        "color": ("The colour.", "red"),
    },
    **rightsguide.KEYS,
    **dashboardguide.KEYS,
    **flowguide.KEYS,
    **calendarguide.KEYS,
    **decisionguide.KEYS,
    **accountguide.KEYS,
    changemodel.FieldChange: {
        "retype": ("A field's values become values of another type.", "{field: age, to: integer}"),
        "merge": ("Several fields become one.", "{fields: [first, last], into: full_name}"),
        "split": ("One field becomes several.", "{field: full_name, into: [first, last]}"),
    },
    changemodel.Retype: {
        "field": ("The field; `lines.rate` is one of a row.", "age"),
        "to": ("The new type.", "integer"),
        "convert": ("", '"NUMBER(age)"'),
        "on_failure": (
            "A value that does not fit: nothing is published, it is emptied, or also listed.",
            "quarantine",
        ),
    },
    changemodel.Merge: {
        "fields": ("The fields before.", "[first, last]"),
        "into": ("The new field.", "full_name"),
        "separator": ("What stands between their texts.", '" "'),
        "convert": ("An expression over the fields before.", '"CONCAT(last, first)"'),
        "on_failure": ("As above.", "null"),
    },
    changemodel.Split: {
        "field": ("The field before.", "full_name"),
        "into": ("The new fields.", "[first, last]"),
        "separator": ("Where its text is cut.", '" "'),
        "convert": ("New field to an expression.", '{first: "LEFT(full_name, 1)"}'),
        "on_failure": ("As above.", "null"),
    },
    loader.PolicySet: {
        "policy_set": ("First key: policies that name their forms.", "shop_rights"),
        "label": ("What people call it.", "{zh: 门店权限, en: Rights of shops}"),
        "policies": (
            "Who may do what.",
            "[{name: shops, who: {role: cashier}, types: [member], actions: [view]}]",
        ),
    },
    model.Role: {
        "name": ("Its name in policies and commands.", "clerk"),
        "label": ("What people call it.", "{zh: 文员, en: Clerk}"),
    },
    automations.Automation: {
        "automation": ("", "birthday_greeting"),
        "label": ("", "{zh: 生日祝福, en: Birthday greeting}"),
        "description": ("", "{zh: 生日当天发短信, en: On the day itself}"),
        "type": ("", "member"),
        "trigger": ("", "{on: created}"),
        "when": ("", "\"status == 'active'\""),
        "applies_to": ("", "[form, api]"),
        "run_as": ("", "{role: clerk}"),
        "actions": ("", "[{do: notify, to: {role: clerk}, title: {zh: 新会员, en: New}}]"),
        "retry": ("", "{times: 3, wait: 60}"),
        "concurrency_key": ("", '"member"'),
        "off": ("", "true"),
    },
    automations.Trigger: {
        "on": ("", "updated"),
        "fields": ("", "[status]"),
        "field": ("", "birthday"),
        "leaves": ("", "[draft]"),
        "enters": ("", "[effective]"),
        "days": ("", "-7"),
        "yearly": ("", "true"),
        "at": ("", '"09:00"'),
        "cron": ("", '"0 9 * * 1"'),
        "time_zone": ("", "Asia/Shanghai"),
        "auth": ("", "signature"),
        "input": ("", "[{name: phone, required: true}]"),
        "match": ("", '"no"'),
        "role": ("", "clerk"),
    },
    automations.Input: {
        "name": ("", "phone"),
        "type": ("", "text"),
        "label": ("", "{zh: 手机, en: Telephone}"),
        "required": ("", "true"),
        "max_length": ("", "32"),
    },
    automations.RunAs: {"role": ("", "clerk"), "system": ("", "true")},
    automations.AutomationAction: {
        "do": ("", "set"),
        "when": ("", '"amount > 100"'),
        "record": ("", "member"),
        "type": ("", "complaint"),
        "values": ("", "{status: \"'active'\"}"),
        "to": ("", "{role: clerk}"),
        "title": ("", '{zh: "生日：{name}", en: "Birthday: {name}"}'),
        "body": ("", '{zh: "{name} 您好", en: "Dear {name}"}'),
        "url": ("", "https://example.com/hook"),
        "name": ("", "issue_card"),
    },
    automations.Recipients: {
        "role": ("", "clerk"),
        "user": ("", "[created_by]"),
        "address": ("", "[member.email]"),
    },
    automations.Retry: {"times": ("", "3"), "wait": ("", "60")},
    prints.Print: {
        "print": ("First key: a way to print one record.", "note_receipt"),
        "type": ("The form.", "complaint_note"),
        "label": ("What people call it.", "{zh: 受理单, en: Receipt}"),
        "page": ("The paper.", "{size: A5, orientation: landscape}"),
        "when": ("", '"amount is not empty"'),
        "blocks": ("What stands on it, one below the other.", "[{fields: [member, amount]}]"),
    },
    prints.PrintPage: {
        "size": ("The format; `receipt` is a roll 80 mm wide.", "A5"),
        "orientation": ("Upright or across.", "landscape"),
    },
    prints.PrintBlock: {
        "heading": ("", '{zh: "受理单 {no}", en: "Receipt {no}"}'),
        "text": ("", '{zh: "合计 {total} 元", en: "{total} in all"}'),
        "fields": ("", "[member, amount]"),
        "columns": ("In how many columns `fields` stand.", "1"),
        "table": ("", "items"),
        "cells": ("The columns of `table`.", "[{field: what}]"),
        "image": ("", "photo"),
        "space": ("", "line"),
        "align": ("Where a heading or text stands.", "right"),
        "when": ("", '"amount > 0"'),
    },
    prints.PrintCell: {
        "field": ("A field of the row.", "what"),
        "value": ("Or an expression over the row.", '"price * quantity"'),
        "label": ("The head of the column.", "{zh: 金额, en: Amount}"),
    },
}

#: Field type -> a field of it, without its name and type.
TYPES: Mapping[str, str] = {
    "address": "label: {zh: 地址, en: Address}",
    "backlink": "of: order.member",
    "barcode": "max_length: 13",
    "boolean": 'default: "false"',
    "color": 'default: "#1a7f37"',
    "condition": "scope: order",
    "date": "default_expr: TODAY()",
    "datetime": "required: true",
    "decimal": "precision: 3, unit: {zh: 千克, en: kg}",
    "department": "on_delete: set_null",
    "duration": "max: 8h",
    "email": "sensitive: pii",
    "expression": "scope: order, gives: number",
    "file": "accept: [application/pdf], max_size: 5 MB",
    "files": "max_count: 3",
    "formula": 'formula: "a_integer * 2"',
    "image": "max_size: 2 MB",
    "integer": 'min: "0", max: "100"',
    "calendar": "label: {zh: 工作日历, en: Business hours}",
    "json": "help: {zh: 机器读的, en: For machines}",
    "link": "target: member, filter: \"status == 'active'\"",
    "links": "target: product",
    "location": "label: {zh: 位置, en: Place}",
    "long_text": "max_length: 2000",
    "lookup": "through: a_link, field: name",
    "money": 'min: "0", currency: CNY',
    "multi_select": "options: [{value: tea, label: {zh: 茶, en: Tea}}, {value: coffee}]",
    "percent": 'max: "100"',
    "phone": "searchable: true",
    "rate": 'default: "0.95"',
    "rating": 'max: "5"',
    "rich_text": "placeholder: {zh: 正文, en: Text}",
    "role": "required: true",
    "rollup": "of: a_table, take: cost, how: sum",
    "secret": 'pattern: "[0-9]{6}"',
    "select": "options: [{value: gold, label: {zh: 金卡, en: Gold}}, {value: silver}]",
    "sequence": 'number: "HF-{yyyy}{mm}-{0000}", reset: monthly',
    "signature": 'required_when: "a_boolean == true"',
    "table": "fields: [{name: what, type: text}, {name: cost, type: money}]",
    "text": 'required: true, pattern: "[A-Z0-9]{2,8}"',
    "time": 'min: "09:00"',
    "url": 'placeholder: {en: "https://"}',
    "user": "default_expr: current_user",
    "users": "help: {zh: 抄送给, en: Who is told}",
}

#: Model -> where it stands in a file, for the headings of the reference page.
PLACES: Mapping[type, str] = {
    model.RecordType: "record_type, extend, customize",
    model.Field: "fields",
    model.Option: "fields · options",
    model.OptionSource: "fields · options_from",
    model.Check: "checks",
    model.Rule: "rules",
    model.Action: "rules · then",
    model.Stage: "stages",
    model.UniqueTogether: "unique_together",
    model.DuplicateRule: "duplicates",
    model.DeleteRule: "delete",
    model.Tab: "layout",
    model.Section: "layout · sections",
    model.View: "views",
    model.ColorRule: "views · color_when",
    rights.Policy: "policies",
    rights.Who: "policies · who",
    rights.FieldRights: "policies · fields",
    changemodel.FieldChange: "changes",
    changemodel.Retype: "changes · retype",
    changemodel.Merge: "changes · merge",
    changemodel.Split: "changes · split",
    **flowguide.PLACES,
    **decisionguide.PLACES,
    **accountguide.PLACES,
    loader.PolicySet: "policy_set",
    loader.RoleList: "roles: a file of roles",
    model.Role: "roles",
    model.Position: "roles · positions",
    automations.Automation: "automation",
    automations.Trigger: "automation · trigger",
    automations.Input: "automation · trigger · input",
    automations.RunAs: "automation · run_as",
    automations.AutomationAction: "automation · actions",
    automations.Recipients: "automation · actions · to",
    automations.Retry: "automation · retry",
    prints.Print: "print",
    prints.PrintPage: "print · page",
    prints.PrintBlock: "print · blocks",
    prints.PrintCell: "print · blocks · cells",
    dashboards.Dashboard: "dashboard",
    dashboards.Card: "dashboard · cards",
    calendars.BusinessCalendar: "calendar",
    calendars.Holiday: "calendar · holidays",
    calendars.Workday: "calendar · workdays",
}


def sentence(kind: type, key: str) -> str:
    """Return what a key of a model means; empty when nobody says it."""
    said, _ = KEYS.get(kind, {}).get(key, ("", ""))
    told = described(kind)
    # An attribute that Python reserves the word of carries a trailing underscore.
    return said or told.get(key, "") or told.get(f"{key}_", "")


def example(kind: type, key: str) -> str:
    """Return a value of a key such as people write it, in YAML; empty without one."""
    return KEYS.get(kind, {}).get(key, ("", ""))[1]


def described(kind: type) -> dict[str, str]:
    """Return what a model's docstring says of its attributes, each on one line."""
    text = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        starts = re.fullmatch(r"    (\w+): (.*)", line)
        if starts:
            name = starts[1]
            found[name] = starts[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found

"""A form with one field of each type that points, hides, formats or is an expression."""

CASE = """
record_type: case_note
title_field: code
label: {zh: 客诉, en: Case}
fields:
  - {name: code, type: text, required: true, unique: true, label: {zh: 编号, en: Code}}
  - {name: handler, type: user, label: {zh: 经办人, en: Handler}}
  - {name: watchers, type: users, label: {zh: 关注人, en: Watchers}}
  - {name: team, type: role, label: {zh: 角色, en: Team}}
  - {name: hours, type: calendar, label: {zh: 工作日历, en: Hours}}
  - {name: unit, type: department, label: {zh: 部门, en: Department}}
  - {name: place, type: address, label: {zh: 地址, en: Address}}
  - {name: spot, type: location, label: {zh: 位置, en: Spot}}
  - {name: story, type: rich_text, label: {zh: 经过, en: Story}}
  - {name: pin, type: secret, min_length: 4, label: {zh: 密码, en: PIN}}
  - {name: rule, type: condition, scope: member, label: {zh: 条件, en: Rule}}
  - {name: line_rule, type: condition, scope: order.lines, label: {zh: 明细条件, en: Line rule}}
  - {name: worth, type: expression, scope: order, gives: number, label: {zh: 算式, en: Worth}}
  - {name: is_mine, type: formula, formula: "handler == current_user", label: {zh: 我的, en: Mine}}
  - {name: has_pin, type: formula, formula: "pin is not empty", label: {zh: 有密码, en: Has PIN}}
  - name: visits
    type: table
    label: {zh: 走访, en: Visits}
    fields:
      - {name: by, type: user, label: {zh: 谁, en: By}}
      - {name: at, type: address, label: {zh: 哪里, en: Where}}
      - {name: note, type: rich_text, label: {zh: 记录, en: Note}}
views:
  - {name: all, type: list, columns: [code, handler, watchers, team, unit, place, spot, rule]}
policies:
  - {name: staff, who: {role: [clerk, Admin]}, actions: ["*"]}
  - {name: own, who: {role: cashier}, actions: [view], rows: "handler == current_user or current_user in watchers"}
"""

#: field -> values that every door refuses, with the code of the refusal.
HOSTILE = {
    "handler": [
        ("0 or 1=1", "field.bad_user"),
        ("999999", "user.not_found"),
        ("9" * 19, "field.bad_user"),
        ("public", "field.bad_user"),
    ],
    "team": [("nobody", "role.not_found"), ("x" * 65, "field.bad_role")],
    "hours": [("nobody", "calendar.not_found"), ("x" * 65, "field.bad_calendar")],
    "unit": [("x", "field.bad_id"), ("01890000-0000-7000-8000-000000000000", "link.not_found")],
    "story": [("<p>&#1;</p>", "field.bad_character"), ("x" * 20_001, "field.too_long")],
    "pin": [
        ("123", "field.bad_length"),
        ("•••", "field.masked"),
        ("12\x0034", "field.bad_character"),
    ],
    "rule": [
        ("nix == 1", "expression.unknown_field"),
        ("name", "expression.wrong_type"),
        ("name ==", "expression.unfinished"),
        ("x" * 2_001, "field.too_long"),
        ("(" * 400 + "1" + ")" * 400, "expression.too_deep"),
    ],
    "line_rule": [("code == 'x'", "expression.unknown_field")],
    "worth": [("number", "expression.unknown_field"), ("1 == 1", "expression.wrong_type")],
}

#: The same for values that only JSON can carry.
HOSTILE_JSON = {
    "handler": [(7, "field.bad_type"), (["1"], "field.bad_type")],
    "watchers": [
        ("1", "field.bad_type"),
        (["1", "1"], "field.duplicate"),
        (["1"] * 300, "field.too_many"),
        ([{}], "field.bad_type"),
    ],
    "place": [
        ("Shanghai", "field.bad_type"),
        ({"town": "x"}, "field.unknown"),
        ({"city": 1}, "field.bad_type"),
        ({"city": "x" * 101}, "field.too_long"),
        ({"city": "a\nb"}, "field.bad_character"),
        ([], "field.bad_type"),
    ],
    "spot": [
        ({"lat": "91", "lng": "0"}, "field.out_of_range"),
        ({"lat": "1"}, "field.required"),
        ({"lat": "NaN", "lng": "0"}, "field.not_a_number"),
        ({"lat": "1e400", "lng": "0"}, "field.not_a_number"),
        ({"lat": "0.12345678", "lng": "0"}, "field.too_precise"),
        ({"lat": True, "lng": "0"}, "field.bad_type"),
    ],
    "story": [({}, "field.bad_type")],
    "pin": [(1234, "field.bad_type")],
    "rule": [(True, "field.bad_type")],
}

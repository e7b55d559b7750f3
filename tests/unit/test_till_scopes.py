"""Scopes of a sale at the till: their names, and that no record type takes them."""

import pytest

from core.errors import SchemaError
from core.expression import ExpressionError, compile_expression
from core.schema.layers import effective
from core.schema.scopes import named_scope
from core.schema.yamlnodes import Source

ORDER = """record_type: order
fields:
  - {name: ordered_at, type: datetime}
  - {name: total, type: rollup, of: lines, take: amount, how: sum}
  - name: lines
    type: table
    fields:
      - {name: product, type: link, target: product}
      - {name: amount, type: money}
"""
PRODUCT = "record_type: product\nfields: [{name: code, type: text}]\n"
MEMBER = "record_type: member\nfields: [{name: name, type: text}]\n"
RULE = """record_type: rule
fields: [{name: code, type: text}, {name: when, type: condition, scope: till:line}]
"""


def release(*texts):
    return effective([Source("core", f"{n}.yaml", text) for n, text in enumerate(texts)], None, 1)


def test_condition_sees_sale_line_and_member_with_their_links():
    types = release(ORDER, PRODUCT, MEMBER, RULE).types
    text = "line.product.code == 'a' and sale.total > 5 and WEEKDAY(sale.ordered_at) == 2"
    made = compile_expression(text, named_scope(types, "till:line"), expect="boolean")
    assert made.paths == {
        "line", "line.product", "line.product.code", "sale", "sale.total", "sale.ordered_at",
    }  # fmt: skip
    every = "ALL(sale.lines, product.code != 'x') and member.name is not empty"
    assert (
        compile_expression(every, named_scope(types, "till:sale"), expect="boolean").text == every
    )
    for scope, wrong in (("till:sale", "line.amount > 1"), ("till:line", "card.number == '1'")):
        with pytest.raises(ExpressionError):
            compile_expression(wrong, named_scope(types, scope))


@pytest.mark.parametrize("name", ["sale", "till", "line"])
def test_site_may_call_its_own_type_like_a_name_of_the_till(name):
    own = f"record_type: {name}\nfields: [{{name: code, type: text}}]\n"
    types = release(ORDER, PRODUCT, MEMBER, RULE, own).types
    assert named_scope(types, name).fields["code"].kind == "text"
    assert "sale" in named_scope(types, "till:sale").fields


def test_scope_of_the_till_is_unknown_without_orders():
    with pytest.raises(SchemaError) as caught:
        release(PRODUCT, RULE)
    assert [it.code for it in caught.value.problems] == ["schema.unknown"]

"""The two trees: as written (`parser` makes it) and as meant (`check` makes it).

A node of either keeps `start` and `end`, its place in the text.
"""

from dataclasses import dataclass, field
from typing import Any

from core.expression.types import Type

# -- as written ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """Any node as written."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Constant(Written):
    """A number, text, true, false or null."""

    value: Any


@dataclass(frozen=True, slots=True)
class Array(Written):
    """A list in brackets."""

    items: tuple[Written, ...]


@dataclass(frozen=True, slots=True)
class Name(Written):
    """A name that stands alone."""

    name: str


@dataclass(frozen=True, slots=True)
class Dot(Written):
    """A name after a dot; `at` is where the name starts."""

    base: Written
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Apply(Written):
    """A function with its arguments."""

    name: str
    arguments: tuple[Written, ...]


@dataclass(frozen=True, slots=True)
class Operation(Written):
    """An operator with its operands; `if` has condition, then, else."""

    operator: str
    operands: tuple[Written, ...]
    at: int


# -- as meant -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Node:
    """Any typed node."""

    type: Type
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value known when the expression is compiled."""

    value: Any


@dataclass(frozen=True, slots=True)
class Items(Node):
    """A list of values, on the right of `in`."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Field(Node):
    """A field of the row of frame `frame`; frame 0 is the record, deeper ones are list rows."""

    name: str
    frame: int


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """A value of the environment; `@today`, `@now` and `@zone` are the functions' own."""

    name: str


@dataclass(frozen=True, slots=True)
class Linked(Node):
    """Field `name` of the record of type `target` that the link `base` leads to."""

    base: Node
    target: str
    name: str


@dataclass(frozen=True, slots=True)
class Part(Node):
    """Part `name` of the structured value `base`, such as the city of an address."""

    base: Node
    name: str


@dataclass(frozen=True, slots=True)
class Rows(Node):
    """The rows of a table field, links or backlink `name`.

    They belong to the row of frame `frame`, or to the record that `base` leads to.
    `owner` is the record type the field belongs to.
    """

    name: str
    owner: str
    frame: int
    base: Node | None


@dataclass(frozen=True, slots=True)
class Each(Node):
    """One value per row; `item` lives in frame `frame`."""

    rows: Rows
    item: Node
    frame: int


@dataclass(frozen=True, slots=True)
class Rollup(Node):
    """`how` (sum avg min max count any all) over rows; `item` lives in frame `frame`."""

    how: str
    rows: Rows
    item: Node | None
    frame: int


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function of the table with its arguments."""

    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """`+ - * /` of two numbers."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """`== != < <= > >=` of two values of one group of types."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Within(Node):
    """`in`: whether `item` is one of a list, of choices or of a list variable."""

    item: Node
    container: Node


@dataclass(frozen=True, slots=True)
class Empty(Node):
    """`is empty`: null, the empty text, or no rows."""

    operand: Node


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """`and`, `or` or `not` of conditions; null counts as false."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choose(Node):
    """`a if c else b`."""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a field, or of one of its options, in an expression's text."""

    owner: str
    name: str
    start: int
    end: int
    option: str | None = field(default=None)

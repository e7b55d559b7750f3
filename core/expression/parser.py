"""Tokens to a tree, by precedence climbing, within bounds of size and depth.

From weak to strong: `a if c else b` · `or` · `and` · `not` · comparisons, `in`,
`is empty` · `+ -` · `* /` · unary `-` · dots and calls.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import NoReturn

from core.expression.lexer import Token, tokenize
from core.expression.nodes import Apply, Array, Constant, Dot, Name, Operation, Written
from core.expression.types import MAX_DEPTH, MAX_DOTS, MAX_NODES, ExpressionError, problem
from core.i18n import N_

_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "not", "is"})
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None}

_Read = Callable[[], Written]


def parse(text: str) -> Written:
    """Return the tree of `text` as written.

    Raises:
        ExpressionError: the text is not an expression, or over a bound.
    """
    parser = _Parser(tokenize(text))
    tree = parser.expression()
    parser.expect("")
    return tree


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0
        self._nodes = 0
        self._depth = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._position]

    def _advance(self) -> Token:
        token = self._token
        self._position += 1
        return token

    def _at(self, *operators: str) -> bool:
        return self._token.kind == "operator" and self._token.value in operators

    def _fail(
        self, code: str, text: str, token: Token | None = None, **params: object
    ) -> NoReturn:
        place = token or self._token
        raise ExpressionError(problems=[problem(place.start, code, text, **params)])

    def expect(self, operator: str) -> Token:
        """Take `operator`, or the end where it is empty."""
        token = self._token
        if operator == "" and token.kind == "end":
            return token
        if operator == "" or not self._at(operator):
            self._unexpected(operator)
        return self._advance()

    def _unexpected(self, wanted: str = "") -> NoReturn:
        token = self._token
        if token.kind == "end":
            if wanted:
                self._fail(
                    "unexpected_end",
                    N_("The expression ends where {wanted} is expected."),
                    wanted=wanted,
                )
            self._fail("unfinished", N_("The expression is not finished."))
        self._fail("unexpected", N_("{found} is not expected here."), found=token.value or "''")

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._fail(
                "too_large", N_("The expression has more than {limit} parts."), limit=MAX_NODES
            )

    def _operation(self, operator: Token, *operands: Written) -> Operation:
        self._count()
        start = min(operator.start, operands[0].start)
        return Operation(start, operands[-1].end, operator.value, operands, operator.start)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._fail(
                "too_deep", N_("The expression is nested more than {limit} deep."), limit=MAX_DEPTH
            )

    def expression(self) -> Written:
        """Read `or` and, after it, an optional `if … else …`."""
        self._deeper()
        value = self._or()
        if self._at("if"):
            token = self._advance()
            condition = self._or()
            self.expect("else")
            otherwise = self.expression()
            self._count()
            value = Operation(
                value.start, otherwise.end, "if", (condition, value, otherwise), token.start
            )
        self._depth -= 1
        return value

    def _or(self) -> Written:
        return self._chain("or", lambda: self._chain("and", self._not))

    def _chain(self, operator: str, read: _Read) -> Written:
        first = read()
        operands = [first]
        token = self._token
        while self._at(operator):
            self._advance()
            operands.append(read())
        return first if len(operands) == 1 else self._operation(token, *operands)

    def _not(self) -> Written:
        if not self._at("not"):
            return self._comparison()
        token = self._advance()
        self._deeper()
        operand = self._not()
        self._depth -= 1
        return self._operation(token, operand)

    def _comparison(self) -> Written:
        left = self._sum()
        if not self._at(*_COMPARISONS):
            return left
        token = self._advance()
        if token.value == "is":
            value = self._is(token, left)
        elif token.value == "not":
            value = self._operation(token, self._operation(self.expect("in"), left, self._sum()))
        else:
            value = self._operation(token, left, self._sum())
        if self._at("==", "!=", "<", "<=", ">", ">="):
            self._fail("chained", N_("Write a < b and b < c instead of a < b < c."))
        return value

    def _is(self, token: Token, left: Written) -> Written:
        negated = self._at("not")
        if negated:
            self._advance()
        word = self.expect("empty")
        self._count()
        value: Written = Operation(left.start, word.end, "empty", (left,), token.start)
        if negated:
            value = Operation(left.start, word.end, "not", (value,), token.start)
        return value

    def _sum(self) -> Written:
        return self._left_to_right(
            ("+", "-"), lambda: self._left_to_right(("*", "/"), self._unary)
        )

    def _left_to_right(self, operators: tuple[str, ...], read: _Read) -> Written:
        value = read()
        # Each step nests the tree once more to the left, so it counts as depth.
        steps = 0
        while self._at(*operators):
            token = self._advance()
            steps += 1
            self._deeper()
            value = self._operation(token, value, read())
        self._depth -= steps
        return value

    def _unary(self) -> Written:
        if not self._at("-", "+"):
            return self._postfix()
        token = self._advance()
        self._deeper()
        operand = self._unary()
        self._depth -= 1
        if isinstance(operand, Constant) and isinstance(operand.value, Decimal):
            value = operand.value.copy_negate() if token.value == "-" else operand.value
            return Constant(token.start, operand.end, value)
        return self._operation(token, operand)

    def _postfix(self) -> Written:
        value = self._primary()
        dots = 0
        while self._at("."):
            self._advance()
            token = self._token
            # A keyword after a dot can only be a name.
            if token.kind != "name" and not token.value.isidentifier():
                self._unexpected()
            self._advance()
            self._count()
            value = Dot(value.start, token.end, value, token.value, token.start)
            dots += 1
            if dots > MAX_DOTS:
                self._fail("too_deep", N_("A name has at most {limit} dots."), limit=MAX_DOTS)
        return value

    def _primary(self) -> Written:
        token = self._advance() if self._token.kind != "end" else self._unexpected()
        self._count()
        if token.kind == "number":
            return Constant(token.start, token.end, Decimal(token.value))
        if token.kind == "text":
            return Constant(token.start, token.end, token.value)
        if token.kind == "name" or (token.value == "if" and self._at("(")):
            return self._name(token)
        return self._operator(token)

    def _operator(self, token: Token) -> Written:
        if token.value in _CONSTANTS:
            return Constant(token.start, token.end, _CONSTANTS[token.value])
        if token.value == "(":
            value = self.expression()
            self.expect(")")
            return value
        if token.value == "[":
            items, end = self._arguments("]")
            return Array(token.start, end, items)
        self._position -= 1
        return self._unexpected()

    def _name(self, token: Token) -> Written:
        if not self._at("("):
            return Name(token.start, token.end, token.value)
        self._advance()
        arguments, end = self._arguments(")")
        return Apply(token.start, end, token.value, arguments)

    def _arguments(self, closing: str) -> tuple[tuple[Written, ...], int]:
        arguments: list[Written] = []
        while not self._at(closing):
            arguments.append(self.expression())
            if not self._at(closing):
                self.expect(",")
        return tuple(arguments), self._advance().end

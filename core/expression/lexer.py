"""Text to tokens."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from core.errors import Problem
from core.expression.types import (
    MAX_CHARACTERS,
    MAX_DIGITS,
    MAX_LITERAL,
    ExpressionError,
    problem,
)
from core.i18n import N_

TokenKind = Literal["name", "number", "text", "operator", "end"]

#: Words with a meaning of their own; a field of such a name is written in backticks.
KEYWORDS = frozenset(
    {"and", "or", "not", "in", "is", "empty", "if", "else", "true", "false", "null", "none"}
)

#: What a Chinese keyboard types for the same signs.
_WIDE = {
    "（": "(",
    "）": ")",
    "，": ",",
    "＋": "+",
    "－": "-",
    "＊": "*",
    "／": "/",
    "＜": "<",
    "＞": ">",
}

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\u3000]+)
    |(?P<number>(?:\d+(?:\.\d+)?|\.\d+))
    |(?P<name>[^\W\d]\w*)
    |(?P<quoted>`[^`\x00-\x1f]+`)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<operator>==|!=|<=|>=|[-+*/<>()\[\],.（），＋－＊／＜＞])""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_NAME = re.compile(r"[^\W\d]\w*")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Token:
    """One token with its place; `value` is what it means, `[start:end]` what was written."""

    kind: TokenKind
    value: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """Return the tokens of `text`, the last of kind `end`.

    Raises:
        ExpressionError: a character or a literal that is not allowed, or too long a text.
    """
    if len(text) > MAX_CHARACTERS:
        found = problem(
            MAX_CHARACTERS,
            "too_long",
            N_("The expression is longer than {limit} characters."),
            limit=MAX_CHARACTERS,
        )
        raise ExpressionError(problems=[found])
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        token, position = _next(text, position)
        if token is not None:
            tokens.append(token)
    tokens.append(Token("end", "", position, position))
    return tokens


def _next(text: str, position: int) -> tuple[Token | None, int]:
    match = _TOKEN.match(text, position)
    kind = match.lastgroup if match else None
    if match is None or kind is None:
        name = _NAME.match(text, position)
        if name is None:
            raise ExpressionError(problems=[_bad(text, position)])
        return _name(name.group(), position), name.end()
    written, end = match.group(), match.end()
    if kind == "space":
        return None, end
    if kind == "number":
        return _number(text, written, position, end), end
    if kind == "text":
        return _text(written, position, end), end
    if kind == "quoted":
        return Token("name", written[1:-1], position, end), end
    if kind == "name":
        # The ASCII pattern stops before the first other letter; names may hold any.
        name = _NAME.match(text, position)
        written = name.group() if name else written
        return _name(written, position), position + len(written)
    return Token("operator", _WIDE.get(written, written), position, end), end


def _name(written: str, start: int) -> Token:
    end = start + len(written)
    word = unicodedata.normalize("NFKC", written)
    if word.lower() in KEYWORDS and (word.islower() or word in {"True", "False", "None"}):
        return Token("operator", word.lower(), start, end)
    return Token("name", word, start, end)


def _number(text: str, written: str, start: int, end: int) -> Token:
    if sum(map(str.isdigit, written)) > MAX_DIGITS:
        found = problem(
            start, "number_too_long", N_("A number has at most {limit} digits."), limit=MAX_DIGITS
        )
        raise ExpressionError(problems=[found])
    if _NAME.match(text, end):
        found = problem(
            end,
            "bad_number",
            N_("There is a letter in the number {written}."),
            written=text[start : end + 1],
        )
        raise ExpressionError(problems=[found])
    return Token("number", written, start, end)


def _text(written: str, start: int, end: int) -> Token:
    value = _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), written[1:-1])
    if len(value) > MAX_LITERAL:
        found = problem(
            start, "text_too_long", N_("A text has at most {limit} characters."), limit=MAX_LITERAL
        )
        raise ExpressionError(problems=[found])
    for offset, char in enumerate(value):
        if (char < " " and char not in "\n\t") or "\ud800" <= char <= "\udfff":
            raise ExpressionError(problems=[_bad(value, offset, start)])
    return Token("text", value, start, end)


#: Punctuation of Chinese keyboards that looks like that of expressions.
FULL_WIDTH = dict(zip("，“”‘’（）＝＋－［］", ",\"\"''()=+-[]", strict=True))


def _bad(text: str, position: int, start: int | None = None) -> Problem:
    char = text[position]
    place = position if start is None else start
    if start is None and char in "'\"":
        return problem(place, "open_text", N_("This text has no closing quote."))
    if start is None and char == "=":
        return problem(place, "single_equals", N_("Write == to compare."))
    if char in FULL_WIDTH:
        text = N_("Type {plain} here, not the full-width {char}.")
        return problem(place, "bad_character", text, plain=FULL_WIDTH[char], char=char)
    shown = char if char.isprintable() else f"U+{ord(char):04X}"
    return problem(
        place, "bad_character", N_("The character {char} is not allowed here."), char=shown
    )

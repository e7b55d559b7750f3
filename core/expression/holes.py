"""Texts with expressions in braces, such as `{name} has {points} points`.

The text around the holes is never interpreted, and what a hole gives is never read
again: a value that looks like a hole stays the text it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hole:
    """An expression inside a text; `start` is where it begins, counted from 0."""

    text: str
    start: int


class UnclosedHole(ValueError):
    """A brace that opens and never closes, or closes and never opened."""

    def __init__(self, position: int) -> None:
        """Remember where the brace stands, counted from 0."""
        super().__init__(f"brace at {position}")
        self.position = position


def split_text(text: str) -> Iterator[str | Hole]:
    """Yield the plain parts and the holes of a text; `{{` and `}}` stand for braces.

    >>> list(split_text("Hi {name}, {{you}}"))
    ['Hi ', Hole(text='name', start=4), ', {you}']

    Raises:
        UnclosedHole: a brace has no partner.
    """
    plain: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in "{}" and text[at : at + 2] == char * 2:
            plain.append(char)
            at += 2
        elif char == "}":
            raise UnclosedHole(at)
        elif char == "{":
            end = _end(text, at)
            if plain:
                yield "".join(plain)
                plain = []
            yield Hole(text[at + 1 : end], at + 1)
            at = end + 1
        else:
            plain.append(char)
            at += 1
    if plain:
        yield "".join(plain)


def _end(text: str, start: int) -> int:
    """Return where the hole that opens at `start` closes; quotes may hold braces."""
    quote = ""
    for at in range(start + 1, len(text)):
        char = text[at]
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "}":
            return at
    raise UnclosedHole(start)


def plain_text(text: str) -> str:
    """Return a text in the form in which it stands for itself, braces doubled."""
    return text.replace("{", "{{").replace("}", "}}")

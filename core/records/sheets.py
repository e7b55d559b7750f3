"""A spreadsheet on its way to become a form: reading its columns, and what would not fit.

Both read the whole file, up to a bound of rows, through the same readers as an import.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from core.context import Context
from core.errors import Malformed, Problem
from core.i18n import N_
from core.policies.access import access
from core.records.csvreading import Row, read_header
from core.records.linkkeys import LinkKeys
from core.records.rowfiles import open_rows
from core.schema.choicetypes import split_texts
from core.schema.inference import (
    LINK,
    Column,
    Guess,
    Reader,
    guess_fields,
    is_enough,
    reader,
    title_of,
)
from core.schema.sheetforms import SheetForm, form_name

#: Rows that are looked at before a form is made; an import takes all of them.
MOST_ROWS = 100_000
#: Examples shown of what does not fit in one column.
_SHOWN = 3
#: Different values by which a column is recognized as the keys of other records.
_TRIED_KEYS = 200
_FEWEST_KEYS = 3
_MOST_EXAMPLE = 80
_PART = 2_000


@dataclass(slots=True)
class Misfits:
    """What does not fit in one column.

    Attributes:
        count: how many values.
        examples: (line of the file, value, what is wrong) of the first of them.
    """

    count: int = 0
    examples: list[tuple[int, str, Problem]] = field(default_factory=list)

    def add(self, line: int, text: str, problem: Problem) -> None:
        """Count one and keep it as an example while there are few."""
        self.count += 1
        if len(self.examples) < _SHOWN:
            self.examples.append((line, text[:_MOST_EXAMPLE], problem))


@dataclass(slots=True)
class SheetCheck:
    """How the rows of a file fit a form.

    Attributes:
        rows: rows looked at.
        refused: how many of them would be refused.
        is_whole: whether the file has no more rows than were looked at.
        columns: what does not fit, by the place of the column.
    """

    rows: int = 0
    refused: int = 0
    is_whole: bool = True
    columns: dict[int, Misfits] = field(default_factory=dict)


def guess_form(ctx: Context, path: Path, file: str) -> SheetForm:
    """Return the form that a file's columns and values suggest.

    Args:
        ctx: who makes it; the records are theirs to use and links are found by their rights.
        path: a workbook or a CSV file.
        file: what people call it.

    Raises:
        Malformed: the file cannot be read, has no usable header or no rows.
        TooLarge: it is over a bound.
    """
    rows = open_rows(path).rows()
    header = read_header(next(rows))
    if not header:
        raise Malformed(N_("The file has no header line."))
    columns = [Column(name) for name in header]
    for number, row in enumerate(rows):
        if number == MOST_ROWS:
            break
        for place, column in enumerate(columns):
            column.add(row.cells[place] if place < len(row.cells) else "")
    if not columns[0].rows:
        raise Malformed(N_("The file has a header and no rows."))
    keys = LinkKeys(ctx)
    guesses = [
        _linked(ctx, keys, guess, column)
        for guess, column in zip(guess_fields(columns), columns, strict=True)
    ]
    name, label = form_name(file, ctx.registry.release.types)
    return SheetForm(
        file=file[:200],
        name=name,
        label=label,
        roles=tuple(sorted(ctx.actor.roles)),
        title=title_of(guesses),
        fields=tuple(guesses),
    )


def _linked(ctx: Context, keys: LinkKeys, guess: Guess, column: Column) -> Guess:
    """Return a link where all values are the keys or titles of one type's records."""
    counts = {text.strip(): count for text, count in column.counts.most_common(_TRIED_KEYS)}
    texts = set(counts)
    if guess.type not in {"text", "select"} or guess.unique or len(texts) < _FEWEST_KEYS:
        return guess
    for name in link_targets(ctx):
        find = keys.ids(name, texts)
        known = sum(count for text, count in counts.items() if find(text) is not None)
        if is_enough(known / sum(counts.values()), column.filled):
            return msgspec.structs.replace(guess, type=f"{LINK}{name}", options=())
    return guess


def link_targets(ctx: Context) -> list[str]:
    """Return the record types whose records the actor may link to."""
    return [
        name
        for name, one in sorted(ctx.registry.release.types.items())
        if not one.archived and access(ctx, name).may("view")
    ]


def check_sheet(ctx: Context, path: Path, form: SheetForm) -> SheetCheck:
    """Return which rows of the file would not fit the form, with the reasons.

    Raises:
        Malformed: the file cannot be read.
    """
    check = SheetCheck(columns={place: Misfits() for place in _places(form)})
    readers = {place: _reader(form.fields[place]) for place in _places(form)}
    links = {place: form.fields[place].target for place in _places(form)}
    keys, seen = LinkKeys(ctx), {p: set[int]() for p in readers if form.fields[p].unique}
    rows = open_rows(path).rows()
    next(rows)
    for part in _parts(rows, check):
        finds = {
            place: keys.ids(target, {_cell(row, place) for row in part} - {""})
            for place, target in links.items()
            if target
        }
        for row in part:
            bad = False
            for place, read in readers.items():
                text = _cell(row, place)
                problem = _problem(form.fields[place], text, read)
                if problem is None and text and place in finds and finds[place](text) is None:
                    wrong = N_("There is no {target} with the key {key}.")
                    params = {"target": links[place], "key": text[:_MOST_EXAMPLE]}
                    problem = Problem("", "import.no_link", wrong, params)
                if problem is None and text and place in seen:
                    problem = _twice(text, seen[place])
                if problem is not None:
                    check.columns[place].add(row.line, text, problem)
                    bad = True
            check.refused += bad
    return check


def _places(form: SheetForm) -> list[int]:
    return [place for place, one in enumerate(form.fields) if one.include]


def _cell(row: Row, place: int) -> str:
    return row.cells[place] if place < len(row.cells) else ""


def _reader(guess: Guess) -> Reader:
    return reader(guess.field())


def _problem(guess: Guess, text: str, read: Reader) -> Problem | None:
    if not text:
        if guess.required:
            return Problem("", "field.required", N_("This is required."))
        return None
    if guess.type == "multi_select":
        text = ";".join(split_texts(text))
    error = read(text)
    return error.problems[0] if error else None


def _twice(text: str, seen: set[int]) -> Problem | None:
    mark = hash(text)
    if mark in seen:
        return Problem("", "conflict.taken", N_("This value is there twice."))
    seen.add(mark)
    return None


def _parts(rows: Iterator[Row], check: SheetCheck) -> Iterator[list[Row]]:
    """Yield the rows in parts whose links are looked up together."""
    part: list[Row] = []
    for row in rows:
        if check.rows == MOST_ROWS:
            check.is_whole = False
            break
        check.rows += 1
        part.append(row)
        if len(part) == _PART:
            yield part
            part = []
    if part:
        yield part

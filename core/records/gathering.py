"""Rows of a file gathered into the values of records, as a mapping says."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from core.errors import Problem
from core.i18n import N_
from core.records.csvreading import Row
from core.records.importreport import Report, RowProblem
from core.records.mapping import RowMapper, Values
from core.schema.fieldtypes import FieldError

#: One transaction takes so many records, rows or characters, whatever is reached first;
#: a record of more rows is refused.
BATCH = 200
BATCH_ROWS = 5_000
BATCH_CHARACTERS = 4_000_000


@dataclass(slots=True)
class Gathered:
    """One record gathered from its rows.

    Attributes:
        key: what its rows have in common, where rows are grouped.
        rows: of a grouped record the rows of its table field, else the one row.
        characters: how much of the file it took.
        stored: id and version of the record that it changes; None when it is a new one.
    """

    key: Any
    values: Values
    rows: list[Row]
    characters: int = 0
    stored: tuple[str, int] | None = None
    problems: list[RowProblem] = field(default_factory=list)


class Gatherer:
    """Gathers the records of one file."""

    def __init__(
        self, mapper: RowMapper, report: Report, refuse: Callable[[list[RowProblem]], None]
    ) -> None:
        """Count in `report` what is read; tell `refuse` of rows that belong to no record."""
        self._mapper, self._report, self._refuse = mapper, report, refuse

    def records(self, rows: Iterator[Row]) -> Iterator[Gathered]:
        """Yield records gathered from rows; the last one also when the file breaks off."""
        open_one: Gathered | None = None
        mapper, report, width = self._mapper, self._report, len(self._mapper.columns)
        for row in rows:
            report.rows += 1
            if len(row.cells) != width and not self._fit(row, width):
                continue
            values = dict(zip(mapper.columns, row.cells, strict=False))
            values["row_number"] = row.number  # type: ignore[assignment]
            values["line_number"] = row.line  # type: ignore[assignment]
            if mapper.keep is not None and mapper.keep(values) is not True:
                report.left_out += 1
                continue
            key = None if mapper.group is None else mapper.group(values)
            if open_one is not None and (mapper.group is None or key != open_one.key):
                yield open_one
                open_one = None
            if open_one is None:
                open_one = self._start(key, row, values)
            open_one.characters += sum(map(len, row.cells))
            if mapper.table:
                self._add_line(open_one, row, values)
        # A group that the file broke off in may have lost rows, so it is not written.
        if open_one is not None and (report.stopped is None or mapper.group is None):
            yield open_one

    def _fit(self, row: Row, width: int) -> bool:
        """Fill up a short row; refuse a long one."""
        if len(row.cells) < width:
            row.cells.extend([""] * (width - len(row.cells)))
            return True
        if any(row.cells[width:]):
            text = N_("The row has {found} cells, the header {wanted}.")
            params = {"found": len(row.cells), "wanted": width}
            problem = Problem("", "csv.cells", text, params)
            self._refuse([RowProblem(row.number, row.line, problem)])
            return False
        return True

    def _start(self, key: Any, row: Row, values: Mapping[str, Any]) -> Gathered:
        made = Gathered(key, {}, [row])
        self._evaluate(made, row, self._mapper.fields, values, made.values)
        if self._mapper.table:
            made.values[self._mapper.table] = []
            made.rows = []
        return made

    def _add_line(self, one: Gathered, row: Row, values: Mapping[str, Any]) -> None:
        line: Values = {}
        self._evaluate(one, row, self._mapper.cells, values, line)
        if len(one.rows) < BATCH_ROWS:
            one.values[self._mapper.table].append(line)
            one.rows.append(row)
        elif not one.problems:
            text = N_("More than {limit} rows belong to one record.")
            problem = Problem("", "import.too_many_rows", text, {"limit": BATCH_ROWS})
            one.problems.append(RowProblem(row.number, row.line, problem))

    def _evaluate(
        self,
        one: Gathered,
        row: Row,
        cells: Iterable[tuple[str, Any]],
        values: Mapping[str, Any],
        into: Values,
    ) -> None:
        try:
            into.update([(name, cell(values)) for name, cell in cells])
        except FieldError:
            pass  # going through them one by one names each that is wrong
        else:
            return
        for name, cell in cells:
            try:
                into[name] = cell(values)
            except FieldError as error:
                problem = Problem(name, error.code, error.text, error.params)
                one.problems.append(RowProblem(row.number, row.line, problem))


def batch(pending: Iterator[Gathered]) -> Iterator[Gathered]:
    """Yield the records of one transaction."""
    rows = characters = 0
    for one in islice(pending, BATCH):
        yield one
        rows += len(one.rows)
        characters += one.characters
        if rows >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            return

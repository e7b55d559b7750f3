"""Import of CSV files and workbooks through the same door as every other write.

Rows become records by a mapping, go in batches through `insert_many` — one transaction
each, with validation, policies, history and outbox — and a record whose key exists is
skipped, so an interrupted import is resumed by running it again. Rows that are grouped
must follow each other; a key that comes back later is refused, because its record is
already written. Memory does not grow with the file: keys seen are kept in a temporary
database, problems in the report file.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Problem, Taken, UserError
from core.i18n import N_
from core.policies.access import access
from core.records.creating import insert_many
from core.records.csvreading import Row, read_header
from core.records.importreport import Report, ReportFile, RowProblem
from core.records.linkkeys import LinkKeys, key_field
from core.records.mapping import (
    ImportMapping,
    RowMapper,
    Values,
    compile_mapping,
    mapping_by_header,
)
from core.records.rowfiles import open_rows
from core.schema.fieldtypes import FieldError
from core.schema.model import RecordType

#: One transaction takes so many records, rows or characters, whatever is reached first;
#: a record of more rows is refused.
BATCH = 200
BATCH_ROWS = 5_000
BATCH_CHARACTERS = 4_000_000
#: Problems kept in memory for whoever asked; the report file has all.
SHOWN = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: rows taken, and bytes read of the file as it lies on the disk."""

    rows: int
    position: int
    size: int


Watch = Callable[[Progress], None]


@dataclass(slots=True)
class _Pending:
    """One record gathered from its rows."""

    key: Any
    values: Values
    rows: list[Row]
    characters: int = 0
    problems: list[RowProblem] = field(default_factory=list)


class _DryRun(Exception):
    pass


def _undo() -> NoReturn:
    raise _DryRun


class _Seen:
    """The keys of one run, on disk."""

    def __init__(self) -> None:
        # An empty name is a temporary file that SQLite removes by itself.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def add(self, key: str) -> bool:
        """Note a key; return whether it is new."""
        done = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,))
        return done.rowcount == 1

    def __contains__(self, key: str) -> bool:
        found = self._database.execute("SELECT 1 FROM seen WHERE key = ?", (key,))
        return found.fetchone() is not None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._database.close()


def run_import(
    ctx: Context,
    type_name: str,
    path: Path,
    *,
    mapping: ImportMapping | None = None,
    dry_run: bool = False,
    progress: Watch | None = None,
    report_path: Path | None = None,
) -> Report:
    """Import a file and return what became of it.

    Args:
        ctx: who imports; the door should be `import`.
        type_name: the record type.
        path: a workbook (.xlsx) or a CSV file, maybe packed by gzip or xz.
        mapping: what to do with the columns; without one their names say it.
        dry_run: check everything and write nothing.
        progress: called once per batch.
        report_path: where to write what was refused, as CSV.

    Raises:
        Forbidden: the actor may not import records of the type.
        Malformed: the file has no usable header, or the mapping does not fit.
    """
    access(ctx, type_name).require("import")
    access(ctx, type_name).require("create")
    record_type = ctx.registry.record_type(type_name)
    source = open_rows(path, [one.name for one in record_type.fields if one.type == "table"])
    rows = source.rows()
    header = read_header(next(rows))
    zone = ctx.time_zone.key
    ignored: list[str] = []
    if mapping is None:
        mapper, ignored = mapping_by_header(
            record_type, header, zone, is_escaped=source.is_escaped
        )
    else:
        mapper = compile_mapping(mapping, record_type, header, zone)
    report = Report(dry_run=dry_run, ignored_columns=tuple(ignored))
    file = ReportFile(report_path, ctx.locale)

    def tell() -> None:
        if progress is not None:
            progress(Progress(report.rows, source.position, source.size))

    try:
        with _Seen() as seen:
            _Run(ctx, record_type, mapper, report, file, seen).go(rows, tell)
    finally:
        file.close()
    return report


class _Run:
    """One import under way."""

    def __init__(
        self,
        ctx: Context,
        record_type: RecordType,
        mapper: RowMapper,
        report: Report,
        file: ReportFile,
        seen: _Seen,
    ) -> None:
        self._ctx, self._type, self._mapper = ctx, record_type, mapper
        self._report, self._file, self._seen = report, file, seen
        self._links = LinkKeys(ctx)
        self._existing = self._existing_statement()
        #: Links to the type itself: where they are, and the key they name.
        self._own = [place for place, target in mapper.links.items() if target == record_type.name]
        self._own_key = key_field(record_type)

    def go(self, rows: Iterator[Row], tell: Callable[[], None]) -> None:
        """Import every row."""
        if self._report.dry_run and self._own:
            # Rows may link to rows before them: these must be there to be found.
            with suppress(_DryRun), self._ctx.writing():
                self._go(rows, tell)
                _undo()
        else:
            self._go(rows, tell)

    def _go(self, rows: Iterator[Row], tell: Callable[[], None]) -> None:
        pending = self._pending(self._readable(rows))
        while batch := list(_batch(pending)):
            for part in self._parts(self._unseen(batch)):
                self._write(part)
            tell()

    def _readable(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Yield rows up to where the file can no longer be read, and note why."""
        try:
            yield from rows
        except UserError as error:
            self._report.stopped = error
            self._note(
                RowProblem(
                    self._report.rows + 1, 0, Problem("", error.code, error.text, error.params)
                )
            )

    # -- rows to records ------------------------------------------------------------------

    def _pending(self, rows: Iterator[Row]) -> Iterator[_Pending]:
        """Yield records gathered from rows; the last one also when the file breaks off."""
        open_one: _Pending | None = None
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

    def _start(self, key: Any, row: Row, values: Mapping[str, Any]) -> _Pending:
        made = _Pending(key, {}, [row])
        self._evaluate(made, row, self._mapper.fields, values, made.values)
        if self._mapper.table:
            made.values[self._mapper.table] = []
            made.rows = []
        return made

    def _add_line(self, one: _Pending, row: Row, values: Mapping[str, Any]) -> None:
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
        one: _Pending,
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

    # -- records to the database ----------------------------------------------------------

    def _parts(self, batch: list[_Pending]) -> Iterator[list[_Pending]]:
        """Yield a batch in parts in which no record links to one before it in its part."""
        if not self._own or not self._own_key:
            yield batch
            return
        part: list[_Pending] = []
        keys: set[str] = set()
        for one in batch:
            if not keys.isdisjoint(self._own_links(one)):
                yield part
                part, keys = [], set()
            part.append(one)
            keys.add(str(one.values.get(self._own_key)))
        yield part

    def _own_links(self, one: _Pending) -> Iterator[str]:
        for table, name in self._own:
            for values in _rows_of(one, table) if table else (one.values,):
                if values.get(name) is not None:
                    yield from _keys(values[name])

    def _write(self, fresh: list[_Pending]) -> None:
        self._resolve(fresh)
        good = [one for one in fresh if not one.problems]
        for one in fresh:
            if one.problems:
                self._refuse(one.problems)
        if not good:
            return
        outcomes: Sequence[Any] = ()
        with suppress(_DryRun), self._ctx.writing() as connection:
            outcomes = self._insert(connection, [one.values for one in good])
            if self._report.dry_run and not self._own:
                _undo()
        for one, outcome in zip(good, outcomes, strict=True):
            if isinstance(outcome, UserError):
                self._refuse(self._placed(one, outcome))
            else:
                self._report.created += 1

    def _insert(self, connection: Connection, values: list[Values]) -> Sequence[Any]:
        """Write records; one that is alone is refused by an error of the whole call."""
        try:
            with connection.begin_nested():
                return insert_many(self._ctx, self._type.name, values)
        except Taken as error:
            return [error for _each in values]

    def _unseen(self, batch: list[_Pending]) -> list[_Pending]:
        """Return the records whose key is new; count and refuse the others."""
        name = self._mapper.key
        if not name:
            return batch
        stored = self._stored([one.values.get(name) for one in batch])
        fresh = []
        for one in batch:
            key = one.values.get(name)
            if key is None:
                fresh.append(one)
            elif self._mapper.group is not None and str(key) in self._seen:
                self._refuse_scattered(one, key)
            elif key in stored or not self._seen.add(str(key)):
                self._report.skipped += 1
            else:
                fresh.append(one)
        return fresh

    def _refuse_scattered(self, one: _Pending, key: Any) -> None:
        text = N_("The rows of {key} do not follow each other; sort the file by this column.")
        row = one.rows[0]
        problem = Problem(self._mapper.key, "import.scattered", text, {"key": str(key)[:80]})
        self._refuse([RowProblem(row.number, row.line, problem)])

    def _existing_statement(self) -> sa.Select[Any] | None:
        if not self._mapper.key:
            return None
        table = self._ctx.registry.tables[self._type.name].main
        column = table.c[self._mapper.key]
        return sa.select(column).where(
            column.in_(sa.bindparam("keys", expanding=True)), table.c.deleted_at.is_(None)
        )

    def _stored(self, keys: list[Any]) -> set[Any]:
        wanted = [key for key in dict.fromkeys(keys) if key is not None]
        if self._existing is None or not wanted:
            return set()
        with self._ctx.reading() as connection:
            return set(connection.scalars(self._existing, {"keys": wanted}))

    def _resolve(self, batch: list[_Pending]) -> None:
        """Put ids in the place of the keys of linked records."""
        for (table, name), target in self._mapper.links.items():
            if table:
                holders = [
                    (one, place, line)
                    for one in batch
                    for place, line in enumerate(_rows_of(one, table))
                ]
            else:
                holders = [(one, 0, one.values) for one in batch]
            given = [values.get(name) for _one, _place, values in holders]
            find = self._links.ids(target, _all_keys(given))
            for (one, place, values), value in zip(holders, given, strict=True):
                if type(value) is str and (only := find(value)) is not None:
                    values[name] = only
                elif value is not None:
                    path = f"{table}.{place}.{name}" if table else name
                    values[name] = self._found(one, path, target, (value, find))

    def _found(
        self,
        one: _Pending,
        path: str,
        target: str,
        wanted: tuple[Any, Callable[[str], str | None]],
    ) -> Any:
        """Return the id or ids of a key or keys; those that are not there are problems."""
        value, find = wanted
        keys = _keys(value)
        found = [find(key) for key in keys]
        if None in found:
            self._no_link(one, path, target, keys[found.index(None)])
            return value
        return found if isinstance(value, list) else found[0]

    def _no_link(self, one: _Pending, path: str, target: str, key: str) -> None:
        text = N_("There is no {target} with the key {key}.")
        problem = Problem(path, "import.no_link", text, {"target": target, "key": key[:80]})
        one.problems.append(self._at_row(one, problem))

    # -- the report -----------------------------------------------------------------------

    def _placed(self, one: _Pending, error: UserError) -> list[RowProblem]:
        """Return an error's problems at the rows they belong to."""
        problems = error.problems or (Problem("", error.code, error.text, error.params),)
        return [self._at_row(one, problem) for problem in problems]

    def _at_row(self, one: _Pending, problem: Problem) -> RowProblem:
        row, parts = one.rows[0], problem.path.split(".")
        if len(parts) > 1 and parts[0] == self._mapper.table and parts[1].isdecimal():
            row = one.rows[min(int(parts[1]), len(one.rows) - 1)]
        return RowProblem(row.number, row.line, problem)

    def _refuse(self, problems: list[RowProblem]) -> None:
        self._report.refused += 1
        for one in problems:
            self._note(one)

    def _note(self, one: RowProblem) -> None:
        self._file.write(one)
        if len(self._report.problems) < SHOWN:
            self._report.problems.append(one)


def _rows_of(one: _Pending, table: str) -> list[Values]:
    return one.values.get(table) or []


def _all_keys(values: Iterable[Any]) -> set[str]:
    """Return every key in the values of a link field."""
    keys: set[str] = set()
    for value in values:
        if type(value) is str:
            keys.add(value)
        elif value is not None:
            keys.update(_keys(value))
    return keys


def _keys(value: Any) -> list[str]:
    return list(map(str, value)) if isinstance(value, list) else [str(value)]


def _batch(pending: Iterator[_Pending]) -> Iterator[_Pending]:
    """Yield the records of one transaction."""
    rows = characters = 0
    for one in islice(pending, BATCH):
        yield one
        rows += len(one.rows)
        characters += one.characters
        if rows >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            return


__all__ = ["Progress", "Report", "RowProblem", "Watch", "run_import"]

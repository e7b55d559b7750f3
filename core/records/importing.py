"""Import of CSV files and workbooks through the same door as every other write.

Rows become records by a mapping, go in batches through `insert_many` — one transaction
each, with validation, policies, history and outbox — and a record whose key exists is
skipped, so an interrupted import is resumed by running it again, or changed when that
is asked for. What was written is noted, so that an import can be undone. Rows that are grouped
must follow each other; a key that comes back later is refused, because its record is
already written. Memory does not grow with the file: keys seen are kept in a temporary
database, problems in the report file.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Problem, Taken, UserError
from core.i18n import N_
from core.policies.access import access
from core.records.creating import insert_many
from core.records.csvreading import Row, read_header
from core.records.gathering import Gathered, Gatherer, batch
from core.records.importalike import Alike, AlikeRecords, compare
from core.records.importjournal import Journal
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
from core.records.scratch import Scratch
from core.records.together import try_each, written_together
from core.records.updating import change_record
from core.schema.model import RecordType
from core.schema.scopes import tables_of

#: Problems kept in memory for whoever asked; the report file has all.
SHOWN = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is: rows taken, and bytes read of the file as it lies on the disk."""

    rows: int
    position: int
    size: int


Watch = Callable[[Progress], None]


class _DryRun(Exception):
    pass


def _undo() -> NoReturn:
    raise _DryRun


class _Seen(Scratch):
    """The keys of one run, on disk."""

    def __init__(self) -> None:
        super().__init__("CREATE TABLE seen (key TEXT PRIMARY KEY) WITHOUT ROWID")

    def add(self, key: str) -> bool:
        """Note a key; return whether it is new."""
        done = self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,))
        return done.rowcount == 1

    def __contains__(self, key: str) -> bool:
        found = self._database.execute("SELECT 1 FROM seen WHERE key = ?", (key,))
        return found.fetchone() is not None


def run_import(  # noqa: PLR0913  each is a choice of who imports
    ctx: Context,
    type_name: str,
    path: Path,
    *,
    mapping: ImportMapping | None = None,
    update: bool = False,
    alike: Alike = "",
    dry_run: bool = False,
    progress: Watch | None = None,
    report_path: Path | None = None,
    name: str = "",
) -> Report:
    """Import a file and return what became of it.

    Args:
        ctx: who imports; the door should be `import`.
        type_name: the record type.
        path: a workbook (.xlsx) or a CSV file, maybe packed by gzip or xz.
        mapping: what to do with the columns; without one their names say it.
        update: change the records whose keys exist instead of skipping them; the columns
            of the file are what is changed, and an empty cell empties the field.
        alike: what to do with new records that look like stored ones, by the type's `duplicates`.
        dry_run: check everything and write nothing.
        progress: called once per batch.
        report_path: where to write what was refused, as CSV.
        name: what people call the file, for the list of imports; its own name by default.

    Raises:
        Forbidden: the actor may not import records of the type.
        Malformed: the file has no usable header, or the mapping does not fit.
    """
    rights = access(ctx, type_name)
    is_updating = update or (mapping is not None and mapping.existing == "update")
    rights.require("import")
    rights.require("edit" if is_updating else "create")
    record_type = ctx.registry.record_type(type_name)
    source = open_rows(path, [name for name, _table in tables_of(record_type)])
    rows = source.rows()
    header = read_header(next(rows))
    mapper, ignored = _mapper(ctx, record_type, mapping, header, is_escaped=source.is_escaped)
    report = Report(dry_run=dry_run, ignored_columns=tuple(ignored))
    file = ReportFile(report_path, ctx.locale)

    def tell() -> None:
        if progress is not None:
            progress(Progress(report.rows, source.position, source.size))

    journal = None if dry_run else Journal(ctx, type_name, name or path.name)
    compared = compare(ctx, type_name, alike, mapper.key)
    try:
        with _Seen() as seen:
            run = _Run(ctx, record_type, mapper, report, file, seen)
            run.journal, run.is_updating, run.compared = journal, is_updating, compared
            run.go(rows, tell)
    finally:
        file.close()
        if compared is not None:
            compared.close()
        if journal is not None:
            journal.end(report)
    return report


def _mapper(
    ctx: Context,
    record_type: RecordType,
    mapping: ImportMapping | None,
    header: list[str],
    *,
    is_escaped: bool,
) -> tuple[RowMapper, list[str]]:
    """Return what to do with the columns of a file, and those that are left aside."""
    zone = ctx.time_zone.key
    if mapping is None:
        return mapping_by_header(record_type, header, zone, is_escaped=is_escaped)
    return compile_mapping(mapping, record_type, header, zone), []


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
        self._may_create = access(ctx, record_type.name).may("create")
        self._existing = self._existing_statement()
        #: Links to the type itself: where they are, and the key they name.
        self._own = [place for place, target in mapper.links.items() if target == record_type.name]
        self._own_key = key_field(record_type)
        self.journal: Journal | None = None
        self.is_updating = False
        self.compared: AlikeRecords | None = None

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
        gatherer = Gatherer(self._mapper, self._report, self._refuse)
        pending = gatherer.records(self._readable(rows))
        while some := list(batch(pending)):
            for part in self._parts(self._unseen(some)):
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

    # -- records to the database ----------------------------------------------------------

    def _parts(self, batch: list[Gathered]) -> Iterator[list[Gathered]]:
        """Yield a batch in parts in which no record links to one before it in its part."""
        if not self._own or not self._own_key:
            yield batch
            return
        part: list[Gathered] = []
        keys: set[str] = set()
        for one in batch:
            if not keys.isdisjoint(self._own_links(one)):
                yield part
                part, keys = [], set()
            part.append(one)
            keys.add(str(one.values.get(self._own_key)))
        yield part

    def _own_links(self, one: Gathered) -> Iterator[str]:
        for table, name in self._own:
            for _path, values in _rows_of(one.values, table):
                if values.get(name) is not None:
                    yield from _keys(values[name])

    def _write(self, fresh: list[Gathered]) -> None:
        self._resolve(fresh)
        good = [one for one in fresh if not one.problems]
        for one in fresh:
            if one.problems:
                self._refuse(one.problems)
        good = self._unlike(good)
        if not good:
            return
        new = [one for one in good if one.stored is None]
        known = [one for one in good if one.stored is not None]
        outcomes: Sequence[Any] = ()
        with suppress(_DryRun), self._ctx.writing() as connection:
            outcomes = self._insert(connection, [one.values for one in new]) if new else ()
            outcomes = [*outcomes, *self._change(connection, known)]
            if self.journal is not None:
                self.journal.note(connection, [*new, *known], outcomes)
            if self._report.dry_run and not self._own:
                _undo()
        for one, outcome in zip([*new, *known], outcomes, strict=True):
            self._count(one, outcome)

    def _unlike(self, records: list[Gathered]) -> list[Gathered]:
        """Return the records to be written after a look at those that they look like."""
        if self.compared is None:
            return records
        wanted, told = self.compared.settle(records)
        for one, problem, is_refused in told:
            if is_refused:
                self._refuse([self._at_row(one, problem)])
            else:
                self._report.alike += 1
                self._note(self._at_row(one, problem))
        return wanted

    def _count(self, one: Gathered, outcome: Any) -> None:
        """Count what became of a record."""
        if isinstance(outcome, UserError):
            self._refuse(self._placed(one, outcome))
        elif one.stored is None:
            self._report.created += 1
        elif one.stored[1] == outcome["version"]:
            self._report.unchanged += 1
        else:
            self._report.updated += 1

    def _change(self, connection: Connection, known: list[Gathered]) -> Sequence[Any]:
        """Change stored records; return each, or why it was refused."""
        acts = [partial(self._changed, one, *(one.stored or ("", 0))) for one in known]
        with written_together(self._ctx, connection):
            return try_each(self._ctx, connection, acts)

    def _changed(self, one: Gathered, record_id: str, version: int) -> Mapping[str, Any]:
        row = change_record(self._ctx, self._type.name, record_id, one.values, version=version)
        # An effective document gets a proposal, which is the next version of it.
        return row or {"id": record_id, "version": version + 1}

    def _insert(self, connection: Connection, values: list[Values]) -> Sequence[Any]:
        """Write records; one that is alone is refused by an error of the whole call."""
        try:
            with connection.begin_nested():
                return insert_many(self._ctx, self._type.name, values)
        except Taken as error:
            return [error for _each in values]

    def _unseen(self, batch: list[Gathered]) -> list[Gathered]:
        """Return the records whose key is new; count and refuse the others."""
        name = self._mapper.key
        if not name:
            return batch
        stored = self._stored([one.values.get(name) for one in batch])
        return [one for one in batch if self._is_wanted(one, one.values.get(name), stored)]

    def _is_wanted(self, one: Gathered, key: Any, stored: Mapping[Any, tuple[str, int]]) -> bool:
        """Return whether a record is to be written; count it or refuse it if not."""
        one.stored = stored.get(key)
        if one.stored is None and not self._may_create:
            text = N_("There is no record with this key, and none may be created.")
            problem = Problem(self._mapper.key, "import.no_record", text, {"key": str(key)[:80]})
            self._refuse([self._at_row(one, problem)])
            return False
        if key is None:
            return True
        if self._mapper.group is not None and str(key) in self._seen:
            self._refuse_scattered(one, key)
            return False
        is_open = one.stored is None or self.is_updating
        is_wanted = is_open and self._seen.add(str(key))
        self._report.skipped += not is_wanted
        return is_wanted

    def _refuse_scattered(self, one: Gathered, key: Any) -> None:
        text = N_("The rows of {key} do not follow each other; sort the file by this column.")
        row = one.rows[0]
        problem = Problem(self._mapper.key, "import.scattered", text, {"key": str(key)[:80]})
        self._refuse([RowProblem(row.number, row.line, problem)])

    def _existing_statement(self) -> sa.Select[Any] | None:
        if not self._mapper.key:
            return None
        table = self._ctx.registry.tables[self._type.name].main
        column = table.c[self._mapper.key]
        return sa.select(column, table.c.id, table.c.version).where(
            column.in_(sa.bindparam("keys", expanding=True)), table.c.deleted_at.is_(None)
        )

    def _stored(self, keys: list[Any]) -> dict[Any, tuple[str, int]]:
        """Return the ids and versions of the records that have one of the keys."""
        wanted = [key for key in dict.fromkeys(keys) if key is not None]
        if self._existing is None or not wanted:
            return {}
        with self._ctx.reading() as connection:
            rows = connection.execute(self._existing, {"keys": wanted})
            return {key: (record_id, version) for key, record_id, version in rows}

    def _resolve(self, batch: list[Gathered]) -> None:
        """Put ids in the place of the keys of linked records."""
        for (table, name), target in self._mapper.links.items():
            holders = [
                (one, path, values)
                for one in batch
                for path, values in _rows_of(one.values, table)
            ]
            given = [values.get(name) for _one, _path, values in holders]
            find = self._links.ids(target, _all_keys(given))
            for (one, path, values), value in zip(holders, given, strict=True):
                if type(value) is str and (only := find(value)) is not None:
                    values[name] = only
                elif value is not None:
                    values[name] = self._found(one, path + name, target, (value, find))

    def _found(
        self,
        one: Gathered,
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

    def _no_link(self, one: Gathered, path: str, target: str, key: str) -> None:
        text = N_("There is no {target} with the key {key}.")
        problem = Problem(path, "import.no_link", text, {"target": target, "key": key[:80]})
        one.problems.append(self._at_row(one, problem))

    # -- the report -----------------------------------------------------------------------

    def _placed(self, one: Gathered, error: UserError) -> list[RowProblem]:
        """Return an error's problems at the rows they belong to."""
        problems = error.problems or (Problem("", error.code, error.text, error.params),)
        return [self._at_row(one, problem) for problem in problems]

    def _at_row(self, one: Gathered, problem: Problem) -> RowProblem:
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


def _rows_of(values: Values, table: str, path: str = "") -> Iterable[tuple[str, Values]]:
    """Return (path with a dot, values) of the rows at `table`; of the record itself without."""
    if not table:
        return ((path, values),)
    name, _, below = table.partition(".")
    return [
        found
        for place, row in enumerate(values.get(name) or ())
        for found in _rows_of(row, below, f"{path}{name}.{place}.")
    ]


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


__all__ = ["Progress", "Report", "RowProblem", "Watch", "run_import"]

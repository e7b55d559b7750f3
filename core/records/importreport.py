"""What an import tells: its figures, and every row that it refused, with the reason."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from core.errors import Problem, UserError
from core.i18n import translate


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing wrong with one row: `row` counts data rows, `line` lines of the file."""

    row: int
    line: int
    problem: Problem


@dataclass(slots=True)
class Report:
    """What an import did, or in a dry run would do.

    Attributes:
        rows: data rows read.
        left_out: rows that `where` left out.
        created: records written.
        updated: records changed.
        unchanged: records whose values were those of the file already.
        skipped: records whose key existed already.
        alike: records that looked like stored ones, skipped or not.
        refused: records, or rows, that were not taken.
        ignored_columns: columns of computed and system fields.
        problems: the first of them.
        stopped: why the file was not read to its end; None when it was.
    """

    dry_run: bool = False
    rows: int = 0
    left_out: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0
    alike: int = 0
    refused: int = 0
    ignored_columns: tuple[str, ...] = ()
    problems: list[RowProblem] = field(default_factory=list)
    stopped: UserError | None = None

    @property
    def is_clean(self) -> bool:
        """Return whether nothing was refused."""
        return not self.refused and self.stopped is None


class ReportFile:
    """The CSV of everything that was refused; without a path it keeps nothing."""

    def __init__(self, path: Path | None, locale: str) -> None:
        """Write to `path`, in the language of `locale`."""
        self._file = path.open("w", encoding="utf-8-sig", newline="") if path else None
        self._writer = csv.writer(self._file) if self._file else None
        self._locale = locale
        if self._writer:
            self._writer.writerow(["row", "line", "field", "code", "message"])

    def write(self, one: RowProblem) -> None:
        """Add one problem."""
        if self._writer:
            problem = one.problem
            text = translate(problem.text, self._locale or "en", **problem.params)
            self._writer.writerow(
                [one.row, one.line, *map(_safe, (problem.path, problem.code, text))]
            )

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()


def _safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text

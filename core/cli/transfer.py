"""`guanxi import` and `guanxi export`: records in and out of files, as streams."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from core.cli.console import (
    NOT_INSTALLED,
    Refusal,
    console_locale,
    open_services,
    refusing,
    system_context,
)
from core.context import Context
from core.i18n import translate
from core.records.exporting import export_csv, export_json
from core.records.importalike import Alike
from core.records.importing import Progress, Report, Watch, run_import
from core.records.mapping import load_mapping
from core.records.queries import Query
from core.security.services import Services

#: Problems that are shown at once; the report file has all.
_SHOWN = 20


@click.command("import")
@click.argument("type_name", metavar="TYPE")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--map",
    "mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What to do with the columns; without it their names say it.",
)
@click.option("--update", is_flag=True, help="Change records whose key exists; else skip them.")
@click.option(
    "--alike",
    type=click.Choice(["report", "skip", "update"]),
    help="What to do with new records that look like others, as the form declares it.",
)
@click.option("--dry-run", is_flag=True, help="Check everything and write nothing.")
@click.option("--report", type=click.Path(path_type=Path), help="Default: FILE.refused.csv")
@refusing
def import_(
    type_name: str,
    file: Path,
    mapping: Path | None,
    report: Path | None,
    *,
    update: bool,
    alike: Alike | None,
    dry_run: bool,
) -> None:
    """Import records of TYPE from FILE; exits with 1 when any row was refused."""
    services = open_services()
    ctx = _context(services)
    ctx.door = "import"
    report_path = report or file.with_name(f"{file.name}.refused.csv")
    with progress_bar(file.name) as progress:
        done = run_import(
            ctx,
            type_name,
            file,
            mapping=load_mapping(mapping.read_bytes(), mapping.name) if mapping else None,
            update=update,
            alike=alike or "",
            dry_run=dry_run,
            progress=progress,
            report_path=report_path,
        )
    services.db.dispose()
    _tell(done)
    if done.is_clean:
        report_path.unlink(missing_ok=True)
        return
    if done.stopped is not None:
        reason = translate(done.stopped.text, console_locale(), **dict(done.stopped.params))
        raise Refusal(f"The file was not read to its end: {reason} See {report_path}")
    raise Refusal(f"{done.refused:,} refused, see {report_path}")


@contextmanager
def progress_bar(label: str) -> Iterator[Watch | None]:
    """Yield what shows on a terminal how much of a file was read; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    rows = 0
    bar: Any = click.progressbar(
        length=1,
        label=label,
        file=sys.stderr,
        width=30,
        item_show_func=lambda _item: f"{rows:,} rows" if rows else None,
    )
    with bar:

        def show(at: Progress) -> None:
            nonlocal rows
            rows, bar.length = at.rows, max(at.size, 1)
            bar.update(at.position - bar.pos)
            bar.render_progress()  # the file may be read ahead of its rows

        yield show


def _tell(done: Report) -> None:
    did = "Would create" if done.dry_run else "Created"
    click.echo(
        f"{did} {done.created:,}, {_changed(done)}skipped {done.skipped:,} that exist, "
        f"{_alike(done)}refused {done.refused:,}"
        f" (rows read: {done.rows:,}, left out: {done.left_out:,})"
    )
    if done.ignored_columns:
        click.echo(f"Ignored columns: {', '.join(done.ignored_columns)}", err=True)
    for one in done.problems[:_SHOWN]:
        text = translate(one.problem.text, console_locale(), **dict(one.problem.params))
        click.echo(f"line {one.line}: {one.problem.path}: {text}", err=True)


def _alike(done: Report) -> str:
    """Return what to say of records that looked like others."""
    return f"{done.alike:,} look like others, " if done.alike else ""


def _changed(done: Report) -> str:
    """Return what to say of records that an update met."""
    if not done.updated + done.unchanged:
        return ""
    return f"changed {done.updated:,}, left {done.unchanged:,} as they were, "


@click.command()
@click.argument("type_name", metavar="TYPE")
@click.option("--format", "kind", type=click.Choice(["csv", "xlsx", "json"]), default="csv")
@click.option("--filter", "condition", default="", help="An expression over the record.")
@refusing
def export(type_name: str, kind: str, condition: str) -> None:
    """Write every record of TYPE to standard output."""
    if kind == "xlsx" and sys.stdout.isatty():
        raise click.UsageError("A workbook is no text: send it to a file with > FILE.xlsx")
    services = open_services()
    ctx = _context(services)
    out = sys.stdout.buffer
    for piece in _FORMATS[kind](ctx, type_name, Query(filter=condition)):
        out.write(piece)
    out.flush()
    services.db.dispose()


def _csv(ctx: Context, type_name: str, query: Query) -> Iterator[bytes]:
    return map(str.encode, export_csv(ctx, type_name, query))


def _json(ctx: Context, type_name: str, query: Query) -> Iterator[bytes]:
    return map(str.encode, export_json(ctx, type_name, query))


def _xlsx(ctx: Context, type_name: str, query: Query) -> Iterator[bytes]:
    from core.records.worksheets import export_xlsx  # noqa: PLC0415  seldom needed

    return export_xlsx(ctx, type_name, query)


_FORMATS: dict[str, Callable[[Context, str, Query], Iterator[bytes]]] = {
    "csv": _csv,
    "json": _json,
    "xlsx": _xlsx,
}


def _context(services: Services) -> Context:
    ctx = system_context(services)
    if not ctx.registry.release.number:
        raise Refusal(NOT_INSTALLED)
    return ctx

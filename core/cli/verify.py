"""`guanxi verify`: proves from the raw rows that nothing was changed behind the product's back."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import click
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.appendonly import unguarded
from core.audit import history
from core.cli.console import NOT_INSTALLED, Refusal, open_services, refusing, system_context
from core.files.evidence import content_problems, count_contents
from core.ledger import proof
from core.migration.verify import table_problems
from core.records.history import history_problems
from core.records.inforceproof import count_effects, in_force_problems
from core.records.userevents import user_problems
from core.security.services import Services
from core.workflow.evidence.events import prove, strays
from core.workflow.evidence.rootfiles import export_roots, file_problems, root_files
from core.workflow.evidence.roots import last_root, make_roots, root_problems

#: So many breaks are named; more say no more.
_NAMED = 50


@click.command()
@click.option(
    "--roots",
    type=click.Path(exists=True, path_type=Path),
    help="A root's file, or a folder of them, which is then brought up to date.",
)
@refusing
def verify(roots: Path | None) -> None:
    """Prove the histories, approvals, tables, ledger and files; exit with 1 on any break.

    Only exported roots can show that the last events of an approval, or all of it, are gone.
    """
    services = open_services()
    registry = services.registries.current()
    if not registry.release.number:
        raise Refusal(NOT_INSTALLED)
    breaks = 0
    breaks += _report("tables agree with the schema", table_problems(services.db, registry))
    events = _count(services)
    proved = f"histories of {events:,} events are whole and unaltered"
    breaks += _report(proved, history_problems(services.db, registry))
    proved = f"documents in force agree with their {count_effects(services.db):,} effects"
    breaks += _report(proved, in_force_problems(services.db, registry))
    with services.db.read() as connection:
        told = "what was done with people's rights is whole and unaltered"
        breaks += _report(told, user_problems(connection))
        breaks += _approvals(connection)
        breaks += _roots(connection, roots)
    breaks += _ledger(services)
    contents = count_contents(services.db)
    proved = f"contents of {contents:,} files are there, byte by byte"
    breaks += _report(proved, content_problems(services.db, services.files))
    if breaks:
        raise Refusal("The database does not prove.")
    if roots is not None and roots.is_dir():
        _carry(services, roots)
    services.db.dispose()
    click.echo("Proved.")


def _approvals(connection: Connection) -> int:
    """Prove each approval's chain and rows; return how many breaks were found."""
    guarded = "the database refuses to change events, votes and postings"
    breaks = _report(guarded, (f"{name} has lost its trigger" for name in unguarded(connection)))
    instances = events = erased = 0
    problems: list[str] = []
    for one in prove(connection):
        instances, events, erased = instances + 1, events + one.events, erased + one.erased
        if len(problems) <= _NAMED:
            problems += map(str, one.problems)
    proved = f"{events:,} events prove the rows of {instances:,} approvals"
    if erased:
        proved += f"; {erased:,} of them were stripped of a person"
    return breaks + _report(proved, [*problems, *map(str, strays(connection))])


def _roots(connection: Connection, exported: Path | None) -> int:
    """Prove the roots, and that approvals reach what exported ones saw; count the breaks."""
    last = last_root(connection)
    proved = f"{last.number if last else 0:,} roots of approvals are whole"
    breaks = _report(proved, map(str, root_problems(connection)))
    if exported is None:
        return breaks
    files = root_files(exported)
    problems = (str(each) for one in files for each in file_problems(connection, one))
    return breaks + _report(f"approvals reach what {len(files):,} exported roots saw", problems)


def _ledger(services: Services) -> int:
    """Prove every posting, account, lot and hold at one moment; count the breaks."""
    with proof.snapshot(services.db) as connection:
        proved = f"{proof.count_postings(connection):,} postings prove every balance"
        return _report(proved, proof.problems(connection))


def _carry(services: Services, folder: Path) -> None:
    """Cover what happened since the last root, and write the files that the folder lacks."""
    make_roots(system_context(services))
    with services.db.read() as connection:
        written = export_roots(connection, folder)
    click.echo(f"ok       {written:,} roots written to {folder}")


def _count(services: Services) -> int:
    with services.db.read() as connection:
        count = sa.select(sa.func.count()).select_from(history)
        return int(connection.execute(count).scalar_one())


def _report(what: str, problems: Iterable[str]) -> int:
    """Print what was proved, or its breaks; return how many breaks were found, up to a bound."""
    found = list(islice(problems, _NAMED + 1))
    click.echo(f"{'FAILED' if found else 'ok':8} {what}")
    for problem in found[:_NAMED]:
        click.echo(f"         {problem}", err=True)
    if len(found) > _NAMED:
        click.echo("         … and more", err=True)
    return len(found)

"""`make bench`: run everything on both databases and print the table."""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from core.testing.databases import BACKENDS, Storage
from tests.bench.bulk import expressions, importing, publishing
from tests.bench.flows import flows
from tests.bench.forms import forms
from tests.bench.lists import lists
from tests.bench.measure import Result, as_json, table
from tests.bench.pricing import pricing
from tests.bench.proofs import proofs
from tests.bench.replay import replays
from tests.bench.requests import request_costs, served
from tests.bench.site import installation
from tests.bench.till import till


def measured(folder: Path, backends: list[str]) -> Iterator[Result]:
    """Yield every result, telling on standard error what is under way."""
    yield from expressions()
    yield from proofs()
    yield from pricing()
    for database in backends:
        storage = Storage(database, folder)
        try:
            with installation(storage.text, folder / database) as environ:
                for part in (
                    request_costs(database, environ),
                    publishing(database, environ, folder),
                    served(database, environ),
                    importing(database, environ, folder),
                    lists(database, environ, folder),
                    forms(database, environ, folder),
                    replays(database, environ),
                    flows(database, environ, folder),
                    till(database, environ),
                ):
                    for one in part:
                        print(f"{one.database} {one.operation}", file=sys.stderr)
                        yield one
        finally:
            storage.drop()


def main() -> int:
    """Print the table; with `--json FILE` write it too; exit 1 when a limit was missed."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--database", choices=BACKENDS, help="only on this one")
    arguments = parser.parse_args()
    backends = [arguments.database] if arguments.database else list(BACKENDS)
    with tempfile.TemporaryDirectory(prefix="gx_bench_") as folder:
        results = list(measured(Path(folder), backends))
    print(table(results))
    if arguments.json:
        arguments.json.write_bytes(as_json(results))
    return 0 if all(one.is_met for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())

"""A process that publishes, for tests that start two at once or kill one half way.

python publish_process.py URL start FOLDER          boot and publish the files in FOLDER
python publish_process.py URL change KILL_AT        publish a change, die at step KILL_AT
"""

import os
import signal
import sys
from pathlib import Path

from core.actor import SYSTEM
from core.clock import Clock
from core.db import Database
from core.extension.hooks import Hooks
from core.migration.files import publish_disk
from core.migration.run import Publication, bootstrap, publish
from core.schema.model import Field, RecordType, Release, View
from core.settings import Settings
from core.tables.registry import Registries

FIRST = RecordType(
    name="member",
    fields=(
        Field(id="1", name="no", type="text"),
        Field(id="2", name="old", type="text"),
        Field(id="3", name="price", type="money", precision=2),
    ),
)
SECOND = RecordType(
    name="member",
    fields=(
        Field(id="1", name="no", type="text", unique=True),
        Field(id="2", name="fresh", type="text"),
        Field(id="3", name="price", type="money", precision=2),
        Field(id="4", name="code", type="text", unique=True),
        Field(id="5", name="plain", type="text"),
        Field(
            id="6",
            name="double",
            type="formula",
            formula="price * 2",
            result="money",
            precision=2,
            stored=True,
        ),
    ),
    views=(View(name="all", columns=("no",), sort=("-price",)),),
)


class _Parts:
    """What `publish_disk` needs."""

    def __init__(self, db, folder):
        self.db, self.registries, self.hooks, self.clock = db, Registries(db), Hooks(), Clock()
        self.settings = Settings(
            home=folder / "home",
            database_url="",
            secret_key="",
            schemas=folder,
            plugins=folder / "plugins",
        )


def publication(number, record_type):
    release = Release(number=number, types={record_type.name: record_type})
    return Publication(release, [], "", SYSTEM, Clock().now())


def _die_at(number):
    seen = 0

    def on_step(_step):
        nonlocal seen
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    return on_step


def main(url, action, argument):
    db = Database(url)
    if action == "start":
        bootstrap(db)
        sys.stdout.write(f"{publish_disk(_Parts(db, Path(argument)), [])}\n")
    else:
        publish(db, publication(2, SECOND), on_step=_die_at(int(argument)))


if __name__ == "__main__":
    main(*sys.argv[1:])

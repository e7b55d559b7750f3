"""Publishes YAML in processes that die at a step, for tests that look at what they left.

python release_process.py URL FILE      reads step numbers, one a line; answers with the exit
                                        status of a process killed just before that step
"""

import os
import signal
import sys
from pathlib import Path

import msgspec

from core.actor import SYSTEM
from core.clock import Clock
from core.db import Database
from core.migration.drafts import propose_draft
from core.migration.run import Publication, publish


def publish_until(url, file, kill_at):
    db, seen = Database(url), 0
    with db.read() as connection:
        proposal = propose_draft(connection, {"yaml": Path(file).read_text(encoding="utf-8")})
    sources = [msgspec.to_builtins(one) for one in proposal.sources]

    def on_step(_step):
        nonlocal seen
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        seen += 1

    made = Publication(proposal.release, sources, "", SYSTEM, Clock().now())
    publish(db, made, on_step=on_step)


def main(url, file):
    for line in sys.stdin:
        child = os.fork()  # this process has no thread and no connection
        if not child:
            publish_until(url, file, int(line))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

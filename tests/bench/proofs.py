"""What proving a flow against the staff costs when it is published."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

from core.records.people import Person
from core.schema.layers import effective
from core.schema.yamlnodes import Source
from core.workflow.rehearsal.plainworld import PlainFlow
from core.workflow.rehearsal.proving import Place, prove
from core.workflow.staff.roster import Post, Staff
from tests.bench.measure import Result

STEPS, STORES, PEOPLE = 60, 500, 10_000
_LIMIT_S = 3.0
_WAYS = (
    "{position: store_manager, at: shop}",
    "{role: finance, at: shop}",
    "{chain_of: initiator, upto: {level: 2}}",
    "{role: finance}",
)
_FILES = {
    "note.yaml": "record_type: note\ndocument: true\nfields:\n"
    "  - {name: amount, type: money}\n  - {name: shop, type: link, target: store}\n",
    "store.yaml": "record_type: store\nfields: [{name: name, type: text}]\n",
    "roles.yaml": "roles: [{name: finance}]\npositions: [{name: store_manager, manages: true}]\n",
}


def proofs() -> Iterator[Result]:
    """Check and prove a flow of 60 steps, half of them in branches, over 500 stores."""
    steps = "".join(_step(number) for number in range(STEPS // 2))
    flow = f"flow: long\nversion: 1\ndocument: note\nsteps:\n{steps}"
    sources = [Source("core", name, text) for name, text in (_FILES | {"flow.yaml": flow}).items()]
    staff, places = _staff(), [Place(f"s{n}", "store", f"S{n}") for n in range(STORES)]
    begin = time.process_time()
    release = effective(sources, None, 1)
    found = prove(
        PlainFlow(release, release.flows["long"]), staff, places, datetime(2026, 1, 5, tzinfo=UTC)
    )
    spent = time.process_time() - begin
    yield Result(
        "-",
        f"check and prove a flow, {STEPS} steps over {STORES} stores",
        cpu_ms=spent * 1000,
        note=f"{found.seats} seats, {PEOPLE} people",
        limit=f"≤ {_LIMIT_S:.0f} s",
        is_met=spent <= _LIMIT_S,
    )


def _step(number: int) -> str:
    """Return one step and one in a branch behind it."""
    plain, deep = _WAYS[number % len(_WAYS)], _WAYS[(number + 1) % len(_WAYS)]
    inner = f"{{id: deep{number}, approvers: {deep}}}"
    return (
        f"  - {{id: plain{number}, approvers: {plain}}}\n"
        f"  - {{id: branch{number}, type: branch, else: [], "
        f"cases: [{{when: amount > {number}, steps: [{inner}]}}]}}\n"
    )


def _staff() -> Staff:
    people = {str(n): Person(str(n), f"p{n}", f"P{n}") for n in range(PEOPLE)}
    return Staff(
        people=people,
        roles={"finance": tuple(list(people)[:200])},
        places={
            one: (Post("store_manager" if int(one) % 7 == 0 else "", f"s{int(one) % STORES}"),)
            for one in people
        },
        heads=("store_manager",),
    )

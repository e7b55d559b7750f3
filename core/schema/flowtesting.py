"""What the tests inside a flow's file say, and the door through which they are run.

The engine that runs them lies above the schema, so it registers itself here.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.businesstime import BusinessTimeError, parse_duration
from core.i18n import N_
from core.schema.flows import Flow
from core.schema.model import Release

#: Verbs of the whole instance, which stand alone.
INSTANCE_VERBS = ("submit", "withdraw", "suspend", "resume", "terminate")

_STEP = re.compile(r"([a-z0-9_]+(?:/[a-z0-9_]+)?)(?:\.([^.\s]+))?\.([a-z_]+)(?:\s+(\S+))?")
_EDIT = re.compile(r"edit\s+([^\s=]+)\s*=\s*(.*)", re.DOTALL)


class ActError(ValueError):
    """An act of a test cannot be read; `text` and `params` say why, to be translated."""

    def __init__(self, text: str, /, **params: Any) -> None:
        """Keep the English template and its values."""
        super().__init__(text)
        self.text = text
        self.params = params


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that happens in a test.

    Attributes:
        kind: `instance` (a verb alone), `step` (a verb of a seat), `edit` or `wait`.
        field: of an edit: the field, `lines.rate` is that of every row.
        value: of an edit, as it is written; of a wait, the duration.
        to: where a return goes, or who a verb is about; empty is the first that may be.
    """

    kind: Literal["instance", "step", "edit", "wait"]
    verb: str = ""
    step: str = ""
    seat: str = ""
    field: str = ""
    value: str = ""
    to: str = ""


def parse_act(text: str) -> Act:
    """Return what an act says; raises ActError.

    >>> parse_act("countersign.finance.approve").seat
    'finance'
    """
    text = text.strip()
    if text in INSTANCE_VERBS:
        return Act("instance", verb=text)
    edit = _EDIT.fullmatch(text)
    if edit is not None:
        return Act("edit", field=edit[1], value=edit[2].strip())
    if text.startswith("wait "):
        duration = text.removeprefix("wait ").strip()
        try:
            parse_duration(duration)
        except BusinessTimeError as error:
            raise ActError(error.text, **error.params) from error
        return Act("wait", value=duration)
    step = _STEP.fullmatch(text)
    if step is None:
        told = N_(
            "“{act}” is nothing that happens in a test: write submit, STEP.VERB, "
            "STEP.SEAT.VERB, STEP.return STEP, edit FIELD=VALUE, wait 24bh or withdraw."
        )
        raise ActError(told, act=text[:80])
    return Act("step", verb=step[3], step=step[1], seat=step[2] or "", to=step[4] or "")


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that did not end as it says.

    Attributes:
        flow: whose it is.
        test: its name.
        place: its place among the flow's tests.
        text: what differed, with `params`; to be translated.
    """

    flow: str
    test: str
    place: int
    text: str
    params: Mapping[str, Any] = field(default_factory=dict)


#: Runs the tests of a flow of a release and returns those that fail.
RunTests = Callable[[Flow, Release], Iterable[Failure]]
_RUNS: list[RunTests] = []


def run_tests_with(run: RunTests) -> None:
    """Have the tests of flows run by `run` from now on, whenever a schema is made."""
    _RUNS[:] = [run]


def failures_of(release: Release) -> list[Failure]:
    """Return the tests of all flows of a release that fail."""
    return [
        one
        for flow in release.flows.values()
        if flow.tests
        for run in _RUNS
        for one in run(flow, release)
    ]

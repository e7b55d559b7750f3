"""Files that plugins make of a record for another machine, such as a card printer.

They are no exports: making one may write, so it is asked for and never just linked to.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.schema.modelbase import Label


@dataclass(frozen=True, slots=True)
class Sheet:
    """What stands in such a file: heads of columns, and rows of as many texts."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class FileCall:
    """Somebody asks for a file.

    Attributes:
        again: it was made before, and whoever asks knows what making it again does.
    """

    record_type: str
    record_id: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class RecordFile:
    """One kind of file; returned by `guanxi_register_files`.

    Attributes:
        name: its own name; addresses have `PLUGIN.NAME`.
        record_type: the records that it is made of.
        action: the right that somebody needs, of `core.schema.rights.ACTIONS`.
        run: called as `run(ctx, call)` in a write transaction; returns a `Sheet`.
        label: on the button; `again_label` on the one that makes it once more, none without.
        plugin: whose it is; the product fills it in.
    """

    name: str
    record_type: str
    action: str
    run: Callable[[Any, FileCall], Sheet]
    label: Label = field(default_factory=dict)
    again_label: Label = field(default_factory=dict)
    plugin: str = ""

    @property
    def full_name(self) -> str:
        """Return the name that addresses have."""
        return f"{self.plugin}.{self.name}"


_FILES: dict[str, RecordFile] = {}


def register_files(plugin: str, files: Iterable[RecordFile]) -> None:
    """Let people ask for the files of a plugin.

    Raises:
        TypeError: one of them is no `RecordFile`.
    """
    for one in files:
        if not isinstance(one, RecordFile) or not callable(one.run):
            raise TypeError(f"{one!r} is no RecordFile")
        made = replace(one, plugin=plugin)
        _FILES[made.full_name] = made


def files_of(record_type: str) -> tuple[RecordFile, ...]:
    """Return the files that can be made of a type's records, by name."""
    found = sorted(_FILES.items())
    return tuple(one for _, one in found if one.record_type == record_type)

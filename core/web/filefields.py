"""What a form says of a file field: which files it holds, and what fits in."""

from dataclasses import dataclass

from core.files.fitting import size_text
from core.files.pictures import MEDIA_TYPES
from core.schema.filetypes import FILE_TYPES, USUAL_FILES, most_bytes
from core.schema.model import Field
from core.web.display import FILES, Reading


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What a file field takes.

    Attributes:
        most: how many files.
        bytes: how many each may have; `size` is the same for people.
        accept: media types, with commas between them; empty takes all.
    """

    most: int
    bytes: int
    size: str
    accept: str


def file_limits(field: Field) -> FileLimits | None:
    """Return what `field` takes; None when it holds no files."""
    if field.type not in FILE_TYPES:
        return None
    accept = field.accept or (sorted(MEDIA_TYPES) if field.type == "image" else ())
    limit = most_bytes(field)
    return FileLimits(
        most=(field.max_count or USUAL_FILES) if field.type == "files" else 1,
        bytes=limit,
        size=size_text(limit),
        accept=",".join(accept),
    )


def named_files(ids: list[str], reading: Reading) -> list[tuple[str, str]]:
    """Return files with their names."""
    return [(each, reading.titles.get((FILES, each), each)) for each in ids]

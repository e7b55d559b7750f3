"""Field types that hold uploaded files, by the ids that uploading them gave.

What a file may be is checked when a record takes it in: its type as the product found
it in the content, never as the name or the sender says, and its size.
"""

import re
from collections.abc import Iterable
from random import Random
from typing import Any, ClassVar

from core.expression.types import Type
from core.schema.choicetypes import ListType, list_loader
from core.schema.fieldbase import FieldType, Loader, Storage
from core.schema.model import Field
from core.schema.relationtypes import check_id, sample_id

#: Bytes of one file that are taken at all, and where a field does not say `max_size`.
MOST_BYTES = 50 * 1024 * 1024
USUAL_BYTES = 20 * 1024 * 1024
#: A drawn signature is a small picture.
SIGNATURE_BYTES = 512 * 1024
#: Files of one `files` field, and where it does not say `max_count`.
MOST_FILES = 100
USUAL_FILES = 20

_SIZE = re.compile(r"([1-9][0-9]{0,5}) ?(KB|MB)")
_UNITS = {"KB": 1024, "MB": 1024 * 1024}
_ACCEPT = re.compile(r"(application|audio|font|image|text|video)/(\*|[a-z0-9][a-z0-9.+-]{0,99})")


def size_in_bytes(text: str) -> int:
    """Return what a size such as `5 MB` or `200KB` is in bytes.

    Raises:
        ValueError: it is no size, or more than is taken at all.
    """
    found = _SIZE.fullmatch(text)
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < size <= MOST_BYTES:
        raise ValueError(text)
    return size


def is_media_range(text: str) -> bool:
    """Return whether a text is a media type, or all of a family such as `image/*`."""
    return _ACCEPT.fullmatch(text) is not None


def most_bytes(field: Field) -> int:
    """Return the largest file that `field` takes, in bytes."""
    if field.type == "signature":
        return SIGNATURE_BYTES
    return size_in_bytes(field.max_size) if field.max_size else USUAL_BYTES


def file_ids(field: Field, value: Any) -> tuple[str, ...]:
    """Return the ids that a value of one of the types here holds."""
    if not value:
        return ()
    return tuple(value) if field.type == "files" else (value,)


class FileType(FieldType):
    """One uploaded file of any type."""

    name = "file"
    properties = frozenset({"accept", "max_size"})
    operators: ClassVar[tuple[str, ...]] = ("is empty", "is not empty")
    widget = "file"

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every id is kept alike
        """Return an id column."""
        return Storage("id")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every file is alike
        """Return a reference with nothing to follow: it is there or it is empty."""
        return Type("record")

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that takes the id of an upload."""

        def load(value: Any) -> str | None:
            return None if value is None or value == "" else check_id(value)

        return load

    def sample(self, field: Field, random: Random) -> Any:  # noqa: ARG002  same for all fields
        """Return an id of no particular file."""
        return sample_id(random)


class FilesType(ListType):
    """Several uploaded files, in order."""

    name = "files"
    properties = frozenset({"accept", "max_size", "max_count"})
    operators: ClassVar[tuple[str, ...]] = ("is empty", "is not empty")
    widget = "files"

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every list is alike
        """Return a list that can be counted."""
        return Type("choices")

    def loader(self, field: Field) -> Loader:
        """Return a function that takes a list of ids of uploads, each at most once."""
        return list_loader(check_id, USUAL_FILES if field.max_count is None else field.max_count)

    def sample(self, field: Field, random: Random) -> Any:
        """Return up to three ids of no particular files."""
        most = min(3, USUAL_FILES if field.max_count is None else field.max_count)
        return [sample_id(random) for _ in range(random.randint(0, most))] or None


class ImageType(FileType):
    """A picture: PNG, JPEG, GIF or WebP; shown small where there is no room."""

    name = "image"
    widget = "image"


class SignatureType(FileType):
    """A signature drawn in the form, kept as a PNG picture."""

    name = "signature"
    properties = frozenset()
    widget = "signature"


TYPES: tuple[FieldType, ...] = (FileType(), FilesType(), ImageType(), SignatureType())

#: Names of the types here.
FILE_TYPES = frozenset(kind.name for kind in TYPES)
#: Those whose files must be pictures.
PICTURE_TYPES = frozenset({"image", "signature"})


def accepts(accept: Iterable[str], media_type: str, *, is_active: bool) -> bool:
    """Return whether a field with `accept` takes a media type; an empty one takes all.

    A family such as `image/*` or `text/*` leaves out what a browser could run (SVG, HTML);
    who wants those names them.
    """
    accept = tuple(accept)
    if not accept or media_type in accept:
        return True
    family = media_type.partition("/")[0] + "/*"
    return family in accept and not is_active

"""Whether a file is one that a field takes: type, size, picture; for every door."""

from collections.abc import Mapping
from typing import Any

from core.errors import Problem
from core.files.pictures import MOST_PIXELS
from core.files.sniffing import ACTIVE
from core.i18n import N_
from core.schema.filetypes import PICTURE_TYPES, accepts, most_bytes
from core.schema.model import Field


def misfit(field: Field, row: Mapping[str, Any], path: str) -> Problem | None:
    """Return why `field` does not take the file of a `gx_file` row; None when it does."""
    limit = most_bytes(field)
    if row["size"] > limit:
        text = N_("The file {name} has {size}; at most {limit} fit here.")
        sizes = {"size": size_text(row["size"]), "limit": size_text(limit)}
        return Problem(path, "file.too_large", text, {"name": row["name"], **sizes})
    if field.type in PICTURE_TYPES and row["thumbnail"] is None:
        return _no_picture(row, path)
    media_type = row["media_type"]
    if field.type == "signature" and media_type != "image/png":
        text = N_("A signature is a PNG picture.")
        return Problem(path, "file.not_signature", text)
    if not accepts(field.accept, media_type, is_active=media_type in ACTIVE):
        text = N_("The file {name} is of the type {type}; this takes {accept}.")
        params = {"name": row["name"], "type": media_type, "accept": ", ".join(field.accept)}
        return Problem(path, "file.type", text, params)
    return None


def _no_picture(row: Mapping[str, Any], path: str) -> Problem:
    if row["width"] is not None:
        text = N_("The picture {name} has more than {limit} million points.")
        params = {"name": row["name"], "limit": MOST_PIXELS // 1_000_000}
        return Problem(path, "file.too_many_pixels", text, params)
    text = N_("The file {name} is not a PNG, JPEG, GIF or WebP picture.")
    return Problem(path, "file.not_picture", text, {"name": row["name"]})


def size_text(size: int) -> str:
    """Return a size as people read it, such as `1.4 MB`."""
    for unit in ("B", "KB"):
        if size < 1024:  # noqa: PLR2004  the next unit
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"  # noqa: PLR2004
        size /= 1024  # type: ignore[assignment]
    return f"{size:.1f} MB"

"""How a file leaves the server: nothing in it runs here, whatever somebody uploaded.

Everything is an attachment, but for pictures that the product decoded itself; a sandbox
policy stands on all of them, and no browser guesses another type.
"""

from collections.abc import Mapping
from typing import Any, Literal

from flask import Response, request, send_file

from core.errors import NotFound
from core.files.pictures import MEDIA_TYPES
from core.files.sniffing import UNKNOWN
from core.files.store import FileStore

#: What a page may do that somebody makes a browser open from here.
POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"

Variant = Literal["attachment", "inline", "thumbnail"]


def file_response(
    store: FileStore, row: Mapping[str, Any], *, variant: Variant = "attachment"
) -> Response:
    """Return the content of a `gx_file` row that its reader may have.

    `inline` is for pictures only; other files are attachments all the same. The browser may
    keep what it got, but asks each time whether it still may show it.

    Raises:
        NotFound: it has no small picture.
        ContentMissing: the content is not on the disk.
    """
    digest, media_type = row["content"], row["media_type"]
    is_shown = row["thumbnail"] is not None and media_type in MEDIA_TYPES
    if variant == "thumbnail":
        if not is_shown:
            raise NotFound
        digest = row["thumbnail"]
        media_type = _thumbnail_type(store, digest)
    response = send_file(
        store.path(digest),
        mimetype=media_type or UNKNOWN,
        as_attachment=variant == "attachment" or not is_shown,
        download_name=row["name"],
        conditional=False,
        etag=False,
        max_age=None,
        last_modified=None,
    )
    if media_type.startswith("text/"):
        # Whatever encoding it has; a browser that saves it need not know.
        response.headers["Content-Type"] = media_type
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "private, no-cache"
    response.set_etag(digest)
    response.make_conditional(request, accept_ranges=True, complete_length=response.content_length)
    return response


def _thumbnail_type(store: FileStore, digest: str) -> str:
    """Return which of its two forms a small picture has."""
    with store.path(digest).open("rb") as file:
        return "image/png" if file.read(4) == b"\x89PNG" else "image/jpeg"

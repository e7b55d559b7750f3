"""`/files`: upload one file, download it under the rights of this moment."""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from flask import Response, request

from core.context import Context
from core.errors import Malformed
from core.i18n import N_
from core.records.downloads import find_file
from core.records.uploads import upload_file
from core.rest.exchange import query_keys, route
from core.schema.filetypes import MOST_BYTES
from core.security.filing import file_response
from core.security.services import services

#: What a multipart body has around its file.
_AROUND = 64 * 1024
_PARTS = 4


@route("/files", "POST")
def upload(ctx: Context) -> Any:
    """Keep the one file of a multipart body, in the part `file`; answer with its id."""
    query_keys()
    request.max_content_length = MOST_BYTES + _AROUND
    request.max_form_parts = _PARTS
    if request.mimetype != "multipart/form-data":
        raise Malformed(N_("Send the file as multipart/form-data, in the part “file”."))
    parts = request.files.getlist("file")
    if len(parts) != 1 or len(request.files) != 1:
        raise Malformed(N_("Send one file, in the part “file”."))
    with closing(parts[0]) as part:
        row = upload_file(ctx, services().files, part.stream, part.filename or "")
    return described(row), 201


@route("/files/<file_id>", "GET")
def download(ctx: Context, file_id: str) -> Response:
    """Answer with a file's content, as an attachment; `thumbnail=1` with its small picture."""
    query = query_keys("thumbnail")
    row = find_file(ctx, file_id)
    return file_response(services().files, row, variant="thumbnail" if query else "attachment")


@route("/files/<file_id>/about", "GET")
def about(ctx: Context, file_id: str) -> Any:
    """Answer with what is known of a file: name, media type, size."""
    query_keys()
    return described(find_file(ctx, file_id))


def described(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `gx_file` row as answers show it."""
    return {
        "id": row["id"],
        "name": row["name"],
        "media_type": row["media_type"],
        "size": row["size"],
        "width": row["width"],
        "height": row["height"],
        "has_thumbnail": row["thumbnail"] is not None,
    }

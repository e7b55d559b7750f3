"""Files for people: a picture opens in the browser, everything else is saved."""

from flask.typing import ResponseReturnValue

from core.context import Context
from core.records.downloads import find_file
from core.security.filing import file_response
from core.security.services import services
from core.web.page import page, pages


@pages.get("/files/<file_id>")
@page
def show_file(ctx: Context, file_id: str) -> ResponseReturnValue:
    """Answer with a file that the reader may have at this moment."""
    return file_response(services().files, find_file(ctx, file_id), variant="inline")


@pages.get("/files/<file_id>/thumbnail")
@page
def show_thumbnail(ctx: Context, file_id: str) -> ResponseReturnValue:
    """Answer with the small copy of a picture."""
    row = find_file(ctx, file_id)
    return file_response(services().files, row, variant="thumbnail")

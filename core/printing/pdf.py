"""PDFs by WeasyPrint, which reads nothing but the files that it is given.

WeasyPrint needs Pango of the system. Where that is missing the product runs, prints HTML
and says what to install; it is loaded at the first PDF, since it costs every start time.
"""

import ctypes
import ctypes.util
import logging
import re
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from PIL import ImageFile

from core.errors import TooLarge, Unavailable
from core.i18n import N_

log = logging.getLogger(__name__)

State = Literal["ok", "no pango", "no chinese font"]

#: Libraries that WeasyPrint loads, by the names that systems know them by.
_LIBRARIES = ("gobject-2.0", "pango-1.0", "harfbuzz", "fontconfig", "pangoft2-1.0")
_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
#: Characters of a page that a PDF is made of; laying out more takes too long to wait for.
MOST_CHARACTERS = 1_500_000
#: Seconds that somebody waits for another's PDF, which are made one at a time.
_PATIENCE = 20

_making = threading.Lock()


class PdfMissing(Unavailable):
    """The system lacks the library that lays out PDFs; the HTML print works."""

    code = "print.no_pdf"
    text = N_("This server cannot make PDFs: the library Pango is missing.")
    hint = N_("Debian: apt-get install libpango-1.0-0 libpangoft2-1.0-0. The page can be printed.")


class FontMissing(Unavailable):
    """The system has no font with Chinese characters, so a PDF would show empty boxes."""

    code = "print.no_font"
    text = N_("This server cannot make PDFs with Chinese text: no Chinese font is installed.")
    hint = N_("Debian: apt-get install fonts-noto-cjk. The page can be printed.")


class PdfBusy(Unavailable):
    """Other PDFs are being made."""

    code = "print.busy"
    text = N_("Other PDFs are being made. Please try again in a moment.")


class PrintTooLarge(TooLarge):
    """There is more to print than a PDF is laid out for."""

    code = "too_large.print"
    text = N_("This is too much for a PDF. Print the page instead.")


@cache
def printing_state() -> State:
    """Return whether this machine can make PDFs, with Chinese text too; asked once."""
    if not all(ctypes.util.find_library(name) for name in _LIBRARIES):
        return "no pango"
    return "ok" if _has_chinese_font() else "no chinese font"


def _has_chinese_font() -> bool:
    """Ask fontconfig, which Pango asks too."""
    name = ctypes.util.find_library("fontconfig")
    if name is None:
        return False
    library = ctypes.CDLL(name)
    for function in ("FcNameParse", "FcObjectSetCreate", "FcFontList"):
        getattr(library, function).restype = ctypes.c_void_p
    pattern = ctypes.c_void_p(library.FcNameParse(b":lang=zh-cn"))
    wanted = ctypes.c_void_p(library.FcObjectSetCreate())
    library.FcObjectSetAdd(wanted, b"family")
    found = ctypes.c_void_p(library.FcFontList(None, pattern, wanted))
    if not found:
        return False
    count: int = ctypes.cast(found, ctypes.POINTER(ctypes.c_int))[0]
    library.FcFontSetDestroy(found)
    library.FcObjectSetDestroy(wanted)
    library.FcPatternDestroy(pattern)
    return count > 0


def make_pdf(html: str, css: str, files: Mapping[str, tuple[Path, str]]) -> bytes:
    """Return a page as PDF.

    Args:
        html: the page; what it refers to is loaded only if it is one of `files`.
        css: its style.
        files: address as the page has it -> where it lies and its media type.

    Raises:
        PdfMissing: the system lacks Pango.
        FontMissing: it has Chinese text and the system no font for it.
        PrintTooLarge: it is too long.
        PdfBusy: others wait already.
    """
    state = printing_state()
    if state == "no pango":
        raise PdfMissing
    if state == "no chinese font" and _CHINESE.search(html):
        raise FontMissing
    if len(html) > MOST_CHARACTERS:
        raise PrintTooLarge
    if not _making.acquire(timeout=_PATIENCE):
        raise PdfBusy
    try:
        return _laid_out(html, css, files)
    finally:
        _making.release()


#: What addresses of the page are relative to; no such place exists.
_NOWHERE = "https://print.invalid"


def _laid_out(html: str, css: str, files: Mapping[str, tuple[Path, str]]) -> bytes:
    try:
        from weasyprint import CSS, HTML  # noqa: PLC0415  slow, optional
        from weasyprint.urls import URLFetcher, URLFetcherResponse  # noqa: PLC0415  the same

        # It lets the whole process take pictures that break off; uploads must not.
        ImageFile.LOAD_TRUNCATED_IMAGES = False
    except (ImportError, OSError) as error:
        log.warning("WeasyPrint cannot be loaded: %s", error)
        raise PdfMissing from error

    class OwnFiles(URLFetcher):  # type: ignore[misc]  # no types
        """Gives the files that the page was made with, and nothing else of the world."""

        def fetch(self, url: str, headers: Any = None) -> Any:
            del headers
            own = files.get(url.removeprefix(_NOWHERE))
            if own is None:
                message = f"not one of the print's own files: {url[:200]}"
                raise ValueError(message)
            path, media_type = own
            return URLFetcherResponse(url, path.read_bytes(), {"Content-Type": media_type})

    fetcher = OwnFiles()
    page = HTML(string=html, base_url=_NOWHERE, url_fetcher=fetcher)
    style = CSS(string=css, base_url=_NOWHERE, url_fetcher=fetcher)
    made: bytes = page.write_pdf(stylesheets=[style])
    return made

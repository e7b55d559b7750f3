"""What a file is, found in its bytes; a name only chooses among what the bytes allow."""

import re
import unicodedata
from pathlib import Path, PurePosixPath

UNKNOWN = "application/octet-stream"

#: What a browser, or a program that it hands files to, could run or render with scripts.
ACTIVE = frozenset(
    {
        *("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"),
        *("text/javascript", "application/javascript", "application/x-shockwave-flash"),
        *("application/x-msdownload", "application/x-sh", "message/rfc822", "multipart/related"),
        *("application/vnd.microsoft.portable-executable", "application/java-archive"),
    }
)

_HEAD = 64 * 1024
_LONGEST_NAME = 150
#: Marks of documents that a browser runs, wherever they stand in what looks like text.
_SVG = re.compile(rb"<(?:[a-z]+:)?svg[\s>/]", re.IGNORECASE)
_HTML = re.compile(
    rb"<(?:!doctype\s+html|html|head|body|script|iframe|object|embed|img|a|style|form|meta|link"
    rb"|svg|math|video|audio|base|title|table|div|p|h1)[\s>/]",
    re.IGNORECASE,
)
_XML = re.compile(rb"(?:\xef\xbb\xbf)?\s*<\?xml[\s?]")
#: Kinds of plain text that only their name tells apart, none of which anything runs.
_TEXTS = {".csv": "text/csv", ".tsv": "text/tab-separated-values", ".md": "text/markdown"}
_ZIP = "application/zip"
#: Documents that are ZIP archives: the name says which, the first entries must agree.
_PACKED = {
    ".docx": (b"word/", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ".xlsx": (b"xl/", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ".pptx": (
        b"ppt/",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ".odt": (b"mimetype", "application/vnd.oasis.opendocument.text"),
    ".ods": (b"mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
}


def media_type_of(path: Path, name: str) -> str:
    """Return the media type of the file at `path`, which was uploaded as `name`.

    What is not recognized is `text/plain` where it is text, else `application/octet-stream`.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    ending = PurePosixPath(name).suffix.lower()
    text = _text_type(head, ending)
    if text is not None:
        return text
    if head.startswith(b"PK\x03\x04"):
        return _packed_type(path, head, ending)
    return _signature_type(head, ending)


def _text_type(head: bytes, ending: str) -> str | None:
    """Return the type of what is text, None for what is not."""
    if head.startswith((b"%PDF-", b"{\\rtf", b"%!PS")) or not _is_text(head):
        return None
    if _SVG.search(head):
        return "image/svg+xml"
    if _XML.match(head):
        return "text/xml"
    if _HTML.search(head):
        return "text/html"
    return _TEXTS.get(ending, "text/plain")


def _is_text(head: bytes) -> bool:
    """Return whether bytes are text in one of the encodings that people here use."""
    if not head:
        return True
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\x00" in head:
        return False
    else:
        encodings = ["utf-8", "gb18030"]
    for encoding in encodings:
        for cut in range(4):  # the head may end within a character
            try:
                text = head[: len(head) - cut].decode(encoding)
            except UnicodeDecodeError:
                continue
            return not any(
                unicodedata.category(char) in {"Cc", "Cn"} and char not in "\t\n\r\f\x1b\x85"
                for char in text
            )
    return False


def _packed_type(path: Path, head: bytes, ending: str) -> str:
    known = _PACKED.get(ending)
    if known is None:
        return _ZIP
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _HEAD))
        tail = file.read(_HEAD)  # the archive's own list of what it holds
    return known[1] if known[0] in head or known[0] in tail else _ZIP


def _signature_type(head: bytes, ending: str) -> str:
    import puremagic  # noqa: PLC0415  reads its table of signatures when it is imported

    try:
        found = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    named = [each for each in found if each.mime_type]
    best = [each for each in named if each.confidence == named[0].confidence]
    same = next((each for each in best if each.extension == ending), None)
    chosen = same or (best[0] if best else None)
    return chosen.mime_type if chosen else UNKNOWN


def cleaned_name(name: str) -> str:
    """Return a file's name fit for headers, pages and every system's disks; never empty.

    Folders, control and direction characters, and what some system cannot have in a name
    are taken out; a long name keeps its ending.
    """
    name = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    name = re.split(r"[/\\]", name)[-1]
    kept = "".join(
        char for char in name if unicodedata.category(char)[0] != "C" and char not in '<>:"|?*'
    )
    kept = re.sub(r"\s+", " ", kept).strip(" .")
    if len(kept) > _LONGEST_NAME:
        ending = PurePosixPath(kept).suffix[:20]
        kept = kept[: _LONGEST_NAME - len(ending)] + ending
    return kept or "file"

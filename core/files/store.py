"""The folder that contents lie in, each under the SHA-256 of its bytes and nothing else.

No part of a path ever comes from a request or from a name; the folder is in the instance
folder, which no web server serves.
"""

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from core.errors import TooLarge, Unavailable
from core.i18n import N_
from core.settings import make_private_folder

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = 256 * 1024


class ContentMissing(Unavailable):
    """The database knows the file, but its content is not in the instance folder."""

    code = "file.content_missing"
    text = N_("The content of this file is not on the server.")
    hint = N_("Tell your administrator: the folder `files` must be restored with the database.")


class FileTooLarge(TooLarge):
    """An upload is larger than any file may be."""

    code = "too_large.file"
    text = N_("A file has at most {limit} MB.")


class Readable(Protocol):
    """What an upload is read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, empty at the end."""


@dataclass(frozen=True, slots=True)
class Received:
    """Bytes that arrived and lie in the folder's own waiting room.

    Attributes:
        path: where they lie until they are kept or dropped.
        digest: SHA-256 in hexadecimal digits.
    """

    path: Path
    digest: str
    size: int


class FileStore:
    """The contents of one installation."""

    def __init__(self, folder: Path) -> None:
        """Keep contents in `folder`, which is made at the first upload."""
        self._folder = folder

    @contextmanager
    def receiving(self, stream: Readable, *, limit: int) -> Iterator[Received]:
        """Read `stream` into the waiting room; what is not kept is gone afterwards.

        Raises:
            FileTooLarge: it has more than `limit` bytes; no more of it is read.
        """
        draft = self._draft()
        try:
            with draft.open("xb") as target:
                draft.chmod(0o600)
                digest, size = _copy(stream, target, limit)
            yield Received(draft, digest, size)
        finally:
            draft.unlink(missing_ok=True)

    @contextmanager
    def receiving_bytes(self, content: bytes) -> Iterator[Received]:
        """Put `content`, which the product made itself, into the waiting room."""
        draft = self._draft()
        try:
            draft.write_bytes(content)
            draft.chmod(0o600)
            yield Received(draft, hashlib.sha256(content).hexdigest(), len(content))
        finally:
            draft.unlink(missing_ok=True)

    def keep(self, received: Received) -> None:
        """Move what was received to its place, durably; the same content is there once.

        The caller holds the content's row, so that no clean-up takes it away meanwhile.
        """
        place = self._place(received.digest)
        if place.is_file() and place.stat().st_size == received.size:
            return
        make_private_folder(place.parent)
        with received.path.open("rb") as file:
            os.fsync(file.fileno())
        received.path.replace(place)
        folder = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def path(self, digest: str) -> Path:
        """Return where a content lies.

        Raises:
            ContentMissing: it is not there.
        """
        place = self._place(digest)
        if not place.is_file():
            raise ContentMissing
        return place

    def remove(self, digest: str) -> None:
        """Delete a content that nobody uses; the caller holds its row."""
        self._place(digest).unlink(missing_ok=True)

    def sweep(self, before: float) -> None:
        """Delete what a process that died left in the waiting room before a POSIX time."""
        waiting = self._folder / "waiting"
        for draft in waiting.iterdir() if waiting.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):  # another sweep was faster
                if draft.stat().st_mtime < before:
                    draft.unlink()

    def _draft(self) -> Path:
        waiting = self._folder / "waiting"
        make_private_folder(waiting)
        return waiting / secrets.token_hex(16)

    def _place(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            msg = f"not a SHA-256: {digest!r}"
            raise ValueError(msg)
        return self._folder / digest[:2] / digest


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file on disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(stream: Readable, target: BinaryIO, limit: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise FileTooLarge(limit=limit // (1024 * 1024))
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest(), size

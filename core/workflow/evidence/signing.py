"""Signed decisions: the password anew in the very request, and a signature drawn by hand.

Being signed in proves nothing about who sits there now, so no session counts, however young.
The password is asked outside of the deciding transaction, since looking at one is slow on
purpose and every try is counted. A drawn signature is kept as a file that serves one decision;
its hash, how it was drawn and from where go onto the event, beside the hash of the content.
"""

import base64
import binascii
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Invalid, Malformed, Problem, UserError
from core.files.models import file_table
from core.files.pictures import is_blank
from core.files.store import FileStore
from core.i18n import N_
from core.ids import is_id
from core.records.uploads import upload_file
from core.workflow.errors import SignatureRequired

#: How a step has votes signed.
Way = Literal["click", "password", "handwritten"]

#: What a signature is drawn with.
POINTERS = frozenset({"mouse", "pen", "touch", "keyboard"})

#: Most bytes of a drawn signature.
MOST_BYTES = 256 * 1024

_KEYS = {"password", "image", "pointer"}
_PREFIX = "data:image/png;base64,"


class ReauthRequired(UserError):
    """Whoever decides must show again that it is them."""

    code = "flow.reauth_required"
    status = 401
    text = N_("Please sign this with your password.")


class Desk(Protocol):
    """What signing needs of the layers above."""

    def is_password(self, ctx: Context, password: str) -> bool:
        """Return whether a password is the actor's own; counts tries as a sign-in does.

        Raises:
            RateLimited: too many were wrong lately.
        """

    def files(self) -> FileStore:
        """Return where contents of files lie."""


class SigningDesk:
    """The desk of this process."""

    def __init__(self) -> None:
        """Start without one; then nothing can be signed."""
        self._desk: Desk | None = None

    def register(self, desk: Desk) -> None:
        """Ask `desk` from now on."""
        self._desk = desk

    @contextmanager
    def asking(self, desk: Desk) -> Iterator[None]:
        """Ask `desk` for the length of a `with` block."""
        before, self._desk = self._desk, desk
        try:
            yield
        finally:
            self._desk = before

    def desk(self) -> Desk:
        """Return who is asked.

        Raises:
            ReauthRequired: nobody here can tell whose password it is.
        """
        if self._desk is None:
            raise ReauthRequired
        return self._desk


#: The desk of this process.
DESK = SigningDesk()


@dataclass(frozen=True, slots=True)
class Signed:
    """What somebody has shown with a decision.

    Attributes:
        auth: how surely it is them: `password`, `handwritten`, or empty for a click.
        image: id of the file with the drawn signature.
        digest: SHA-256 of the picture.
        pointer: what it was drawn with.
    """

    auth: Literal["", "password", "handwritten"] = ""
    image: str = ""
    digest: str = ""
    pointer: str = ""

    @property
    def detail(self) -> dict[str, Any]:
        """Return what the event of the decision says of it."""
        if not self.auth:
            return {}
        drawn = {"image": self.image, "sha256": self.digest, "pointer": self.pointer}
        return {"signature": {"way": self.auth, **(drawn if self.image else {})}}


NOT_SIGNED = Signed()


@dataclass(frozen=True, slots=True)
class _Given:
    password: str = field(default="", repr=False)
    image: str = field(default="", repr=False)
    pointer: str = ""


def sign(ctx: Context, given: Mapping[str, Any] | None) -> Signed:
    """Return what a request's `signature` shows; call it before the deciding transaction.

    Args:
        ctx: whose password it must be.
        given: `password`; `image`, the id of an own upload or a PNG as base64; `pointer`.

    Raises:
        Malformed: it is no such object.
        ReauthRequired: the password is missing or wrong.
        SignatureRequired: the image is no drawn signature of the actor's own.
        RateLimited: too many wrong passwords lately.
    """
    if not given:
        return NOT_SIGNED
    with ctx.reading() as connection:
        # What follows counts tries and keeps pictures, so it is not done on a presumption.
        ctx.confirm(connection, None)
    signature = _read(given)
    if not signature.password:
        raise ReauthRequired
    desk = DESK.desk()
    if not desk.is_password(ctx, signature.password):
        raise ReauthRequired(N_("The password is not right."))
    if not signature.image:
        return Signed("password")
    store = desk.files()
    row = _uploaded(ctx, store, signature.image)
    if is_blank(store.path(row["content"])):
        raise _unusable(N_("The signature is empty."))
    return Signed("handwritten", row["id"], row["content"], signature.pointer)


def require(signed: Signed, way: Way) -> None:
    """Refuse a decision that is not signed as its step asks.

    Raises:
        ReauthRequired: the password was not given.
        SignatureRequired: nothing was drawn.
    """
    if way == "password" and not signed.auth:
        raise ReauthRequired
    if way == "handwritten" and signed.auth != "handwritten":
        raise _unusable(N_("Please draw your signature."))


def bind(connection: Connection, ctx: Context, signed: Signed) -> None:
    """Keep a drawn signature for good, for this decision alone.

    Raises:
        SignatureRequired: it has served another decision.
    """
    if not signed.image:
        return
    mine = sa.and_(
        file_table.c.id == signed.image,
        file_table.c.created_by == ctx.actor.id,
        file_table.c.bound_at.is_(None),
    )
    if not connection.execute(file_table.update().where(mine).values(bound_at=ctx.now)).rowcount:
        raise _unusable(N_("This signature was used already. Please draw a new one."))


def _read(given: Mapping[str, Any]) -> _Given:
    if not given.keys() <= _KEYS or not all(isinstance(each, str) for each in given.values()):
        raise Malformed(N_("A signature has the texts password, image and pointer."))
    signature = _Given(**given)
    if signature.image and signature.pointer not in POINTERS:
        text = N_("A drawn signature says its pointer: {pointers}.")
        raise Invalid(
            problems=[
                Problem(
                    "signature.pointer", "flow.signature_pointer", text,
                    {"pointers": ", ".join(sorted(POINTERS))},
                )
            ]
        )  # fmt: skip
    return signature


def _uploaded(ctx: Context, store: FileStore, image: str) -> Mapping[Any, Any]:
    """Return the row of the file with a drawn signature; a PNG becomes one."""
    if not is_id(image):
        content = _decoded(image)
        row: Mapping[Any, Any] = upload_file(ctx, store, io.BytesIO(content), "signature.png")
    else:
        own = sa.select(file_table).where(
            file_table.c.id == image,
            file_table.c.created_by == ctx.actor.id,
            file_table.c.bound_at.is_(None),
        )
        with ctx.reading() as connection:
            found = connection.execute(own).mappings().first()
        if found is None:
            raise _unusable(N_("This is no upload of yours that is still unused."))
        row = found
    if row["media_type"] != "image/png" or row["thumbnail"] is None:
        raise _unusable(N_("A signature is a PNG picture."))
    return row


def _decoded(image: str) -> bytes:
    text = image.removeprefix(_PREFIX)
    if len(text) > MOST_BYTES * 4 // 3 + 4:
        raise _unusable(N_("The picture of the signature is too large."))
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        content = b""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        raise _unusable(N_("A signature is a PNG picture."))
    return content


def _unusable(text: str) -> SignatureRequired:
    return SignatureRequired(problems=[Problem("signature.image", SignatureRequired.code, text)])

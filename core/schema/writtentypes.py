"""Field types of text that is more than text: markup, secrets, conditions, expressions."""

import base64
import hashlib
import hmac
import secrets
from random import Random
from typing import Any, ClassVar

from core.expression.types import MAX_CHARACTERS, TEXT, Kind, Type
from core.i18n import N_
from core.schema.fieldbase import FieldError, FieldType, Loader, Shape, Storage, WrongTypeError
from core.schema.model import Field
from core.schema.richtext import cleaned
from core.schema.texttypes import PatternError, TextType, check_characters, compile_pattern

#: What answers, pages and the history show in the place of a secret.
MASK = "•••"

#: Types without masks: lists of records are shown or hidden as a whole, secrets never shown.
UNMASKED = frozenset({"table", "links", "backlink", "secret"})

#: Cost of one try at a secret (scrypt): a guess takes about 30 ms and 8 MiB.
_WORK, _BLOCK, _LANES, _MEMORY = 2**13, 8, 1, 2**25
_SALT_BYTES, _PREFIX = 16, "scrypt1"


class RichTextType(TextType):
    """Formatted text: a restricted HTML, cleaned of everything that could run or load."""

    name = "rich_text"
    properties = frozenset({"min_length", "max_length", "placeholder", "searchable"})
    operators: ClassVar[tuple[str, ...]] = ("contains", "is empty", "is not empty")
    widget = "rich_text"
    sortable = False
    lines = True
    longest = 20_000
    most = 100_000

    def loader(self, field: Field) -> Loader:
        """Return a function that cleans the markup; what says nothing is nothing."""
        load_text = super().loader(field)

        def load(value: Any) -> str | None:
            text = load_text(value)
            if text is None:
                return None
            # A character reference may have been one that no text can hold.
            return load_text(cleaned(text))  # type: ignore[no-any-return]

        return load

    def sample(self, field: Field, random: Random) -> str:
        """Return a paragraph with some markup."""
        text = super().sample(field, random).strip("<>&' ")
        return cleaned(f"<p>{text} <strong>{random.randrange(100)}</strong></p>")


def hashed(secret: str) -> str:
    """Return what is kept of a secret, from which it cannot be found again."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return "$".join((_PREFIX, _text(salt), _text(_digest(secret, salt))))


def matches(secret: str, kept: str | None) -> bool:
    """Return whether `secret` is the one of which `kept` was stored; None matches nothing."""
    prefix, _, rest = (kept or "").partition("$")
    salt, _, digest = rest.partition("$")
    if prefix != _PREFIX or not digest:
        return False
    return hmac.compare_digest(_text(_digest(secret, base64.b64decode(salt))), digest)


def _digest(secret: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        secret.encode(), salt=salt, n=_WORK, r=_BLOCK, p=_LANES, maxmem=_MEMORY, dklen=32
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class SecretType(FieldType):
    """A PIN or key that can be set and compared with, never read back; only its hash is kept."""

    name = "secret"
    properties = frozenset({"min_length", "max_length", "pattern", "placeholder"})
    operators: ClassVar[tuple[str, ...]] = ("is empty", "is not empty")
    widget = "secret"
    sortable = False
    longest: ClassVar[int] = 200

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every hash is kept alike
        """Return a text column."""
        return Storage("text")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  opaque to expressions
        """Return the type that only `is empty` understands."""
        return Type("any")

    def loader(self, field: Field) -> Loader:
        """Return a function that checks the secret and gives its hash.

        The mask that answers show is refused, so that what was read can be sent back
        without it becoming the secret.
        """
        shortest = field.min_length or 1
        longest = self.longest if field.max_length is None else field.max_length
        find = compile_pattern(field.pattern) if field.pattern else None

        def load(value: Any) -> str | None:
            if value is None or value == "":
                return None
            if type(value) is not str:
                raise WrongTypeError("text")
            if value == MASK:
                raise FieldError("field.masked", N_("This is a mask and not the secret."))
            if not shortest <= len(value) <= longest:
                text = N_("This must have {least} to {most} characters.")
                raise FieldError("field.bad_length", text, least=shortest, most=longest)
            check_characters(value)
            if find is not None and not find(value):
                raise PatternError(field.pattern)
            return hashed(value)

        return load

    def dump(self, value: Any) -> Any:
        """Return the mask: nobody reads a secret."""
        return None if value is None else MASK

    def to_text(self, value: Any) -> str:  # noqa: ARG002  whatever it is
        """Return nothing: a secret is never exported."""
        return ""

    def shape(self, field: Field) -> Shape:
        """Return a text that is only written."""
        longest = self.longest if field.max_length is None else field.max_length
        return {"type": "string", "format": "password", "maxLength": longest}

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return digits."""
        return f"{random.randrange(10**6):06d}"


class ExpressionType(TextType):
    """An expression over a declared scope, checked when it is saved."""

    name = "expression"
    properties = frozenset({"scope", "gives", "placeholder"})
    operators: ClassVar[tuple[str, ...]] = ("is empty", "is not empty")
    widget = "expression"
    sortable = False
    lines = True
    longest = MAX_CHARACTERS
    most = MAX_CHARACTERS

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every text is alike
        """Return text: what it says, not what it gives."""
        return TEXT

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return an expression that fits every scope."""
        return f"version > {random.randrange(100)}"


def result_kind(field: Field) -> Kind | None:
    """Return what the expressions in a `condition` or `expression` field must give."""
    return "boolean" if field.type == "condition" else field.gives or None


class ConditionType(ExpressionType):
    """A condition over a declared scope, such as `order`, that people build by choosing."""

    name = "condition"
    properties = frozenset({"scope", "placeholder"})
    widget = "condition"


TYPES: tuple[FieldType, ...] = (
    RichTextType(),
    SecretType(),
    ExpressionType(),
    ConditionType(),
)

"""Field types that hold text."""

import re
from collections.abc import Callable
from functools import lru_cache
from random import Random
from typing import Any, ClassVar
from urllib.parse import urlsplit

import re2  # type: ignore[import-untyped]

from core.expression.types import Type
from core.i18n import N_
from core.schema.fieldbase import (
    FieldError,
    FieldType,
    Loader,
    Storage,
    WrongTypeError,
)
from core.schema.model import Field

#: Controls, lone surrogates and non-characters: unprintable, and PostgreSQL cannot keep some.
_NON_CHARACTERS = "".join(
    f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(17)
)
_BAD = "\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef" + _NON_CHARACTERS
_BAD_IN_LINES = re.compile(f"[{_BAD}]")
_BAD_IN_LINE = re.compile(f"[{_BAD}\t\n]")

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s.]+(?:\.[^@\s.]+)+")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]*(?:[ ]?(?:x|ext\.?|转)[ ]?[0-9]{1,6})?")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_BARCODE = re.compile(r"[!-~]+(?: [!-~]+)*")
_LEAST_PHONE_DIGITS = 3
_PATTERN_MEMORY = 1 << 20

TEXT_OPERATORS = (
    "==",
    "!=",
    "contains",
    "starts with",
    "in",
    "not in",
    "is empty",
    "is not empty",
)


def check_characters(text: str, *, lines: bool = False) -> None:
    """Refuse a text with characters that cannot be shown or stored; raises FieldError.

    Args:
        text: what to look at.
        lines: whether tabs and line ends are allowed.

    Raises:
        FieldError: the value is refused.
    """
    found = (_BAD_IN_LINES if lines else _BAD_IN_LINE).search(text)
    if found:
        raise FieldError(
            "field.bad_character",
            N_("The character {char} at position {position} is not allowed."),
            char=f"U+{ord(found.group()):04X}",
            position=found.start() + 1,
        )


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> Callable[[str], object]:
    """Return the full-match function of a linear-time pattern.

    Raises:
        ValueError: the pattern cannot be read.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    try:
        return re2.compile(pattern, options).fullmatch  # type: ignore[no-any-return]
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(text) from error


class PatternError(FieldError):
    """The text does not have the form that its field asks for."""

    def __init__(self, pattern: str) -> None:
        """Build it for a pattern."""
        text = N_("This does not have the form {pattern}.")
        super().__init__("field.pattern", text, pattern=pattern)


class TextType(FieldType):
    """A single line of text."""

    name = "text"
    properties = frozenset({"min_length", "max_length", "pattern", "placeholder", "searchable"})
    operators: ClassVar[tuple[str, ...]] = TEXT_OPERATORS
    widget = "text"
    lines: ClassVar[bool] = False
    longest: ClassVar[int] = 200
    most: ClassVar[int] = 2_000

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every text is kept alike
        """Return a text column."""
        return Storage("text")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  every text is alike
        """Return text."""
        return Type("text")

    def limit(self, field: Field) -> int:
        """Return the longest text that `field` takes."""
        return self.longest if field.max_length is None else field.max_length

    def check_form(self, text: str) -> None:
        """Refuse a text that is not of this type's form; raises FieldError."""

    def loader(self, field: Field) -> Loader:
        """Return a function that checks characters, length, form and pattern."""
        shortest, longest = field.min_length or 0, self.limit(field)
        matches = compile_pattern(field.pattern) if field.pattern else _anything
        bad = _BAD_IN_LINES if self.lines else _BAD_IN_LINE
        lines, check_form = self.lines, self.check_form

        def load(value: Any) -> str | None:
            if value is None or value == "":
                return None
            if type(value) is not str:
                raise WrongTypeError("text")
            if lines:
                value = value.replace("\r\n", "\n")
            if not shortest <= len(value) <= longest:
                raise _length_error(value, shortest, longest)
            if bad.search(value):
                check_characters(value, lines=lines)
            check_form(value)
            if not matches(value):
                raise PatternError(field.pattern)
            return value  # type: ignore[no-any-return]

        return load

    def sample(self, field: Field, random: Random) -> str:
        """Return random letters; a field with a pattern needs a sample of its own."""
        size = random.randint(max(1, field.min_length or 1), min(self.limit(field), 12))
        return "".join(random.choice("abcdeéß会员卡Ω😀 -_'") for _ in range(size - 1)) + "x"


def _anything(text: str) -> object:  # noqa: ARG001  the pattern of fields that have none
    return True


def _length_error(text: str, shortest: int, longest: int) -> FieldError:
    """Return the error for a text that is too short or too long."""
    if len(text) > longest:
        return FieldError(
            "field.too_long",
            N_("At most {limit} characters; this has {length}."),
            limit=longest,
            length=len(text),
        )
    return FieldError(
        "field.too_short",
        N_("At least {limit} characters; this has {length}."),
        limit=shortest,
        length=len(text),
    )


class LongTextType(TextType):
    """Text of several lines."""

    name = "long_text"
    operators: ClassVar[tuple[str, ...]] = ("contains", "starts with", "is empty", "is not empty")
    widget = "long_text"
    lines = True
    longest = 10_000
    most = 100_000


class EmailType(TextType):
    """An e-mail address, kept as written."""

    name = "email"
    widget = "email"
    longest = 254
    most = 254

    def check_form(self, text: str) -> None:
        """Refuse what is not of the form name@host.domain.

        Raises:
            FieldError: the value is refused.
        """
        if not _EMAIL.fullmatch(text):
            raise FieldError("field.bad_email", N_("This is not an e-mail address."))

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return an address under a reserved domain."""
        return f"m{random.randrange(10**6)}@example.com"


class PhoneType(TextType):
    """A telephone number, kept as written."""

    name = "phone"
    widget = "phone"
    longest = 32
    most = 64

    def check_form(self, text: str) -> None:
        """Refuse what no telephone could dial.

        Raises:
            FieldError: the value is refused.
        """
        digits = sum(char.isdigit() for char in text)
        if not _PHONE.fullmatch(text) or digits < _LEAST_PHONE_DIGITS:
            raise FieldError("field.bad_phone", N_("This is not a telephone number."))

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return a mobile number."""
        return f"1{random.randrange(10**9, 10**10)}"


class UrlType(TextType):
    """A web address with http or https."""

    name = "url"
    widget = "url"
    longest = 2_000

    def check_form(self, text: str) -> None:
        """Refuse other schemes, missing hosts and blanks, so that a link never runs script.

        Raises:
            FieldError: the value is refused.
        """
        try:
            parts = urlsplit(text)
            good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        except ValueError:
            good = False
        if not good or any(char.isspace() for char in text):
            raise FieldError("field.bad_url", N_("This is not a web address (https://…)."))

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return an address under a reserved domain."""
        return f"https://example.com/{random.randrange(10**6)}"


class ColorType(TextType):
    """A colour as `#rrggbb`."""

    name = "color"
    widget = "color"
    operators: ClassVar[tuple[str, ...]] = ("==", "!=", "in", "not in", "is empty", "is not empty")
    longest = 7
    most = 7

    def check_form(self, text: str) -> None:
        """Refuse what is not # and six hexadecimal digits.

        Raises:
            FieldError: the value is refused.
        """
        if not _COLOR.fullmatch(text):
            raise FieldError("field.bad_color", N_("This is not a colour such as #1a7f37."))

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return a random colour."""
        return f"#{random.randrange(1 << 24):06x}"


class BarcodeType(TextType):
    """What a scanner reads: printable ASCII."""

    name = "barcode"
    widget = "barcode"
    longest = 64

    def check_form(self, text: str) -> None:
        """Refuse what a one-dimensional barcode cannot carry.

        Raises:
            FieldError: the value is refused.
        """
        if not _BARCODE.fullmatch(text):
            raise FieldError(
                "field.bad_barcode", N_("A barcode has only printable ASCII characters.")
            )

    def sample(self, field: Field, random: Random) -> str:  # noqa: ARG002  same for all fields
        """Return thirteen digits."""
        return f"{random.randrange(10**12, 10**13)}"


TYPES: tuple[FieldType, ...] = (
    TextType(),
    LongTextType(),
    EmailType(),
    PhoneType(),
    UrlType(),
    ColorType(),
    BarcodeType(),
)

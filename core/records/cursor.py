"""Where a page of a list ended, as opaque text that is checked when it comes back."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from core.errors import Malformed
from core.i18n import N_
from core.records.wire import instant_text

#: Longest cursor that is read; a sort text has at most this many bytes.
_LONGEST = 4_000

#: Reads one sort value; raises ValueError.
Read = Callable[[Any], Any]


def _text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("text")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int or abs(value) >= 2**63:
        raise ValueError("integer")
    return value


def _sort_key(value: Any) -> int | str:
    return _text(value) if isinstance(value, str) else _integer(value)


def _number(value: Any) -> Decimal:
    if type(value) is int:
        return Decimal(_integer(value))
    number = Decimal(_text(value))
    if not number.is_finite() or len(value) > 60:  # noqa: PLR2004  more digits than any column
        raise ValueError("number")
    return number


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise ValueError("boolean")
    return value


def _instant(value: Any) -> datetime:
    read = datetime.fromisoformat(_text(value))
    if read.tzinfo is None:
        raise ValueError("instant")
    return read.astimezone(UTC)


def _date(value: Any) -> date:
    return date.fromisoformat(_text(value))


def _time(value: Any) -> time:
    return time.fromisoformat(_text(value))


#: Storage kind -> how a sort value of it is read back.
READERS: dict[str, Read] = {
    "text": _text,
    "id": _text,
    "integer": _integer,
    "decimal": _number,
    "number": _number,
    "sort_key": _sort_key,
    "boolean": _boolean,
    "instant": _instant,
    "datetime": _instant,
    "date": _date,
    "time": _time,
}


def encode_cursor(values: Sequence[Any], signature: str) -> str:
    """Return the sort values of a page's last row as text; `signature` names the order."""
    plain = [_plain(value) for value in values]
    data = msgspec.json.encode([signature, *plain])
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date | time) else value


def decode_cursor(text: str, signature: str, readers: Sequence[Read]) -> list[Any]:
    """Return the sort values that a cursor holds.

    Raises:
        Malformed: it is not a cursor of a list in this order.
    """
    refused = Malformed(N_("The cursor is not one of this list."))
    if len(text) > _LONGEST or not text.isascii():
        raise refused
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        signed, *values = msgspec.json.decode(data, type=list[Any])
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise refused from error
    if signed != signature or len(values) != len(readers):
        raise refused
    try:
        return [
            None if value is None else read(value)
            for value, read in zip(values, readers, strict=True)
        ]
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise refused from error

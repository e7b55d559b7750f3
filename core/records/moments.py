"""Numbers of a spreadsheet as people would type them: figures, days, times, lengths of time."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isfinite

#: Characters of a format that are looked at; a spreadsheet has no longer ones.
_LONGEST_FORMAT = 255
#: Digits of a number that are looked at; longer ones stay the text that they are.
_LONGEST_NUMBER = 400

Moment = date | time | datetime | timedelta


class Moments:
    """Texts of a workbook's numbers, of which some are dates by their format alone."""

    def __init__(self, formats: Sequence[str], *, is_1904: bool) -> None:
        """Read numbers of a workbook with these cell formats.

        Args:
            formats: of each cell format the number of a built-in format, or a format code.
            is_1904: whether days are counted from 1904.
        """
        self._formats, self._is_1904 = formats, is_1904
        self._kinds: dict[int, str] = {}

    def text(self, kind: str, style: int, value: str) -> str:
        """Return the text of a number (`kind` "n") or of an ISO 8601 moment ("d")."""
        shown_as = self._kinds.get(style)
        if shown_as is None:
            shown_as = self._kinds[style] = self._kind(style)
        if kind == "d":
            return _of_iso(value, shown_as)
        return self._moment(value, shown_as) if shown_as else _figure(value)

    def _kind(self, style: int) -> str:
        """Return what a cell format shows: a date, time, datetime, timedelta, or nothing of it."""
        from openpyxl.styles import numbers  # noqa: PLC0415  slow

        code = self._formats[style] if style < len(self._formats) else ""
        if code.isdecimal():
            code = numbers.BUILTIN_FORMATS.get(int(code[:9]), "")
        code = code[:_LONGEST_FORMAT]
        if numbers.is_timedelta_format(code):
            return "timedelta"
        return str(numbers.is_datetime(code) or "")

    def _moment(self, value: str, shown_as: str) -> str:
        from openpyxl.utils import datetime as spreadsheet  # noqa: PLC0415  slow

        number = _float(value)
        if number is None:
            return value
        epoch = spreadsheet.MAC_EPOCH if self._is_1904 else spreadsheet.WINDOWS_EPOCH
        try:
            found = spreadsheet.from_excel(number, epoch, timedelta=shown_as == "timedelta")
        except (OverflowError, ValueError):
            return "#VALUE!"  # as the spreadsheet shows it
        return _told(found, shown_as)


def _of_iso(value: str, shown_as: str) -> str:
    """Return an ISO 8601 moment as people type it; what is none stays as it is."""
    from openpyxl.utils.datetime import from_ISO8601  # noqa: PLC0415  slow

    try:
        return _told(from_ISO8601(value[:_LONGEST_NUMBER]), shown_as)
    except (ValueError, OverflowError, TypeError):
        return value


def _told(value: Moment, shown_as: str) -> str:
    if isinstance(value, datetime):
        if shown_as == "date":
            return value.date().isoformat()
        if shown_as == "time":
            return value.time().isoformat()
        return value.isoformat(sep=" ")
    if isinstance(value, timedelta):
        return f"PT{_figure(repr(value.total_seconds()))}S"
    return value.isoformat()


def _float(text: str) -> float | None:
    try:
        number = float(text) if len(text) <= _LONGEST_NUMBER else None
    except ValueError:
        return None
    return number if number is not None and isfinite(number) else None


def _figure(text: str) -> str:
    """Return a number with all its digits and no exponent; what is none stays as it is."""
    digits = text.removeprefix("-")
    if digits.isascii() and digits.isdecimal() and not digits.startswith("0"):
        return text  # most are; and a float would lose digits
    value = _float(text)
    if value is None:
        return text
    number = Decimal(repr(value))
    if number == number.to_integral_value():
        number = number.quantize(Decimal(1)) if abs(number) < Decimal(10) ** 20 else number
    return format(number, "f")

"""The rules of card numbers: pure functions on values.

Printed number = store + type prefix + zero-padded serial + check digits + suffix.
Check digits cover every digit before them; letters in a store's code do not count.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Numbering:
    """How one card type prints its numbers.

    Attributes:
        last: the highest serial; None means every serial of `length` digits.
        check_digits: 0 none, 1 Luhn, 2 ISO 7064 MOD 97-10.
    """

    prefix: str
    length: int
    first: int
    last: int | None
    check_digits: int
    suffix: str

    @property
    def end(self) -> int:
        """Return the highest serial."""
        return 10**self.length - 1 if self.last is None else self.last

    @property
    def size(self) -> int:
        """Return how many serials there are, used ones included."""
        return max(0, self.end - self.first + 1)

    def has(self, serial: int) -> bool:
        """Return whether `serial` lies in the range."""
        return self.first <= serial <= self.end


def luhn_digit(digits: str) -> str:
    """Return the Luhn digit that completes `digits`.

    >>> luhn_digit("010110000001")
    '3'
    """
    total = 0
    for position, char in enumerate(reversed(digits)):
        value = int(char) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value  # noqa: PLR2004  the digit sum of 10..18
    return str(-total % 10)


def mod97_digits(digits: str) -> str:
    """Return the two ISO 7064 MOD 97-10 digits that complete `digits`.

    >>> mod97_digits("112000007")
    '26'
    """
    return f"{98 - int(digits) * 100 % 97:02d}"


def check_text(body: str, count: int) -> str:
    """Return the check digits of `body`, of which only the digits count."""
    digits = "".join(char for char in body if char.isascii() and char.isdigit())
    if count == 0:
        return ""
    return luhn_digit(digits) if count == 1 else mod97_digits(digits)


def printed_number(store: str, numbering: Numbering, serial: int) -> str:
    """Return the number printed on the card with `serial`, made for `store`.

    >>> printed_number("01", Numbering("01", 8, 1, None, 1, ""), 9)
    '0101000000097'
    """
    body = f"{store}{numbering.prefix}{serial:0{numbering.length}d}"
    return body + check_text(body, numbering.check_digits) + numbering.suffix


def serial_in(number: str, store: str, numbering: Numbering) -> int | None:
    """Return the serial inside `number`, or None when it was not printed by these rules."""
    start = len(store) + len(numbering.prefix)
    serial = number[start : start + numbering.length]
    if len(serial) != numbering.length or not (serial.isascii() and serial.isdigit()):
        return None
    found = int(serial)
    return found if number == printed_number(store, numbering, found) else None


def numbering_faults(numbering: Numbering) -> list[tuple[str, str]]:
    """Return (field, fault) of each serial bound that does not fit its number of digits."""
    faults = []
    most = 10**numbering.length - 1
    if numbering.first > most:
        faults.append(("serial_from", "too_long"))
    if numbering.last is not None and numbering.last > most:
        faults.append(("serial_to", "too_long"))
    return faults


def overlaps(one: Numbering, other: Numbering) -> bool:
    """Return whether two card types could print the same number in one store.

    Check digits of unequal kind are taken as any digits, so that a pair which
    could collide is never missed.
    """
    longer, shorter = sorted((one.suffix, other.suffix), key=len, reverse=True)
    if not longer.endswith(shorter):
        return False
    extra = longer[: len(longer) - len(shorter)]
    if extra and not extra.isdigit():
        return False
    widths, spans = [], []
    for each in (one, other):
        tail = each.suffix[: len(each.suffix) - len(shorter)]
        widths.append(len(each.prefix) + each.length + each.check_digits + len(tail))
        spans.append(_span(each, tail))
    return widths[0] == widths[1] and max(spans[0][0], spans[1][0]) <= min(
        spans[0][1], spans[1][1]
    )


def _span(numbering: Numbering, tail: str) -> tuple[int, int]:
    """Return the least and greatest number that the digits after the store can spell."""
    low = f"{numbering.prefix}{numbering.first:0{numbering.length}d}"
    high = f"{numbering.prefix}{numbering.end:0{numbering.length}d}"
    checks = numbering.check_digits
    return int(f"{low}{'0' * checks}{tail}"), int(f"{high}{'9' * checks}{tail}")


def is_low(left: int, size: int, hundredths: int) -> bool:
    """Return whether at most so many hundredths of the serials are left."""
    return left * 100 <= size * hundredths


def changed_format(before: Numbering, after: Numbering) -> list[str]:
    """Return the fields that a type with cards may not change, in form order, and did.

    Digits may be added when a range runs out; everything else would make the type's
    own cards look foreign.
    """
    changed = [
        name
        for name, one, other in (
            ("type_prefix", before.prefix, after.prefix),
            ("suffix", before.suffix, after.suffix),
            ("check_digits", before.check_digits, after.check_digits),
        )
        if one != other
    ]
    return changed + (["serial_length"] if after.length < before.length else [])


def bounds_inside(numbering: Numbering, lowest: int, highest: int) -> list[str]:
    """Return the range fields that would leave out a used serial."""
    left_out = []
    if numbering.first > lowest:
        left_out.append("serial_from")
    if numbering.end < highest:
        left_out.append("serial_to")
    return left_out

"""Record ids: UUIDv7 (RFC 9562 §5.7), so that newer ids sort after older ones."""

import os
import re
import time

_PATTERN = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")


def new_id() -> str:
    """Return a new UUIDv7 in its 36-character lower-case text form."""
    millisecond, rest = divmod(time.time_ns(), 1_000_000)
    # What is left of the time comes next (§6.2 method 3): ids made one after another sort so.
    value = (millisecond & (1 << 48) - 1) << 80 | 0x7 << 76 | (rest << 12) // 1_000_000 << 64
    value |= 0b10 << 62 | int.from_bytes(os.urandom(8), "big") >> 2
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_ids(count: int) -> list[str]:
    """Return `count` new ids at once, each sorting after the one before it.

    They share their first random bits and go on in random steps, so that the rows of one
    batch stand together in an index in the order they were made.
    """
    first = new_id()
    prefix = first[:19]
    # One bit of room: so many steps never carry into the variant's bits.
    low = int(first[19:].replace("-", ""), 16) & ~(1 << 61)
    made = []
    for step in memoryview(os.urandom(4 * count)).cast("I"):
        low += step + 1
        text = f"{low:016x}"
        made.append(f"{prefix}{text[:4]}-{text[4:]}")
    return made


def is_id(value: object) -> bool:
    """Return whether `value` is an id in the form that `new_id` makes."""
    return isinstance(value, str) and _PATTERN.match(value) is not None

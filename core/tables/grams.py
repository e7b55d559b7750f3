"""What a text is found by: its pieces of one, two and three characters, as numbers.

Chinese has no blanks between words and many names of two characters, so every
character beyond the European alphabets counts by itself and with its neighbour.
Letters and digits count in twos and threes: single ones are in every text. Whatever
holds another text holds its pieces too, so pieces narrow a search down and the
texts themselves have the last word.
"""

import zlib
from collections.abc import Iterator
from itertools import pairwise

#: From here on a character is a word or a part of one by itself: 一, か, 한.
_WIDE = "\u2e80"


def runs(text: str) -> list[str]:
    """Return a text's runs of letters and digits, without regard to case.

    Characters are folded one by one, so that a part of a text gives parts of its runs.

    >>> runs("王小明 (VIP-7)")
    ['王小明', 'vip', '7']
    """
    folded = text.casefold()
    if folded.isalnum():
        return [folded]
    return "".join([char if char.isalnum() else " " for char in folded]).split()


def pieces(text: str) -> set[str]:
    """Return everything that a text is found by.

    >>> sorted(pieces("王小明"))
    ['小', '小明', '明', '王', '王小']
    >>> sorted(pieces("A1b"))
    ['1b', 'a1', 'a1b']
    """
    found: set[str] = set()
    for run in runs(text):
        found.update(map("".join, pairwise(run)))
        found.update(_threes(run))
        if not run.isascii():
            found.update(char for char in run if char >= _WIDE)
    return found


def needed(text: str) -> set[str]:
    """Return pieces that every text holding `text` has; none where it is too short to tell.

    >>> sorted(needed("王小")), sorted(needed("王")), sorted(needed("1380")), needed("a")
    (['王小'], ['王'], ['138', '380'], set())
    """
    found: set[str] = set()
    for run in runs(text):
        if len(run) == 1:
            found.update(run if run >= _WIDE else ())
            continue
        pairs = set(map("".join, pairwise(run)))
        longer = {*_threes(run), *(pair for pair in pairs if _is_wide(pair))}
        found |= longer or pairs
    return found


def _threes(run: str) -> Iterator[str]:
    """Return the threes of a run in which every character is narrow."""
    threes = map("".join, zip(run, run[1:], run[2:], strict=False))
    return threes if run.isascii() else (three for three in threes if not _is_wide(three))


def _is_wide(text: str) -> bool:
    return max(text) >= _WIDE


def numbered(type_name: str, found: set[str]) -> list[int]:
    """Return pieces of a record type's texts as signed numbers of 32 bits.

    Two pieces may share a number, which costs a look at the text and nothing else.
    """
    start = zlib.crc32(type_name.encode() + b"\0")
    numbers = {zlib.crc32(piece.encode(errors="replace"), start) for piece in found}
    return [number - 2**32 if number >= 2**31 else number for number in numbers]

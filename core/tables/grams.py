"""What a text is found by: its pieces of one, two and three characters, as numbers.

Chinese has no blanks between words and many names of two characters, so every
character beyond the European alphabets counts by itself and with its neighbour.
Letters and digits count in twos and threes: single ones are in every text. Whatever
holds another text holds its pieces too, so pieces narrow a search down and the
texts themselves have the last word.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from operator import add
from typing import Generic, TypeVar

#: From here on a character is a word or a part of one by itself: 一, か, 한.
_WIDE = "\u2e80"

#: Letters and digits of every script, as `str.isalnum` has them.
_find_runs = re.compile(r"[^\W_]+").findall

#: Pieces whose numbers are remembered per record type: the common ones of most texts.
_REMEMBERED = 20_000


def runs(text: str) -> list[str]:
    """Return a text's runs of letters and digits, without regard to case.

    Characters are folded one by one, so that a part of a text gives parts of its runs.

    >>> runs("王小明 (VIP-7)")
    ['王小明', 'vip', '7']
    """
    return _find_runs(text.casefold())


def pieces(text: str) -> set[str]:
    """Return everything that a text is found by.

    >>> sorted(pieces("王小明"))
    ['小', '小明', '明', '王', '王小']
    >>> sorted(pieces("A1b"))
    ['1b', 'a1', 'a1b']
    """
    found: set[str] = set()
    for run in runs(text):
        pairs = [*map(add, run, run[1:])]
        found.update(pairs)
        if run.isascii():
            found.update(map(add, pairs, run[2:]))
        else:
            found.update(_threes(run))
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


_Form = TypeVar("_Form")


class _Forms(dict[str, _Form], Generic[_Form]):
    """What pieces of one record type's texts are written as, made when asked for."""

    def __init__(self, type_name: str, write: Callable[[int], _Form]) -> None:
        """Write each piece's unsigned number of 32 bits as `write` does."""
        super().__init__()
        self._start = zlib.crc32(type_name.encode() + b"\0")
        self._write = write

    def __missing__(self, piece: str) -> _Form:
        """Return the form of a piece, and remember it."""
        form = self._write(zlib.crc32(piece.encode(errors="replace"), self._start))
        if len(self) >= _REMEMBERED:
            self.clear()
        self[piece] = form
        return form


@lru_cache(maxsize=64)
def _numbers(type_name: str) -> _Forms[int]:
    return _Forms(type_name, lambda number: number - 2**32 if number >= 2**31 else number)


@lru_cache(maxsize=64)
def _words(type_name: str) -> _Forms[str]:
    return _Forms(type_name, "{:x}".format)


def numbered(type_name: str, found: set[str]) -> list[int]:
    """Return pieces of a record type's texts as signed numbers of 32 bits.

    Two pieces may share a number, which costs a look at the text and nothing else.
    """
    return [*set(map(_numbers(type_name).__getitem__, found))]


def worded(type_name: str, found: set[str]) -> str:
    """Return the same numbers as words of hexadecimal digits with blanks between them."""
    return " ".join(set(map(_words(type_name).__getitem__, found)))

"""Merkle trees as RFC 6962 has them, built from leaves that come one after the other.

Memory grows with the logarithm of the number of leaves, so a day of any size fits.
"""

import hashlib
from collections.abc import Iterable

#: One step of a way to the root: whether the other half stands `left`, and its hash.
Step = tuple[str, str]

EMPTY = hashlib.sha256(b"").hexdigest()


def leaf_hash(text: str) -> bytes:
    """Return the hash of a leaf."""
    return hashlib.sha256(b"\x00" + text.encode()).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two halves; never that of a leaf."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that leaves are added to; it may follow one of them up to the root."""

    def __init__(self, watched: int = -1) -> None:
        """Begin without leaves; `watched` is the place of the leaf to follow, from 0."""
        self._watched = watched
        self._size = 0
        #: Whole subtrees from left to right: leaves, hash, whether the watched leaf is inside.
        self._whole: list[tuple[int, bytes, bool]] = []
        self._path: list[Step] = []

    def __len__(self) -> int:
        """Return the number of leaves."""
        return self._size

    def add(self, leaf: bytes) -> None:
        """Add a leaf by its hash."""
        made = (1, leaf, self._size == self._watched)
        self._size += 1
        while self._whole and self._whole[-1][0] == made[0]:
            made = self._joined(self._whole.pop(), made, self._path)
        self._whole.append(made)

    def root(self) -> str:
        """Return the root over all leaves so far."""
        return self._finished()[0]

    def path(self) -> list[Step]:
        """Return the way from the watched leaf to the root, as it is now."""
        return self._finished()[1]

    def _finished(self) -> tuple[str, list[Step]]:
        if not self._whole:
            return EMPTY, []
        path = list(self._path)
        made = self._whole[-1]
        for left in reversed(self._whole[:-1]):
            made = self._joined(left, made, path)
        return made[1].hex(), path

    @staticmethod
    def _joined(
        left: tuple[int, bytes, bool], right: tuple[int, bytes, bool], path: list[Step]
    ) -> tuple[int, bytes, bool]:
        if left[2]:
            path.append(("right", right[1].hex()))
        elif right[2]:
            path.append(("left", left[1].hex()))
        return left[0] + right[0], node_hash(left[1], right[1]), left[2] or right[2]


def root_of(leaves: Iterable[str]) -> str:
    """Return the root over the texts of leaves."""
    tree = Tree()
    for leaf in leaves:
        tree.add(leaf_hash(leaf))
    return tree.root()


def climb(leaf: str, path: Iterable[Step]) -> str:
    """Return the root that a leaf's text and its way lead to."""
    made = leaf_hash(leaf)
    for side, other in path:
        half = bytes.fromhex(other)
        made = node_hash(half, made) if side == "left" else node_hash(made, half)
    return made.hex()

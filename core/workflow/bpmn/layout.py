"""Where the elements of a flow's diagram stand: blocks side by side, lanes one below another."""

from collections.abc import Sequence
from dataclasses import dataclass

TASK = (100, 80)
EVENT = (36, 36)
GATEWAY = (50, 50)
#: Space between elements, and between lanes.
GAP, LANE_GAP = 50, 40


@dataclass(slots=True)
class Shape:
    """One element of the diagram; `x` and `y` are its upper left corner, in pixels."""

    id: str
    width: int
    height: int
    x: int = 0
    y: int = 0

    @property
    def left(self) -> tuple[int, int]:
        """Return where arrows come in."""
        return self.x, self.y + self.height // 2

    @property
    def right(self) -> tuple[int, int]:
        """Return where arrows go out."""
        return self.x + self.width, self.y + self.height // 2


@dataclass(slots=True)
class Row:
    """Shapes and blocks one after the other, in the middle of their height."""

    parts: "Sequence[Shape | Block]"
    middle: int = 0

    @property
    def width(self) -> int:
        """Return its length with the gaps inside."""
        return sum(one.width for one in self.parts) + GAP * max(0, len(self.parts) - 1)

    @property
    def height(self) -> int:
        """Return the height of its highest part."""
        return max((one.height for one in self.parts), default=0)

    def place(self, x: int, y: int) -> None:
        """Put it with its upper left corner at (x, y)."""
        middle = self.middle = y + self.height // 2
        for one in self.parts:
            if isinstance(one, Block):
                one.place(x, middle - one.height // 2)
            else:
                one.x, one.y = x, middle - one.height // 2
            x += one.width + GAP


@dataclass(slots=True)
class Block:
    """A gateway, its lanes one below another, and the gateway where they meet."""

    split: Shape
    lanes: Sequence[Row]
    join: Shape

    @property
    def _inner(self) -> int:
        return max((lane.width for lane in self.lanes), default=0)

    @property
    def width(self) -> int:
        """Return its length from gateway to gateway."""
        return self.split.width + 2 * GAP + self._inner + self.join.width

    @property
    def height(self) -> int:
        """Return the height of all its lanes; an empty one is an arrow's."""
        heights = [max(lane.height, GATEWAY[1]) for lane in self.lanes]
        return sum(heights) + LANE_GAP * max(0, len(heights) - 1)

    def place(self, x: int, y: int) -> None:
        """Put it with its upper left corner at (x, y)."""
        middle = y + self.height // 2
        self.split.x, self.split.y = x, middle - self.split.height // 2
        self.join.x = x + self.width - self.join.width
        self.join.y = middle - self.join.height // 2
        for lane in self.lanes:
            high = max(lane.height, GATEWAY[1])
            lane.place(x + self.split.width + GAP, y + (high - lane.height) // 2)
            y += high + LANE_GAP


Point = tuple[int, int]


def around(start: Point, end: Point, height: int) -> list[Point]:
    """Return the points of an arrow that runs through an empty lane at a height."""
    first, last = start[0] + GAP // 2, end[0] - GAP // 2
    return [start, (first, start[1]), (first, height), (last, height), (last, end[1]), end]


def bend(start: Point, end: Point) -> list[Point]:
    """Return the points of an arrow with right angles from one place to another."""
    if start[1] == end[1]:
        return [start, end]
    # Leaving a gateway it turns at once, entering one as late as it can.
    at = start[0] + GAP // 2 if end[0] - start[0] < 4 * GAP else end[0] - GAP // 2
    return [start, (at, start[1]), (at, end[1]), end]

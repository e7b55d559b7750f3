"""The demo's sales, whole and of one day."""

import lzma
from pathlib import Path

from core.demo.loading import SALES


def sales_of_a_day(folder: Path) -> Path:
    """Write the sales of 1 December 2010 and return the file.

    One day is enough to find what differs on the other database.
    """
    with lzma.open(SALES, "rt", encoding="utf-8") as whole:
        header, *lines = whole
    path = folder / "day.csv"
    path.write_text(header + "".join(one for one in lines if ",2010-12-01 " in one), "utf-8")
    return path

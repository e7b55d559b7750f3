"""What the server writes to its log: one event is one line, without values of the database.

What people send may hold line breaks, terminal controls and marks that turn the direction
of writing; in a log they could pretend to be other events. Messages of the database name
the values they are about, which may be anybody's telephone number.
"""

import logging
import os
import re
from collections.abc import Iterator
from types import TracebackType

from sqlalchemy.exc import DBAPIError

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

#: Controls, line and paragraph separators, and marks of the direction of writing.
_UNSAFE = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff]"
)


def to_stderr() -> None:
    """Log to standard error from here on, at the level that `GUANXI_LOG` names."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    level = os.environ.get("GUANXI_LOG", "WARNING").upper()
    logging.basicConfig(level=level, handlers=[handler])


def one_line(text: str) -> str:
    """Return a text with everything escaped that is no plain part of a line."""
    return _UNSAFE.sub(_escaped, text).encode("utf-8", "backslashreplace").decode()


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()


class LineFormatter(logging.Formatter):
    """Writes an event as one line, whatever its message and its error hold."""

    def __init__(self) -> None:
        """Write the moment, level, logger and message."""
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        # What handlers made of the error is kept in the record, for all of them.
        others, record.exc_text = record.exc_text, None
        text = super().format(record)
        record.exc_text = others
        return one_line(text)

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802  the library's name
        """Return where an error came from; of an error of the database only its kind."""
        text = super().formatException(ei)
        for error in _came_from(ei[1]):
            if isinstance(error, DBAPIError) or _is_of_driver(error):
                text = text.replace(str(error), _kind(error))
        return text


def _came_from(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those behind it; an outer one first, as its text holds the inner's."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__]


def _is_of_driver(error: BaseException) -> bool:
    return any(
        kind.__module__.partition(".")[0] in {"psycopg", "sqlite3"} for kind in type(error).__mro__
    )


def _kind(error: BaseException) -> str:
    """Return what went wrong in the database, without whose values it was about."""
    original = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return f"{type(original).__name__} {state or ''}".strip()

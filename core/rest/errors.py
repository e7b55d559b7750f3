"""Every failure of every JSON route in one shape, in the caller's language.

{"code", "message", "problems": [{"path", "code", "message", "params"}], "hint", "request_id"}
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from flask import Response
from flask_wtf.csrf import CSRFError
from sqlalchemy import exc as database
from werkzeug.exceptions import HTTPException

from core.errors import (
    Forbidden,
    GuanxiError,
    Internal,
    Malformed,
    MethodNotAllowed,
    NotFound,
    PageTokenMissing,
    Problem,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    problem_body,
    told,
)
from core.i18n import N_, translate
from core.security.headers import request_id
from core.security.locales import request_locale

log = logging.getLogger(__name__)

_RETRY_SECONDS = "1"


_BY_STATUS: Mapping[int, type[GuanxiError]] = {
    kind.status: kind
    for kind in (
        Malformed,
        Unauthenticated,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        TooLarge,
        UnsupportedMedia,
        RateLimited,
        Unavailable,
    )
} | {414: TooLarge, 431: TooLarge}


def known_error(error: BaseException) -> GuanxiError:
    """Return `error` as one of the product's own; what is not foreseen becomes `Internal`."""
    if isinstance(error, GuanxiError):
        return error
    if isinstance(error, CSRFError):
        return PageTokenMissing()
    if isinstance(error, HTTPException):
        return error_of_status(error.code or 500)
    if isinstance(error, database.DBAPIError | database.TimeoutError | OSError):
        return _database_error(error)
    return Internal()


def error_of_status(status: int) -> GuanxiError:
    """Return the product's error for a bare HTTP status."""
    kind = _BY_STATUS.get(status)
    if kind is None:
        kind = Internal if status >= Internal.status else Malformed
    return kind()


def _database_error(error: BaseException) -> GuanxiError:
    if isinstance(error, database.DataError):
        # Validation should have caught it; the value is still the caller's to mend.
        log.warning("the database refused a value", exc_info=error)
        return Malformed(N_("A value cannot be stored."))
    if isinstance(
        error, database.OperationalError | database.InterfaceError | database.TimeoutError
    ):
        log.error("the database cannot be used", exc_info=error)
        return Unavailable()
    return Internal()


def error_body(error: GuanxiError, locale: str, reference: str) -> dict[str, Any]:
    """Return the shape for `error` in `locale`."""
    body: dict[str, Any] = {
        "code": error.code,
        "message": told(error.text, locale, error.params),
        "problems": [problem_body(problem, locale) for problem in error.problems],
        "hint": translate(error.hint, locale) if error.hint else "",
        "request_id": reference,
    }
    if error.params:
        body["params"] = dict(error.params)
    return body


def problems_body(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Return problems that refuse nothing, such as warnings, in the request's language."""
    locale = request_locale()
    return [problem_body(problem, locale) for problem in problems]


def encode_body(body: Any) -> bytes:
    """Return `body` as JSON bytes; lone surrogates, which no JSON can carry, are escaped."""
    try:
        return msgspec.json.encode(body, enc_hook=str)
    except UnicodeEncodeError:
        return msgspec.json.encode(_escaped(body), enc_hook=str)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(item) for item in value]
    return value


class ShapedResponse(Response):
    """An answer in the error shape; marks it as needing no further work."""

    default_mimetype = "application/json"


def error_response(error: BaseException) -> Response:
    """Return the answer for a failure that a JSON route raised, logging what is ours."""
    known = known_error(error)
    reference = request_id()
    if isinstance(known, Internal):
        log.error("request %s failed", reference, exc_info=error)
    body = encode_body(error_body(known, request_locale(), reference))
    response = ShapedResponse(body, status=known.status)
    _add_headers(response, known, error)
    return response


def _add_headers(response: Response, known: GuanxiError, error: BaseException) -> None:
    if known.status == Unauthenticated.status:
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(known, Unavailable):
        response.headers["Retry-After"] = _RETRY_SECONDS
    if "retry_after" in known.params:
        response.headers["Retry-After"] = str(known.params["retry_after"])
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))

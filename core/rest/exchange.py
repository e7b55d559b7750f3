"""How a JSON route is declared: parse strictly, run as the caller, answer fast.

Routes are plain functions of a context; none of Flask-AppBuilder's decorators run
here, because each would ask the database what the context knows already.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec
from flask import Blueprint, Response, request
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from core.actor import PUBLIC
from core.context import Context
from core.errors import (
    Forbidden,
    GuanxiError,
    Invalid,
    Malformed,
    Problem,
    ReleaseChanged,
    TooLarge,
    Unauthenticated,
    VersionRequired,
)
from core.i18n import N_
from core.policies.access import access
from core.rest.errors import encode_body
from core.schema.fieldtypes import FieldError
from core.schema.texttypes import check_characters
from core.security.actors import context_for_request
from core.security.services import services

API = "/api/v1"

#: Every JSON route of ours hangs here; cookies need the page's token (`core.security.actors`).
rest = Blueprint("rest", __name__, url_prefix=API)

View = Callable[..., Any]
#: Refuses a caller who may not use a route, whatever they send; gets the URL's parts.
Guard = Callable[[Context, dict[str, Any]], None]

_JSON = ("Content-Type", "application/json")
_MAX_NUMBER = 64
_MAX_EXPONENT = 400
_MAX_DEPTH = 40
#: Values of one body, counted by its commas and brackets: small ones cost a hundred times
#: their bytes in memory.
MAX_VALUES = 500_000
#: A bracket, or a whole string with the brackets in it.
_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{\]}]', re.DOTALL)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_MAX_VERSION = 10
#: Of so many parameters one is unknown for certain; the others need not be named.
_MAX_TOLD = 100

_encode = msgspec.json.Encoder().encode


def route(
    rule: str,
    *methods: str,
    guard: Guard | None = None,
    in_one_read: bool = False,
    in_one_write: bool = False,
) -> Callable[[View], View]:
    """Declare a JSON route of signed-in callers; the view gets a context and the URL's parts.

    A `guard` refuses who has no right, before anything is said about the request itself.

    With `in_one_read` the view only reads, and everything in one transaction, the release
    in force included; it must not answer with a stream. It is tried with the release and
    rights that this process saw last; where its rows do not say that they hold
    (`Context.confirm`), it is asked again with those in force. With `in_one_write` the view
    does nothing before it writes, in one transaction that says the same as it begins, or
    before a row that it reads first says so.
    """

    def declare(view: View) -> View:
        view = view if guard is None else _guarded(guard, view)

        @functools.wraps(view)
        def read(**parts: Any) -> Response:
            try:
                with services().db.read() as connection:
                    answer = _presuming(view, connection, parts)
                    if answer is None:
                        answer = view(signed_in(connection), **parts)
                    return respond(answer)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
            # The database had closed the connection: the same again on a new one, once.
            return handle(**parts)

        @functools.wraps(view)
        def handle(**parts: Any) -> Response:
            try:
                return respond(view(signed_in(), **parts))
            except ReleaseChanged:
                # Published between reading the release and writing: the same again, once.
                return respond(view(signed_in(), **parts))

        @functools.wraps(view)
        def write(**parts: Any) -> Response:
            answer = _presuming_write(view, parts)
            return handle(**parts) if answer is None else respond(answer)

        name = f"{view.__module__.rpartition('.')[2]}_{view.__name__}"
        chosen = read if in_one_read else write if in_one_write else handle
        rest.add_url_rule(rule, name, chosen, methods=methods)
        return view

    return declare


def _guarded(guard: Guard, view: View) -> View:
    @functools.wraps(view)
    def guarded(ctx: Context, **parts: Any) -> Any:
        guard(ctx, parts)
        return view(ctx, **parts)

    return guarded


def needing(*actions: str) -> Guard:
    """Return a guard that asks for one of some rights on the record type of the URL."""

    def guard(ctx: Context, parts: dict[str, Any]) -> None:
        rights = access(ctx, parts["type_name"])
        if not any(rights.may(action) for action in actions):
            rights.require(actions[0])

    return guard


def only(may: Callable[[Context], bool]) -> Guard:
    """Return a guard that lets those pass for whom `may` holds, whatever the URL names."""

    def guard(ctx: Context, _parts: dict[str, Any]) -> None:
        if not may(ctx):
            raise Forbidden

    return guard


def _presuming(view: View, connection: Connection, parts: dict[str, Any]) -> Any:
    """Return what a view answers under what was in force last; None unless that still is."""
    try:
        ctx = signed_in(connection, is_presumed=True)
        answer = view(ctx, **parts)
    except GuanxiError:
        return None  # whether it stands is for the second try to say
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        return None  # such as a column that has another name by now
    return None if ctx.is_presumed else answer


def _presuming_write(view: View, parts: dict[str, Any]) -> Any:
    """Return what a view that wrote under what was in force last answers; None if none did."""
    ctx = None
    try:
        ctx = signed_in(is_presumed=True)
        answer = view(ctx, **parts)
    except ReleaseChanged:
        return None  # published since, so nothing was written
    except (GuanxiError, DBAPIError):
        if ctx is None or ctx.is_presumed:
            return None  # whether it stands is for the second try to say
        raise
    return None if ctx.is_presumed else answer


def signed_in(connection: Connection | None = None, *, is_presumed: bool = False) -> Context:
    """Return this request's context, read through `connection` if it is given.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    ctx = context_for_request("api", connection=connection, is_presumed=is_presumed)
    if ctx.actor is PUBLIC:
        raise Unauthenticated
    return ctx


def respond(answer: Any) -> Response:
    """Return a view's answer: a ready response, or a body, or (body, status[, headers])."""
    if isinstance(answer, Response):
        return answer
    status, headers = 200, None
    if isinstance(answer, tuple):
        answer, status, *rest_of = answer
        headers = rest_of[0] if rest_of else None
    try:
        body = _encode(answer)
    except (TypeError, UnicodeEncodeError):
        body = encode_body(answer)
    response = Response(body, status=status, headers=[_JSON])
    if headers:
        response.headers.extend(headers)
    return response


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Malformed(N_("The key {key} appears twice in one object."), key=twice[:100])
    return found


def _number(text: str) -> Decimal:
    number = Decimal(text) if len(text) <= _MAX_NUMBER else None
    if number is None or abs(number.adjusted()) > _MAX_EXPONENT:
        raise Malformed(N_("A number in the request is too long."))
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_NUMBER:
        raise Malformed(N_("A number in the request is too long."))
    return int(text)


def _constant(text: str) -> Any:
    raise Malformed(N_("{value} is not a JSON number."), value=text)


_decoder = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=_number, parse_int=_integer, parse_constant=_constant
)


def read_json(body: bytes) -> Any:
    """Return strict, bounded JSON as Python values; fractions come as exact decimals.

    Raises:
        Malformed: it is no JSON, not UTF-8, nested too deep, or says a key twice.
        TooLarge: it holds more than `MAX_VALUES` values.
    """
    try:
        text = body.decode("utf-8")
        lists, objects = text.count("["), text.count("{")
        if lists + objects + text.count(",") > MAX_VALUES:
            raise TooLarge(N_("At most {limit} values in one request."), limit=MAX_VALUES)
        if max(lists, objects) > _MAX_DEPTH:
            _check_depth(text)
        return _decoder.decode(text)
    except UnicodeDecodeError as error:
        raise Malformed(N_("The request is not UTF-8 text.")) from error
    except json.JSONDecodeError as error:
        raise Malformed(
            N_("The request is not JSON: see line {line}, column {column}."),
            line=error.lineno,
            column=error.colno,
        ) from error
    except RecursionError as error:
        raise Malformed(N_("The request is nested too deep.")) from error


def _check_depth(text: str) -> None:
    """Refuse what nests too deep, before the decoder builds it."""
    depth = 0
    for found in _BRACKET.finditer(text):
        bracket = found[0]
        if bracket in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                raise Malformed(N_("The request is nested too deep."))
        elif bracket in "]}":
            depth -= 1


def body_object() -> dict[str, Any]:
    """Return the request's body, which must be one JSON object.

    Raises:
        Malformed: it is not.
    """
    body = read_json(request.get_data(cache=True))
    if not isinstance(body, dict):
        raise Malformed(N_("Send one JSON object."))
    return body


def body_keys(
    allowed: dict[str, type | tuple[type, ...]], *, required: Iterable[str] = ()
) -> dict[str, Any]:
    """Return the body after checking its keys and the kinds of their values.

    Raises:
        Invalid: keys are unknown, missing or of another kind, or texts hold characters
            that cannot be kept; all of them at once.
    """
    body = body_object() if request.content_length or request.get_data(cache=True) else {}
    problems = [
        Problem(key[:100], "field.unknown", N_("There is no such key here."))
        for key in body
        if key not in allowed
    ]
    for key, kinds in allowed.items():
        if key not in body:
            if key in required:
                problems.append(Problem(key, "field.required", N_("This is required.")))
        elif not isinstance(body[key], kinds) or (isinstance(body[key], bool) and kinds is int):
            problems.append(Problem(key, "field.wrong_type", N_("This is of the wrong kind.")))
        elif isinstance(body[key], str):
            problems += _bad_characters(key, body[key])
    if problems:
        raise Invalid(problems=problems)
    return body


def _bad_characters(key: str, text: str) -> list[Problem]:
    try:
        check_characters(text.replace("\r\n", "\n"), lines=True)
    except FieldError as error:
        return [Problem(key, one.code, one.text, one.params) for one in error.problems]
    return []


def query_keys(*allowed: str) -> dict[str, str]:
    """Return the query's parameters, each at most once.

    Raises:
        Invalid: one is unknown or appears twice, so that nothing is ever ignored.
    """
    given = request.args
    problems = [
        Problem(key[:100], "query.unknown", N_("There is no such parameter here."))
        for key in islice(given, _MAX_TOLD)
        if key not in allowed and key != "_l_"
    ]
    problems += [
        Problem(key[:100], "query.repeated", N_("This parameter may appear once."))
        for key in islice(given, _MAX_TOLD)
        if len(given.getlist(key)) > 1
    ]
    if problems:
        raise Invalid(problems=problems)
    return given.to_dict()


def integer_of(query: dict[str, str], name: str, *, default: int, least: int, most: int) -> int:
    """Return a whole number from the query.

    Raises:
        Invalid: it is none, or outside its bounds.
    """
    text = query.get(name)
    if text is None:
        return default
    if (
        text.isascii()
        and text.isdecimal()
        and len(text) <= _MAX_VERSION
        and least <= int(text) <= most
    ):
        return int(text)
    params = {"min": least, "max": most}
    text = N_("This must be a whole number from {min} to {max}.")
    raise Invalid(problems=[Problem(name, "query.number", text, params)])


def boolean_of(query: dict[str, str], name: str, *, default: bool = False) -> bool:
    """Return a yes or no from the query: `true` or `1`, `false` or `0`.

    Raises:
        Invalid: it is neither.
    """
    text = query.get(name)
    if text is None:
        return default
    if text not in _BOOLEANS:
        told = N_("This must be true or false.")
        raise Invalid(problems=[Problem(name, "query.boolean", told)])
    return _BOOLEANS[text]


def words_of(query: dict[str, str], name: str) -> tuple[str, ...]:
    """Return a comma-separated parameter's parts."""
    return tuple(part.strip() for part in query.get(name, "").split(",") if part.strip())


def expected_version() -> int:
    """Return the version that the caller has seen, from `If-Match`.

    Raises:
        VersionRequired: the header is missing.
        Malformed: it is no version.
    """
    header = request.headers.get("If-Match")
    if header is None:
        raise VersionRequired
    text = header.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_VERSION):
        raise Malformed(N_('If-Match must be a version such as "3".'))
    return int(text)


def etag(version: int) -> dict[str, str]:
    """Return the header that tells a record's version."""
    return {"ETag": f'"{version}"'}

"""Every failure the product can answer with, as one tree.

    GuanxiError
    ├── UserError                 the caller can do something about it (4xx)
    │   ├── Malformed       400   not readable as what it should be
    │   ├── Unauthenticated 401   nobody is signed in, or the token is dead
    │   ├── Forbidden       403   signed in, but without the right
    │   ├── NotFound        404   not there, or not there for this actor
    │   ├── MethodNotAllowed 405  there, but not for this method
    │   ├── Conflict        409   collides with what is stored (family: `conflict.*`, `flow.*`, …)
    │   │   └── PluginDisabled    the record type's plugin does not run
    │   ├── StaleVersion    412   somebody saved in between
    │   ├── TooLarge        413   over a documented bound
    │   ├── UnsupportedMedia 415  a body of a kind that is not read
    │   ├── Invalid         422   readable, but breaks one or more rules
    │   ├── VersionRequired 428   If-Match is missing
    │   └── RateLimited     429   too many tries
    ├── Internal            500   nobody foresaw it; the log has it under the request's id
    ├── Unavailable         503   the database is busy or gone; try again
    │   ├── ReleaseChanged        a release was published meanwhile; the edge does it again
    │   └── PluginError           a plugin's hook raised or hung; it is switched off
    └── ConfigurationError        found at boot or publish; carries every problem with its place

Texts are English templates with named placeholders; the edges translate them
(`core.i18n.translate`). Codes are stable, dotted and part of the contract.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from core.i18n import N_, translate


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule at one place.

    Attributes:
        path: where, as the caller wrote it: `lines.0.rate`, or `""` for the whole.
        code: stable dotted code, such as `field.required`.
        text: English template with named placeholders.
        params: the placeholders' values, plain JSON values only.
        file: the file it was found in, for schema and manifest problems.
        line: 1-based line in that file, 0 when unknown.
        column: 1-based column in that line, 0 when unknown.
    """

    path: str
    code: str
    text: str
    params: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        """Return the problem in English, with its place, for logs and terminals."""
        place = f"{self.file}:{self.line}:{self.column}: " if self.file else ""
        where = f"{self.path}: " if self.path else ""
        return f"{place}{where}{self.text.format_map(dict(self.params))}"


class GuanxiError(Exception):
    """The root of every error the product raises on purpose."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    text: str = N_("Something went wrong.")
    hint: str = ""

    def __init__(
        self, text: str | None = None, *, problems: Iterable[Problem] = (), **params: Any
    ) -> None:
        """Build it with an optional more exact `text`, its problems and the text's values."""
        self.problems = tuple(problems)
        self.params = params
        if text is not None:
            self.text = text
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return the error in English with its problems, one a line."""
        return "\n".join([self.text.format_map(self.params), *map(str, self.problems)])


class UserError(GuanxiError):
    """A failure that the caller caused and can mend."""

    code = "refused"
    status = 400


class Malformed(UserError):
    """The request is not readable as what it should be."""

    code = "malformed"
    status = 400
    text = N_("The request could not be read.")


class Unauthenticated(UserError):
    """Nobody is signed in, or the token is no longer good."""

    code = "unauthenticated"
    status = 401
    text = N_("Please sign in.")


class Forbidden(UserError):
    """The actor lacks the right."""

    code = "forbidden"
    status = 403
    text = N_("You have no right to do this.")


class PageTokenMissing(Forbidden):
    """A request with a session cookie lacks the token of its page."""

    code = "forbidden.page_token"
    text = N_("The page is out of date. Please load it again.")


class NotFound(UserError):
    """It does not exist, or not for this actor."""

    code = "not_found"
    status = 404
    text = N_("There is no such thing here.")


class MethodNotAllowed(UserError):
    """The address exists, but not for this method."""

    code = "method_not_allowed"
    status = 405
    text = N_("This method is not allowed here.")


class Conflict(UserError):
    """It collides with what is stored."""

    code = "conflict"
    status = 409
    text = N_("This collides with what is stored.")


class Taken(Conflict):
    """A value that must be unique is already used."""

    code = "conflict.taken"
    text = N_("This value is already used.")


class InUse(Conflict):
    """It cannot be deleted because other records refer to it."""

    code = "conflict.in_use"
    text = N_("It is in use and cannot be deleted.")


class KeyReused(Conflict):
    """An idempotency key came back with another body."""

    code = "idempotency.key_reused"
    text = N_("This idempotency key was already used for another request.")


class StaleVersion(UserError):
    """Somebody saved in between."""

    code = "stale_version"
    status = 412
    text = N_("The record was changed by someone else in the meantime.")
    hint = N_("Load it again and repeat your change.")


class TooLarge(UserError):
    """It is over a documented bound."""

    code = "too_large"
    status = 413
    text = N_("This is too large.")


class UnsupportedMedia(UserError):
    """The body is of a kind that is not read here."""

    code = "unsupported_media_type"
    status = 415
    text = N_("This kind of content is not accepted here.")


class Invalid(UserError):
    """One or more rules are broken; `problems` names them all."""

    code = "invalid"
    status = 422
    text = N_("Some values are not right.")


class VersionRequired(UserError):
    """The If-Match header is missing."""

    code = "version_required"
    status = 428
    text = N_("Send the version you have seen in the If-Match header.")


class RateLimited(UserError):
    """Too many tries in a short time."""

    code = "rate_limited"
    status = 429
    text = N_("Too many tries. Please wait a little.")


class Internal(GuanxiError):
    """Something that nobody foresaw; the log has the details under the request's id."""

    code = "internal"
    status = 500
    text = N_("Something went wrong on our side. Nothing was changed.")
    hint = N_("Tell your administrator the request id.")


class Unavailable(GuanxiError):
    """The database is busy or cannot be reached; nothing was written."""

    code = "unavailable"
    status = 503
    text = N_("The database is busy. Please try again.")


class ReleaseChanged(Unavailable):
    """A release was published between the start of the request and its write; do it again."""

    code = "release_changed"
    text = N_("The forms were just changed. Please try again.")


class ConfigurationError(GuanxiError):
    """Something shipped or configured is wrong; `problems` names every place."""

    code = "configuration"
    status = 422
    text = N_("The configuration has problems.")


class SchemaError(ConfigurationError):
    """The YAML schema has problems, each with file, line and column."""

    code = "schema.invalid"
    text = N_("The schema has problems.")


class ManifestError(ConfigurationError):
    """A plugin's manifest has problems."""

    code = "manifest.invalid"
    text = N_("The plugin manifest has problems.")


class PluginError(Unavailable):
    """A plugin's hook raised or hung; nothing was written, the plugin is named and disabled."""

    code = "plugin.failed"
    text = N_("The plugin {plugin} failed in {hook} and was switched off. Nothing was saved.")


class PluginDisabled(Conflict):
    """The record type belongs to a plugin that does not run, so it can only be read."""

    code = "plugin.disabled"
    text = N_("The plugin {plugin} does not run. Its records can be read but not changed.")


#: Parameters whose value is a word of the product's own.
_WORDS = frozenset({"verb", "state"})


def told(text: str, locale: str, params: Mapping[str, Any]) -> str:
    """Fill in a text; one that came ready from a plugin or a schema may contain braces.

    Verbs and states are said in the reader's words; programs find them as they are beside it.
    """
    said = {
        name: translate(value.replace("_", " "), locale)
        if name in _WORDS and isinstance(value, str)
        else value
        for name, value in params.items()
    }
    try:
        return translate(text, locale, **said)
    except (KeyError, IndexError, ValueError, TypeError):
        return translate(text, locale)


def problem_body(problem: Problem, locale: str) -> dict[str, Any]:
    """Return a problem as JSON, in `locale`, with its place if it is in a file."""
    body: dict[str, Any] = {
        "path": problem.path,
        "code": problem.code,
        "message": told(problem.text, locale, problem.params),
        "params": dict(problem.params),
    }
    if problem.file:
        body |= {"file": problem.file, "line": problem.line, "column": problem.column}
    return body

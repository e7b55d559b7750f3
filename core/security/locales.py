"""Which language an answer is in."""

from functools import lru_cache

from flask import has_request_context, request

from core.i18n import LOCALES
from core.security.services import services

#: Cookie that remembers the language a person chose.
COOKIE = "gx_locale"


def request_locale() -> str:
    """Return the language of this request: chosen, configured, asked by the browser, English."""
    if not has_request_context():
        return "en"
    chosen = request.cookies.get(COOKIE) if "HTTP_COOKIE" in request.environ else None
    if chosen in LOCALES:
        return str(chosen)
    return services().settings.locale or accepted_locale(request.headers.get("Accept-Language"))


@lru_cache(maxsize=512)
def accepted_locale(header: str | None) -> str:
    """Return the best of our languages for an `Accept-Language` header; English without one.

    Example:
        >>> accepted_locale("zh-CN,zh;q=0.9,en;q=0.8")
        'zh'
        >>> accepted_locale("fr, en;q=0.2, zh-Hans;q=0.7")
        'zh'
    """
    best, weight = "en", 0.0
    for part in (header or "")[:200].split(","):
        tag, _, parameters = part.partition(";")
        locale = tag.strip().lower().partition("-")[0]
        if locale in LOCALES:
            quality = _quality(parameters)
            if quality > weight:
                best, weight = locale, quality
    return best


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0

"""No answer sends a browser to another site, whoever wrote the address or the Host header."""

from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Response, request


def keep_redirects_local(app: Flask) -> None:
    """Have `app` redirect by path alone."""

    @app.after_request
    def _localize(response: Response) -> Response:
        target = response.headers.get("Location")
        if target is not None:
            response.headers["Location"] = local_target(target, request.host)
        return response


def local_target(target: str, host: str) -> str:
    """Return the path in `target` if that is on `host`, else the start page's."""
    if any(char in target for char in "\\\t\r\n"):
        return "/"
    try:
        parts = urlsplit(target)
    except ValueError:
        return "/"
    is_here = not parts.netloc and not parts.scheme
    if not is_here and (parts.scheme not in {"http", "https"} or parts.netloc != host):
        return "/"
    path = urlunsplit(("", "", parts.path or "/", parts.query, parts.fragment))
    return "/" if path.startswith("//") else path

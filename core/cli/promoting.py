"""The other server of a promotion, reached over its public API."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from core.cli.console import Refusal

_SECONDS = 60
_LONGEST = 16 * 1024 * 1024


class Target:
    """A server that forms are carried to."""

    def __init__(self, url: str, token: str) -> None:
        """Reach the server at `url` in the name of the token's owner.

        Raises:
            Refusal: the address is none, or there is no token.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Refusal(f"{url} is not the address of a server.")
        if not token:
            raise Refusal("GUANXI_TOKEN is empty: sign in there and put the token in it.")
        self._base = f"{parts.scheme}://{parts.netloc}/api/v1"
        self._token = token

    def draft(self, archive: bytes) -> dict[str, Any]:
        """Make a draft of an exported release there and return its plan."""
        text = base64.b64encode(archive).decode()
        made = self._ask("POST", "/schema/drafts", {"archive": text})
        draft: dict[str, Any] = self._ask("GET", f"/schema/drafts/{made['id']}")
        return draft

    def publish(self, draft_id: str, seal: str, note: str) -> int:
        """Publish a draft there, if the server is still what `seal` says."""
        body = {"seal": seal, "note": note}
        return int(self._ask("POST", f"/schema/drafts/{draft_id}/publish", body)["release"])

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310  the scheme was looked at
            self._base + path, data, method=method
        )
        request.add_header("Authorization", f"Bearer {self._token}")
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return json.loads(answer.read(_LONGEST))
        except urllib.error.HTTPError as error:
            with error:
                raise Refusal(_message(error)) from error
        except (OSError, ValueError) as error:
            raise Refusal(f"{self._base}: {error}") from error


def _message(error: urllib.error.HTTPError) -> str:
    try:
        told_back = json.loads(error.read(_LONGEST))
        return f"{error.code} {told_back['code']}: {told_back['message']}"
    except (ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"


def told(draft: Mapping[str, Any]) -> Iterator[str]:
    """Yield a plan's lines for a terminal."""
    for one in draft["checks"]:
        yield f"! {one['path']}: {one['message']}"
    for one in draft["diff"]:
        place = f"{one['type']}.{one['field']}" if one["field"] else one["type"]
        yield f"  {one['kind']} {place}"
    for one in draft["conversions"]:
        yield f"  {one['type']}: {one['succeeded']} succeed, {one['failed']} fail"
    for one in draft["plan"]["steps"]:
        yield f"  {one['text']}"
    for name, count in draft["impact"]["rows"].items():
        yield f"  {name}: {count}"

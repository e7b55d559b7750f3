"""One call of a webhook: signed, bounded in time and size, and following nobody elsewhere."""

import hashlib
import hmac
import http.client
import socket
import ssl
import threading
from collections.abc import Iterable
from typing import Any

from core.automation.addresses import Target, find_target
from core.errors import GuanxiError
from core.i18n import N_

#: Seconds for each step of a call, and for the whole of it.
STEP_SECONDS = 5.0
WHOLE_SECONDS = 15.0
#: Bytes of an answer that are read at all; what it says is never shown.
MAX_ANSWER = 64 * 1024

_SIGNATURE = "X-Guanxi-Signature"
_GOOD = range(200, 300)


class CallFailed(GuanxiError):
    """The other system did not take a call."""

    code = "webhook.failed"
    status = 502
    text = N_("The other system did not take it: {reason}")


def signature(secret: str, at: int, body: bytes) -> str:
    """Return the signature of a body at a moment (seconds since 1970).

    It is `t=AT,v1=HEX`, where HEX is the HMAC-SHA256, under the secret, of `AT.BODY`.
    """
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"


def call(
    url: str, body: bytes, *, delivery: str, secret: str, at: int, allowed: Iterable[str] = ()
) -> int:
    """Post JSON to a webhook and return the status it answered with.

    Args:
        url: the address.
        body: the JSON.
        delivery: the same at each try, so that the receiver can know a second one.
        secret: what the body is signed with.
        at: now, in seconds since 1970.
        allowed: hosts that may be inside.

    Raises:
        AddressRefused: it may not be called.
        CallFailed: it did not answer, or not with 2xx; a redirect is an answer like others.
    """
    try:
        target = find_target(url, allowed)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Guanxi",
            "X-Guanxi-Delivery": delivery,
            _SIGNATURE: signature(secret, at, body),
        }
        status = _post(target, body, headers)
    except (OSError, http.client.HTTPException) as error:
        raise CallFailed(reason=f"{type(error).__name__}: {error}"[:300]) from error
    if status not in _GOOD:
        raise CallFailed(reason=str(status))
    return status


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was resolved and found good before."""

    def __init__(self, target: Target) -> None:
        super().__init__(target.host, target.port, timeout=STEP_SECONDS)
        self._target = target

    def connect(self) -> None:
        """Connect to the address; a certificate must be for the host's name."""
        target = self._target
        plain = socket.create_connection((target.address, target.port), STEP_SECONDS)
        if not target.is_secure:
            self.sock = plain
            return
        try:
            context = ssl.create_default_context()
            self.sock = context.wrap_socket(plain, server_hostname=target.host)
        except BaseException:
            plain.close()
            raise


def _post(target: Target, body: bytes, headers: dict[str, str]) -> int:
    connection = _Pinned(target)
    if target.is_secure:
        connection.default_port = http.client.HTTPS_PORT
    # Each step has its time; a peer that drips bytes would use it again and again.
    is_over = threading.Event()
    end = threading.Timer(WHOLE_SECONDS, _cut, (connection, is_over))
    end.daemon = True
    end.start()
    try:
        connection.request("POST", target.path, body, headers)
        with connection.getresponse() as response:
            response.read(MAX_ANSWER)
            status = response.status
        if is_over.is_set():
            # What came until then may look like a whole answer.
            raise TimeoutError("the answer took too long")
        return status
    finally:
        end.cancel()
        connection.close()


def _cut(connection: Any, is_over: threading.Event) -> None:
    is_over.set()
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it ended at this very moment

"""Where a webhook may go: to public addresses, and to what the site allows by name.

The name is resolved once, every address it has is looked at, and the connection goes to
the very address that was found good, so that a name which answers differently the second
time gains nothing.
"""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import Forbidden
from core.i18n import N_

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv6 addresses that carry an IPv4 address in their last 32 bits.
_CARRIERS = tuple(
    ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96")
)
_LAST = 0xFFFFFFFF


class AddressRefused(Forbidden):
    """A webhook would go where it may not."""

    code = "forbidden.address"
    text = N_("The host {host} may not be called: it is inside, or not allowed.")


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook goes.

    Attributes:
        host: the name, which the certificate must be for.
        address: the address that is called.
        path: path and query.
    """

    is_secure: bool
    host: str
    port: int
    address: str
    path: str


def find_target(url: str, allowed: Iterable[str] = ()) -> Target:
    """Return where a webhook's address leads.

    Args:
        url: an http or https address.
        allowed: hosts (`crm.internal`, `10.0.0.7`, with `:8080` for that port alone) that
            may be inside and need no https.

    Raises:
        AddressRefused: it leads inside without being allowed, or is no plain web address.
        OSError: the name cannot be resolved.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise AddressRefused(host=url[:100]) from error
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise AddressRefused(host=host[:100])
    is_allowed = not {host, f"{host}:{port}"}.isdisjoint(one.lower() for one in allowed)
    if parts.scheme == "http" and not is_allowed:
        raise AddressRefused(N_("Without https only hosts that the site allows may be called."))
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(one[4][0]) for one in found]
    if not is_allowed and not all(is_public(address) for address in addresses):
        raise AddressRefused(host=host[:100])
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", host, port, addresses[0], path)


def is_public(text: str) -> bool:
    """Return whether an address is one of the public internet, whatever it is wrapped in."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and any(address in network for network in _CARRIERS):
            inner = ipaddress.IPv4Address(int(address) & _LAST)
        if address.teredo is not None or address.is_site_local:
            return False
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )

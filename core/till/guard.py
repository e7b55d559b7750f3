"""An order of the till is evidence: only the till writes it, and nothing changes it later.

It is core's own implementation of the plugins' hook, so that every door refuses alike.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from core.businesstime import is_zone
from core.context import Context
from core.errors import Invalid, Problem
from core.extension.hooks import Hooks
from core.extension.hookspecs import Change, hookimpl
from core.i18n import N_
from core.records.loading import read_only
from core.records.stored import whole_record
from core.till import certificates
from core.till.errors import OrderFixed

#: What people may still write on an order of the till.
_OPEN = frozenset({"remark"})


@dataclass(slots=True)
class Booking:
    """What the till is writing in this thread.

    Attributes:
        priced: canonical JSON that the certificate is the hash of; `made` is kept beside it.
        order_id: of the order, once it is written.
    """

    priced: str
    made: dict[str, Any]
    order_id: str = ""

    @property
    def certificate(self) -> str:
        """Return the hash that the order carries."""
        return certificates.hash_of(self.priced)


_booking: ContextVar[Booking | None] = ContextVar("gx_till_booking", default=None)


@contextmanager
def booking(priced: dict[str, Any], made: dict[str, Any]) -> Iterator[Booking]:
    """Let the block write one order with its certificate."""
    own = Booking(certificates.canonical(priced), made)
    token = _booking.set(own)
    try:
        yield own
    finally:
        _booking.reset(token)


class TillGuard:
    """Gives the till's orders their certificate, keeps them so, and stores fit to sell."""

    @hookimpl
    def guanxi_before_save(self, ctx: Context, change: Change) -> None:
        """Certify what the till writes; refuse what would change or imitate it."""
        if change.record_type == "store":
            _check_zone(change)
        if change.record_type != "order":
            return
        own = _booking.get()
        if change.action == "create" and own is not None:
            own.order_id = change.record_id
            certificates.keep(ctx, change.record_id, own.priced, own.made)
        elif (change.before or {}).get("certificate"):
            if change.action == "delete" or set(change.values) - _OPEN:
                raise OrderFixed
        else:
            _refuse_imitation(ctx, change)


def _check_zone(change: Change) -> None:
    """Refuse a store whose day nobody could tell.

    Raises:
        Invalid: there is no such time zone.
    """
    name = change.values.get("time_zone")
    if name is not None and not is_zone(str(name)):
        text = N_("There is no time zone {zone}; write it like Asia/Shanghai.")
        raise Invalid(
            problems=[Problem("time_zone", "store.unknown_time_zone", text, {"zone": name})]
        )


def _refuse_imitation(ctx: Context, change: Change) -> None:
    """Refuse a certificate by hand, and a return by hand of what the till sold.

    Raises:
        Invalid: only the till certifies.
        OrderFixed: money would go back twice.
    """
    if change.values.get("certificate"):
        raise Invalid(problems=[read_only("certificate")])
    sold = change.values.get("of")
    if not sold or ctx.connection is None:
        return
    if whole_record(ctx.connection, ctx.registry, "order", sold).get("certificate"):
        raise OrderFixed


def register(hooks: Hooks) -> None:
    """Have the till's orders guarded at every door."""
    hooks.register_core("core.till", TillGuard())

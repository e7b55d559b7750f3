"""The values that conditions in statements are bound to, request by request."""

from typing import Any

from core.context import Context


def bound(ctx: Context, **parameters: Any) -> dict[str, Any]:
    """Return `parameters` with who is acting and what time it is, for any statement."""
    return {
        "gx_current_user": ctx.actor.id,
        "gx_places": ctx.actor.places.text,
        "gx_now": ctx.now,
        "gx_today": ctx.today,
        "gx_zone": ctx.time_zone.key,
        **parameters,
    }

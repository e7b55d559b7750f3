"""A sale before it is paid: what points pay of it, and what it earns."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from sqlalchemy.engine import Connection

from core.api import N_, Context, Sale, SaleConditions, SaleLine, plugin_settings
from plugins.points_rules.operations.grants import had_already
from plugins.points_rules.operations.index import moment_of, rule_index, scene_index
from plugins.points_rules.operations.spending import INACTIVE, spend
from plugins.points_rules.rules import resolution
from plugins.points_rules.rules.earning import CATEGORIES
from plugins.points_rules.rules.resolution import Rule
from plugins.points_rules.rules.terms import SceneTerm, TermLine, Terms

#: Faults of a card that takes no part in discounts but may still earn.
DOUBTFUL = frozenset({"frozen", "lost", "not_verified"})

_TEXTS = {
    "rate": N_("{value} points for each 1.00, by {no}, line {line}."),
    "multiplier": N_("{value} times the purchase points, by {no}, line {line}."),
    "excluded": N_("No points, by {no}, line {line}."),
}


@dataclass(frozen=True, slots=True)
class _Earner:
    """By what a sale earns before any rule: the points for each 1.00 and the identity multiple.

    `card_type` is "" for a member without a card.
    """

    rate: Decimal
    identity: Decimal = Decimal(0)
    card_type: str = ""


class _Conditions:
    """The conditions of a sale, made ready once a rule or scene has any."""

    def __init__(self, ctx: Context, connection: Connection, sale: Sale) -> None:
        self._ctx, self._connection, self._sale = ctx, connection, sale
        self._ready: SaleConditions | None = None

    def hold(self, text: str, line: SaleLine | None = None) -> bool:
        """Return whether a condition holds; one that cannot be computed does not."""
        if self._ready is None:
            self._ready = SaleConditions(self._ctx, self._connection, self._sale)
        return self._ready.why_not(text, line) is None


def quote_points(ctx: Context, sale: Sale) -> None:
    """Set what points pay of the sale and what it earns, and stamp what that follows from.

    Raises:
        NotEnough, NobodySpends, MayNotSpend: the points cannot be spent, where it is an order.
    """
    sale.points = dict.fromkeys(CATEGORIES, 0)
    settings = plugin_settings(ctx, "points_rules")
    sale.spend_points = spend(ctx, sale, settings) if sale.spend_points else 0
    earner = _earner(sale, settings)
    if earner is None and not sale.spend_points:
        return
    with ctx.reading() as connection:
        conditions = _Conditions(ctx, connection, sale)
        terms = Terms(
            lines=_lines(ctx, sale, earner, conditions),
            digits=sale.store.digits,
            identity=earner.identity if earner else Decimal(0),
            combine=settings["multiplier_combine"],
            spent=sale.spend_points,
            point_value=settings["point_value"],
            earns_on_paid=settings["earn_on_points_paid"],
            scenes=_scenes(ctx, sale, earner, conditions) if earner else (),
        )
    sale.points, sale.points_paid = terms.earned().points, terms.paid
    sale.terms["points_rules"] = terms.as_json()


def _earner(sale: Sale, settings: Mapping[str, Any]) -> _Earner | None:
    """Return by what the sale earns; None where it earns nothing.

    A rebate card has no holder and earns nothing, nor does a card that is over.
    """
    if sale.member is None or sale.member.get("status") in INACTIVE:
        return None
    if sale.card is None:
        rate = settings["default_points_rate"]
        return _Earner(rate) if rate else None
    card_type = sale.card.card_type
    earns = DOUBTFUL if settings["doubtful_card_earns"] else frozenset()
    if card_type["purpose"] == "rebate_card" or not earns.issuperset(sale.card.faults):
        return None
    return _Earner(card_type["points_rate"], card_type["identity_multiple"], card_type["id"])


def _lines(
    ctx: Context, sale: Sale, earner: _Earner | None, conditions: _Conditions
) -> tuple[TermLine, ...]:
    """Return what each line brings in, by the rules in force for it."""
    if earner is None:
        return tuple(TermLine(line.amount_due, Decimal(0)) for line in sale.lines)
    index, moment = rule_index(ctx, sale.audit_seq), moment_of(sale)
    found = []
    for line in sale.lines:
        holds = partial(conditions.hold, line=line)
        rate, multiplier = index.resolve(line.goods.scopes, earner.card_type, moment, holds)
        for rule in (rate, multiplier):
            _explain(line, rule)
        found.append(
            TermLine(
                line.amount_due,
                earner.rate if rate is None else rate.value,
                multiplier.value if multiplier else Decimal(0),
            )
        )
    return tuple(found)


def _explain(line: SaleLine, rule: Rule | None) -> None:
    """Note on a line which rule decided about its points."""
    if rule is None:
        return
    by = resolution.stamp(rule)
    line.terms.setdefault("points_rules", {})[rule.effect] = by
    params = {**by, "value": f"{rule.value.normalize():f}"}
    line.trace.append(
        {"code": f"points_rules.{rule.effect}", "text": _TEXTS[rule.effect], "params": params}
    )


def _scenes(
    ctx: Context, sale: Sale, earner: _Earner, conditions: _Conditions
) -> tuple[SceneTerm, ...]:
    """Return the scenes that hold for the sale and that the member has not had yet."""
    assert sale.member is not None  # noqa: S101  an earner is a member's
    index, member = scene_index(ctx, sale.audit_seq), sale.member["id"]
    found = index.in_force(earner.card_type, moment_of(sale), conditions.hold)
    keys = [resolution.once_key(scene, member, sale.on) for scene in found]
    had = had_already(ctx, [key for key in keys if key])
    return tuple(
        SceneTerm(
            scene.version.record_id,
            scene.version.no,
            scene.version.audit_seq,
            scene.points,
            scene.multiplier,
            scene.condition,
            key,
        )
        for scene, key in zip(found, keys, strict=True)
        if key not in had
    )

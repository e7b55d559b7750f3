"""A sale before it is paid: what points pay of it, and what it earns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial
from typing import Any

from core.api import N_, Context, Sale, SaleConditions, SaleLine, plugin_settings
from plugins.points_rules.operations.grants import had_already
from plugins.points_rules.operations.index import moment_of, rule_index, scene_index
from plugins.points_rules.operations.spending import INACTIVE, spend
from plugins.points_rules.rules import resolution
from plugins.points_rules.rules.earning import CATEGORIES
from plugins.points_rules.rules.resolution import Lost, Resolution
from plugins.points_rules.rules.terms import SceneTerm, TermLine, Terms

#: Faults of a card that takes no part in discounts but may still earn.
DOUBTFUL = frozenset({"frozen", "lost", "not_verified"})

_TEXTS = {
    "rate": N_("{value} points for each 1.00, by {no}, line {line}."),
    "multiplier": N_("{value} times the purchase points, by {no}, line {line}."),
    "excluded": N_("No points, by {no}, line {line}."),
}

#: Why a rule lost -> the step that says so.
_LOST = {
    "lower_level": N_("Points rule {no}, line {line}: a rule of a higher level decides."),
    "earlier_audit": N_("Points rule {no}, line {line}: a document audited later decides."),
    "earlier_line": N_("Points rule {no}, line {line}: a later line of the document decides."),
    "condition_not_met": N_("Points rule {no}, line {line}: its condition is not met."),
    "condition_failed": N_("Points rule {no}, line {line}: its condition cannot be computed."),
    "not_yet_audited": N_("Points rule {no}, line {line}: it was not audited yet."),
    "not_yet_effective": N_("Points rule {no}, line {line}: it holds from {from} on."),
    "expired": N_("Points rule {no}, line {line}: it held until {to}."),
    "void": N_("Points rule {no}, line {line}: its document is void."),
    "replaced": N_("Points rule {no}, line {line}: its document was changed since."),
}


@dataclass(frozen=True, slots=True)
class _Earner:
    """By what a sale earns before any rule: the points for each 1.00 and the identity multiple.

    `card_type` is "" for a member without a card.
    """

    rate: Decimal
    identity: Decimal = Decimal(0)
    card_type: str = ""


#: Why a condition does not hold for a line, or for the sale as a whole; None where it does.
_WhyNot = Callable[[SaleLine | None, str], str | None]


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
        # Made when the first rule or scene has a condition: most sales meet none.
        conditions = cache(lambda: SaleConditions(ctx, connection, sale))

        def why_not(line: SaleLine | None, text: str) -> str | None:
            return conditions().why_not(text, line)

        terms = Terms(
            lines=_lines(ctx, sale, earner, why_not),
            digits=sale.store.digits,
            identity=earner.identity if earner else Decimal(0),
            combine=settings["multiplier_combine"],
            spent=sale.spend_points,
            point_value=settings["point_value"],
            earns_on_paid=settings["earn_on_points_paid"],
            on_identity=settings["multiplier_on_identity"],
            scenes=_scenes(ctx, sale, earner, why_not) if earner else (),
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
    ctx: Context, sale: Sale, earner: _Earner | None, why_not: _WhyNot
) -> tuple[TermLine, ...]:
    """Return what each line brings in, by the rules in force for it."""
    if earner is None:
        return tuple(TermLine(line.amount_due, Decimal(0)) for line in sale.lines)
    index, moment = rule_index(ctx, sale.audit_seq), moment_of(sale)
    found = []
    for line in sale.lines:
        holds = partial(why_not, line)
        decided = index.resolve(line.goods.scopes, earner.card_type, moment, holds)
        for each in decided:
            _explain(line, each)
        rate, multiplier = (each.rule for each in decided)
        found.append(
            TermLine(
                line.amount_due,
                earner.rate if rate is None else rate.value,
                multiplier.value if multiplier else Decimal(0),
            )
        )
    return tuple(found)


def _explain(line: SaleLine, decided: Resolution) -> None:
    """Note on a line which rule decided about its points, and why the nearest others did not."""
    rule = decided.rule
    if rule is not None:
        by = resolution.stamp(rule)
        line.terms.setdefault("points_rules", {})[rule.effect] = by
        params = {**by, "value": f"{rule.value.normalize():f}"}
        line.trace.append(
            {"code": f"points_rules.{rule.effect}", "text": _TEXTS[rule.effect], "params": params}
        )
    line.trace += map(_lost_step, decided.lost)


def _lost_step(lost: Lost) -> dict[str, Any]:
    rule, why = lost
    days = {"from": rule.version.effective_from, "to": rule.version.effective_to}
    params = resolution.stamp(rule) | {name: str(day or "") for name, day in days.items()}
    return {"code": f"points_rules.lost.{why}", "text": _LOST[why], "params": params}


def _scenes(ctx: Context, sale: Sale, earner: _Earner, why_not: _WhyNot) -> tuple[SceneTerm, ...]:
    """Return the scenes that hold for the sale and that the member has not had yet."""
    assert sale.member is not None  # noqa: S101  an earner is a member's
    index, member = scene_index(ctx, sale.audit_seq), sale.member["id"]
    found = index.in_force(earner.card_type, moment_of(sale), partial(why_not, None))
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

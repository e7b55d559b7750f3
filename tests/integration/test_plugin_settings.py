"""Settings of the shipped plugins: typed, audited, effective at the next request."""

import pytest
import sqlalchemy as sa

from core import audit
from core.errors import Forbidden, Invalid, NotFound, PluginDisabled
from core.extension.settings import history_type, settings
from core.extension.state import read_states
from core.records.exporting import export_csv
from core.records.plugin_settings import (
    change_settings,
    get_settings,
    plugin_settings,
    set_plugin_enabled,
)
from core.records.queries import Query, get_record
from core.testing.shipped import *  # noqa: F403

DEFAULTS = {
    "stacking_mode": 2, "stack_needs_other": True, "replay_days": 30, "replay_receipts": 10_000,
    "floor_rate": "0.0000", "cost_field": "cost", "stack_at_threshold": True,
    "non_join": "best_of",
}  # fmt: skip


def test_settings_have_their_defaults_until_changed(shipped):
    assert get_settings(shipped.context("Admin"), "discount_rules") == DEFAULTS


def test_changed_setting_holds_for_the_next_context_and_not_for_the_running_one(shipped):
    running = shipped.context("cashier")
    assert plugin_settings(running, "discount_rules")["stacking_mode"] == 2
    change_settings(shipped.context("configurator"), "discount_rules", {"stacking_mode": 1})
    assert plugin_settings(running, "discount_rules")["stacking_mode"] == 2
    assert plugin_settings(shipped.context("cashier"), "discount_rules")["stacking_mode"] == 1


def test_changed_setting_leaves_a_history_that_verifies(shipped):
    ctx = shipped.context("Admin")
    for mode in (1, 1, 2):
        change_settings(ctx, "discount_rules", {"stacking_mode": mode})
    with shipped.db.read() as connection:
        rows = connection.execute(
            sa.select(audit.history)
            .where(audit.history.c.record_type == history_type("discount_rules"))
            .order_by(audit.history.c.seq)
        )
        events = [dict(row) for row in rows.mappings()]
        head = connection.execute(sa.select(settings.c.chain)).scalar_one()
    assert [(it["actor_name"], it["action"], it["changes"]) for it in events] == [
        ("Admin", "setting", '{"stacking_mode":[2,1]}'),
        ("Admin", "setting", '{"stacking_mode":[1,2]}'),
    ]
    assert audit.broken_links(events, head) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"stacking_mode": 3}, [("stacking_mode", "field.too_large")]),
        ({"stacking_mode": None}, [("stacking_mode", "field.required")]),
        ({"stacking_mode": "two"}, [("stacking_mode", "field.not_a_number")]),
        (
            {"nonsense": 1, "stack_needs_other": "perhaps"},
            [("stack_needs_other", "field.bad_type"), ("nonsense", "setting.unknown")],
        ),
    ],
)
def test_wrong_settings_are_refused_all_at_once(shipped, values, expected):
    ctx = shipped.context("Admin")
    with pytest.raises(Invalid) as caught:
        change_settings(ctx, "discount_rules", {"stack_needs_other": False} | values)
    assert [(it.path, it.code) for it in caught.value.problems] == expected
    assert get_settings(shipped.context("Admin"), "discount_rules") == DEFAULTS


def test_settings_need_the_right_and_a_plugin(shipped):
    for act in (
        lambda ctx: get_settings(ctx, "discount_rules"),
        lambda ctx: change_settings(ctx, "discount_rules", {}),
        lambda ctx: set_plugin_enabled(ctx, "discount_rules", enabled=False),
    ):
        with pytest.raises(Forbidden):
            act(shipped.context("clerk"))
    with pytest.raises(NotFound):
        get_settings(shipped.context("Admin"), "nonsense")


def test_stored_value_that_the_manifest_no_longer_accepts_gives_way_to_the_default(shipped):
    with shipped.db.write() as connection:
        connection.execute(
            settings.insert().values(
                plugin="discount_rules", name="stacking_mode", value="7", events=1, chain=""
            )
        )
    assert get_settings(shipped.context("Admin"), "discount_rules") == DEFAULTS


def test_disabled_plugin_leaves_its_records_readable_until_enabled_again(shipped):
    made = shipped.create("clerk", "card_type", code="GOLD", name="Gold")
    set_plugin_enabled(shipped.context("Admin"), "card_types", enabled=False)
    assert get_record(shipped.context("clerk"), "card_type", made["id"])["name"] == "Gold"
    lines = list(export_csv(shipped.context("Admin"), "card_type", Query()))
    assert [len(lines), "GOLD" in lines[1], "Gold" in lines[1]] == [2, True, True]
    with pytest.raises(PluginDisabled):
        shipped.change("clerk", "card_type", made["id"], name="Golden")
    set_plugin_enabled(shipped.context("Admin"), "card_types", enabled=True)
    assert shipped.change("clerk", "card_type", made["id"], name="Golden")["name"] == "Golden"
    with shipped.db.read() as connection:
        assert read_states(connection)["card_types"].enabled

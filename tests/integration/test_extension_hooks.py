"""Hooks of real plugin folders: order, refusal, and what a broken one can and cannot do."""

import contextlib
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from core import audit
from core.actor import Actor
from core.context import Context
from core.errors import Conflict, NotFound, PluginDisabled, PluginError, Problem, Unavailable
from core.extension import hooks as hooks_module
from core.extension.discovery import find_plugins, load_hooks, load_plugins
from core.extension.hooks import Health, Hooks
from core.extension.hookspecs import Change, Document, Event, hookimpl
from core.extension.state import read_states, switch_plugin
from core.schema.model import Field, RecordType, Release
from core.tables.registry import Registries, Registry
from core.tables.releases import Revision

MANIFEST = """\
id: {name}
title: {{zh: 例, en: Example}}
description: {{zh: 例, en: Example}}
version: 1.0.0
requires_core: ">=0.1, <1"
depends_on: [{needs}]
hooks:
{hooks}
"""

LINE = "  - {{name: {name}, types: [{types}]}}\n"


def write_plugin(root, name, code, *, hooks=("guanxi_before_save",), types="thing", needs=""):
    """Write a plugin's folder with the given hooks.py."""
    folder = root / name
    folder.mkdir()
    listed = "".join(LINE.format(name=hook, types=types) for hook in hooks)
    (folder / "manifest.yaml").write_text(MANIFEST.format(name=name, needs=needs, hooks=listed))
    (folder / "__init__.py").write_text('"""An example."""\n')
    (folder / "hooks.py").write_text(f"from core.api import *\nimport time, sys\n{code}")
    return folder


BEFORE = "@hookimpl\ndef guanxi_before_save(ctx, change):\n    {}\n"
NOTES = BEFORE.format("change.values.setdefault('seen', []).append('{name}')")


@pytest.fixture
def database(bootstrapped):
    return bootstrapped


@pytest.fixture
def make_context(database):
    """Return a function that makes a context whose types belong to the given layers."""
    registries, used = Registries(database), []

    def make(hooks, layers=None):
        used.append(hooks)
        types = {
            name: RecordType(
                name=name, id=name, layer=layer, fields=(Field(id="f", name="f", type="text"),)
            )
            for name, layer in (layers or {"thing": "core"}).items()
        }
        revision = registries.current().revision
        release, revision = Release(number=0, types=types), Revision(0, 0, revision.settings)
        registry = Registry(release, revision, database.dialect)
        return Context(
            actor=Actor(id="u1", name="Lin"), db=database, registries=registries,
            registry=registry, hooks=hooks,
        )  # fmt: skip

    yield make
    for hooks in used:
        hooks.wait_for_notes()


def make_change(record_type="thing"):
    return Change(record_type, "create", "r1", None, {})


def stored_failure(database, hooks, name):
    """Return what the database says of a failure."""
    hooks.wait_for_notes()
    with database.read() as connection:
        state = read_states(connection)[name]
    return state.failed_in, state.failure


def test_hooks_run_core_first_then_in_order_of_need_and_name(tmp_path, make_context):
    for name, needs in (("p_zeta", ""), ("p_alpha", "p_zeta"), ("p_mid", "")):
        write_plugin(tmp_path, name, NOTES.format(name=name), needs=needs)
    hooks, plugins = load_hooks(tmp_path)

    class Core:
        @hookimpl
        def guanxi_before_save(self, change):
            change.values.setdefault("seen", []).append("core")

    hooks.register_core("core.example", Core())
    change = make_change()
    hooks.before_save(make_context(hooks), change)
    assert [plugin.name for plugin in plugins] == ["p_mid", "p_zeta", "p_alpha"]
    assert change.values == {"seen": ["core", "p_mid", "p_zeta", "p_alpha"]}


def test_hook_is_called_for_the_declared_record_types_only(tmp_path, make_context):
    write_plugin(tmp_path, "p_some", NOTES.format(name="p_some"), types="other")
    hooks, _ = load_hooks(tmp_path)
    change = make_change()
    hooks.before_save(make_context(hooks), change)
    assert change.values == {}


def test_before_hook_refuses_with_a_user_error_and_stays_on(tmp_path, make_context):
    code = BEFORE.format("raise Conflict('No {what}.', what='way')")
    write_plugin(tmp_path, "p_strict", code)
    hooks, _ = load_hooks(tmp_path)
    for _ in range(2):
        with pytest.raises(Conflict, match="No way"):
            hooks.before_save(make_context(hooks), make_change())
    assert hooks.health({}) == [Health("p_strict", "running")]


BROKEN = {
    "raises": ("1 / 0", "ZeroDivisionError: division by zero"),
    "exits": ("sys.exit(3)", "ExitedEarly: SystemExit"),
    "hangs": ("while True: pass", "did not answer within 0.2 seconds"),
    "sleeps": ("time.sleep(2)", "did not answer within 0.2 seconds"),
}


@pytest.fixture
def short_budget(monkeypatch):
    """Give before-hooks a fifth of a second."""
    monkeypatch.setattr(hooks_module, "BEFORE_SECONDS", 0.2)


@pytest.mark.usefixtures("short_budget")
@pytest.mark.parametrize("case", BROKEN)
def test_before_hook_that_fails_is_named_switched_off_and_stored(
    case, tmp_path, make_context, database
):
    code, reason = BROKEN[case]
    write_plugin(tmp_path, f"p_{case}", BEFORE.format(code))
    write_plugin(tmp_path, "p_sound", NOTES.format(name="p_sound"))
    hooks, _ = load_hooks(tmp_path)
    ctx = make_context(hooks)
    with pytest.raises(PluginError) as caught, ctx.writing():
        hooks.before_save(ctx, make_change())
    assert (caught.value.status, caught.value.code) == (503, "plugin.failed")
    assert caught.value.params == {"plugin": f"p_{case}", "hook": "guanxi_before_save"}
    change = make_change()
    hooks.before_save(make_context(hooks), change)
    assert change.values == {"seen": ["p_sound"]}
    assert stored_failure(database, hooks, f"p_{case}") == ("guanxi_before_save", reason)
    assert hooks.health({})[0] == Health(f"p_{case}", "failed", (f"guanxi_before_save: {reason}",))


@pytest.mark.usefixtures("short_budget")
def test_each_hook_of_several_has_a_budget_of_its_own_and_the_one_that_hangs_is_named(
    tmp_path, make_context
):
    for name, seconds in (("p_a", 0.15), ("p_b", 0.15), ("p_c", 0.6)):
        slow = f"time.sleep({seconds}); change.values.setdefault('seen', []).append('{name}')"
        write_plugin(tmp_path, name, BEFORE.format(slow))
    hooks, _ = load_hooks(tmp_path)
    change = make_change()
    with pytest.raises(PluginError) as caught:
        hooks.before_save(make_context(hooks), change)
    assert (caught.value.params["plugin"], change.values) == ("p_c", {"seen": ["p_a", "p_b"]})


def test_records_of_a_failed_plugin_can_not_be_changed_until_it_is_enabled(
    tmp_path, make_context, database
):
    write_plugin(tmp_path, "p_owner", BEFORE.format("1 / 0"))
    hooks, _ = load_hooks(tmp_path)
    layers = {"thing": "p_owner", "other": "core"}
    with pytest.raises(PluginError):
        hooks.before_save(make_context(hooks, layers), make_change())
    with pytest.raises(PluginDisabled) as caught:
        hooks.before_save(make_context(hooks, layers), make_change())
    assert (caught.value.status, caught.value.params) == (409, {"plugin": "p_owner"})
    hooks.before_save(make_context(hooks, layers), make_change("other"))
    stored_failure(database, hooks, "p_owner")
    switch(database, "p_owner", make_context(hooks), enabled=True)
    with pytest.raises(PluginError):
        hooks.before_save(make_context(hooks, layers), make_change())


def switch(database, name, ctx, *, enabled):
    with database.write() as connection:
        switch_plugin(connection, name, enabled=enabled, actor=ctx.actor, at=ctx.now)
        connection.exec_driver_sql("UPDATE gx_revision SET settings = settings + 1")


def test_plugin_that_a_person_disabled_is_not_called(tmp_path, make_context, database):
    write_plugin(tmp_path, "p_off", NOTES.format(name="p_off"))
    hooks, _ = load_hooks(tmp_path)
    switch(database, "p_off", make_context(hooks), enabled=False)
    change = make_change()
    hooks.before_save(make_context(hooks), change)
    assert change.values == {}
    with pytest.raises(PluginDisabled):
        hooks.before_save(make_context(hooks, {"thing": "p_off"}), make_change())
    with database.read() as connection:
        assert hooks.health(read_states(connection)) == [Health("p_off", "disabled")]


def test_busy_database_is_not_the_plugins_fault(tmp_path, make_context):
    code = "from core.errors import Unavailable\n" + BEFORE.format("raise Unavailable")
    write_plugin(tmp_path, "p_busy", code)
    hooks, _ = load_hooks(tmp_path)
    with pytest.raises(Unavailable) as caught:
        hooks.before_save(make_context(hooks), make_change())
    assert type(caught.value) is Unavailable
    assert hooks.health({}) == [Health("p_busy", "running")]


def test_hook_works_in_the_transaction_of_its_caller(tmp_path, make_context):
    code = BEFORE.format("change.values['n'] = next_number(ctx.connection, 'example')")
    write_plugin(tmp_path, "p_count", code)
    hooks, _ = load_hooks(tmp_path)
    ctx, numbers = make_context(hooks), []
    for _ in range(2):
        change = make_change()
        with contextlib.suppress(NotFound), ctx.writing():
            hooks.before_save(ctx, change)
            numbers.append(change.values["n"])
            refuse()
    assert numbers == [1, 1]


def refuse():
    raise NotFound


def test_warnings_of_a_hook_reach_the_context(tmp_path, make_context):
    code = BEFORE.format("change.warnings.append(Problem('f', 'x.low', 'Low.'))")
    write_plugin(tmp_path, "p_warn", code)
    hooks, _ = load_hooks(tmp_path)
    ctx = make_context(hooks)
    hooks.before_save(ctx, make_change())
    assert ctx.warnings == [Problem("f", "x.low", "Low.")]


def test_before_apply_refuses_a_document(tmp_path, make_context):
    code = (
        "@hookimpl\ndef guanxi_before_apply(document):\n"
        "    raise Conflict(document.values['why'])\n"
    )
    write_plugin(tmp_path, "p_apply", code, hooks=("guanxi_before_apply",))
    hooks, _ = load_hooks(tmp_path)
    with pytest.raises(Conflict, match="overlap"):
        hooks.at_document(
            make_context(hooks),
            "guanxi_before_apply",
            Document("thing", "r1", None, {"why": "overlap"}),
        )


def test_after_hooks_are_isolated_from_each_other(tmp_path, make_context, database):
    told = tmp_path / "told"
    after = "@hookimpl\ndef guanxi_after_event(event):\n    {}\n"
    hook = ("guanxi_after_event",)
    write_plugin(tmp_path, "p_bad", after.format("raise ValueError('no')"), hooks=hook)
    write_plugin(tmp_path, "p_veto", after.format("raise Conflict('no')"), hooks=hook)
    write_plugin(
        tmp_path,
        "p_good",
        after.format(f"__import__('pathlib').Path({str(told)!r}).write_text(event.topic)"),
        hooks=hook,
    )
    hooks, _ = load_hooks(tmp_path)
    hooks.after_event(make_context(hooks), Event("e1", "record.created", {"type": "thing"}))
    assert told.read_text() == "record.created"
    assert stored_failure(database, hooks, "p_bad") == ("guanxi_after_event", "ValueError: no")
    assert [(it.name, it.status) for it in hooks.health({})] == [
        ("p_bad", "failed"), ("p_good", "running"), ("p_veto", "running"),
    ]  # fmt: skip


def test_error_of_core_itself_is_not_hidden(make_context):
    class Core:
        @hookimpl
        def guanxi_before_save(self):
            raise ZeroDivisionError

    hooks = Hooks()
    hooks.register_core("core.example", Core())
    with pytest.raises(ZeroDivisionError):
        hooks.before_save(make_context(hooks), make_change())


UNLOADABLE = {
    "import": ("raise RuntimeError('no')", "cannot be imported: RuntimeError: no"),
    "exit": ("sys.exit()", "cannot be imported: ExitedEarly: SystemExit"),
    "syntax": ("def", "cannot be imported: SyntaxError"),
    "argument": (
        "@hookimpl\ndef guanxi_before_save(nonsense):\n    pass\n",
        "A hook is not right",
    ),
    "undeclared": ("", "hooks and hooks.py differ: guanxi_before_save"),
}


@pytest.mark.parametrize("case", UNLOADABLE)
def test_plugin_that_cannot_be_loaded_is_named_and_its_records_only_readable(
    case, tmp_path, make_context
):
    code, reason = UNLOADABLE[case]
    write_plugin(tmp_path, f"p_{case}", code)
    write_plugin(tmp_path, "p_sound", NOTES.format(name="p_sound"))
    hooks, _ = load_hooks(tmp_path)
    health = {each.name: each for each in hooks.health({})}
    assert health["p_sound"] == Health("p_sound", "running")
    assert health[f"p_{case}"].status == "broken"
    assert reason in health[f"p_{case}"].reasons[0]
    with pytest.raises(PluginDisabled):
        hooks.before_save(make_context(hooks, {"thing": f"p_{case}"}), make_change())


def test_unknown_hook_breaks_the_plugin_that_declares_it(tmp_path):
    code = "@hookimpl\ndef guanxi_before_lunch():\n    pass\n"
    write_plugin(tmp_path, "p_typo", code, hooks=("guanxi_before_lunch",))
    hooks, plugins = load_hooks(tmp_path)
    assert hooks.health({})[0].status == "broken"
    assert "guanxi_before_lunch" in str(plugins[0].problems[0])


def test_plugins_that_need_a_missing_or_each_other_are_broken(tmp_path):
    for name, needs in (("p_one", "p_two"), ("p_two", "p_one"), ("p_lost", "p_gone")):
        write_plugin(tmp_path, name, NOTES.format(name=name), needs=needs)
    hooks = Hooks()
    load_plugins(find_plugins(tmp_path), hooks)
    assert [(it.name, it.status) for it in hooks.health({})] == [
        ("p_lost", "broken"), ("p_one", "broken"), ("p_two", "broken"),
    ]  # fmt: skip


def test_hooks_from_many_threads_do_not_mix_their_answers(tmp_path, make_context):
    code = (
        "@hookimpl\ndef guanxi_before_save(change):\n"
        "    time.sleep(0.01)\n    change.values['id'] = change.record_id\n"
    )
    write_plugin(tmp_path, "p_slow", code)
    hooks, _ = load_hooks(tmp_path)
    wrong = []

    def work(number):
        ctx = make_context(hooks)
        for turn in range(5):
            change = Change("thing", "create", f"{number}.{turn}", None, {})
            hooks.before_save(ctx, change)
            if change.values != {"id": f"{number}.{turn}"}:
                wrong.append(change)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_switching_a_plugin_leaves_a_history_that_verifies(tmp_path, make_context, database):
    write_plugin(tmp_path, "p_log", NOTES.format(name="p_log"))
    ctx = make_context(load_hooks(tmp_path)[0])
    for enabled in (False, True):
        switch(database, "p_log", ctx, enabled=enabled)
    with database.read() as connection:
        rows = connection.execute(sa.select(audit.history).order_by(audit.history.c.seq))
        events = [dict(row) for row in rows.mappings()]
        state = read_states(connection)["p_log"]
    assert [(it["action"], it["actor_name"]) for it in events] == [
        ("disable", "Lin"), ("enable", "Lin"),
    ]  # fmt: skip
    assert audit.broken_links(events, state.chain) == []
    assert Path(tmp_path / "p_log").is_dir()

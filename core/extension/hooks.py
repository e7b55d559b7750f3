"""Calls the plugins' hooks, one by one, so that a broken plugin harms only itself.

Order is fixed: core's own implementations, then plugins as they were loaded
(`depends_on` first, then by name). What happens when one misbehaves:

- a `UserError` passes: that is how a before-hook refuses;
- a busy database passes: it is not the plugin's fault;
- anything else, or no answer in time, names the plugin and switches it off in this
  process; the database keeps the reason. `guanxi plugin enable` switches it on again.

While a plugin is off its record types can be read but not changed, because the
rules that guard them do not run.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pluggy
from sqlalchemy.exc import DBAPIError, OperationalError

from core.db import Database, is_busy
from core.errors import PluginDisabled, PluginError, Unavailable, UserError
from core.extension import hookspecs, state
from core.extension.deadline import DeadlineExceeded, run_each_within, run_within
from core.extension.hookspecs import PROJECT, Change, Document, Event
from core.extension.reviews import Reviews

if TYPE_CHECKING:
    from core.context import Context
    from core.extension.manifest import Manifest
    from core.keys import KeyRing
    from core.schema.actiontypes import ActionCall, PluginAction
    from core.schema.recordfiles import FileCall, RecordFile

log = logging.getLogger(__name__)

#: Longer than a writer waits for a lock: waiting for the database is not hanging.
BEFORE_SECONDS = 10.0
AFTER_SECONDS = 60.0

#: Layers of a release that are no plugin.
_OWN_LAYERS = frozenset({"", "core", "site"})

States = Mapping[str, state.PluginState]


@dataclass(frozen=True, slots=True)
class _Implementation:
    """One plugin's implementation of one hook; `types` None means every record type."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    types: frozenset[str] | None
    is_core: bool

    def __call__(self, **values: Any) -> Any:
        return self.function(**{name: values[name] for name in self.arguments})


@dataclass(frozen=True, slots=True)
class Health:
    """How one plugin is: `running`, `disabled` by a person, `failed` at work or `broken`."""

    name: str
    status: str
    reasons: tuple[str, ...] = ()


class Hooks:
    """The hooks of one process; `ctx.hooks`. Without plugins it calls core's own only."""

    def __init__(self) -> None:
        """Start with no implementation at all."""
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._core: list[_Implementation] = []
        self._plugins: list[_Implementation] = []
        self._known: dict[str, tuple[str, ...]] = {}
        #: Name -> manifest of every plugin found, None for one whose manifest is broken.
        self.manifests: dict[str, Manifest | None] = {}
        #: What plugins sign and hash with; None in a process that was given no key.
        self.keys: KeyRing | None = None
        self._calls: dict[tuple[str, str], tuple[_Implementation, ...]] = {}
        self._failed: dict[str, tuple[int, str]] = {}
        self._notes: list[threading.Thread] = []
        #: What plugins find in documents before people decide on them.
        self.reviews = Reviews(self._reviewers)

    def register_core(self, name: str, implementation: object) -> None:
        """Add core's own implementation; it runs first, for every record type, unguarded."""
        self._core += self._implementations(name, implementation, {}, is_core=True)
        self._calls.clear()

    def register_plugin(
        self, name: str, implementation: object, types: Mapping[str, Iterable[str]] | None = None
    ) -> None:
        """Add a plugin's hooks; `types` maps a hook to the record types it wants, default all.

        Raises:
            pluggy.PluginValidationError: a hook is unknown or takes an unknown argument.
        """
        self._plugins += self._implementations(name, implementation, types or {}, is_core=False)
        self._known[name] = ()
        self._calls.clear()

    def register_broken(self, name: str, reasons: Iterable[str]) -> None:
        """Note a plugin that could not be loaded; its records stay readable."""
        self._known[name] = tuple(reasons) or ("broken",)

    def register_manifest(self, name: str, manifest: "Manifest | None") -> None:
        """Note what a plugin, sound or broken, declares of itself."""
        self._known.setdefault(name, ())
        self.manifests[name] = manifest

    def before_save(self, ctx: "Context", change: Change) -> None:
        """Let plugins complete or refuse a change; raises what they refuse with.

        Raises:
            PluginError: a plugin raised or hung; it is switched off and nothing may be written.
            PluginDisabled: the record type's plugin does not run.
        """
        self._before(ctx, "guanxi_before_save", change.record_type, {"change": change})
        ctx.warnings += change.warnings

    def at_document(self, ctx: "Context", hook: str, document: Document) -> None:
        """Let plugins refuse a document.

        Args:
            ctx: who submits it, or lets it take effect.
            hook: `guanxi_before_submit`, or `guanxi_before_apply` once it is approved.
            document: the document.

        Raises:
            PluginError: a plugin raised or hung; it is switched off and nothing may be written.
            PluginDisabled: the record type's plugin does not run.
        """
        self._before(ctx, hook, document.record_type, {"document": document})

    def at_till(self, ctx: "Context", hook: str, **values: Any) -> list[tuple[str, Any]]:
        """Call a hook of the till; a plugin that does not run takes no part in sales.

        Args:
            ctx: who sells.
            hook: such as `guanxi_before_quote`.
            values: its arguments.

        Returns:
            (plugin, answer) of each.

        Raises:
            PluginError: a plugin raised or hung; it is switched off and nothing may be written.
        """
        calls = [call for call in self._calls_of(hook, "") if self._is_running(ctx, call)]
        answers = self._each_guarded(ctx, calls, BEFORE_SECONDS, {"ctx": ctx, **values})
        return [(call.plugin, answer) for call, answer in zip(calls, answers, strict=True)]

    def hears(self, record_type: str) -> bool:
        """Return whether any plugin, running or not, is told of events of a record type."""
        return bool(self._calls_of("guanxi_after_event", record_type))

    def after_event(self, ctx: "Context", event: Event) -> None:
        """Tell plugins what was committed; one that fails does not keep it from the others.

        Raises:
            Unavailable: the database was busy; telling it again is right.
        """
        hook = "guanxi_after_event"
        busy: Unavailable | None = None
        for call in self._calls_of(hook, str(event.payload.get("type", ""))):
            if self._is_running(ctx, call):
                try:
                    self._guarded(ctx, call, AFTER_SECONDS, {"ctx": ctx, "event": event})
                except PluginError:
                    continue
                except Unavailable as error:
                    busy = error
                except UserError:
                    log.warning("plugin %s refused event %s", call.plugin, event.id, exc_info=True)
        if busy is not None:
            raise busy

    def run_action(
        self, ctx: "Context", action: "PluginAction | RecordFile", call: "ActionCall | FileCall"
    ) -> object:
        """Have a plugin do one of the things that it offers automations or people.

        Raises:
            PluginDisabled: the plugin does not run.
            PluginError: it raised or hung; it is switched off and nothing may be written.
        """
        answers: list[object] = []

        def run(ctx: "Context", call: Any) -> None:
            answers.append(action.run(ctx, call))

        wanted = _Implementation(
            action.plugin, f"action {action.name}", run, ("ctx", "call"), None, is_core=False
        )
        if not self.is_running(ctx, action.plugin):
            raise PluginDisabled(plugin=action.plugin)
        self._guarded(ctx, wanted, BEFORE_SECONDS, {"ctx": ctx, "call": call})
        return answers[0]

    def is_running(self, ctx: "Context", layer: str) -> bool:
        """Return whether the plugin that a layer belongs to runs; core and the site always do."""
        if layer in _OWN_LAYERS or layer not in self._known:
            return True
        states = self._states(ctx)
        known = states.get(layer)
        return (
            not self._known[layer]
            and (known is None or known.enabled)
            and not self._has_failed(layer, states)
        )

    def registered(self, hook: str) -> list[tuple[str, Any]]:
        """Return (plugin, answer) of each `guanxi_register_…` hook; one that fails is broken."""
        answers = []
        for call in self._calls_of(hook, ""):
            try:
                answers.append((call.plugin, run_within(BEFORE_SECONDS, call)))
            except Exception as error:
                if call.is_core:
                    raise
                log.exception("plugin %s failed in %s", call.plugin, hook)
                self.register_broken(call.plugin, [f"{hook}: {_say(error)}"])
        return answers

    def wait_for_notes(self) -> None:
        """Wait until the failures so far are stored; before the database is closed."""
        while self._notes:
            self._notes.pop().join()

    def health(self, states: States) -> list[Health]:
        """Return how every known plugin is, by name; `states` is what the database knows."""
        return [self._health_of(name, states) for name in sorted(self._known)]

    def _health_of(self, name: str, states: States) -> Health:
        known = states.get(name, state.PluginState())
        if self._known[name]:
            return Health(name, "broken", self._known[name])
        if not known.enabled:
            return Health(name, "disabled")
        if self._has_failed(name, states):
            return Health(name, "failed", (self._failed[name][1],))
        if known.failed_at:
            return Health(name, "failed", (f"{known.failed_in}: {known.failure}",))
        return Health(name, "running")

    def _implementations(
        self,
        name: str,
        implementation: object,
        types: Mapping[str, Iterable[str]],
        *,
        is_core: bool,
    ) -> list[_Implementation]:
        self._manager.register(implementation, name)
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            self._manager.unregister(name=name)
            raise
        found = []
        for caller in self._manager.get_hookcallers(implementation) or []:
            wanted = types.get(caller.name)
            found += [
                _Implementation(
                    plugin=name,
                    hook=caller.name,
                    function=each.function,
                    arguments=tuple(each.argnames),
                    types=None if wanted is None else frozenset(wanted),
                    is_core=is_core,
                )
                for each in caller.get_hookimpls()
                if each.plugin is implementation
            ]
        return found

    def _calls_of(self, hook: str, record_type: str) -> tuple[_Implementation, ...]:
        key = (hook, record_type)
        found = self._calls.get(key)
        if found is None:
            found = self._calls[key] = tuple(
                call
                for call in (*self._core, *self._plugins)
                if call.hook == hook and (call.types is None or record_type in call.types)
            )
        return found

    def _reviewers(
        self, ctx: "Context", record_type: str
    ) -> Iterator[tuple[str, _Implementation]]:
        for call in self._calls_of("guanxi_review_document", record_type):
            if self._is_running(ctx, call):
                yield call.plugin, call

    def _before(self, ctx: "Context", hook: str, record_type: str, values: dict[str, Any]) -> None:
        self._check_owner(ctx, record_type)
        calls = [call for call in self._calls_of(hook, record_type) if self._is_running(ctx, call)]
        self._each_guarded(ctx, calls, BEFORE_SECONDS, {"ctx": ctx, **values})

    def _check_owner(self, ctx: "Context", record_type: str) -> None:
        found = ctx.registry.release.types.get(record_type)
        layer = found.layer if found else ""
        if layer in _OWN_LAYERS or layer not in self._known:
            return
        if self._health_of(layer, self._states(ctx)).status in {"broken", "disabled"} or (
            self._has_failed(layer, self._states(ctx))
        ):
            raise PluginDisabled(plugin=layer)

    def _is_running(self, ctx: "Context", call: _Implementation) -> bool:
        return call.is_core or self.is_running(ctx, call.plugin)

    def _has_failed(self, name: str, states: States) -> bool:
        failed = self._failed.get(name)
        known = states.get(name)
        return failed is not None and failed[0] >= (known.stamp if known else 0)

    def _states(self, ctx: "Context") -> States:
        key = ("gx_plugin", ctx.registry.revision.settings)
        return ctx.registry.memo(key, lambda: _read_states(ctx))

    def _guarded(
        self, ctx: "Context", call: _Implementation, seconds: float, values: dict[str, Any]
    ) -> Any:
        return self._each_guarded(ctx, [call], seconds, values)[0]

    def _each_guarded(
        self,
        ctx: "Context",
        calls: Sequence[_Implementation],
        seconds: float,
        values: dict[str, Any],
    ) -> list[Any]:
        """Return the answers of implementations called in their order; plugins' are guarded."""
        answers: list[Any] = []
        own = [call for call in calls if call.is_core]  # they come first
        foreign = [partial(_answer, answers, call, values) for call in calls[len(own) :]]
        try:
            for call in own:
                _answer(answers, call, values)
            if foreign:
                run_each_within(seconds, foreign)
        except (UserError, Unavailable):
            raise
        except Exception as error:
            call = calls[len(answers)]
            if isinstance(error, OperationalError) and is_busy(error):
                raise Unavailable from error
            if call.is_core or (isinstance(error, DBAPIError) and error.connection_invalidated):
                raise
            self._switch_off(ctx, call, error)
            raise PluginError(plugin=call.plugin, hook=call.hook) from error
        return answers

    def _switch_off(self, ctx: "Context", call: _Implementation, error: Exception) -> None:
        reason = f"{call.hook}: {_say(error)}"
        log.error("plugin %s is switched off: %s", call.plugin, reason, exc_info=error)
        known = self._states(ctx).get(call.plugin)
        self._failed[call.plugin] = (known.stamp if known else 0, reason)
        # The caller's transaction rolls back and may hold the only write lock, so the
        # note is written beside it, as soon as the lock is free.
        note = threading.Thread(
            target=_note_failure,
            args=(ctx.db, call, _say(error), ctx.now),
            name="guanxi-plugin-failure",
            daemon=True,
        )
        self._notes.append(note)
        note.start()


def _answer(answers: list[Any], call: _Implementation, values: dict[str, Any]) -> None:
    answers.append(call(**values))


def _say(error: BaseException) -> str:
    if isinstance(error, DeadlineExceeded):
        return str(error)
    return f"{type(error).__name__}: {error}"[:2000]


def _read_states(ctx: "Context") -> States:
    with ctx.reading() as connection:
        return state.read_states(connection)


def _note_failure(db: Database, call: _Implementation, failure: str, at: datetime) -> None:
    try:
        with db.write() as connection:
            state.record_failure(connection, call.plugin, hook=call.hook, failure=failure, at=at)
    except Exception:
        # The plugin is off in this process either way; the log already says why.
        log.exception("the failure of plugin %s could not be stored", call.plugin)

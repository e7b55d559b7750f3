"""Flask-AppBuilder's ORM session on the product's own database connections.

It shares the engine, so pragmas, time zone and time limits are the same, takes
SQLite's write lock at once where it is going to write, and moves the revision of
rights in the very transaction that changes a user, a role or a permission.
"""

from typing import Any

import sqlalchemy as sa
from flask import Flask, has_request_context, request
from flask_appbuilder.models.sqla.base import SQLA
from flask_appbuilder.security.sqla import models
from flask_sqlalchemy.session import Session
from sqlalchemy import orm

from core.db import Database
from core.tables.releases import bump_rights
from core.workflow.staff.people import note_staff

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_RIGHTS = (models.Role, models.Group, models.Permission, models.ViewMenu, models.PermissionView)
#: What of a user decides about rights or shows in the history; sign-in counters do not.
_USER_RIGHTS = (
    "username", "first_name", "last_name", "password", "active", "roles", "groups",
)  # fmt: skip
#: What of a user decides as what they may sit in an approval.
_USER_PLACE = ("active", "roles", "groups")
_TABLES = frozenset(
    {
        *(model.__tablename__ for model in (*_RIGHTS, models.User)),
        models.assoc_user_role.name,
        models.assoc_user_group.name,
        models.assoc_group_role.name,
        models.assoc_permissionview_role.name,
    }
)


class SharedSession(Session):
    """A session that begins as a writer wherever Flask-AppBuilder is going to write."""

    def get_bind(self, *args: Any, **kwargs: Any) -> Any:
        """Return the product's engine, in its writing variant for unsafe requests."""
        if _is_writing():
            # The same object each time: a session opens one connection per engine object.
            return self._db.writer
        return super().get_bind(*args, **kwargs)


def _is_writing() -> bool:
    # Our own edges write through `Database.write`; a second writer would wait for the first.
    return not has_request_context() or (
        request.method not in SAFE_METHODS
        and getattr(request, "blueprint", None) not in {"rest", "gx"}
    )


class SharedSQLA(SQLA):
    """Flask-SQLAlchemy on an engine that exists already."""

    def __init__(self, database: Database) -> None:
        """Serve `database`."""
        self._database = database
        self.writer = database.engine.execution_options(gx_begin="BEGIN IMMEDIATE")
        super().__init__(session_options={"class_": SharedSession}, add_models_to_shell=False)

    def _make_engine(self, bind_key: str | None, options: dict[str, Any], app: Flask) -> sa.Engine:
        del bind_key, options, app
        return self._database.engine


@sa.event.listens_for(SharedSession, "before_flush")
def _note_rights(session: orm.Session, _context: Any, _instances: Any) -> None:
    changed = any(isinstance(item, (*_RIGHTS, models.User)) for item in session.deleted) or any(
        _changes_rights(session, item) for item in (*session.new, *session.dirty)
    )
    if changed:
        session.info["gx_rights"] = True
    if any(_changes_staff(session, item) for item in (*session.deleted, *session.dirty)):
        session.info["gx_staff"] = True


@sa.event.listens_for(SharedSession, "after_flush")
def _bump_after_flush(session: orm.Session, _context: Any) -> None:
    if session.info.pop("gx_rights", False):
        bump_rights(session.connection())
    if session.info.pop("gx_staff", False):
        note_staff(session.connection())


@sa.event.listens_for(SharedSession, "do_orm_execute")
def _bump_after_bulk(state: orm.ORMExecuteState) -> None:
    if not (state.is_update or state.is_delete or state.is_insert):
        return
    table = getattr(state.statement, "table", None)
    if getattr(table, "name", "") in _TABLES:
        bump_rights(state.session.connection())


def _changes_rights(session: orm.Session, item: Any) -> bool:
    if isinstance(item, models.User):
        state = sa.inspect(item)
        return item in session.new or any(
            state.attrs[name].history.has_changes() for name in _USER_RIGHTS
        )
    return isinstance(item, _RIGHTS) and (item in session.new or session.is_modified(item))


def _changes_staff(session: orm.Session, item: Any) -> bool:
    """Return whether somebody may be able to do less, or more, than what waits for them asks."""
    if isinstance(item, models.User) and item not in session.deleted:
        state = sa.inspect(item)
        return any(
            state.attrs[name].history.has_changes() for name in ("active", "roles", "groups")
        )
    return isinstance(item, (models.User, models.Role, models.Group))

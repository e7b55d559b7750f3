"""Bounds for the pages of Flask-AppBuilder, which believe what an address says.

They turn page numbers and ids into integers, and names of actions into functions,
without looking; what is none is refused here before they see it.
"""

import re
from typing import Any

from flask import Flask, request
from flask_login import current_user

from core.errors import Malformed, NotFound
from core.i18n import N_

_NUMBER = re.compile(r"[0-9]{1,9}")

#: A parameter that searches a column.
_FILTER = re.compile(r"_flt_\d+_(.+)")

#: Parts of the parameters that these pages take for numbers.
_NUMBERED = ("page_", "psize_")


def guard_inherited(app: Flask) -> None:
    """Refuse what the inherited pages of `app` cannot read."""
    views = {
        view.endpoint: view
        for view in app.appbuilder.baseviews  # type: ignore[attr-defined]
        if hasattr(view, "datamodel")
    }

    @app.before_request
    def _check() -> None:
        name, _, method = (request.endpoint or "").partition(".")
        view = views.get(name)
        if view is not None:
            _check_address(view)
            check = _CHECKS.get(method)
            if check is not None:
                check(view)


def _check_address(view: Any) -> None:
    for name, value in request.args.items(multi=True):
        is_numbered = name == "pk" or any(part in name for part in _NUMBERED)
        if is_numbered and not _NUMBER.fullmatch(value):
            raise Malformed(N_("The page's address holds something that is no number."))
        searched = _FILTER.fullmatch(name)
        # PostgreSQL compares a boolean with nothing else; these pages write a true one so.
        if searched and value != "y" and _is_boolean(view, searched[1]):
            raise Malformed(N_("The page's address holds a filter that cannot be read."))
    record_id = (request.view_args or {}).get("pk")
    if record_id is not None and not _NUMBER.fullmatch(str(record_id)):
        raise NotFound


def _is_boolean(view: Any, column: str) -> bool:
    return column in view.search_columns and bool(view.datamodel.is_boolean(column))


def _check_action(view: Any) -> None:
    """Refuse an action of one record that is none, or that takes only many.

    Raises:
        NotFound: there is no such action or record.
    """
    parts = request.view_args or {}
    action = view.actions.get(parts.get("name"))
    if action is None or not action.single or not _exists(view, parts.get("pk")):
        raise NotFound


def _check_action_post(view: Any) -> None:
    """Refuse an action of several records that is none.

    Raises:
        NotFound: there is no such action, or one of the records is not there.
    """
    action = view.actions.get(request.form.get("action", ""))
    ids = request.form.getlist("rowid")
    if action is None or not action.multiple:
        raise NotFound
    if not all(_NUMBER.fullmatch(each) and _exists(view, each) for each in ids):
        raise NotFound


def _exists(view: Any, record_id: Any) -> bool:
    """Return whether there is a record; a stranger is not told and is refused by the view."""
    return not current_user.is_authenticated or view.datamodel.get(record_id) is not None


def _nothing(view: Any) -> None:
    """Refuse downloads: nothing is ever uploaded to these pages.

    Raises:
        NotFound: always.
    """
    del view
    raise NotFound


_CHECKS = {"action": _check_action, "action_post": _check_action_post, "download": _nothing}

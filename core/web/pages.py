"""Every page of the product, put together for the application."""

from flask import Flask

from core.security.redirects import keep_redirects_local
from core.web import (  # noqa: F401  each adds its routes to the one blueprint
    administration,
    automations,
    away,
    bottlenecks,
    businesscalendars,
    cells,
    chartbuilder,
    choices,
    comments,
    dashboards,
    decisiontables,
    desks,
    duplicates,
    edits,
    evidence,
    expressions,
    files,
    flowfiles,
    flows,
    formlinks,
    helping,
    importing,
    instances,
    ledger,
    lists,
    lookups,
    maillinks,
    merging,
    notifications,
    peopleplaces,
    prints,
    proving,
    recordfiles,
    records,
    related,
    releases,
    rights,
    session_pages,
    sheets,
    taskbulk,
    tasks,
    till,
    unmasking,
    unsaved,
    versions,
    viewas,
    workbench,
)
from core.web.comments import said
from core.web.inherited import guard_inherited
from core.web.page import install_helpers, pages


def install(app: Flask) -> None:
    """Give the application our pages, and every template our helpers."""
    install_helpers(app)
    app.jinja_env.globals.update(
        file_buttons=recordfiles.file_buttons,
        first_print=prints.first_print,
        owns_accounts=ledger.owns_accounts,
        record_buttons=automations.record_buttons,
        said=said,
        unread_notices=notifications.unread_notices,
        may_view_as=viewas.may_view_as,
        viewed_name=viewas.viewed_name,
    )
    guard_inherited(app)
    viewas.guard_views(app)
    keep_redirects_local(app)
    app.register_blueprint(pages)
    # Flask-AppBuilder claims the start address with a page of its own; links to it stay good.
    app.view_functions["IndexView.index"] = app.view_functions["gx.show_workbench"]
    # It signs out at any GET, which any page of anybody can send.
    app.view_functions[f"{app.appbuilder.sm.auth_view.endpoint}.logout"] = (  # type: ignore[attr-defined]
        session_pages.keep_session
    )

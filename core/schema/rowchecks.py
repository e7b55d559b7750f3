"""Checks what can be a column of a table field, and says why the rest cannot."""

import re

from core.i18n import N_
from core.schema.draft import Draft
from core.schema.model import Field
from core.schema.yamlnodes import Node

#: Kinds of fields that do not stand in a table field, and why.
NEVER_IN_ROWS = {
    "links": N_(
        "A row holds no list of records: a table field inside it, with one link in each row, does."
    ),
    "lookup": N_(
        "A row keeps what it shows: fetch_from takes the value over from the link when it is set."
    ),
    "backlink": N_("Nothing links to a row of a table field, so a backlink finds nothing there."),
    "secret": N_("A secret stands in the record itself: its rows are shown and exported whole."),
}


def check_column(draft: Draft, column: Field, place: Node, table: Field) -> None:
    """Note what a row cannot hold, and a formula over the number that it gets last."""
    if column.type in NEVER_IN_ROWS:
        draft.add(place.at("type"), "not_in_rows", NEVER_IN_ROWS[column.type])
    numbers = [one.name for one in table.fields if one.type == "sequence"]
    for name in numbers if column.type == "formula" else ():
        if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", column.formula):
            text = N_("A formula cannot read {name}: rows are numbered after everything else.")
            draft.add(place.at("formula"), "reads_number", text, name=name)

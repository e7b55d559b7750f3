"""A renamed field keeps its place in every print."""

from core.schema.layers import effective
from core.schema.printtexts import rename_in_print
from core.schema.renaming import Renames
from core.schema.yamlnodes import Source

TYPE = """record_type: note
fields:
  - {name: subject, type: text}
  - {name: photo, type: image}
  - {name: next, type: link, target: note}
  - {name: items, type: table, fields: [{name: what, type: text}]}
"""


def test_a_rename_reaches_fields_expressions_and_texts():
    release = effective([Source("site", "note.yaml", TYPE)], None, 1)
    tree = {
        "print": "p",
        "type": "note",
        "when": "subject is not empty",
        "blocks": [
            {"heading": {"en": "{{subject}} {subject}: {next.subject}, subject"}},
            {"fields": ["subject", "photo"]},
            {"table": "items", "cells": [{"value": "upper(what)"}]},
        ],
    }
    for old, new in (("items", "lines"), ("photo", "shot"), ("subject", "title")):
        rename_in_print(tree, release, "note", Renames(release, {("note", old): new}))
    assert tree["when"] == "title is not empty"
    assert tree["blocks"][0]["heading"]["en"] == "{{subject}} {title}: {next.title}, subject"
    assert tree["blocks"][2] == {"table": "lines", "cells": [{"value": "upper(what)"}]}
    assert tree["blocks"][1]["fields"] == ["title", "shot"]

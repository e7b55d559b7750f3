"""Makes a new plugin that works, passes the contract and has tests: `guanxi plugin new NAME`."""

import re
from pathlib import Path

from core.errors import Conflict, Invalid, Problem
from core.i18n import N_

_NAME = re.compile(r"[a-z][a-z0-9_]{1,29}")

#: Names that a folder or a record type may not have.
_RESERVED = frozenset({"core", "site", "plugins", "tests"})

FILES = {
    "__init__.py": '''"""NAME: say here in one sentence what it does."""
''',
    "manifest.yaml": """id: NAME
title: {zh: TITLE, en: TITLE}
description: {zh: 说明这个插件做什么, en: Say what this plugin does}
version: 0.1.0
requires_core: ">=0.1, <1"
depends_on: []
schemas: [NAME_note.yaml]
hooks:
  - {name: guanxi_before_save, types: [NAME_note]}
settings:
  - name: longest_title
    type: integer
    default: 40
    min: "1"
    max: "100"
    since: 0.1.0
    label: {zh: 标题最长字数, en: Longest title}
    help: {zh: 超过时不能保存, en: Longer titles cannot be saved}
menu:
  - {key: NAME, label: {zh: TITLE, en: TITLE}}
""",
    "rules.py": '''"""The rules: pure functions on values."""


def is_too_long(title: str, longest: int) -> bool:
    """Return whether a title has more characters than are allowed.

    >>> is_too_long("short", 5), is_too_long("longer", 5)
    (False, True)
    """
    return len(title.strip()) > longest
''',
    "hooks.py": '''"""The hooks; what they do is in `rules`."""

from core.api import N_, Change, Context, Invalid, Problem, hookimpl, plugin_settings
from plugins.NAME import rules

TOO_LONG = N_("The title has more than {longest} characters.")


@hookimpl
def guanxi_before_save(ctx: Context, change: Change) -> None:
    """Refuse a note whose title is too long; raises Invalid."""
    longest = plugin_settings(ctx, "NAME")["longest_title"]
    if rules.is_too_long(change.after.get("title") or "", longest):
        problem = Problem("title", "NAME.too_long", TOO_LONG, {"longest": longest})
        raise Invalid(problems=[problem])
''',
    "schemas/NAME_note.yaml": """record_type: NAME_note
id: NAME.note
label: {zh: 记事, en: Note}
label_plural: {zh: 记事, en: Notes}
icon: note
menu: NAME
title_field: title
fields:
  - {name: title, type: text, label: {zh: 标题, en: Title}, required: true, searchable: true}
  - {name: member, type: link, target: member, label: {zh: 会员, en: Member}}
  - {name: body, type: long_text, label: {zh: 内容, en: Text}}
layout:
  - tab: {zh: 记事, en: Note}
    sections:
      - {columns: 2, fields: [title, member]}
      - {columns: 1, fields: [body]}
views:
  - {name: all, type: list, label: {zh: 全部, en: All}, columns: [title, member], sort: [title]}
policies:
  - {name: NAME_staff, who: {role: clerk}, actions: [view, create, edit, delete, history]}
""",
    "translations/zh.po": """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Language: zh\\n"

msgid "The title has more than {longest} characters."
msgstr "标题超过 {longest} 个字。"
""",
    "tests/test_rules.py": '''"""The rules alone."""

import pytest

from plugins.NAME import rules


@pytest.mark.parametrize(
    ("title", "expected"), [("", False), ("12345", False), (" 12345 ", False), ("123456", True)]
)
def test_is_too_long_counts_without_the_blanks_around(title, expected):
    assert rules.is_too_long(title, 5) is expected
''',
    "tests/test_hooks.py": '''"""Notes through the records' own operations, on every database."""

import pytest

from core.api import Invalid


def test_note_is_saved(shipped):
    assert shipped.create("clerk", "NAME_note", title="Call back")["title"] == "Call back"


def test_note_with_a_long_title_is_refused(shipped):
    with pytest.raises(Invalid) as caught:
        shipped.create("clerk", "NAME_note", title="x" * 41)
    assert [(it.path, it.code) for it in caught.value.problems] == [("title", "NAME.too_long")]
''',
    "README.md": """# TITLE

## What it does
Say here what a user gets.

## Forms
| record type | what it is |
|---|---|
| `NAME_note` | a note, about a member or about nothing |

## Workflow
None: notes take effect when they are saved.

## Settings
| setting | default | what it does |
|---|---|---|
| `longest_title` | 40 | longer titles cannot be saved |

## Extend it
Another plugin adds fields with `extend: NAME_note`.
""",
}


def new_plugin(folder: Path, name: str) -> Path:
    """Write a working plugin called `name` into `folder` and return its own folder.

    Raises:
        Invalid: the name is not one that a plugin can have.
        Conflict: there is something of this name.
    """
    if not _NAME.fullmatch(name) or name in _RESERVED:
        text = N_("A name has 2 to 30 small letters, digits and underscores.")
        raise Invalid(problems=[Problem("name", "plugin.name", text)])
    target = folder / name
    try:
        target.mkdir(parents=True)
    except FileExistsError as error:
        raise Conflict(N_("There is already something called {name}."), name=name) from error
    title = name.replace("_", " ").capitalize()
    for path, text in FILES.items():
        file = target / path.replace("NAME", name)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.replace("NAME", name).replace("TITLE", title), encoding="utf-8")
    return target

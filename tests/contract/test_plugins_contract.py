"""Every shipped plugin passes the contract, a new one does too, and the contract bites."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import Conflict, Invalid
from core.extension.contract import check_folder
from core.extension.discovery import find_plugins, load_hooks
from core.extension.scaffold import new_plugin

ROOT = Path(__file__).parents[2]
PLUGINS = sorted(path.parent for path in (ROOT / "plugins").glob("*/manifest.yaml"))


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_shipped_plugin_passes_every_check(folder):
    assert list(map(str, check_folder(folder))) == []


def test_shipped_plugins_all_run():
    hooks, plugins = load_hooks(ROOT / "plugins")
    assert [(it.name, it.status) for it in hooks.health({})] == [
        (plugin.name, "running") for plugin in sorted(plugins, key=lambda it: it.name)
    ]


@pytest.fixture
def fresh(tmp_path):
    """Return the folder of a plugin just made, in a copy of the plugins' folder."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    return new_plugin(folder, "loyalty_gifts")


def test_new_plugin_passes_every_check(fresh):
    assert list(map(str, check_folder(fresh))) == []


def test_new_plugin_refuses_a_bad_or_taken_name(fresh):
    for name in ("A", "1a", "a-b", "../x", "core", "x" * 31, ""):
        with pytest.raises(Invalid):
            new_plugin(fresh.parent, name)
    with pytest.raises(Conflict):
        new_plugin(fresh.parent, fresh.name)


def test_new_plugin_passes_its_own_tests(tmp_path):
    """Copy the product's tree, make a plugin there and run its tests on SQLite."""
    for name in ("core", "plugins", "schemas", "setup.cfg"):
        source = ROOT / name
        if source.is_dir():
            skipped = shutil.ignore_patterns("__pycache__", "vendor", "node_modules", "static")
            shutil.copytree(source, tmp_path / name, ignore=skipped)
        else:
            shutil.copy(source, tmp_path / name)
    new_plugin(tmp_path / "plugins", "loyalty_gifts")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not postgresql",
         "plugins/loyalty_gifts"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True,
        text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def edit(folder, name, old, new):
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


DEFECTS = {
    "id": (("manifest.yaml", "id: loyalty_gifts\n", "id: other\n"), "manifest.yaml:1:5"),
    "version": (("manifest.yaml", "0.1.0\nrequires", "one\nrequires"), "manifest.yaml:4:10"),
    "core": (("manifest.yaml", ">=0.1, <1", ">=9"), "manifest.yaml:5:16"),
    "unknown_key": (("manifest.yaml", "depends_on", "depend_on"), "manifest.yaml:6:1"),
    "default": (("manifest.yaml", "default: 40", "default: 400"), "manifest.yaml:13:14"),
    "label": (("manifest.yaml", "{zh: 标题最长字数, en: Longest title}", "{en: Longest title}"),
              "manifest.yaml:17:12"),
    "hook_undeclared": (("manifest.yaml", "guanxi_before_save", "guanxi_after_event"),
                        "hooks.py:1:1"),
    "hook_argument": (("hooks.py", "(ctx: Context, change", "(context: Context, change"),
                      "hooks.py:1:1"),
    "import_core": (("rules.py", '"""\n\n\ndef', '"""\n\nimport core.db\n\ndef'), "rules.py:3:1"),
    "import_sql": (("rules.py", '"""\n\n\ndef', '"""\n\nimport sqlalchemy\ndef'), "rules.py:3:1"),
    "import_other": (("hooks.py", "from plugins.loyalty_gifts import rules",
                      "from plugins.loyalty_gifts import rules\nimport plugins.card_types.hooks"),
                     "hooks.py:5:1"),
    "untranslated": (("translations/zh.po", "标题超过 {longest} 个字。", ""), "hooks.py:6:1"),
    "placeholder": (("translations/zh.po", "{longest} 个字", "{most} 个字"), "hooks.py:6:1"),
    "setting_unread": (("hooks.py", '["longest_title"]', '["longest" "_name"]'),
                       "manifest.yaml:1:1"),
    "schema": (("schemas/loyalty_gifts_note.yaml", "required: true", "requird: true"),
               "schemas/loyalty_gifts_note.yaml:9:59"),
    "heading": (("README.md", "## Workflow", "## Flow"), "README.md:1:1"),
    "assertion": (("tests/test_rules.py", "    assert rules", "    rules"),
                  "tests/test_rules.py:11:1"),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_contract_names_the_place_of_a_defect(defect, fresh):
    change, place = DEFECTS[defect]
    edit(fresh, *change)
    problems = list(map(str, check_folder(fresh)))
    assert any(it.startswith(f"plugins/loyalty_gifts/{place}") for it in problems), problems


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("helpers.py", "A plugin has no place for this file."),
        ("templates/page.html", "Templates and static files lie in a folder named loyalty_gifts."),
        ("schemas/more.yaml", "The manifest does not list this file."),
    ],
)
def test_contract_refuses_files_that_are_misplaced(name, expected, fresh):
    (fresh / name).parent.mkdir(exist_ok=True)
    (fresh / name).write_text("roles: []\n")
    assert expected in "\n".join(map(str, check_folder(fresh)))


def as_package(fresh, code='"""The rules."""\n'):
    """Move the rules into a package with one module of its topic."""
    (fresh / "rules").mkdir()
    (fresh / "rules" / "__init__.py").write_text(code)
    (fresh / "rules.py").rename(fresh / "rules" / "titles.py")
    (fresh / "tests" / "test_rules.py").rename(fresh / "tests" / "test_rules_titles.py")
    name = "tests/test_rules_titles.py"
    edit(fresh, name, "loyalty_gifts import rules", "loyalty_gifts.rules import titles as rules")
    edit(
        fresh,
        "hooks.py",
        "loyalty_gifts import rules",
        "loyalty_gifts.rules import titles as rules",
    )


def test_contract_takes_rules_as_a_package_too(fresh):
    as_package(fresh)
    assert check_folder(fresh) == []


def test_contract_keeps_every_file_of_a_package_pure(fresh):
    as_package(fresh, '"""The rules."""\n\nNAME = 1\n')
    (fresh / "operations").mkdir()
    (fresh / "operations" / "__init__.py").write_text('"""What rules need."""\n')
    (fresh / "rules" / "dates.py").write_text(
        '"""Dates."""\n\nimport sqlalchemy\nfrom plugins.loyalty_gifts import operations\n'
    )
    (fresh / "rules.py").write_text('"""The rules."""\n')
    (fresh / "tests" / "test_rules_titles.py").unlink()
    found = sorted((it.file.removeprefix("plugins/loyalty_gifts/"), it.line, it.code)
                   for it in check_folder(fresh))  # fmt: skip
    assert found == [
        ("rules/__init__.py", 1, "plugin.init"),
        ("rules/__init__.py", 1, "plugin.twice"),
        ("rules/dates.py", 1, "plugin.twice"),
        ("rules/dates.py", 3, "plugin.import"),
        ("rules/dates.py", 4, "plugin.import"),
        ("rules/titles.py", 1, "plugin.twice"),
        ("tests/test_rules.py", 1, "plugin.tests"),
    ]


def test_contract_asks_for_missing_files(fresh):
    for name in ("README.md", "tests/test_rules.py", "schemas/loyalty_gifts_note.yaml"):
        (fresh / name).unlink()
    assert [str(problem).split(": ")[0] for problem in check_folder(fresh)] == [
        "plugins/loyalty_gifts/README.md:1:1",
        "plugins/loyalty_gifts/schemas/loyalty_gifts_note.yaml:1:1",
        "plugins/loyalty_gifts/tests/test_rules.py:1:1",
    ]


def test_folder_without_a_plugin_in_it_is_passed_over(tmp_path):
    (tmp_path / "gone" / "__pycache__").mkdir(parents=True)
    (tmp_path / "_notes").mkdir()
    assert find_plugins(tmp_path) == []

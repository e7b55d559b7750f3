"""What the strict content security policy demands of our own files."""

import re
from pathlib import Path

from core.web.page import STATIC, TEMPLATES

HOSTS = re.compile(r"(?:src|href|url\(|from|import)\W{1,3}(?:https?:)?//")


def ours(*suffixes):
    files = [*TEMPLATES.rglob("*"), *(STATIC / "gx").rglob("*")]
    return {path: path.read_text(encoding="utf-8") for path in files if path.suffix in suffixes}


def places(pattern, *suffixes):
    return [path.name for path, text in ours(*suffixes).items() if re.search(pattern, text)]


def test_templates_hold_no_inline_style_or_handler_or_script():
    assert places(r"\sstyle=", ".html") == []
    assert places(r"\son[a-z]+=", ".html") == []
    assert places(r"<script(?![^>]*(?:src=|application/json))", ".html") == []


def test_scripts_make_no_code_or_markup_from_text():
    assert (
        places(
            r"\beval\(|new Function|innerHTML|outerHTML|insertAdjacentHTML|document\.write", ".js"
        )
        == []
    )


def test_nothing_is_loaded_from_another_host():
    assert [
        path.name for path, text in ours(".html", ".js", ".css").items() if HOSTS.search(text)
    ] == []


def test_lock_file_names_no_registry():
    root = Path(__file__).parents[2]
    assert "resolved" not in (root / "package-lock.json").read_text(encoding="utf-8")

"""Texts in the reader's language.

Source texts are English. `core/translations/<locale>.po` and each plugin's
`translations/<locale>.po` hold the others; they are read once per process.
"""

import gettext
import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

LOCALES = ("zh", "en")

#: Folders searched for `<locale>.po`; plugins append theirs when they are discovered.
catalogue_folders: list[Path] = [Path(__file__).parent / "translations"]

Label = Mapping[str, str]


def N_(text: str) -> str:  # noqa: N802  gettext's own name, which extractors know
    """Mark `text` for translation and return it unchanged."""
    return text


def add_catalogue_folder(folder: Path) -> None:
    """Add a plugin's translations; texts that core already has win."""
    if folder.is_dir() and folder not in catalogue_folders:
        catalogue_folders.append(folder)
        _catalogue.cache_clear()


@lru_cache(maxsize=8)
def _catalogue(locale: str) -> gettext.NullTranslations:
    """Read every folder's catalogue for `locale` into one chain of translations."""
    # Imported here because Babel costs 40 ms and an English process never needs it.
    from babel.messages.mofile import write_mo  # noqa: PLC0415  slow, optional
    from babel.messages.pofile import read_po  # noqa: PLC0415  slow, optional

    chain: gettext.NullTranslations = gettext.NullTranslations()
    for folder in reversed(catalogue_folders):
        path = folder / f"{locale}.po"
        if not path.is_file():
            continue
        compiled = io.BytesIO()
        with path.open("rb") as source:
            write_mo(compiled, read_po(source, locale=locale))
        compiled.seek(0)
        translations = gettext.GNUTranslations(compiled)
        translations.add_fallback(chain)
        chain = translations
    return chain


def translate(text: str, locale: str, **params: Any) -> str:
    """Return `text` in `locale` with its named placeholders filled in."""
    if locale != "en" and text:
        text = _catalogue(locale).gettext(text)
    return text.format_map(params) if params else text


def pick(label: Label | str | None, locale: str, default: str = "") -> str:
    """Return a label's text in `locale`, else in any language it has, else `default`."""
    if isinstance(label, str):
        return label
    if not label:
        return default
    return label.get(locale) or label.get("en") or next(iter(label.values()), default)

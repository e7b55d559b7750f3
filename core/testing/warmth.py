"""What every server of a test needs first, got by importing this in the process they fork from.

It imports the plugins and reads the texts of both languages; each costs a fork a tenth of a
second.
"""

from core.extension.discovery import load_hooks
from core.i18n import LOCALES, translate
from core.settings import ROOT
from core.testing import compiled

__all__ = ["compiled"]

load_hooks(ROOT / "plugins")
for locale in LOCALES:
    translate("Save", locale)

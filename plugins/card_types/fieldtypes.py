"""The field type of printed card numbers."""

import unicodedata
from collections.abc import Callable
from typing import Any

from core.api import Field, TextType


class CardNumberType(TextType):
    """A printed card number as people and scanners give it: blanks and wide digits are mended."""

    name = "card_number"
    longest = 64
    most = 64

    def loader(self, field: Field) -> Callable[[Any], str | None]:
        """Return the text loader, followed by taking out blanks and full-width forms."""
        load = super().loader(field)

        def mend(value: object) -> str | None:
            text = load(value)
            if text is None:
                return None
            return "".join(unicodedata.normalize("NFKC", text).split()) or None

        return mend

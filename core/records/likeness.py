"""When values that are written differently mean the same: telephones, names, addresses.

Pure functions of text; what is compared with what is decided elsewhere.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from core.schema.model import Field

#: What a telephone number may begin with that says no more than that it is a Chinese one.
_COUNTRY = re.compile(r"(?:\+|00)86|86(?=1[3-9][0-9]{9}\Z)")
_NOT_DIGIT = re.compile(r"[^0-9]")
_EXTENSION = re.compile(r"(?:x|ext\.?|转).*\Z", re.IGNORECASE)
_NOT_LETTER = re.compile(r"[\W_]+")
_MOBILE_DIGITS = 11

#: For how many letters of a name one may be wrong, left out, too many or swapped.
_LETTERS_A_SLIP = 6
_FEWEST_LETTERS = 2

#: Field types that are compared letter by letter, and all that people write in many ways.
TEXTS = frozenset({"text", "long_text"})
_WRITTEN = TEXTS | {"phone", "email", "barcode"}
#: A number of a Chinese mobile, which needs no second look.
_MOBILE = re.compile(r"1[3-9][0-9]{9}")


def normal(field: Field, value: Any) -> str:
    """Return a value in the one form that equal ones share; empty text for none.

    Telephones are compared by their digits without the country, texts and addresses of
    e-mail without case, width, blanks and punctuation, other values as they are.
    """
    if value is None or value == "":
        return ""
    text = str(value)
    if field.type not in _WRITTEN or (field.type == "phone" and _MOBILE.fullmatch(text)):
        return text
    text = unicodedata.normalize("NFKC", text).strip()
    if field.type == "phone":
        return normal_phone(text)
    if field.type == "email":
        return text.casefold()
    if field.type in TEXTS:
        return _NOT_LETTER.sub("", text.casefold()) or text.casefold()
    return text


def normal_phone(text: str) -> str:
    """Return the digits of a telephone number without China's code and extensions."""
    plain = unicodedata.normalize("NFKC", text).strip()
    digits = _NOT_DIGIT.sub("", _EXTENSION.sub("", plain))
    dialled = f"+{digits}" if plain.startswith("+") else digits
    return _COUNTRY.sub("", dialled, count=1).lstrip("+") if dialled else ""


def words(value: Any) -> str:
    """Return a text's words in order of the alphabet, without case, width and punctuation."""
    text = unicodedata.normalize("NFKC", str(value)).casefold()
    return text if text.isalpha() else " ".join(sorted(filter(None, _NOT_LETTER.split(text))))


def alike(left: str, right: str) -> bool:
    """Return whether two texts, each as `words` gives it, are probably meant to be the same.

    One letter in six may be another one, missing, too many, or swapped with its neighbour.
    """
    from rapidfuzz.distance import OSA  # noqa: PLC0415  few processes ever need it

    if left == right:
        return bool(left)
    one, other = left.replace(" ", ""), right.replace(" ", "")
    if min(len(one), len(other)) < _FEWEST_LETTERS:
        return False
    most = 1 + max(len(one), len(other)) // _LETTERS_A_SLIP
    return OSA.distance(one, other, score_cutoff=most) <= most


def spellings(field: Field, value: Any) -> Iterator[Any]:
    """Yield how a value is usually written, so that an index finds it among stored ones."""
    yield value
    if not isinstance(value, str):
        return
    text = unicodedata.normalize("NFKC", value).strip()
    yield text
    if field.type == "phone":
        digits = normal_phone(text)
        forms = [digits]
        if len(digits) == _MOBILE_DIGITS:
            parts = (digits[:3], digits[3:7], digits[7:])
            forms += [" ".join(parts), "-".join(parts)]
        for form in forms:
            yield from (form, f"+86{form}", f"+86 {form}", f"+86-{form}", f"86{form}")
    elif field.type in TEXTS or field.type == "email":
        yield from (text.lower(), text.upper(), text.title(), text.replace(" ", ""))

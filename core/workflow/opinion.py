"""What a person says with a decision, under the same rules as any long text."""

from core.errors import Invalid, Problem
from core.schema.fieldtypes import FieldError, field_type
from core.schema.model import Field

#: Longest opinion.
MAX_LENGTH = 2000

_FIELD = Field(id="opinion", name="opinion", type="long_text", max_length=MAX_LENGTH)


def read_opinion(text: object) -> str:
    """Return an opinion or reason, empty when there is none.

    Raises:
        Invalid: it is no text, too long, or holds a character that texts may not hold.
    """
    try:
        value = field_type("long_text").load(text, _FIELD)
    except FieldError as error:
        raise Invalid(
            problems=[
                Problem("opinion", each.code, each.text, each.params) for each in error.problems
            ]
        ) from None
    return (value or "").strip()

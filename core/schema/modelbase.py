"""What every model of the schema is built on."""

import msgspec

#: A text in several languages: language -> text.
Label = dict[str, str]


class Model(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """The common shape: keyword-only, immutable, unknown keys refused, defaults not written."""

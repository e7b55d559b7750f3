"""Field types whose value has named parts: postal addresses and places on the map."""

import json
from abc import abstractmethod
from decimal import Decimal
from random import Random
from typing import Any, ClassVar

from core.errors import Problem
from core.expression.types import NUMBER, TEXT, Type
from core.i18n import N_
from core.schema.fieldbase import FieldError, FieldType, Loader, Shape, Storage, WrongTypeError
from core.schema.model import Field
from core.schema.numbertypes import read_number
from core.schema.texttypes import check_characters

#: Characters of one part of an address.
LONGEST_PART = 100
LONGEST_STREET = 200
#: Digits after the point of a coordinate: a centimetre.
COORDINATE_DIGITS = 7

_LATITUDE = "lat"
_BOUNDS = {_LATITUDE: Decimal(90), "lng": Decimal(180)}


class StructureType(FieldType):
    """What the types here share: an object with known keys, kept as JSON.

    Attributes:
        parts: name of each part -> what people call it, in the order they are written.
        part: what a part is in expressions, as in `address.city == '上海市'`.
    """

    operators: ClassVar[tuple[str, ...]] = ("is empty", "is not empty")
    parts: ClassVar[dict[str, str]]
    part: ClassVar[Type]

    def storage(self, field: Field) -> Storage:  # noqa: ARG002  every structure is kept alike
        """Return a JSON column."""
        return Storage("json")

    def expression_type(self, field: Field) -> Type:  # noqa: ARG002  the same for all fields
        """Return a structure of this type's parts."""
        return Type("structure", fields=dict.fromkeys(self.parts, self.part))

    def loader(self, field: Field) -> Loader:  # noqa: ARG002  nothing to configure
        """Return a function that takes an object, reports every bad part and drops empty ones."""
        names, load_part = self.parts, self.load_part

        def load(value: Any) -> dict[str, str] | None:
            if value is None or value == "":
                return None
            if type(value) is not dict:
                raise WrongTypeError("object")
            problems = [
                Problem(str(name)[:80], "field.unknown", N_("There is no such field."))
                for name in value
                if name not in names
            ]
            loaded = {}
            for name in names:
                given = value.get(name)
                if given is None or given == "":
                    continue
                try:
                    loaded[name] = load_part(name, given)
                except FieldError as error:
                    problems.append(Problem(name, error.code, error.text, error.params))
            problems = problems or self.lacking(loaded)
            if problems:
                raise FieldError.of(problems)
            return loaded or None

        return load

    @abstractmethod
    def load_part(self, name: str, value: Any) -> str:
        """Return one part as it is kept; raises FieldError."""

    def lacking(self, loaded: dict[str, str]) -> list[Problem]:  # noqa: ARG002  for others to say
        """Return what is wrong with the parts together."""
        return []

    def shape(self, field: Field) -> Shape:  # noqa: ARG002  the same for all fields
        """Return an object of texts."""
        properties = {name: {"type": "string", "nullable": True} for name in self.parts}
        return {"type": "object", "properties": properties, "additionalProperties": False}

    def dump(self, value: Any) -> Any:
        """Return a copy, whose keys stand in the order of the parts whatever the column gave."""
        if value is None:
            return None
        return {name: value[name] for name in self.parts if name in value}


class AddressType(StructureType):
    """A postal address: province, city, district and street, the way mail in China is written."""

    name = "address"
    widget = "address"
    part = TEXT
    parts: ClassVar[dict[str, str]] = {
        "province": N_("Province"),
        "city": N_("City"),
        "district": N_("District"),
        "street": N_("Street and number"),
    }

    def load_part(self, name: str, value: Any) -> str:
        """Return a line of text without blanks around it; raises FieldError."""
        if type(value) is not str:
            raise WrongTypeError("text")
        text, limit = value.strip(), LONGEST_STREET if name == "street" else LONGEST_PART
        check_characters(text)
        if len(text) > limit:
            raise FieldError(
                "field.too_long",
                N_("At most {limit} characters; this has {length}."),
                limit=limit,
                length=len(text),
            )
        return text

    def loader(self, field: Field) -> Loader:
        """Return a function that also takes blank parts for empty ones."""
        load_parts = super().loader(field)

        def load(value: Any) -> dict[str, str] | None:
            loaded = {name: text for name, text in (load_parts(value) or {}).items() if text}
            return loaded or None

        return load

    def to_text(self, value: Any) -> str:
        """Return the parts with `/` between them; as JSON where that could not be undone."""
        if not value:
            return ""
        parts = [value.get(name, "") for name in self.parts]
        text = "/".join(parts)
        is_plain = text.count("/") == len(parts) - 1 and not text.startswith("{")
        return text if is_plain else json.dumps(self.dump(value), ensure_ascii=False)

    def from_text(self, text: str, field: Field) -> Any:
        """Return the address of `province/city/district/street`, of JSON, or of a street alone."""
        return self.load(_read_parts(text, tuple(self.parts), "street"), field)

    def sample(self, field: Field, random: Random) -> dict[str, str]:  # noqa: ARG002  same for all
        """Return an address with some of its parts."""
        every = {
            "province": random.choice(["广东省", "上海市", "Île-de-France"]),
            "city": random.choice(["深圳市", "上海市", "Paris"]),
            "district": random.choice(["南山区", "黄浦区", "=1"]),
            "street": f"{random.choice(['科技路', 'a/b', '{x}'])}{random.randrange(999)}号",
        }
        kept = random.sample(list(every), random.randint(1, 4))
        return {name: every[name] for name in every if name in kept}


class LocationType(StructureType):
    """A place on the map: latitude and longitude (WGS 84) as exact decimals."""

    name = "location"
    widget = "location"
    part = NUMBER
    parts: ClassVar[dict[str, str]] = {"lat": N_("Latitude"), "lng": N_("Longitude")}

    def load_part(self, name: str, value: Any) -> str:
        """Return a coordinate as text without needless zeros; raises FieldError."""
        number, limit = read_number(value), _BOUNDS[name]
        if not -limit <= number <= limit:
            raise FieldError(
                "field.out_of_range",
                N_("This must be from {least} to {most}."),
                least=str(-limit),
                most=str(limit),
            )
        if number != round(number, COORDINATE_DIGITS):
            raise FieldError(
                "field.too_precise",
                N_("At most {digits} digits after the point."),
                digits=COORDINATE_DIGITS,
            )
        text = format(number, "f")
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return text if number else "0"

    def lacking(self, loaded: dict[str, str]) -> list[Problem]:
        """Return that one coordinate without the other is no place."""
        missing = [name for name in self.parts if name not in loaded] if loaded else []
        return [Problem(name, "field.required", N_("This is required.")) for name in missing]

    def to_text(self, value: Any) -> str:
        """Return `lat,lng`."""
        return f"{value['lat']},{value['lng']}" if value else ""

    def from_text(self, text: str, field: Field) -> Any:
        """Return the place of `lat,lng`, whatever comma stands between them, or of JSON."""
        if not text.strip():
            return None
        if text.lstrip().startswith("{"):
            return self.load(_read_parts(text, tuple(self.parts), ""), field)
        parts = text.replace("，", ",").split(",")
        if len(parts) != len(self.parts):
            raise FieldError("field.bad_location", N_("This is not a place such as 31.23,121.47."))
        return self.load(dict(zip(self.parts, map(str.strip, parts), strict=True)), field)

    def sample(self, field: Field, random: Random) -> dict[str, str]:  # noqa: ARG002  same for all
        """Return a random place."""
        return {
            name: self.load_part(name, Decimal(random.randint(-limit, limit)).scaleb(-7))
            for name, limit in (("lat", 90 * 10**7), ("lng", 180 * 10**7))
        }


def _read_parts(text: str, names: tuple[str, ...], whole: str) -> Any:
    """Return the parts of a JSON object, or of text with `/` between them, else text as `whole`.

    Raises:
        WrongTypeError: it begins like JSON and is none.
    """
    if not text.strip():
        return None
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise WrongTypeError("json") from error
    parts = text.split("/")
    return dict(zip(names, parts, strict=True)) if len(parts) == len(names) else {whole: text}


TYPES: tuple[FieldType, ...] = (AddressType(), LocationType())

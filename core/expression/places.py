"""The lists of places that an expression can ask for: where the person acting works.

They travel as one JSON object, list by list: with every statement as the parameter
`gx_places`, and in an environment as `places`.
"""

import json
import re
from collections.abc import Collection, Mapping

#: What the names of such variables begin with.
PLACES = "@places/"

#: Function -> the list it stands for.
PLACE_LISTS = {
    "MY_STORES": "store",
    "MY_STORES_BELOW": "store_below",
    "MY_DEPARTMENTS": "department",
    "MY_DEPARTMENTS_BELOW": "department_below",
}

#: What the name of a position looks like.
POSITION = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def place_key(listed: str, position: str = "") -> str:
    """Return the key of a list of places, of one position or of all of them.

    >>> place_key("store_below", "manager")
    'manager/store_below'
    """
    return f"{position}/{listed}" if position else listed


def places_text(places: Mapping[str, Collection[str]]) -> str:
    """Return lists of places as the parameter that statements are executed with."""
    return json.dumps({key: sorted(ids) for key, ids in places.items()}) if places else "{}"

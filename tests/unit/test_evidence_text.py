"""What the hash of an event is made of."""

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.workflow.evidence.events import canonical, hash_of
from core.workflow.evidence.folding import commitment
from core.workflow.models import event

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": "x"}, '{"a":"x","b":1}'),
        ({"rate": Decimal("0.650")}, '{"rate":"0.650"}'),
        ({"at": datetime(2026, 1, 5, 8, tzinfo=UTC)}, '{"at":"2026-01-05T08:00:00Z"}'),
        ({"name": "e\u0301", "u\u0308": ["a\u030a"]}, '{"name":"\u00e9","\u00fc":["\u00e5"]}'),
        ({"n": "\n\u0303"}, '{"n":"\\n\u0303"}'),
    ],
)
def test_canonical_text_of_a_value(value: Any, text: str) -> None:
    assert canonical(value) == text


@given(st.fixed_dictionaries({column.name: TEXTS for column in event.columns}))
def test_hash_is_that_of_plain_sorted_json(row: dict[str, Any]) -> None:
    left_out = {"actor_name", "opinion", "ip", "user_agent", "salt", "hash"}
    body = {name: value for name, value in row.items() if name not in left_out}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    plain = b"appr1" + row["prev"].encode() + text.encode()
    assert hash_of(row) == hashlib.sha256(plain).hexdigest()


def test_commitment_depends_on_salt_and_value() -> None:
    made = {commitment(salt, value) for salt in ("a1", "a2") for value in ("", "x", "y")}
    assert len(made) == 6

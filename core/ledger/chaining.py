"""The hashes by which the ledger proves itself: of postings, and of each account's events.

A posting's hash covers its row, its entries and the lots it made. An account's chain goes
on with every posting, hold and end of a hold, from the account's identity on, so that an
edited, removed, inserted or swapped event is found; its head stands on the account's row,
which every writer has locked anyway.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

#: What a posting's hash covers of its row, in this order.
POSTING = (
    "id", "key", "body_hash", "what", "ref_type", "ref_id", "reverses", "valid_at", "known_at",
    "actor", "actor_name", "door", "memo", "may_owe", "answer",
)  # fmt: skip
#: What it covers of each entry and of each lot.
ENTRY = ("position", "account_id", "seq", "category", "lot_id", "amount", "why")
LOT = (
    "id", "account_id", "category", "issued", "issued_at", "available_at", "expires_at", "ends_on",
)  # fmt: skip
#: What an account's identity is.
ACCOUNT = ("id", "kind", "unit", "owner_type", "owner_id", "opened_at")
#: What an event of a hold covers.
HOLD = (
    "id", "key", "body_hash", "account_id", "seq", "amount", "lots", "ref_type", "ref_id",
    "made_at", "expires_at", "actor", "actor_name",
)  # fmt: skip
HOLD_END = ("hold_id", "account_id", "seq", "how", "at", "posting_id", "actor", "actor_name")

_encode = msgspec.json.Encoder().encode


def _hashed(label: bytes, body: Any) -> str:
    return hashlib.sha256(label + _encode(body)).hexdigest()


def posting_hash(
    header: Sequence[Any], entries: Sequence[Sequence[Any]], lots: Sequence[Sequence[Any]]
) -> str:
    """Return a posting's hash; the arguments are in the order of `POSTING`, `ENTRY`, `LOT`."""
    return _hashed(b"posting1", (header, entries, lots))


def opened(row: Mapping[str, Any]) -> str:
    """Return what an account's chain begins with."""
    return _hashed(b"account1", [row[name] for name in ACCOUNT])


def chained(previous: str, digest: str) -> str:
    """Return the next link of an account's chain after a posting with a hash."""
    return hashlib.sha256(b"chain1" + previous.encode() + digest.encode()).hexdigest()


def hold_chained(previous: str, row: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the next link after a hold (`HOLD`) or the end of one (`HOLD_END`)."""
    return chained(previous, _hashed(b"hold1", [row[name] for name in names]))

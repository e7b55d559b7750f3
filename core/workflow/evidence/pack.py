"""Everything that proves one approval, put together so that it can be checked offline."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from core.context import Context
from core.errors import Forbidden, NotFound
from core.policies.access import access
from core.workflow.evidence import merkle, offline
from core.workflow.evidence.folding import FOLDED
from core.workflow.evidence.roots import find_root, leaf, leaf_text, list_leaves
from core.workflow.models import Row, event, instance
from core.workflow.seen import knows, seen_record

#: Roles that may take any approval's evidence with them.
AUDITORS = frozenset({"Admin", "auditor"})


@dataclass(frozen=True, slots=True)
class Pack:
    """The evidence of one approval.

    Attributes:
        evidence: the instance, its events and its rows, as they are stored.
        proof: the way from the chain's head to a daily root; nulls before the first.
        pictures: name in the pack -> SHA-256 of a drawn signature.
    """

    evidence: dict[str, Any]
    proof: dict[str, Any]
    pictures: dict[str, str]


def is_auditor(ctx: Context) -> bool:
    """Return whether the actor may prove every approval."""
    return ctx.actor.is_system or bool(ctx.actor.roles & AUDITORS)


def may_take(ctx: Context, record: Mapping[str, str]) -> bool:
    """Return whether the actor may have all that the events of a record's approval say.

    An auditor may; others must see the document with every field as it is, since evidence
    cannot be cut down to what they see and still prove.
    """
    if is_auditor(ctx):
        return True
    record_type = ctx.registry.release.type(record["type"])
    if record_type is None or seen_record(ctx, record["type"], record["id"]) is None:
        return False
    certain = access(ctx, record["type"]).certain
    return all(field.name in certain for field in record_type.fields)


def read_pack(ctx: Context, instance_id: str) -> Pack:
    """Return the evidence of an approval.

    Raises:
        NotFound: there is no such approval that the actor may know of.
        Forbidden: the actor may not see all that it says.
    """
    with ctx.reading() as connection:
        query = sa.select(instance).where(instance.c.id == instance_id)
        row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound
        if not may_take(ctx, {"type": row["record_type"], "id": row["record_id"]}):
            if not knows(ctx, connection, row):
                raise NotFound
            raise Forbidden
        own = event.c.instance_id == instance_id
        stored = connection.execute(sa.select(event).where(own).order_by(event.c.seq)).mappings()
        events = [dict(each) for each in stored]
        drawn = {
            each["seq"]: signature["sha256"]
            for each in events
            if (signature := msgspec.json.decode(each["detail"]).get("signature", {})).get("image")
        }
        names = {seq: f"signatures/{seq:04d}.png" for seq in drawn}
        evidence = {
            "format": offline.FORMAT,
            "instance": dict(row),
            "events": events,
            "rows": _rows(connection, row),
            "signatures": [{"seq": seq, "file": name} for seq, name in names.items()],
        }
        pictures = {name: drawn[seq] for seq, name in names.items()}
        return Pack(evidence, _proof(connection, instance_id), pictures)


def zipped(pack: Pack, documents: Mapping[str, bytes], pictures: Mapping[str, Path]) -> bytes:
    """Return a pack as a ZIP archive with a program that checks it.

    Args:
        pack: what `read_pack` gave.
        documents: name -> content of what people read.
        pictures: SHA-256 -> where a drawn signature lies.
    """
    files = {
        **documents,
        "evidence.json": canonical_bytes(pack.evidence),
        "proof.json": canonical_bytes(pack.proof),
        "verify.py": Path(offline.__file__).read_bytes(),
        **{name: pictures[digest].read_bytes() for name, digest in pack.pictures.items()},
    }
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"format": offline.FORMAT, "files": hashes}
    files["manifest.json"] = offline.canonical(
        manifest | {"hash": offline.manifest_hash(manifest)}
    ).encode()
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(name, content)
    return target.getvalue()


def canonical_bytes(value: object) -> bytes:
    """Return a file of JSON; texts stay to the byte what the database holds."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1)


def _rows(connection: Connection, row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {instance.name: [dict(row)]}
    for name, table in FOLDED.items():
        if table is not instance:
            query = sa.select(table).where(table.c.instance_id == row["id"]).order_by(table.c.id)
            found[name] = [dict(each) for each in connection.execute(query).mappings()]
    return found


def _proof(connection: Connection, instance_id: str) -> dict[str, Any]:
    """Return the way from the approval's last leaf to its root."""
    made: dict[str, Any] = {"format": offline.FORMAT, "root": None, "leaf": None, "path": []}
    mine = sa.select(leaf).where(leaf.c.instance_id == instance_id)
    own = connection.execute(mine.order_by(leaf.c.root.desc()).limit(1)).mappings().first()
    if own is None:
        return made
    one = find_root(connection, own["root"])
    before = sa.select(sa.func.count()).where(
        leaf.c.root == own["root"], leaf.c.instance_id < instance_id
    )
    tree = merkle.Tree(watched=connection.execute(before).scalar_one())
    for each in list_leaves(connection, own["root"]):
        tree.add(merkle.leaf_hash(leaf_text(each)))
    told = msgspec.json.decode(leaf_text(own))
    return made | {"root": one and asdict(one), "leaf": told, "path": tree.path()}

"""Check an evidence pack without the product, a database or a network: `python -I verify.py`.

This file lies in every pack and needs Python 3.9 or later and nothing else. It proves that no
file of the pack was changed, that the events form one chain, that they give the rows, that the
signatures are those that were drawn, and that a daily root covered the chain. Whether that
root is the one that was carried out of the database in time, only a copy kept elsewhere can
say: name its file with `--root FILE`.

Exit status: 0 everything proves, 1 something does not, 2 wrong usage.
"""

from __future__ import annotations

import hashlib
import json
import sys
import unicodedata
from pathlib import Path
from typing import Any

Json = dict[str, Any]

FORMAT = "guanxi evidence 1"
ERASABLE = ("actor_name", "opinion", "ip", "user_agent")
UNHASHED = {*ERASABLE, "salt", "hash"}
UNTOLD = {"chain", "events", "rooted"}


class BrokenError(Exception):
    """Something in the pack does not prove; the text says what."""


def sha256(*parts: str | bytes) -> str:
    """Return the SHA-256 of texts or bytes put together, in hexadecimal digits."""
    made = hashlib.sha256()
    for part in parts:
        made.update(part.encode() if isinstance(part, str) else part)
    return made.hexdigest()


def canonical(value: object) -> str:
    """Return JSON with sorted keys and no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def composed(value: Any) -> Any:
    """Return a text in Unicode's form C, in which evidence is kept; all else as it is."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def need(holds: object, text: str) -> None:
    """Raise `text` unless something holds."""
    if not holds:
        raise BrokenError(text)


def manifest_hash(manifest: Json) -> str:
    """Return the hash over the names and hashes of a pack's files."""
    body = {name: value for name, value in manifest.items() if name != "hash"}
    return sha256("pack1", canonical(body))


def check_files(folder: Path) -> tuple[Json, Json]:
    """Prove that the files are those that were packed; return what they say."""
    text = (folder / "manifest.json").read_text("utf-8")
    manifest = json.loads(text)
    need(text == canonical(manifest), "manifest.json was altered")
    need(manifest["hash"] == manifest_hash(manifest), "manifest.json was altered")
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    need(found == set(manifest["files"]), "files are missing or were put in")
    for name, digest in manifest["files"].items():
        need(sha256((folder / name).read_bytes()) == digest, f"{name} was altered")
    evidence = json.loads((folder / "evidence.json").read_text("utf-8"))
    proof = json.loads((folder / "proof.json").read_text("utf-8"))
    need(evidence["format"] == proof["format"] == manifest["format"] == FORMAT, "another format")
    return evidence, proof


def check_chain(evidence: Json) -> None:
    """Prove that the events form one unbroken chain up to the head on the instance."""
    prev, instance = "", evidence["instance"]
    for number, event in enumerate(evidence["events"], start=1):
        need(event["seq"] == number, f"event {number} is missing")
        need(event["instance_id"] == instance["id"], f"event {number} is of another approval")
        body = {name: value for name, value in event.items() if name not in UNHASHED}
        made = sha256("appr1", prev, canonical(body))
        need(event["prev"] == prev and event["hash"] == made, f"event {number} was altered")
        prev = made
    head = instance["chain"], instance["events"]
    need(head == (prev, len(evidence["events"])), "the last events are missing")


def erasures(events: list[Json]) -> dict[str, int]:
    """Return who was erased by right: person -> number of the event that says so."""
    return {
        json.loads(event["detail"])["person"]: event["seq"]
        for event in events
        if event["verb"] == "erase"
    }


def check_people(evidence: Json) -> int:
    """Prove names, opinions and addresses by their commitments; return how many are erased."""
    erased, until = 0, erasures(evidence["events"])
    for event in evidence["events"]:
        number = event["seq"]
        if number < until.get(event["actor"], 0):
            blank = not event["salt"] and not any(event[name] for name in ERASABLE)
            need(blank, f"event {number} is half erased")
            erased += 1
            continue
        kept = json.loads(event["commitments"])
        for name in ERASABLE:
            whole = sha256(event["salt"], event[name]) == kept[name]
            need(whole, f"event {number} was altered: {name}")
    return erased


def check_rows(evidence: Json) -> None:
    """Prove the rows of the approval: they are what its events made of them."""
    rows: dict[str, dict[str, Json]] = {}
    names: dict[str, set[str]] = {}
    for event in evidence["events"]:
        names.setdefault(event["actor"], {""}).add(event["actor_name"])
        for table, changed in json.loads(event["changes"] or "{}").items():
            for key, columns in changed.items():
                row = rows.setdefault(table, {}).setdefault(key, {})
                for name, value in columns.items():
                    row[name] = (value, event["salt"])
    given = {table: found for table, found in evidence["rows"].items() if found}
    need(set(given) == set(rows), "rows are missing or were put in")
    for table, found in given.items():
        stored = {row["id"]: row for row in found}
        need(set(stored) == set(rows[table]), f"rows of {table} are missing or were put in")
        for key, row in stored.items():
            for name in row:
                right = is_right(row, name, rows[table][key], names)
                need(right, f"{table} {key} was altered: {name}")
    need([evidence["instance"]] == given["gx_instance"], "the instance was altered")


def is_right(row: Json, name: str, known: Json, names: dict[str, set[str]]) -> bool:
    """Return whether a column of a row is what the events say."""
    value = row[name]
    if name in UNTOLD:
        return True
    if name.endswith("_name") and name[: -len("_name")] in row:
        person = row[name[: -len("_name")]]
        return composed(value or "") in names.get(person, {""})
    if name not in known:
        return False
    expected, salt = known[name]
    if isinstance(expected, dict) and "sha256" in expected:
        return bool(sha256(value) == expected["sha256"])
    if isinstance(expected, dict):
        is_gone = not salt or not value
        return bool(is_gone or sha256(salt, composed(value)) == expected["committed"])
    return bool(composed(value) == composed(expected))


def check_definition(evidence: Json) -> None:
    """Prove that the flow in the pack is the one that the last event went by."""
    instance, last = evidence["instance"], evidence["events"][-1]
    whole = sha256(instance["definition"], "\0", instance["subflows"])
    known = last["definition_hash"], whole
    need(known == (instance["definition_hash"],) * 2, "the flow was altered")


def check_signatures(evidence: Json, folder: Path) -> int:
    """Prove that drawn signatures are those that events were signed with; return how many."""
    drawn: dict[int, str] = {}
    for event in evidence["events"]:
        signature = json.loads(event["detail"]).get("signature") or {}
        if signature.get("image"):
            drawn[event["seq"]] = signature["sha256"]
    need({each["seq"] for each in evidence["signatures"]} == set(drawn), "signatures are missing")
    for each in evidence["signatures"]:
        same = sha256((folder / each["file"]).read_bytes()) == drawn[each["seq"]]
        need(same, f"the signature of event {each['seq']} was altered")
    return len(drawn)


def check_root(evidence: Json, proof: Json, exported: str) -> int:
    """Prove that a daily root covered the chain; return its number, 0 before the first."""
    root, leaf = proof["root"], proof["leaf"]
    if root is None:
        need(not exported, "no root covered this approval yet")
        return 0
    body = {name: value for name, value in root.items() if name != "hash"}
    need(root["hash"] == sha256("root1", canonical(body)), "the root was altered")
    made = hashlib.sha256(b"\x00" + canonical(leaf).encode()).digest()
    for side, other in proof["path"]:
        half = bytes.fromhex(other)
        both = half + made if side == "left" else made + half
        made = hashlib.sha256(b"\x01" + both).digest()
    need(made.hex() == root["merkle"], "the root does not cover this approval")
    covered = evidence["events"][leaf["events"] - 1]
    need(
        (covered["instance_id"], covered["hash"]) == (leaf["instance_id"], leaf["head"]),
        "the events are not those that the root covered",
    )
    if exported:
        with Path(exported).open(encoding="utf-8") as file:
            need(json.loads(file.readline()) == root, "the exported root is another one")
    return int(root["number"])


def check(folder: Path, exported: str) -> list[str]:
    """Return what was proved, a line each; raises what was not."""
    evidence, proof = check_files(folder)
    check_chain(evidence)
    erased = check_people(evidence)
    check_definition(evidence)
    check_rows(evidence)
    signed = check_signatures(evidence, folder)
    number = check_root(evidence, proof, exported)
    events, root, leaf = len(evidence["events"]), proof["root"], proof["leaf"]
    lines = [
        "the files are those that were packed · 文件与打包时一致",
        f"{events} events form one chain · {events} 个事件链接完整",
        f"names and opinions are unaltered, {erased} erased · 姓名与意见未改，{erased} 个已删除",
        "the events give the rows of the approval · 由事件可推出全部审批数据",
        f"{signed} drawn signatures are unaltered · {signed} 个手写签名未被改动",
    ]
    if not number:
        return [*lines, "no daily root has covered it yet · 尚无每日根涵盖"]
    first = leaf["events"]
    lines.append(
        f"root {number} of {root['day']} covers the first {first} events · "
        f"{root['day']} 的每日根涵盖前 {first} 个事件"
    )
    if exported:
        return [*lines, "the exported root is the same · 与导出的每日根一致"]
    return [
        *lines,
        f"compare with a copy kept elsewhere · 请与另存的每日根比对: {root['hash']}",
    ]


def main(arguments: list[str]) -> int:
    """Check the pack around this file; return the exit status."""
    if arguments and (arguments[0] != "--root" or len(arguments) != 2):  # noqa: PLR2004
        sys.stderr.write("usage: python -I verify.py [--root FILE]\n")
        return 2
    for stream in (sys.stdout, sys.stderr):
        # A console that knows no Chinese must not hide what was found.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        lines = check(Path(__file__).resolve().parent, "".join(arguments[1:]))
    except BrokenError as error:
        sys.stderr.write(f"FAILED  {error}\n")
        return 1
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        sys.stderr.write(f"FAILED  the pack cannot be read: {error!r}\n")
        return 1
    sys.stdout.write("".join(f"ok      {line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

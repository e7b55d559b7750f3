"""Workbooks that nobody means: bombs, broken ones, locked ones, and one that reads each."""

import io
import resource
import sys
import time
import zipfile
from pathlib import Path
from random import Random

import openpyxl

from core.records import workbookxml
from core.testing.campaigns import examples

#: A normal run makes bombs, and the bounds they meet, so many times smaller.
SCALE = 40 if examples(1) == 1 else 1

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SHEET, STYLES, TEXTS = "xl/worksheets/sheet1.xml", "xl/styles.xml", "xl/sharedStrings.xml"
RELATIONS, BOOK = "xl/_rels/workbook.xml.rels", "xl/workbook.xml"
END = b"</sheetData>"


def plain() -> dict[str, bytes]:
    """Return the parts of a workbook of one member."""
    book, made = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["no", "name"])
    book.active.append(["W1", "Wu"])
    book.save(made)
    with zipfile.ZipFile(made) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    related = f'<Relationship Id="rT" Type="{RELATED}/sharedStrings" Target="sharedStrings.xml"/>'
    parts[TEXTS] = _texts(b"<si><t>shared</t></si>")
    return _with(parts, RELATIONS, b"</Relationships>", related.encode())


def _texts(inner: bytes, before: bytes = b"") -> bytes:
    return before + f'<sst xmlns="{MAIN}">'.encode() + inner + b"</sst>"


def _with(parts: dict[str, bytes], name: str, end: bytes, added: bytes) -> dict[str, bytes]:
    return {**parts, name: parts[name].replace(end, added + end, 1)}


def packed(parts: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return the parts as an archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return made.getvalue()


def _noisy(unit: bytes, size: int, noise: bytes) -> bytes:
    """Return about `size` bytes of `unit` that pack less than a hundred times."""
    draw, pieces, done = Random(1), [], 0
    block = unit * (max(1, 2_000 // len(unit)))
    while done < size:
        pieces += [block, noise.replace(b"?", b"%x" % draw.getrandbits(160))]
        done += len(block) + len(noise) + 40
    return b"".join(pieces)


def _lying(parts: dict[str, bytes], name: str) -> bytes:
    """Return an archive that says a part is small which is not."""
    data = bytearray(packed({**parts, name: parts[name] + b" " * (600_000_000 // SCALE)}))
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(name.encode()))
    data[at + 24 : at + 28] = (1_000).to_bytes(4, "little")
    return bytes(data)


def _entities(inner: str) -> bytes:
    return f"<!DOCTYPE x [{inner}]>".encode()


def hostile() -> dict[str, bytes]:
    """Return the workbooks by what is wrong with them."""
    parts, size = plain(), 90_000_000 // SCALE
    held = 46_000_000 // SCALE
    good = packed(parts)
    laughs = '<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    file = '<!ENTITY f SYSTEM "file:///etc/passwd">'

    def row(cells: str, number: int = 3) -> dict[str, bytes]:
        return _with(parts, SHEET, END, f'<row r="{number}">{cells}</row>'.encode())

    made = {
        "cut by one": good[:-1],
        "cut in half": good[: len(good) // 2],
        "only the start": good[:10],
        "no archive": b"PK\x03\x04" + b"\0" * 500,
        "another archive": packed({"a.txt": b"x"}),
        "no sheet": packed({**parts, BOOK: b"<workbook/>"}),
        "encrypted OLE": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"EncryptedPackage" * 500,
        "packed by bzip2": packed(parts, zipfile.ZIP_BZIP2),
        "packed by lzma": packed(parts, zipfile.ZIP_LZMA),
        "ten sheets in one part": packed(
            {**parts, BOOK: parts[BOOK].replace(b"</sheets>", _sheet(b"Sheet") * 9 + b"</sheets>")}
        ),
        "says it is small": _lying(parts, STYLES),
        "nothing but blanks": packed({**parts, SHEET: parts[SHEET] + b" " * 20_000_000}),
        "entities": packed({**parts, TEXTS: _texts(b"<si><t>&j;</t></si>", _entities(laughs))}),
        "a file as an entity": packed(
            {**parts, TEXTS: _texts(b"<si><t>&f;</t></si>", _entities(file))}
        ),
        "an entity in a sheet": packed({**parts, SHEET: _entities(file) + parts[SHEET]}),
        "far row": packed(row("<c><v>1</v></c>", 10**9)),
        "huge row": packed(row("<c><v>1</v></c>", 10**30)),
        "far cell": packed(row('<c r="XFD3"><v>1</v></c>')),
        "no such column": packed(row('<c r="ZZZZZZZ3"><v>1</v></c>')),
        "no such text": packed(row('<c t="s"><v>7</v></c>')),
        "text of minus one": packed(row('<c t="s"><v>-1</v></c>')),
        "long cell": packed(row(f'<c t="inlineStr"><is><t>{"x" * 40_000}</t></is></c>')),
        "deep": packed(_with(parts, SHEET, END, b"<row>" + b"<a>" * 200_000)),
        "empty rows": packed(_with(parts, SHEET, END, _noisy(b"<row/>", size, b'<row s="?"/>'))),
        "empty cells": packed(
            _with(parts, SHEET, END, b"<row>" + _noisy(b"<c/>", size, b'<c s="?"/>') + b"</row>")
        ),
        "formats of columns": packed(
            _with(parts, SHEET, b"<sheetData>", _noisy(b"<x/>", size, b'<x a="?"/>'))
        ),
        "extensions": packed(
            _with(parts, SHEET, b"</worksheet>", _noisy(b"<x/>", size, b'<x a="?"/>'))
        ),
        "empty texts": packed(
            {**parts, TEXTS: _texts(_noisy(b"<si/>", held, b"<si><t>?</t></si>"))}
        ),
        "styles": packed(
            _with(parts, STYLES, b"</fonts>", _noisy(b"<font/>", held, b'<font a="?"/>'))
        ),
    }
    return {name: content for name, content in made.items() if content != good}


def harmless() -> dict[str, bytes]:
    """Return workbooks that look like the others and are good: the member is imported."""
    parts, size = plain(), 90_000_000 // SCALE
    outside = (
        f'<Relationship Id="rX" Type="{RELATED}/externalLink" TargetMode="External" '
        'Target="http://127.0.0.1:1/x"/>'
    )
    return {
        "merged cells": packed(
            _with(
                parts,
                SHEET,
                b"</worksheet>",
                _noisy(b'<mergeCell ref="A1:B1"/>', size, b'<mergeCell ref="?"/>'),
            )
        ),
        "names that climb": packed({**parts, "../../../evil": b"x", "/etc/evil": b"x"}),
        "links to outside": packed(_with(parts, RELATIONS, b"</Relationships>", outside.encode())),
        "odd numbers": packed(
            _with(
                parts,
                SHEET,
                END,
                f'<row><c t="d"><v>99999-99-99</v></c><c><v>{"9" * 5_000}</v></c></row>'.encode(),
            )
        ),
    }


def _sheet(name: bytes) -> bytes:
    return b'<sheet xmlns:r="%s" name="%s" sheetId="9" r:id="rId1"/>' % (RELATED.encode(), name)


def lower_bounds() -> None:
    """Make the reader's bounds as many times smaller as the bombs are."""
    workbookxml.MAX_HELD_ELEMENTS //= SCALE
    workbookxml.FREE_ELEMENTS //= SCALE


def import_each(folder: str) -> None:
    """Import every file of a folder by the command; print name, status, seconds and bytes."""
    from core.testing.processes import guanxi

    lower_bounds()
    for path in sorted(Path(folder).iterdir()):
        begun, status = time.process_time(), 0
        try:
            guanxi("import", "member", str(path))
        except SystemExit as end:
            status = int(end.code or 0)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(path.name, status, time.process_time() - begun, most, sep="\t")
    sys.stdout.flush()

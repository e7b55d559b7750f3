"""Any file ends in rows or in one clear refusal, quickly."""

import gzip
import lzma

import pytest

from core.errors import UserError
from core.records.csvreading import read_header, read_rows
from tests.effort import Effort


def read(tmp_path, data):
    path = tmp_path / "some.csv"
    path.write_bytes(data)
    rows = list(read_rows(path))
    return read_header(rows[0]), [row.cells for row in rows[1:]]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"a,b\n1,2\n", [["1", "2"]]),
        (b"a,b\r\n1,2\r\n\r\n3,4", [["1", "2"], ["3", "4"]]),
        (b"a,b\r1,2\r", [["1", "2"]]),
        (b"a;b\n1;2,5\n", [["1", "2,5"]]),
        (b"a\tb\n1\t2\n", [["1", "2"]]),
        (b'a,b\n"x, y","say ""hi"""\n', [["x, y", 'say "hi"']]),
        (b'a,b\r\n"one\r\ntwo",""\r\n', [["one\r\ntwo", ""]]),
        ("a,b\n会员,𠮷\n".encode(), [["会员", "𠮷"]]),
        ("a,b\n会员,𠮷\n".encode("utf-8-sig"), [["会员", "𠮷"]]),
        ("a,b\n会员,𠮷\n".encode("utf-16"), [["会员", "𠮷"]]),
        ("a,b\nplain,text\n".encode("utf-16-le"), [["plain", "text"]]),
        ("a,b\n会员,𠮷\n".encode("gb18030"), [["会员", "𠮷"]]),
        ("a,b\nx\u2028y,\x85\n".encode(), [["x\u2028y", "\x85"]]),
        (gzip.compress(b"a,b\n1,2\n", mtime=0), [["1", "2"]]),
        (lzma.compress(b"a,b\n1,2\n"), [["1", "2"]]),
    ],
)
def test_readable_file_gives_its_rows(tmp_path, data, rows):
    assert read(tmp_path, data) == (["a", "b"], rows)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"a,b\n" + b"x" * 5_000_000,
        b"\0" * 10_000,
        bytes(range(256)) * 100,
        ",".join(f"c{n}" for n in range(1001)).encode(),
        b",".join([b"c"] * 300_000),
        b'a,b\n1,"open\n' + b"x,y\n" * 100_000,
        b"a,a\n1,2\n",
        b"a,\0\n1,2\n",
        gzip.compress(b"a,b\n" + b"\n" * 20_000_000, mtime=0),
        gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:-20],
        b"\xfd7zXZ\x00broken",
        b"\x1f\x8bbroken",
    ],
)
def test_hostile_file_is_refused_fast(tmp_path, data):
    effort = Effort()
    with pytest.raises(UserError):
        read(tmp_path, data)
    assert effort.seconds < 3

"""Contents of files that somebody touched behind the product's back are found."""

import hashlib
from pathlib import Path

import pytest

from core.files.evidence import content_problems, count_contents
from core.files.models import content_table
from core.files.store import digest_of
from core.ids import new_id
from core.testing.processes import ran
from tests.integration.files_world import make_claim, png, site_schema, upload_id

__all__ = ["site_schema"]

pytestmark = pytest.mark.usefixtures("site")


@pytest.fixture
def kept(client_as, services):
    """Where the content of a file lies that a record holds, beside a picture's."""
    clerk, text = client_as("clerk"), new_id().encode()
    make_claim(clerk, papers=[upload_id(clerk, text, "contract.txt")])
    make_claim(clerk, photo=upload_id(clerk, png(400, 300), "photo.png"))
    return services.files.path(hashlib.sha256(text).hexdigest())


def problems(services):
    return list(content_problems(services.db, services.files))


def test_untouched_contents_prove(kept, services):
    assert count_contents(services.db) >= 2
    assert problems(services) == []


@pytest.mark.parametrize(
    ("touch", "told"),
    [
        (lambda path: path.write_bytes(b"x" * 36), "was changed"),
        (lambda path: path.write_bytes(b"x"), "has 1 bytes instead of 36"),
        (Path.unlink, "is missing"),
    ],
)
def test_touched_content_is_named(kept, services, touch, told):
    digest = digest_of(kept)
    touch(kept)
    (problem,) = problems(services)
    assert problem.startswith(f"the content {digest[:16]}… of file “contract.txt” (")
    assert problem.endswith(told)


def test_file_without_a_recorded_content_is_named(kept, services):
    with services.db.write() as connection:
        gone = content_table.c.digest == digest_of(kept)
        connection.execute(content_table.delete().where(gone))
    (problem,) = problems(services)
    assert problem.startswith("the content of file “contract.txt” (")


def test_verify_fails_on_a_changed_content(kept, site):
    kept.write_bytes(b"x" * 36)
    code, out, err = ran("verify", environ=site.environ)
    assert (code, "FAILED   contents of" in out, "was changed" in err) == (1, True, True)

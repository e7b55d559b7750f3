"""Signing a decision: the password anew, a drawn picture, each refused with its own words."""

import base64
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from PIL import Image, ImageDraw

from core.context import Client, Context
from core.errors import Invalid, Malformed, RateLimited, UserError
from core.files.models import file_table
from core.security.throttle import MAX_PER_ACCOUNT
from core.testing.site import PASSWORD
from core.workflow.errors import SignatureRequired
from core.workflow.evidence.meaning import meaning_of
from core.workflow.evidence.signing import (
    MOST_BYTES,
    NOT_SIGNED,
    ReauthRequired,
    bind,
    require,
    sign,
)


def drawn(mark: int = 3, size: tuple[int, int] = (120, 40)) -> bytes:
    """Return a PNG with a line on it, a different one for each `mark`."""
    image = Image.new("RGB", size, "white")
    if mark:
        ImageDraw.Draw(image).line((0, mark, size[0], size[1] - mark), fill="black", width=2)
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.fixture
def ctx(site: Any) -> Iterator[Context]:
    """Yield the context of an approver within a request."""
    with site.app.test_request_context():
        made = site.context("approver", door="api")
        yield replace(made, client=Client("203.0.113.9", "test", "session"))


def refused(error: type[UserError], ctx: Context, **given: Any) -> str:
    with pytest.raises(error) as caught:
        sign(ctx, given)
    return caught.value.problems[0].text if caught.value.problems else caught.value.text


def test_nothing_given_signs_nothing(ctx: Context) -> None:
    assert sign(ctx, None) == sign(ctx, {}) == NOT_SIGNED
    assert NOT_SIGNED.detail == {}


def test_own_password_signs(ctx: Context) -> None:
    signed = sign(ctx, {"password": PASSWORD})
    assert (signed.auth, signed.detail) == ("password", {"signature": {"way": "password"}})
    require(signed, "password")
    with pytest.raises(SignatureRequired):
        require(signed, "handwritten")


def test_no_session_stands_for_the_password(ctx: Context) -> None:
    for way in ("password", "handwritten"):
        with pytest.raises((ReauthRequired, SignatureRequired)) as caught:
            require(NOT_SIGNED, way)
        assert caught.value.status == {"password": 401, "handwritten": 422}[way]
    require(NOT_SIGNED, "click")
    assert "password" in refused(ReauthRequired, ctx, image=encoded(drawn()), pointer="pen")


def try_in_vain(site: Any, times: int) -> None:
    """Have somebody try to sign in as the approver, and fail."""
    for _ in range(times):
        site.services.throttle.enter("approver", "198.51.100.1")


def test_wrong_passwords_are_counted_as_at_the_sign_in(ctx: Context, site: Any) -> None:
    try_in_vain(site, MAX_PER_ACCOUNT - 2)
    for _ in range(2):
        assert refused(ReauthRequired, ctx, password="wrong") == "The password is not right."
    refused(RateLimited, ctx, password="wrong")
    refused(RateLimited, ctx, password=PASSWORD)


def test_right_password_takes_the_tries_back(ctx: Context, site: Any) -> None:
    for _ in range(2):
        try_in_vain(site, MAX_PER_ACCOUNT - 1)
        assert sign(ctx, {"password": PASSWORD}).auth == "password"


def test_password_of_somebody_inactive_signs_nothing(ctx: Context) -> None:
    gone = replace(ctx, actor=replace(ctx.actor, id="99999"))
    assert refused(ReauthRequired, gone, password=PASSWORD) == "The password is not right."
    nobody = replace(ctx, actor=replace(ctx.actor, id="system"))
    refused(ReauthRequired, nobody, password=PASSWORD)


def test_drawn_signature_is_kept_and_serves_one_decision(ctx: Context) -> None:
    content = drawn(5)
    given = {"password": PASSWORD, "image": encoded(content), "pointer": "touch"}
    signed = sign(ctx, given)
    require(signed, "handwritten")
    told = signed.detail["signature"]
    assert (told["way"], told["pointer"], told["image"]) == ("handwritten", "touch", signed.image)
    with ctx.writing() as connection:
        bind(connection, ctx, signed)
        row = connection.execute(
            sa.select(file_table).where(file_table.c.id == signed.image)
        ).mappings().one()  # fmt: skip
        assert row["content"] == told["sha256"]
        assert row["bound_at"] is not None
        with pytest.raises(SignatureRequired):
            bind(connection, ctx, signed)
    again = given | {"image": signed.image}
    assert "still unused" in refused(SignatureRequired, ctx, **again)
    prefixed = sign(ctx, given | {"image": f"data:image/png;base64,{encoded(content)}"})
    assert (prefixed.digest, prefixed.image == signed.image) == (signed.digest, False)


def test_upload_of_somebody_else_is_no_signature(ctx: Context, site: Any) -> None:
    signed = sign(ctx, {"password": PASSWORD, "image": encoded(drawn(7)), "pointer": "pen"})
    other = replace(ctx, actor=site.actor("clerk"))
    text = refused(SignatureRequired, other, password=PASSWORD, image=signed.image, pointer="pen")
    assert "no upload of yours" in text
    with other.writing() as connection, pytest.raises(SignatureRequired):
        bind(connection, other, signed)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (encoded(drawn(0)), "is empty"),
        (encoded(b"GIF89a"), "PNG"),
        ("no base64!", "PNG"),
        ("\ud800", "PNG"),
        (encoded(b"\x89PNG\r\n\x1a\n" + b"\x00" * 40), "PNG"),
        ("A" * (MOST_BYTES * 2), "too large"),
        ("01890000-0000-7000-8000-000000000000", "still unused"),
    ],
)
def test_picture_that_is_no_drawn_signature_is_refused(
    ctx: Context, image: str, words: str
) -> None:
    given = {"password": PASSWORD, "image": image, "pointer": "mouse"}
    assert words in refused(SignatureRequired, ctx, **given)


@pytest.mark.parametrize(
    "given", [{"password": 1}, {"pass": "x"}, {"password": "x", "image": ["y"]}]
)
def test_signature_of_another_shape_is_malformed(ctx: Context, given: dict[str, Any]) -> None:
    refused(Malformed, ctx, **given)


def test_drawn_signature_says_what_it_was_drawn_with(ctx: Context) -> None:
    given = {"password": PASSWORD, "image": encoded(drawn())}
    for pointer in ({}, {"pointer": "laser"}):
        assert "mouse" not in refused(Invalid, ctx, **given, **pointer)


def test_words_of_a_decision_are_in_the_reader_s_language() -> None:
    assert meaning_of("approve", "春季", "zh") == "我同意“春季”按所示内容发布。"
    assert meaning_of("approve", "Spring", "en").startswith("I approve the release of Spring")
    assert meaning_of("claim", "Spring", "en") == ""

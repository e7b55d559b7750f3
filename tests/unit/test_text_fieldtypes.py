"""Texts in fields: characters, lengths and patterns."""

import gzip
import json
from pathlib import Path

import pytest

from core.schema.fieldtypes import (
    FieldError,
)
from tests.effort import Effort
from tests.unit.fieldtypes_cases import load, outcome, refused

NAUGHTY = Path(__file__).parents[1] / "data" / "naughty_strings.json.gz"


@pytest.mark.parametrize(
    ("value", "char"),
    [
        ("a\x00b", "U+0000"),
        ("\x1b[0m", "U+001B"),
        ("x\ud800", "U+D800"),
        ("\ufdd0", "U+FDD0"),
        ("\U0001ffff", "U+1FFFF"),
        ("a\nb", "U+000A"),
        ("a\tb", "U+0009"),
        ("\x85", "U+0085"),
        ("\uffff", "U+FFFF"),
    ],
)
def test_text_with_a_bad_character_is_refused_naming_it(value, char):
    with pytest.raises(FieldError) as caught:
        load("text", value)
    assert (caught.value.code, caught.value.params["char"]) == ("field.bad_character", char)


def test_text_is_kept_as_it_was_written():
    for text in ("e\u0301", "\u00e9", "  x ", "ﷺ", "\u202ereversed", "😀", "Ⅷ", "\ufeffx"):
        assert load("text", text) == text


def test_long_text_keeps_lines_and_turns_crlf_into_lf():
    assert load("long_text", "a\r\nb\tc\n") == "a\nb\tc\n"
    assert refused("long_text", "a\rb") == "field.bad_character"


def test_text_longer_than_its_limit_is_refused_fast():
    assert refused("text", "x" * 201) == "field.too_long"
    assert load("text", "会" * 200) == "会" * 200
    assert refused("long_text", "x" * 10_001) == "field.too_long"
    assert refused("text", "ab", min_length=3) == "field.too_short"
    effort = Effort()
    assert refused("text", "x" * 10_000_000) == "field.too_long"
    assert effort.seconds < 0.5


def test_pattern_is_matched_whole_and_in_linear_time():
    assert load("text", "AB12", pattern="[A-Z0-9]{2,8}") == "AB12"
    assert refused("text", "AB12x", pattern="[A-Z0-9]{2,8}") == "field.pattern"
    effort = Effort()
    assert refused("text", "a" * 199 + "!", pattern="(a+)+") == "field.pattern"
    assert effort.seconds < 0.5


def test_naughty_strings_are_kept_or_refused_naming_the_character():
    strings = json.loads(gzip.decompress(NAUGHTY.read_bytes()))
    outcomes = [
        (text, *outcome(kind, text, max_length=100_000))
        for text in strings
        for kind in ("text", "long_text")
    ]
    kept = [(text, loaded) for text, loaded, refusal in outcomes if refusal is None]
    refusals = [refusal for *_, refusal in outcomes if refusal is not None]
    assert [loaded for _, loaded in kept] == [text or None for text, _ in kept]
    assert {refusal.code for refusal in refusals} == {"field.bad_character"}
    assert all(refusal.params["char"].startswith("U+") for refusal in refusals)
    assert len(kept) > 900

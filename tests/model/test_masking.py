"""Secrets do not show, whatever form they travel in."""

from base64 import b64encode
from urllib.parse import quote

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from weft.model.masking import LENGTH_MIN, mask, spellings

no_surrogates = st.text(st.characters(codec="utf-8"), min_size=LENGTH_MIN, max_size=30)


@given(no_surrogates, st.text(max_size=20), st.text(max_size=20))
def test_the_value_itself_is_masked_anywhere(secret: str, before: str, after: str) -> None:
    assert secret not in mask(before + secret + after, [secret]).replace("***", "\0")


@given(no_surrogates, st.binary(max_size=7), st.binary(max_size=7))
def test_base64_of_anything_around_it_is_masked(secret: str, before: bytes, after: bytes) -> None:
    text = b64encode(before + secret.encode() + after).decode()
    assert "***" in mask(text, [secret])


def test_urls_and_json_are_masked() -> None:
    secret = 'p@ss "w&rd/1'
    assert mask(f"https://x/?k={quote(secret, safe='')}", [secret]) == "https://x/?k=***"
    assert mask(f"https://x/{quote(secret)}", [secret]) == "https://x/***"
    assert mask(msgspec.json.encode({"k": secret}).decode(), [secret]) == '{"k":"***"}'


def test_short_values_are_left_alone() -> None:
    assert spellings("12345") == set()
    assert mask("12345", ["12345"]) == "12345"


def test_the_longest_form_goes_first() -> None:
    assert mask("abcdefghi", ["abcdef", "abcdefghi"]) == "***"

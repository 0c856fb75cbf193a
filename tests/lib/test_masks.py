"""Secrets stay hidden, also where a stream is cut in the middle of one."""

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune.lib.masks import Mask

pytestmark = pytest.mark.embedded_only

MASK = "********"
SECRET = 'p@ss "word" é/1'


@pytest.mark.parametrize(
    "shown",
    [SECRET, json.dumps(SECRET)[1:-1], quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode().rstrip("=")],
    ids=["plain", "json", "url", "base64"],
)
def test_every_usual_spelling_of_a_secret_is_masked(shown):
    assert SECRET not in Mask([SECRET]).text(f"before {shown} after")
    assert MASK in Mask([SECRET]).text(f"before {shown} after")


@given(st.lists(st.integers(1, 7), min_size=1, max_size=60))
def test_a_secret_cut_anywhere_by_the_stream_is_masked(cuts):
    text = b"xx SECRET-VALUE yy SECRET-VALUESECRET-VALUE SECRET SECRET-SECRET-VALUE end"
    mask, out, place = Mask(["SECRET-VALUE"]), b"", 0
    for size in cuts:
        out += mask.feed("stdout", text[place : place + size])
        place += size
    out += mask.feed("stdout", text[place:]) + mask.flush("stdout")
    assert out == text.replace(b"SECRET-VALUE", MASK.encode())


def test_two_streams_do_not_mix():
    mask = Mask(["SECRET"])
    out = mask.feed("stdout", b"SEC") + mask.feed("stderr", b"RET") + mask.flush("stdout") + mask.flush("stderr")
    assert out == b"RETSEC"


def test_leaves_of_structured_secrets_are_masked_in_results():
    mask = Mask([{"user": "anna-admin", "pin": 12345678, "list": ["inner-secret"]}, True, None, 7])
    data = {"anna-admin": ["inner-secret", 12345678, 7, True, None], "n": {"x": "pin 12345678"}}
    assert mask.data(data) == {MASK: [MASK, MASK, 7, True, None], "n": {"x": f"pin {MASK}"}}


def test_without_secrets_nothing_is_touched():
    mask = Mask([])
    assert mask.feed("stdout", b"abc") == b"abc" and mask.data({"a": 1}) == {"a": 1}


def test_lines_of_a_multi_line_secret_are_masked_one_by_one():
    key = "-----BEGIN KEY-----\nabcdefghijkl\nmnopqrstuvwx\n-----END KEY-----"
    assert "abcdefghijkl" not in Mask([key]).text("it says abcdefghijkl here")

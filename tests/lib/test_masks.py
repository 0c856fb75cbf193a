"""Secrets stay hidden, also where a stream is cut in the middle of one."""

import base64
import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attune.lib.masks import Mask

pytestmark = pytest.mark.embedded_only

MASK = "********"
SECRET = 'p@ss "word" é/1'


URL_SAFE = base64.urlsafe_b64encode(SECRET.encode()).decode()


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(json.dumps({"a": SECRET})),
        json.dumps(SECRET).replace("/", "\\/"),
        quote(SECRET, safe=""),
        quote(SECRET),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        html.escape(SECRET),
        repr(SECRET),
        repr("it's " + SECRET),
        repr(SECRET.encode()),
        'p@ss\\ \\"word\\"\\ é/1',
        base64.b64encode(SECRET.encode()).decode(),
        base64.b64encode(f"a{SECRET}b".encode()).decode(),
        base64.b64encode(f"ab{SECRET}ab".encode()).decode(),
        base64.b64encode(f"abc{SECRET}\n".encode()).decode(),
        URL_SAFE,
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
    ],
)
def test_every_usual_spelling_of_a_secret_is_masked(shown):
    masked = Mask([SECRET]).text(f"before {shown} after")
    assert MASK in masked
    hidden = masked.replace(MASK, "")
    assert len(hidden) <= len("before  after") + 16, hidden


@given(st.integers(5, 90), st.integers(0, 40), st.lists(st.integers(1, 50), max_size=30))
def test_what_is_encoded_is_masked_over_the_ends_of_lines_and_of_pieces(width, before, cuts):
    whole = base64.b64encode(b"x" * before + SECRET.encode() * 2 + b"yy").decode()
    text = "\n".join(whole[at : at + width] for at in range(0, len(whole), width)).encode()
    mask, out, place = Mask([SECRET]), b"", 0
    for size in cuts:
        out += mask.feed("stdout", text[place : place + size])
        place += size
    out += mask.feed("stdout", text[place:]) + mask.flush("stdout")
    for at in range(3):
        piece = base64.b64encode(b"z" * at + SECRET.encode()[: -at or None])[4:-4]
        assert piece not in out.replace(b"\n", b"")


def test_where_the_service_is_stays_to_be_read_unless_it_holds_credentials():
    mask = Mask([{"url": "https://jira.test", "password": "pass-word"}, {"url": "https://anna:pw@other.test"}])
    assert mask.text("https://jira.test/pass-word") == f"https://jira.test/{MASK}"
    assert mask.text("https://anna:pw@other.test") == MASK


def test_what_is_learnt_later_is_hidden_from_then_on():
    mask = Mask(["first-one"])
    assert mask.text("first-one second-one") == f"{MASK} second-one"
    mask.add(["second-one"])
    assert mask.text("first-one second-one") == f"{MASK} {MASK}"


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

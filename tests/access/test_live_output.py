"""What programs print, as the admin's pages draw it and as it grows."""

from __future__ import annotations

import pytest

from apps.access.admin_live import grown, length_of, output, text_of

pytestmark = pytest.mark.embedded_only


def test_output_is_escaped_whatever_stands_in_it():
    drawn = output("\x1b[31m</span><script>alert('1')</script>&\"\x1b[0m<b>")
    assert drawn == (
        '<span class="at-f1">&lt;/span&gt;&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;&amp;&quot;</span>&lt;b&gt;'
    )


def test_a_line_that_is_not_over_is_told_again_until_it_is():
    first = grown("\x1b[31mone\n10%\r20%", offset=100)
    assert (first["done"], first["open"]) == ([("one\n", "at-f1")], [("20%", "at-f1")])
    assert (first["offset"], first["seen"]) == (109, 116)
    then = grown("10%\r20%\r30%\nend", offset=first["offset"], style=first["style"])
    assert (then["done"], then["open"]) == ([("30%\n", "at-f1")], [("end", "at-f1")])


def test_bytes_that_are_no_text_count_as_what_they_were():
    data = "ü".encode() + b"\xff\xfe\n" + "☂".encode()[:2]
    text = text_of(data)
    assert length_of(text) == len(data) - 2  # without the beginning of a character
    told = grown(text, offset=0, size=length_of)
    assert told["done"] == [("ü��\n", "")]
    assert told["offset"] == len(data) - 2

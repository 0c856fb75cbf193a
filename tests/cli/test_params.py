"""Parameters as they are typed become what the schema says."""

from __future__ import annotations

import pytest

from attune.cli.errors import Misused
from attune.cli.params import parse

pytestmark = pytest.mark.embedded_only

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "ratio": {"type": "number"},
        "loud": {"type": "boolean"},
        "options": {"type": "object", "properties": {"depth": {"type": "integer"}}},
        "tags": {"type": "array"},
        "maybe": {"type": ["integer", "null"]},
        "both": {"type": ["integer", "string"]},
        "whatever": {"enum": [1, "one"]},
        "dotted.name": {"type": "integer"},
        "open": {},
    },
}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], {}),
        (["text=hi"], {"text": "hi"}),
        (["text="], {"text": ""}),
        (["text=3"], {"text": "3"}),
        (["text=a=b:=c"], {"text": "a=b:=c"}),
        (["text=a\nb"], {"text": "a\nb"}),
        (["text=@@home"], {"text": "@home"}),
        (["count=3"], {"count": 3}),
        (["count=-3"], {"count": -3}),
        (["ratio=2"], {"ratio": 2}),
        (["ratio=1e3"], {"ratio": 1000.0}),
        (["loud=true"], {"loud": True}),
        (["loud=No"], {"loud": False}),
        (['options={"a": [1]}'], {"options": {"a": [1]}}),
        (["tags=[1, 2]"], {"tags": [1, 2]}),
        (["maybe=null"], {"maybe": None}),
        (["maybe=4"], {"maybe": 4}),
        (["both=4"], {"both": 4}),
        (["both=four"], {"both": "four"}),
        (["whatever=1"], {"whatever": 1}),
        (["whatever=one"], {"whatever": "one"}),
        (["open=3"], {"open": "3"}),
        (["unknown=3"], {"unknown": "3"}),
        (["unknown:=3"], {"unknown": 3}),
        (["text:=null"], {"text": None}),
        (['text:={"a":"=:="}'], {"text": {"a": "=:="}}),
        (["a:b=c"], {"a:b": "c"}),
        (["options.depth=2", "options.color=red"], {"options": {"depth": 2, "color": "red"}}),
        (["dotted.name=2"], {"dotted.name": 2}),
        (["new.deep.er=x"], {"new": {"deep": {"er": "x"}}}),
    ],
)
def test_values_are_typed_by_the_schema(words, expected):
    assert parse(words, SCHEMA) == expected


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["text"], "is no parameter"),
        (["=x"], "is no parameter"),
        (["count=three"], "count should be a whole number, not 'three'"),
        (["count=3.5"], "whole number"),
        (["count=true"], "whole number"),
        (["ratio=NaN"], "a number"),
        (["loud=maybe"], "true or false"),
        (["options=[]"], "JSON"),
        (["tags={}"], "JSON"),
        (["tags=a,b"], "JSON"),
        (["maybe=x"], "a whole number or null"),
        (["text:=x"], "text is not JSON"),
        (["count:=Infinity"], "not JSON"),
        (["text=1", "text=2"], "text is given twice"),
        (["text=@/no/such/file"], "cannot be read"),
        (["text.deep=1", "text.deep.er=2"], "is no object"),
        (["count=" + "9" * 5000], "whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_remedy(words, told):
    with pytest.raises(Misused) as refused:
        parse(words, SCHEMA)
    assert told in refused.value.message
    assert len(refused.value.message) < 300


def test_a_file_gives_text_or_json(tmp_path):
    (tmp_path / "letter").write_text("Dear\nAda\n")
    (tmp_path / "list.json").write_text("[1, 2]")
    found = parse([f"text=@{tmp_path}/letter", f"tags=@{tmp_path}/list.json", f"any:=@{tmp_path}/list.json"], SCHEMA)
    assert found == {"text": "Dear\nAda\n", "tags": [1, 2], "any": [1, 2]}


def test_words_go_over_what_is_there_and_leave_the_rest(tmp_path):
    base = {"text": "old", "options": {"depth": 1, "color": "red"}}
    assert parse(["options.depth=2"], SCHEMA, base=base) == {"text": "old", "options": {"depth": 2, "color": "red"}}
    with pytest.raises(Misused):
        parse([], SCHEMA, base=[1])

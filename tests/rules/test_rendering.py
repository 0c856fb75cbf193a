"""Templates: what they give, what they are refused, what hostile ones cost, and how secrets stay out of them."""

import time
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.rules.matching import evaluate
from apps.rules.rendering import RenderingError, build_context, check_templates, render, render_parameters

PAYLOAD = {
    "name": "World",
    "digits": "123",
    "n": 5,
    "f": 1.5,
    "ok": True,
    "none": None,
    "items": [1, 2, 3],
    "keys": "not a method",
    "rows": [{"id": 1, "tag": "x"}, {"id": 2, "tag": "y"}],
    "evil": "{{ 7 * 7 }}",
    "a-b": "dash",
    "nested": {"payload": {"deep": 1}},
}
CONTEXT = build_context(
    payload=PAYLOAD,
    event_id=7,
    trigger_ref="core.webhook",
    created=datetime(2014, 7, 1, 10, tzinfo=UTC),
    rule_ref="core.rule",
    rule_id=3,
    pack_config={"url": "http://x", "limit": 4},
    now=datetime(2014, 7, 1, 12, tzinfo=UTC),
)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain text", "plain text"),
        ("", ""),
        ("{ single }", "{ single }"),
        ("{{ payload.n }}", 5),
        ("{{ payload.f }}", 1.5),
        ("{{ payload.ok }}", True),
        ("{{ payload.none }}", None),
        ("{{ payload.digits }}", "123"),
        ("{{ payload.items }}", [1, 2, 3]),
        ("{{ payload.rows.0 }}", {"id": 1, "tag": "x"}),
        ("{{ payload.rows[1].tag }}", "y"),
        ("{{ payload.n }}{{ payload.n }}", "55"),
        ("{{ payload.digits }}4", "1234"),
        (" {{ payload.n }}", " 5"),
        ("{{ payload.n }}\n", "5\n"),
        ("{{ payload.evil }}", "{{ 7 * 7 }}"),
        ("<{{ payload.evil }}>", "<{{ 7 * 7 }}>"),
        ("{{ payload['a-b'] }}", "dash"),
        ("{{ payload.keys }}", "not a method"),
        ("{{ payload.n + 1 }}", 6),
        ("{{ payload.n > 3 and payload.ok }}", True),
        ("{{ 'a' if payload.ok else 'b' }}", "a"),
        ("{{ payload.n ~ '-' ~ payload.name }}", "5-World"),
        ("{{ [payload.n, {'k': payload.name}] }}", [5, {"k": "World"}]),
        ("{{ payload.nope | default('y') }}", "y"),
        ("{{ payload.nope.deeper.still | default(3) }}", 3),
        ("{{ nope | default('y') }}", "y"),
        ("{{ payload.nope is defined }}", False),
        ("{{ payload.none.x | default('y') }}", "y"),
        ("{{ payload.rows | map(attribute='id') | list }}", [1, 2]),
        ("{{ payload.rows | map(attribute='tag') | join('+') }}", "x+y"),
        ("{{ payload.rows | selectattr('id', 'gt', 1) | map(attribute='tag') | first }}", "y"),
        ("{{ payload.rows | sum(attribute='id') }}", 3),
        ("{{ payload.name | upper }}", "WORLD"),
        ("{{ payload.name.lower() }}", "world"),
        ("{{ payload.name.replace('o', '0').split('0') }}", ["W", "rld"]),
        ("{{ payload.rows.0.items() }}", [["id", 1], ["tag", "x"]]),
        ("{{ payload.rows.0 | to_json }}", '{"id": 1, "tag": "x"}'),
        ("{{ '<&>' | tojson }}", '"<&>"'),
        ("{{ '[1, {}]' | from_json }}", [1, {}]),
        ("{{ payload.name | regex_match('orl') }}", False),
        ("{{ payload.name | regex_search('ORL', true) }}", True),
        ("{{ payload.name | regex_replace('o(.)', '<\\\\1>') }}", "W<r>ld"),
        ("{{ payload.f | round }}", 2.0),
        ("{{ '<b>' }}!", "<b>!"),
        ("{% for i in payload.items %}{{ i }}{% if not loop.last %},{% endif %}{% endfor %}", "1,2,3"),
        ("{% for k, v in payload.rows.0 | items %}{{ k }}={{ v }};{% endfor %}", "id=1;tag=x;"),
        ("{% if payload.n == 5 %}five{% else %}other{% endif %}", "five"),
        ("{% set x = payload.n * 2 %}{{ x }}", "10"),
        ("{# nothing #}", ""),
        ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
        ("{{ event.payload.name }}", "World"),
        ("{{ trigger.payload.name }}", "World"),
        ("{{ trigger.name }}", "World"),
        ("{{ event.id }}", 7),
        ("{{ event.trigger }} {{ event.created }}", "core.webhook 2014-07-01T10:00:00+00:00"),
        ("{{ config.limit }}", 4),
        ("{{ pack.config.url }}", "http://x"),
        ("{{ rule.ref }}/{{ rule.id }}", "core.rule/3"),
        ("{{ system.timestamp }}", "2014-07-01T12:00:00+00:00"),
        ({"a": ["{{ payload.n }}", {"{{ b }}": "x{{ payload.n }}"}], "c": 5}, {"a": [5, {"{{ b }}": "x5"}], "c": 5}),
        (None, None),
    ],
)
def test_a_template_gives_its_value(template, expected):
    result = render(template, CONTEXT)
    assert result == expected
    assert type(result) is type(expected)
    assert check_templates(template) == []


def test_a_payloads_own_key_payload_wins_under_trigger():
    context = build_context(payload={"payload": {"x": 1}, "y": 2})
    assert render("{{ trigger.payload }}", context) == {"x": 1}
    assert render("{{ event.payload.payload.x }}", context) == 1
    assert render("{{ event.payload.y }}", context) == 2


def test_criteria_read_the_same_context():
    assert evaluate({"trigger.n": {"type": "eq", "pattern": "{{ payload.n }}"}}, CONTEXT).matched is True
    assert evaluate({"var": "trigger", "==": PAYLOAD}, CONTEXT).matched is True
    assert evaluate({"var": "trigger.payload.n", "==": 5}, CONTEXT).matched is True
    assert evaluate({"==": [{"var": "event.id"}, 7]}, CONTEXT).matched is True
    assert evaluate({"trigger.n": {"type": "eq", "pattern": "{{ key.x }}"}}, CONTEXT).matched is None


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ payload.nope }}", "there is no 'nope' here (there is: name, digits"),
        ("a {{ payload.nope.deeper }}", "there is no 'nope'"),
        ("{{ nope }}", "there is no 'nope'; the names are event, payload"),
        ("{{ payload.name.nope }}", "there is no 'nope' in a plain value"),
        ("{% for x in payload.nope %}{% endfor %}", "there is no 'nope'"),
        ("{% if payload.nope %}{% endif %}", "there is no 'nope'"),
        ("{{ payload.nope() }}", "the method nope cannot be used"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' + 1 }}", "TypeError"),
        ("{{ 'nan' | float }}", "JSON"),
        ("{{ {1: 2} }}", "keys of an object must be text"),
        ("{{ range }}", "not JSON data"),
        ("{{ key.a }}", "only in the parameters"),
        ("{{ 1", "unexpected end"),
        ("{% if %}", "Expected an expression"),
        ("{{ payload.name | nosuch }}", "no filter 'nosuch'"),
        ("{{ payload.name is nosuch }}", "no test 'nosuch'"),
        ("{{ payload.name | regex_search('(?=a)') }}", "look-ahead"),
    ],
)
def test_an_error_names_its_place_and_what_is_wrong(template, said):
    with pytest.raises(RenderingError) as caught:
        render({"list": [{"message": template}]}, CONTEXT, place="action_params")
    assert str(caught.value).startswith("In action_params.list[0].message: ")
    assert said in str(caught.value)


HOSTILE = [
    "{{ ''.__class__.__mro__ }}",
    "{{ payload.__class__ }}",
    "{{ payload['__class__'] }}",
    "{{ ''['__class__'] }}",
    "{{ '' | attr('__class__') }}",
    "{{ payload.rows | map(attribute='__class__') | list }}",
    "{{ '{0.__class__}'.format(payload) }}",
    "{{ '{a.__class__}'.format_map(payload) }}",
    "{{ '%s' % payload }}",
    "{{ self }}",
    "{{ self._TemplateReference__context }}",
    "{{ loop.__class__ }}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ joiner() }}",
    "{{ namespace(a=1) }}",
    "{{ dict(a=1) }}",
    "{{ range.__doc__ }}",
    "{{ payload.items.append(4) }}",
    "{{ payload.pop('n') }}",
    "{{ payload.update({}) }}",
    "{{ 'x'.encode() }}",
    "{{ payload.name.ljust(1000000000) }}",
    "{{ payload.name | center(1000000000) }}",
    "{{ payload.name | indent(1000000000) }}",
    "{{ payload.items | batch(1000000000, 'x') | list }}",
    "{{ payload.rows | groupby('id') }}",
    "{{ payload.items | to_json(1000000000) }}",
    "{{ 1.5 | round(1000000000) }}",
    "{{ 'a' * 200000000 }}",
    "{{ 200000000 * 'a' }}",
    "{{ [0] * 200000000 }}",
    "{{ 9 ** 999999 }}",
    "{{ 2 ** 500 * 2 ** 500 * 2 ** 500 }}",
    "{{ range(1000000000) }}",
    "{{ range(0, 10000000000, 1) | list }}",
    "{% for i in range(10000) %}{% for j in range(10000) %}x{% endfor %}{% endfor %}",
    "{% for i in range(9999) %}{{ range(9999) | list | sort | length }}{% endfor %}",
    "{% for i in range(9000) %}" + "y" * 1000 + "{% endfor %}",
    "{% set a = 'x' * 1000 %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
    "{% set a = 'x' * 1000 %}" + "{% set a = a + a %}" * 40 + "{{ a }}",
    "{% set a = [1, 1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a }}",
    "{% set a = {'b': 1} %}" + "{% set a = {'b': a, 'c': a} %}" * 60 + "{{ a | to_json }}",
    "{% set a = [1] %}{% set b = [1] %}" + "{% set a = [a, a] %}{% set b = [b, b] %}" * 60 + "{{ a == b }}",
    "{{ ('a' * 1000) | replace('a', 'b' * 100000) }}",
    "{{ ('a' * 1000).replace('a', 'b' * 100000) }}",
    "{{ ('a' * 100000).replace('', 'b' * 1000) }}",
    "{{ range(10000) | join('x' * 10000) }}",
    "{{ ('x' * 10000).join('a' * 10000) }}",
    "{{ ('a' * 10000) | regex_replace('a', 'b' * 10000) }}",
    "{{ [range(9999), range(9999)] | sum(start=[]) }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% call m() %}{% endcall %}",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% from 'x' import y %}",
    "{% extends 'x' %}",
    "{% block b %}{% endblock %}",
    "{% filter upper %}x{% endfilter %}",
    "{% set x %}y{% endset %}",
    "{% for i in payload.items recursive %}{{ loop(payload.items) }}{% endfor %}",
    "{% autoescape true %}{% endautoescape %}",
    "{{ payload.name | _called('upper') }}",
    "{{ range(*payload.items) }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ " + "1 + " * 5000 + "1 }}",
    "{{ " + "not " * 5000 + "1 }}",
    "{{ payload" + ".a" * 10000 + " }}",
    "{% if payload.ok %}" * 500 + "{% endif %}" * 500,
    "{% for i in payload.items %}" * 40 + "{% endfor %}" * 40,
    "{{ payload.n }}" + " " * 70_000,
]


@pytest.mark.parametrize("template", HOSTILE, ids=[template[:60] for template in HOSTILE])
def test_a_hostile_template_is_refused_and_costs_little(template):
    before = time.process_time()
    with pytest.raises(RenderingError):
        render(template, CONTEXT)
    assert time.process_time() - before < 10


def test_the_payload_is_never_changed_by_a_template():
    before = {**PAYLOAD, "items": list(PAYLOAD["items"])}
    result = render("{{ payload.items }}", CONTEXT)
    result.append(4)
    assert before == PAYLOAD


def test_a_key_becomes_a_placeholder_and_is_filled_later():
    rendered = render_parameters(
        {
            "token": "{{ key.jira.credentials }}",
            "header": "Bearer {{ key.api }} and {{ key['pack.jira.x'] }}",
            "auth": "{{ {'user': payload.name, 'password': key.system.token} }}",
            "n": "{{ payload.n }}",
        },
        CONTEXT,
    )
    assert sorted(slot["parts"] for slot in rendered.key_slots.values()) == [
        ["api"],
        ["jira", "credentials"],
        ["pack.jira.x"],
        ["system", "token"],
    ]
    by_name = {".".join(slot["parts"]): sentinel for sentinel, slot in rendered.key_slots.items()}
    assert rendered.value == {
        "token": by_name["jira.credentials"],
        "header": f"Bearer {by_name['api']} and {by_name['pack.jira.x']}",
        "auth": {"user": "World", "password": by_name["system.token"]},
        "n": 5,
    }


@pytest.mark.parametrize(
    "template",
    [
        "{{ key.a | upper }}",
        "{{ key.a | length }}",
        "{{ key.a | default('x') }}",
        "{{ key.a == 'x' }}",
        "{{ 'x' in key.a }}",
        "{{ key.a in ['x'] }}",
        "{{ key.a is defined }}",
        "{{ key.a + 'x' }}",
        "{{ 'x' ~ key.a }}",
        "{{ key.a[0:1] }}",
        "{{ key.a.strip() }}",
        "{{ not key.a }}",
        "{{ -key.a }}",
        "{{ 'a' if key.a else 'b' }}",
        "{% for x in key.a %}{{ x }}{% endfor %}",
        "{{ [key.a] | join }}",
        "{{ [key.a] | join | upper }}",
        "{{ [key.a] | to_json }}",
        "{{ [key.a] | map('upper') | list }}",
        "{{ {key.a: 1} }}",
        "x {{ [key.a] }}",
        "{{ payload.items[key.a] }}",
        "{{ key }}",
    ],
)
def test_a_key_that_is_not_used_as_it_is_is_refused(template):
    with pytest.raises(RenderingError, match=r"as it is|needs a name"):
        render_parameters({"p": template}, CONTEXT)


def test_no_payload_can_name_a_placeholder():
    first = render_parameters({"p": "{{ key.a }}"}, CONTEXT)
    (sentinel,) = first.key_slots
    second = render_parameters({"p": "{{ payload.x }}", "q": "{{ key.b }}"}, build_context(payload={"x": sentinel}))
    assert list(second.key_slots) == [second.value["q"]]
    assert second.value["p"] == sentinel not in second.key_slots


def test_templates_are_checked_when_saved_each_by_its_place():
    faults = check_templates({"a": "{{ ok }}", "b": ["{{ 1", "{{ x | nosuch }}"], "c": {"d": "{% include 'x' %}"}})
    assert [fault.path for fault in faults] == ["action_params.b[0]", "action_params.b[1]", "action_params.c.d"]
    assert all(fault.message for fault in faults)


def test_parameters_nested_without_end_are_refused():
    deep = "{{ payload.n }}"
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(RenderingError, match="deep"):
        render(deep, CONTEXT)
    assert check_templates(deep)


PIECES = """{{ }} {% %} {# #} payload .n .items key .a | upper default('x') for i in endfor if endif set x = +
* ~ == ( ) [ ] 'a' 0 9 is defined , text"""


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES.split()), max_size=14).map(" ".join))
def test_any_template_renders_or_says_that_it_cannot(template):
    for attempt in (render, render_parameters):
        with suppress(RenderingError):
            attempt({"p": template}, CONTEXT)
    check_templates({"p": template})


@pytest.mark.parametrize("context", [None, [], 5, {}])
def test_a_context_of_another_shape_only_lacks_the_names(context):
    assert render("{{ 1 + 1 }}", context) == 2
    with pytest.raises(RenderingError, match="there is no 'payload'"):
        render("{{ payload }}", context)

"""Every known way out of a template's sandbox, every way to make one cost without end, and patterns that do the same.

The ways out are those published for Jinja and for systems that render strangers' templates. Each must end in an error
of that template alone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from apps.rules.matching import check, evaluate
from apps.rules.models import Enforcement
from apps.rules.rendering import RenderingError, build_context, check_templates, render, render_parameters
from apps.rules.services import emit_event

ROOT = Path(__file__).resolve().parent.parent.parent
PAYLOAD: dict[str, Any] = {
    "text": "World",
    "n": 5,
    "items": [1, 2, 3],
    "rows": [{"id": 1}, {"id": 2}],
    "none": None,
    "class": "__class__",
    "format": "{0.__class__.__init__.__globals__}",
    "template": "{{ 7 * 7 }}{{ ''.__class__ }}",
}
CONTEXT = build_context(payload=PAYLOAD, event_id=7, trigger_ref="core.webhook", rule_ref="core.rule", rule_id=3)

ESCAPES = [
    # The chain of classes, in each spelling.
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''.__class__.__base__.__subclasses__()[140] }}",
    "{{ [].__class__.__bases__[0] }}",
    "{{ ().__class__ }}",
    "{{ {}.__class__ }}",
    "{{ 5 .__class__ }}",
    "{{ none.__class__ }}",
    "{{ true.__class__ }}",
    "{{ payload['__class__'] }}",
    "{{ payload['__cla' + 'ss__'] }}",
    "{{ payload['__cla' ~ 'ss__'] }}",
    "{{ payload[payload.class] }}",
    "{{ payload.text[payload['class']] }}",
    "{{ payload['\\x5f\\x5fclass\\x5f\\x5f'] }}",
    "{{ payload['\\u005f\\u005fclass\\u005f\\u005f'] }}",
    "{{ payload['__ssalc__'[::-1]] }}",
    "{{ payload[['__class', '__'] | join] }}",
    "{{ payload['__CLASS__' | lower] }}",
    "{{ payload['__cXass__' | replace('X', 'l')] }}",
    "{{ payload['__cXass__'.replace('X', 'l')] }}",
    "{{ payload | attr('__class__') }}",
    "{{ payload | attr(payload.class) }}",
    "{{ payload.text | attr('upper') }}",
    "{{ [payload] | map(attribute='__class__') | list }}",
    "{{ [payload] | map(attribute='__class__.__init__') | first }}",
    "{{ [payload] | map('attr', '__class__') | list }}",
    "{{ [payload] | selectattr('__class__.__name__') | map('attr', '__class__') | list }}",
    "{{ [payload] | sum(attribute='__class__') }}",
    "{{ [payload] | join('', attribute='__class__') }}",
    "{{ [payload] | sort(attribute='__class__') | map(attribute='__class__') | list }}",
    "{{ [payload] | max(attribute='__class__') | attr('x') }}",
    "{{ [payload] | groupby('__class__') }}",
    "{{ [payload] | unique(attribute='__class__') | map('attr', 'x') | list }}",
    # Globals, from functions and objects that are in reach elsewhere.
    "{{ config.__class__.__init__.__globals__['os'].popen('id').read() }}",
    "{{ self.__init__.__globals__.__builtins__ }}",
    "{{ self._TemplateReference__context.cycler.__init__.__globals__.os }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ lipsum['__globals__'] }}",
    "{{ lipsum | attr('__globals__') }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__.os }}",
    "{{ namespace.__init__.__globals__.os }}",
    "{{ cycler('a', 'b').next() }}",
    "{{ joiner(',')() }}",
    "{% set ns = namespace(x=1) %}{% set ns.x = 2 %}{{ ns.x }}",
    "{% set payload.n = 6 %}",
    "{{ dict.mro() }}",
    "{{ dict(x=1) }}",
    "{{ url_for.__globals__ }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ request.application.__globals__.__builtins__.__import__('os') }}",
    "{{ g.pop.__globals__ }}",
    "{{ settings.SECRET_KEY }}",
    "{{ event._meta.app_config.module.settings }}",
    "{{ rule.objects.all() }}",
    "{{ range.__self__ }}",
    "{{ range.__globals__ }}",
    "{{ range.__wrapped__ }}",
    "{{ undefined_name.__class__ }}",
    "{{ undefined_name._undefined_exception }}",
    "{{ payload.nope._undefined_name }}",
    "{{ (payload.nope | default(payload.nope)).__class__ }}",
    "{{ loop._iterator }}",
    "{% for x in payload.items %}{{ loop._iterator.__class__ }}{% endfor %}",
    "{% for x in payload.items %}{{ loop.__init__.__globals__ }}{% endfor %}",
    "{% for x in payload.items %}{{ loop.changed.__func__ }}{% endfor %}",
    "{% for x in payload.items %}{{ loop._undefined }}{% endfor %}",
    "{{ caller.__globals__ }}",
    "{{ super.__self__ }}",
    "{{ varargs }}{{ kwargs }}",
    "{% macro m() %}{{ caller.__class__ }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{% endmacro %}{{ m.__class__ }}",
    "{{ joined }}{{ environment }}",
    "{{ context }}{{ _counted }}",
    # Text formatting: CVE-2016-10745, CVE-2019-10906, and the indirect ways of CVE-2024-56326 and CVE-2025-27516.
    "{{ '{0.__class__}'.format(payload) }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(range) }}",
    "{{ '{x.__class__}'.format_map({'x': payload}) }}",
    "{{ '{x.__class__}'.format(**payload) }}",
    "{{ payload.format.format(payload) }}",
    "{{ payload.format.format(payload, payload) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(payload) }}",
    "{% set f = payload.format.format %}{{ f(payload) }}",
    "{{ ['{0.__class__}'.format] | map('upper') | list }}",
    "{{ ('{0.__class__}' | attr('format'))(payload) }}",
    "{{ '{0.__class__}' | attr('format') }}",
    "{{ '{0.__class__}'['format'](payload) }}",
    "{{ ['{0.__class__}'] | map('format', payload) | list }}",
    "{{ '%s' | format(payload) }}",
    "{{ '%(x)s' % {'x': payload} }}",
    "{{ '%s' % range }}",
    "{{ payload.format % payload }}",
    "{{ f'{payload}' }}",
    # Changing what others see.
    "{{ payload.items.append(4) }}",
    "{{ payload.items.__setitem__(0, 1) }}",
    "{{ payload.update({'n': 1}) }}",
    "{{ payload.setdefault('x', 1) }}",
    "{{ payload.pop('n') }}",
    "{{ payload.clear() }}",
    "{% do payload.clear() %}",
    # Files and other templates: CVE-2024-56201 and its kind.
    "{% include '/etc/passwd' %}",
    "{% include payload.text %}",
    "{% import 'os' as os %}",
    "{% from '/etc/passwd' import x %}",
    "{% extends payload.text %}",
    "{% block b %}{{ super() }}{% endblock %}",
    "{% debug %}",
    "{% trans %}x{% endtrans %}",
    "{{ debug() }}",
    # Code and objects: methods, calls of what is no method, inner names of ours.
    "{{ payload.text.encode() }}",
    "{{ payload.text.translate({}) }}",
    "{{ payload.text.maketrans('a', 'b') }}",
    "{{ payload.text.__add__('x') }}",
    "{{ payload.text.join.__self__ }}",
    "{{ payload.get.__self__ }}",
    "{{ payload.get('x').__class__ }}",
    "{{ payload['get']('n') }}",
    "{{ [range][0](3) }}",
    "{{ (range)(*payload.items) }}",
    "{{ range(**payload) }}",
    "{{ payload.text | _called('format', payload) }}",
    "{{ payload.items | map('_called', 'append', 1) | list }}",
    "{{ payload.items | _counted }}",
    "{{ payload | _weighed }}",
    "{{ payload.text | xmlattr }}",
    "{{ payload.text | safe }}",
    "{{ payload.text | forceescape }}",
    "{{ payload | pprint }}",
    "{{ payload.text | eval }}",
    "{{ payload.text is callable }}",
    "{{ 'upper' is filter }}",
    "{{ payload.items | map('nosuch') | list }}",
    "{{ payload.text is nosuch }}",
]
HARMLESS = [  # looks like one, and is only the payload's own data
    ("{{ payload.class }}", "__class__"),
    ("{{ payload.template }}", "{{ 7 * 7 }}{{ ''.__class__ }}"),
    ("<{{ payload.template }}>", "<{{ 7 * 7 }}{{ ''.__class__ }}>"),
    ("{{ payload['class'] }}", "__class__"),
    ("{{ payload.format }}", "{0.__class__.__init__.__globals__}"),
    ("{{ payload.__class__ is defined }}", False),
    ("{{ payload.__class__ | default('none') }}", "none"),
    ("{{ payload.format.upper() }}", "{0.__CLASS__.__INIT__.__GLOBALS__}"),
]

ENDLESS = [
    "{{ 'a' * 200000000 }}",
    "{{ 'a' * 10 ** 9 }}",
    "{{ payload.text * 10 ** 8 }}",
    "{{ ('a' * 700000) * 700000 }}",
    "{{ [0] * 10 ** 9 }}",
    "{{ (0,) * 10 ** 9 }}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ 2 ** (2 ** (2 ** (2 ** (2 ** 2)))) }}",
    "{{ 9 ** (9 ** 9) }}",
    "{{ (10 ** 300) ** (10 ** 300) }}",
    "{% set x = 2 %}" + "{% set x = x * x %}" * 40 + "{{ x }}",
    "{{ 1" + "0" * 5000 + " + 1 }}",
    "{{ 1.5 ** (10 ** 10) }}",
    "{{ ('f' * 700000) | int(base=16) }}",
    "{{ 1 | round(10 ** 9) }}",
    "{{ range(10 ** 9) | list }}",
    "{{ range(10 ** 18) | length }}",
    "{{ range(0, 10 ** 9, 1) | sum }}",
    "{% for i in range(10 ** 9) %}{% endfor %}",
    "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
    "{% for i in range(9000) %}" * 3 + "x" + "{% endfor %}" * 3,
    "{% for i in range(9999) %}{{ range(9999) | sort | length }}{% endfor %}",
    "{% for i in range(9999) %}{{ ('a' * 700000) | upper | length }}{% endfor %}",
    "{% for i in range(9999) %}{{ ('a' * 700000) | regex_search('b$') }}{% endfor %}",
    "{% for i in range(9999) %}{{ ('ab' * 300000).replace('a', 'b') | length }}{% endfor %}",
    "{% for i in range(9999) %}{% set x = [range(9999)] * 9 %}{% endfor %}",
    "{% for i in range(9000) %}" + "y" * 1000 + "{% endfor %}",
    "{% for i in range(100) %}{{ 'x' * 700000 }}{% endfor %}",
    "{% for x in range(9999) recursive %}{{ loop(range(9999)) }}{% endfor %}",
    "{% set a = 'x' * 1000 %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}",
    "{% set a = 'x' * 1000 %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
    "{% set a = ['x'] %}" + "{% set a = a + a %}" * 60 + "{{ a }}",
    "{% set a = [1] %}" + "{% set a = [a, a, a] %}" * 60 + "{{ a }}",
    "{% set a = {'b': 1} %}" + "{% set a = {'b': a, 'c': a} %}" * 60 + "{{ a | to_json | length }}",
    "{% set a = [1] %}{% set b = [1] %}" + "{% set a = [a, a] %}{% set b = [b, b] %}" * 60 + "{{ a == b }}",
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ [a] | sort }}",
    "{% set a = [1] %}" + "{% set a = [a, a] %}" * 60 + "{{ a in [a, 1] }}{{ [a] | unique | list }}",
    "{{ 'x' | replace('', 'y' * 700000) | replace('y', 'z' * 700000) }}",
    "{{ ('a' * 10000).replace('a', 'b' * 100000) }}",
    "{{ ('x' * 10000).join('a' * 700000) }}",
    "{{ range(9999) | join('x' * 700000) }}",
    "{{ ('a' * 100000) | list | join('b' * 1000) }}",
    "{{ ('a' * 100000) | regex_replace('a', 'b' * 100000) }}",
    "{{ ('a' * 700000) | regex_replace('', 'b' * 9) | regex_replace('', 'c' * 9) }}",
    "{{ payload.text | center(10 ** 9) }}",
    "{{ payload.text.center(10 ** 9) }}",
    "{{ payload.text.ljust(10 ** 9) }}",
    "{{ payload.text.zfill(10 ** 9) }}",
    "{{ payload.text.expandtabs(10 ** 9) }}",
    "{{ payload.text | indent(10 ** 9) }}",
    "{{ payload.items | batch(10 ** 9, 0) | list }}",
    "{{ payload.items | slice(10 ** 9) | list }}",
    "{{ payload | to_json(10 ** 9) }}",
    "{{ payload | tojson(indent=10 ** 9) }}",
    "{{ lipsum(10 ** 6) }}",
    "{{ '%999999999d' % 1 }}",
    "{{ '{:999999999}'.format(1) }}",
    "{{ ('[' * 100000) | from_json }}",
    "{{ ('http://a.' * 70000) | urlize }}",
    "{{ ('<' * 700000) | striptags }}",
    "{{ 'x' | wordwrap(0) }}",
    "{{ payload.text | regex_search('(a+)+' * 2000) }}",
    "{{ payload.text | regex_search('(' * 2000 + ')' * 2000) }}",
    "{{ payload.text | regex_search('((a{1,100}){1,100}){1,100}') }}",
    "{{ payload.text | regex_search('(?i)' + '[a-\uffff]' * 800) }}",
    "{{ payload.text | regex_search('a' * 700000) }}",
    "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "{{ " + "[" * 3000 + "]" * 3000 + " }}",
    "{{ " + "-" * 3000 + "1 }}",
    "{{ " + "1 + " * 5000 + "1 }}",
    "{{ " + "not " * 5000 + "1 }}",
    "{{ 1 " + "if 1 else 1 " * 3000 + "}}",
    "{{ payload" + ".a" * 10_000 + " }}",
    "{{ payload" + "[0]" * 10_000 + " }}",
    "{{ payload.text" + "|upper" * 5000 + " }}",
    "{% if 1 %}" * 500 + "{% endif %}" * 500,
    "{% for i in payload.items %}" * 40 + "x" + "{% endfor %}" * 40,
    "{{ payload.n }}" + " " * 70_000,
]


def shown(template: str) -> str:
    return ascii(template)[1:70]


def cost_of(template: str) -> float:
    """The seconds of CPU that refusing it takes; it must be refused."""
    before = time.thread_time()
    with pytest.raises(RenderingError):
        render({"list": [template]}, CONTEXT)
    return time.thread_time() - before


@pytest.mark.parametrize("template", ESCAPES, ids=shown)
def test_no_template_climbs_out_of_its_sandbox(template: str) -> None:
    assert cost_of(template) < 5
    with pytest.raises(RenderingError):
        render_parameters({"p": template}, CONTEXT)


@pytest.mark.parametrize(("template", "value"), HARMLESS, ids=[shown(template) for template, _ in HARMLESS])
def test_what_a_payload_says_is_data_and_is_never_rendered(template: str, value: Any) -> None:
    assert render(template, CONTEXT) == value


@pytest.mark.parametrize("template", ENDLESS, ids=shown)
def test_no_template_takes_for_ever(template: str) -> None:
    assert cost_of(template) < 5
    check_templates(template)


def test_an_error_tells_of_no_object_of_ours() -> None:
    for template in ESCAPES:
        with pytest.raises(RenderingError) as refused:
            render(template, CONTEXT)
        said = str(refused.value).replace(template, "")
        assert " object at 0x" not in said and "<class" not in said and "/apps/" not in said, said


def test_all_of_them_fit_into_little_memory(tmp_path: Path) -> None:
    """In a process that can have 192 MB more than it starts with; a MemoryError is no refusal."""
    script = """
import resource
from tests.rules.test_rendering_hostile import CONTEXT, ENDLESS
from apps.rules.rendering import RenderingError, render
has = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (has + (192 << 20), has + (192 << 20)))
refused = 0
for template in ENDLESS:
    try:
        render(template, CONTEXT)
    except RenderingError as error:
        assert "MemoryError" not in str(error), template[:80]
        refused += 1
print(refused)
"""
    environment = {"DJANGO_SETTINGS_MODULE": "attune.settings", "ATTUNE_DATA_DIR": str(tmp_path)}
    script = f"import django; django.setup()\n{script}"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == str(len(ENDLESS)), done.stderr[-2000:]


def test_a_hostile_template_fails_its_own_rule_and_no_other(flow: Any, make_action: Any, make_rule: Any) -> None:
    action = make_action("cat", parameters={"message": {"type": "string", "required": True}})
    climbs = make_rule(action, name="climbs", action_params={"message": "{{ payload.__class__.__mro__ }}"})
    make_rule(action, name="floods", action_params={"message": "{{ 'a' * 200000000 }}"})
    make_rule(action, name="greets", action_params={"message": "Hello {{ payload.text }}"})
    with flow():
        emit_event(climbs.trigger, payload=PAYLOAD)
    verdicts = dict(Enforcement.objects.values_list("rule_ref", "verdict"))
    assert verdicts == {"adhoc.climbs": "error", "adhoc.floods": "error", "adhoc.greets": "matched"}
    greeted = Enforcement.objects.get(rule_ref="adhoc.greets").execution
    assert greeted is not None and greeted.parameters["message"] == "Hello World"


# Patterns of criteria ------------------------------------------------------------------------------------------------
EVIL = [
    r"^(a+)+$",
    r"^(a|a)*$",
    r"^(a|aa)+$",
    r"^([a-z]+)*\d$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"(a*)*b",
    r"(.*a){20}",
    r"^(.*?,){40}P",
    r"(x+x+)+y",
    r"^(\w+\s?)*$",
    r"^\s+|\s+$",
    r"([^@]+@)+x",
    r"^([0-9a-zA-Z]([-.\w]*[0-9a-zA-Z])*@)+$",
    r"^(?:(?:a{0,30}){0,30})b$",
    r"(?:a?){900}a{900}",
    r"a*a*a*a*a*a*a*a*a*b",
    r".*.*.*=.*;.*",
    r"(?i)(É|é)+$",
    r"^((((a+)+)+)+)+$",
    r"[\s\S]*[\s\S]*[\s\S]*!\Z",
    r"(a+)+\1",
    r"(?=(a+)+$)b",
]
VALUES = ["a" * 100_000 + "!", "a," * 50_000, "x" * 100_000, " " * 100_000 + "x", "é" * 50_000 + "E", "a@" * 50_000]


@pytest.mark.parametrize("pattern", EVIL)
def test_no_pattern_takes_longer_than_the_text_is_long(pattern: str) -> None:
    """Each of them takes Python's own engine years; it is answered, or refused when the rule is saved."""
    before = time.thread_time()
    for operator in ("regex", "iregex", "matchregex"):
        criteria = {"trigger.text": {"type": operator, "pattern": pattern}}
        is_refused = bool(check(criteria))
        for value in VALUES:
            verdict = evaluate(criteria, build_context(payload={"text": value}))
            assert (verdict.matched is None) == is_refused
    assert time.thread_time() - before < 10


@pytest.mark.parametrize(
    "criteria",
    [
        {"var": "payload.text", "in": "{{ 'a' * 200000000 }}"},
        {"trigger.text": {"type": "regex", "pattern": "{{ payload.pattern }}"}},
        {"==": [{"var": "payload.text"}, {"cat": [{"var": "payload.text"}] * 500}]},
        {"trigger.text": {"type": "matchwildcard", "pattern": "*a" * 2000}},
        {"var": "payload.text", "matches": "(" * 1000},
        {"any": [{"var": "payload.text", "contains": "a" * 9000}] * 3000},
    ],
    ids=lambda criteria: ascii(criteria)[:50],
)
def test_hostile_criteria_are_answered_soon(criteria: Any) -> None:
    payload = {"text": "a" * 100_000 + "!", "pattern": "(?i)" + "[a-\uffff]" * 800}
    before = time.thread_time()
    evaluate(criteria, build_context(payload=payload))
    check(criteria)
    assert time.thread_time() - before < 10

"""Which keys rules name: in the templates of their parameters, and where a trigger's parameter is a `key_ref`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django.db.models import Q, TextField
from django.db.models.functions import Cast

from apps.packs.key_uses import Named, texts_in
from apps.rules.models import Rule
from attune.lib.refs import pack_of

# `key.jira.token`, `key["jira"].token`; what is worked out in a template is not found.
_NAME = re.compile(r"""\bkey((?:\s*\.\s*[A-Za-z0-9_-]+|\s*\[\s*(?:"[^"\n]+"|'[^'\n]+')\s*\])+)""")
_PART = re.compile(r"""\.\s*([A-Za-z0-9_-]+)|\[\s*["']([^"'\n]+)["']\s*\]""")


def names_in_rules() -> Iterator[Named]:
    """Every key that a rule names, and where."""
    rules = Rule.objects.select_related("trigger").annotate(templates=Cast("action_params", TextField()))
    for rule in rules.filter(Q(templates__contains="key") | ~Q(trigger_params={})):
        for place, text in texts_in(rule.action_params):
            for name in names_in(text):
                yield Named("rule", rule.ref, f"action_params.{place}", name, pack_of(rule.action_ref), is_path=True)
        schema = (rule.trigger.parameters_schema if rule.trigger else None) or {}
        for parameter, value in rule.trigger_params.items():
            if _is_key_ref(schema, parameter) and isinstance(value, str):
                yield Named("rule", rule.ref, f"trigger_params.{parameter}", value, pack_of(rule.trigger_ref))


def names_in(template: str) -> list[str]:
    """The keys that a template names, each as `jira.token`."""
    if "{{" not in template and "{%" not in template:
        return []
    return [".".join(a or b for a, b in _PART.findall(found)) for found in _NAME.findall(template)]


def _is_key_ref(schema: dict[str, Any], parameter: str) -> bool:
    described = (schema.get("properties") or {}).get(parameter)
    return isinstance(described, dict) and described.get("key_ref") is True

"""The form of a policy: what it governs, and its parts; a part whose number is left empty is not there."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.executions.models import Policy
from apps.executions.policies.parts import BACKOFFS, CANCEL, ENQUEUE, LONGEST, MOST, MOST_RETRIES, NAMES, RETRIED
from apps.packs.models import Action, Pack

_SCOPES = (("action", "One action"), ("pack", "Every action of a pack"), ("global", "Every action there is"))
_ON_LIMIT = ((ENQUEUE, "It waits for its turn"), (CANCEL, "It is cancelled at once"))
_BACKOFFS = {
    "constant": "Constant: 5, 5, 5 s",
    "linear": "Linear: 5, 10, 15 s",
    "exponential": "Exponential: 5, 10, 20 s",
}
_EACH = "Names of parameters, e.g. host, region. The limit holds for each of their values; empty: for all together."
_PRIORITY = "If several policies say how to retry, the highest counts; then that of the action, the pack, all."
# What a form begins with, for the parts that a policy does not have.
_FIRST = {"on_limit": ENQUEUE, "backoff": "exponential", "delay": 1, "max_delay": 300, "jitter": 0}


def _whole(label: str, least: int, most: int, help_text: str = "") -> forms.IntegerField:
    return forms.IntegerField(
        required=False,
        min_value=least,
        max_value=most,
        label=label,
        help_text=help_text,
        widget=UnfoldAdminIntegerFieldWidget,
    )


def _decimal(label: str, most: float, help_text: str = "") -> forms.FloatField:
    return forms.FloatField(
        required=False,
        min_value=0,
        max_value=most,
        label=label,
        help_text=help_text,
        widget=UnfoldAdminDecimalFieldWidget(attrs={"step": "any"}),
    )


def _choice(label: str, choices: Any) -> forms.ChoiceField:
    return forms.ChoiceField(required=False, choices=choices, label=label, widget=UnfoldAdminSelectWidget)


def _text(label: str, help_text: str, placeholder: str = "") -> forms.CharField:
    return forms.CharField(
        required=False,
        label=label,
        help_text=help_text,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": placeholder}),
    )


class OfRef(forms.ModelChoiceField):
    """An action or a pack, named by its ref."""

    def __init__(self, model: Any, label: str, *, help_text: str) -> None:
        super().__init__(
            model.objects.order_by("ref"),
            to_field_name="ref",
            required=False,
            label=label,
            help_text=help_text,
            empty_label="Choose …",
            widget=UnfoldAdminSelect2Widget(attrs={"data-minimum-input-length": 0}),
        )

    def label_from_instance(self, thing: Any) -> str:
        return str(thing.ref)


class PolicyForm(forms.Form):
    """A policy, new or old. A field of a part has the name `<part>_<key>`."""

    pack = forms.ModelChoiceField(
        Pack.objects.all(),
        to_field_name="ref",
        empty_label=None,
        widget=UnfoldAdminSelect2Widget,
        help_text="Where it lives. While the pack is off, the policy is too.",
    )
    name = forms.CharField(
        max_length=150,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "one_per_host"}),
        help_text="Small letters, digits, - and _. It stays for ever.",
    )
    label = forms.CharField(required=False, max_length=200, widget=UnfoldAdminTextInputWidget, help_text="For people.")
    description = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))
    enabled = forms.BooleanField(required=False, initial=True, widget=UnfoldBooleanSwitchWidget, label="On")
    scope = forms.ChoiceField(choices=_SCOPES, label="What it governs", widget=UnfoldAdminSelectWidget)
    scope_action_ref = OfRef(Action, "The action", help_text="If it governs one action.")
    scope_pack_ref = OfRef(Pack, "The pack", help_text="If it governs every action of a pack.")

    concurrency_limit = _whole("At most", 1, MOST, "Executions running at a time; empty: no limit.")
    concurrency_group_by = _text("For each", _EACH, "host")
    concurrency_on_limit = _choice("One too many", _ON_LIMIT)

    rate_limit_limit = _whole("At most", 1, MOST, "Executions started within the window; empty: no limit.")
    rate_limit_window = _whole("Window", 1, LONGEST, "Seconds.")
    rate_limit_group_by = _text("For each", _EACH, "host")
    rate_limit_on_limit = _choice("One too many", _ON_LIMIT)

    retry_max_retries = _whole("At most", 0, MOST_RETRIES, "Times; 0: never; empty: as the action itself says.")
    retry_backoff = _choice("Back-off", [(name, _BACKOFFS[name]) for name in BACKOFFS])
    retry_delay = _decimal("First delay", LONGEST, "Seconds.")
    retry_max_delay = _decimal("Longest delay", LONGEST, "Seconds.")
    retry_jitter = _decimal("Jitter", 1, "0 to 1: by which part each delay may be longer or shorter, by chance.")
    retry_retry_on = forms.MultipleChoiceField(
        required=False,
        choices=[(name, name) for name in RETRIED],
        label="After",
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    priority = _whole("Priority", -MOST, MOST, _PRIORITY)

    def __init__(self, *args: Any, policy: Policy | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if policy is not None:
            del self.fields["pack"], self.fields["name"]

    def about(self) -> list[Any]:
        """The fields that are about no part, for the template."""
        return [field for field in self if not field.name.startswith(NAMES) and field.name != "priority"]

    def parts(self) -> list[dict[str, Any]]:
        """The fields of each part, for the template."""
        titles = ("How many at a time", "How often", "Tried again")
        return [
            {"title": title, "fields": [f for f in self if f.name.startswith(name) or (name, f.name) == _LAST]}
            for title, name in zip(titles, NAMES, strict=True)
        ]

    def values(self) -> dict[str, Any]:
        """The policy as `create_policy` and `update_policy` take it."""
        given = self.cleaned_data
        chosen = {"action": given["scope_action_ref"], "pack": given["scope_pack_ref"]}.get(given["scope"])
        kept = {name: given[name] for name in ("label", "description", "enabled", "scope")}
        kept |= {"scope_ref": chosen.ref if chosen else "", "priority": given["priority"] or 0}
        return kept | {name: self._part(name) for name in NAMES}

    def _part(self, name: str) -> dict[str, Any] | None:
        fields = [field for field in self.fields if field.startswith(f"{name}_")]
        part = {field.removeprefix(f"{name}_"): self.cleaned_data[field] for field in fields}
        if "group_by" in part:
            part["group_by"] = [path.strip() for path in part["group_by"].split(",") if path.strip()]
        meant = ("limit", "window", "group_by", "max_retries")
        if not any(part.get(key) not in (None, []) for key in meant):
            return None
        return {key: value for key, value in part.items() if value not in (None, "", [])}


_LAST = ("retry", "priority")  # stands with the part that it is about


def initial_of(policy: Policy | None) -> dict[str, Any]:
    """What the form begins with."""
    values: dict[str, Any] = {"enabled": True, "scope": "action", "retry_retry_on": list(RETRIED)}
    for name in NAMES:
        values |= {f"{name}_{key}": first for key, first in _FIRST.items()}
    if policy is None:
        return values
    values |= {name: getattr(policy, name) for name in ("label", "description", "enabled", "scope", "priority")}
    values[f"scope_{policy.scope}_ref"] = policy.scope_ref
    for name in NAMES:
        for key, value in (getattr(policy, name) or {}).items():
            shown = ", ".join(path.removeprefix("parameters.") for path in value) if key == "group_by" else value
            values[f"{name}_{key}"] = shown
    return values

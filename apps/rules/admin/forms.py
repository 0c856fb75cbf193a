"""The rule's form: when (trigger), if (criteria), then (action); and the form that sends an event by hand."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from apps.access.admin_forms import JsonField, JsonWidget
from apps.access.admin_rows import CriteriaRows
from apps.access.admin_spaces import Parameters, from_text
from apps.access.principals import Principal
from apps.access.reach import narrow
from apps.packs.models import Action, Pack, Trigger
from apps.rules import controls
from apps.rules.models import Rule
from attune.lib.errors import InvalidInput


class ByRef(forms.ModelChoiceField):
    """A trigger or an action, named by its ref, with its title beside it."""

    def __init__(self, queryset: QuerySet[Any], **more: Any) -> None:
        super().__init__(
            queryset,
            to_field_name="ref",
            widget=UnfoldAdminSelect2Widget(attrs={"data-minimum-input-length": 0}),
            **more,
        )

    def label_from_instance(self, thing: Any) -> str:
        off = "" if thing.enabled and thing.pack.enabled else " (off)"
        return f"{thing.ref} – {thing.title}{off}"


class Seconds(forms.FloatField):
    """A length of time, whole where it can be."""

    def __init__(self, help_text: str) -> None:
        widget = UnfoldAdminDecimalFieldWidget(attrs={"placeholder": "off", "min": "0", "step": "any"})
        super().__init__(required=False, label="Seconds", widget=widget, help_text=help_text)

    def clean(self, value: Any) -> float | int | None:
        seconds = super().clean(value)
        return int(seconds) if seconds is not None and seconds.is_integer() else seconds


class KeyTemplate(forms.CharField):
    """A template that says what counts together."""

    def __init__(self, help_text: str) -> None:
        widget = UnfoldAdminTextInputWidget(attrs={"placeholder": "{{ payload.host }}", "class": "at-code"})
        super().__init__(required=False, label="Key", widget=widget, help_text=help_text)


class RuleForm(forms.Form):
    """A rule, new or old. Which parameters it asks for depends on the trigger and the action that were chosen."""

    pack = forms.ModelChoiceField(
        Pack.objects.all(),
        to_field_name="ref",
        empty_label=None,
        widget=UnfoldAdminSelect2Widget,
        help_text="Its settings are what templates read as {{ pack.config.… }}.",
    )
    name = forms.CharField(
        max_length=150,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "alert_on_high_severity"}),
        help_text="Small letters, digits, - and _. It stays for ever.",
    )
    label = forms.CharField(required=False, max_length=200, widget=UnfoldAdminTextInputWidget, help_text="For people.")
    description = forms.CharField(required=False, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))
    enabled = forms.BooleanField(required=False, initial=True, widget=UnfoldBooleanSwitchWidget, label="On")
    trigger_ref = ByRef(Trigger.objects.select_related("pack"), label="Trigger", empty_label="Choose a trigger …")
    trigger_params = JsonField(widget=JsonWidget(source="trigger", watches="id_trigger_ref"), label="Its parameters")
    criteria = JsonField(widget=JsonWidget(source="criteria", rows=7), label="Criteria")
    action_ref = ByRef(Action.objects.select_related("pack"), label="Action", empty_label="Choose an action …")
    action_params = JsonField(
        widget=JsonWidget(source="action", watches="id_action_ref", templates=True), label="Its parameters"
    )

    throttle_seconds = Seconds("At most so often within this time; further events do nothing.")
    throttle_limit = forms.IntegerField(
        required=False,
        label="Times",
        widget=UnfoldAdminDecimalFieldWidget(attrs={"placeholder": "1", "min": "1"}),
        help_text="How often within that time; once if empty.",
    )
    throttle_key = KeyTemplate("Each value counts for itself; empty: all events together.")
    debounce_seconds = Seconds("Wait until no further event has come for this long; the last one counts.")
    debounce_key = KeyTemplate("Each value waits for itself; empty: all events together.")
    dedup_seconds = Seconds("The same key again within this time does nothing.")
    dedup_key = KeyTemplate("What makes two events the same.")

    def __init__(self, *args: Any, who: Principal, rule: Rule | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if rule is not None:
            del self.fields["pack"], self.fields["name"]
        for field, model, templates in (("trigger", Trigger, False), ("action", Action, True)):
            ref = self._given(f"{field}_ref")
            known = narrow(who, model.objects.filter(ref=ref or ""))  # type: ignore[attr-defined]
            schema = known.values_list("parameters_schema", flat=True).first()
            if schema is None:
                schema = {"type": "object", "properties": {}}
            self._json(f"{field}_params").use(Parameters(schema, templates=templates), subject=ref)
        self._json("criteria").use(CriteriaRows())

    def _json(self, name: str) -> JsonField:
        return self.fields[name]  # type: ignore[return-value]

    def _given(self, name: str) -> str:
        """What the form holds for a field: what was sent, else what it began with."""
        found = self.data.get(name) if self.is_bound else self.initial.get(name)
        return str(getattr(found, "ref", found) or "").replace("\0", "")

    def clean(self) -> dict[str, Any]:
        """Put the fields of each control together, and say at the field what is wrong with it."""
        given = super().clean() or {}
        for name in controls.CONTROLS:
            fields = controls.FIELDS[name]
            stated = {each: given[f"{name}_{each}"] for each in fields if given.get(f"{name}_{each}") not in (None, "")}
            given[name] = stated
            for path, message in controls.faults_of_control(name, stated):
                at = path.replace(".", "_")
                if at not in self.errors:
                    self.add_error(at, f"This {message}.")
        return given

    @property
    def restrains(self) -> bool:
        """Whether something stands in the fields of storm control, so that they are to be seen."""
        names = [f"{name}_{each}" for name in controls.CONTROLS for each in controls.FIELDS[name]]
        return any(self[name].value() not in (None, "") for name in names)

    def values(self) -> dict[str, Any]:
        """The parts of the rule as `create_rule` and `update_rule` take them."""
        names = ("label", "description", "enabled", "trigger_params", "criteria", "action_params", *controls.CONTROLS)
        given = {name: self.cleaned_data[name] for name in names}
        return given | {
            "trigger_ref": self.cleaned_data["trigger_ref"].ref,
            "action_ref": self.cleaned_data["action_ref"].ref,
        }


def control_values(rule: Rule) -> dict[str, Any]:
    """The rule's controls as the form's fields begin with them."""
    return {
        f"{name}_{each}": getattr(rule, name).get(each) for name in controls.CONTROLS for each in controls.FIELDS[name]
    }


class EventForm(forms.Form):
    """An event sent by hand."""

    trigger = ByRef(Trigger.objects.select_related("pack"), label="Trigger", empty_label="Choose a trigger …")
    payload = forms.CharField(
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 14, "class": "at-code", "spellcheck": "false"}),
        help_text="JSON or YAML. It is checked against the trigger's payload schema.",
    )

    def clean_payload(self) -> Any:
        text = self.cleaned_data["payload"]
        try:
            return from_text(text, what="The payload") if text.strip() else {}
        except InvalidInput as error:
            raise forms.ValidationError(error.message) from None

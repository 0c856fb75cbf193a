"""The form that runs an action: its parameters, drawn from its schema, and a time limit."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from apps.access.admin_forms import JsonField, JsonWidget
from apps.access.admin_spaces import Parameters
from apps.packs.models import Action


class RunForm(forms.Form):
    """What one run of an action needs."""

    parameters = JsonField(widget=JsonWidget(source="action"), label="Parameters")
    timeout = forms.IntegerField(
        required=False,
        min_value=1,
        widget=UnfoldAdminIntegerFieldWidget,
        label="Time limit",
        help_text="Seconds; empty: the action's own.",
    )
    trace_tag = forms.CharField(
        required=False,
        max_length=200,
        widget=UnfoldAdminTextInputWidget,
        label="Trace tag",
        help_text="A word to find it by, and its children.",
    )

    def __init__(self, *args: Any, action: Action, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["parameters"].use(Parameters(action.parameters_schema), subject=action.ref)  # type: ignore[attr-defined]

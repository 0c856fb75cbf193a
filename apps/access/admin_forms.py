"""Form fields of the admin: a JSON value edited in a drawn form or as text, whichever the person likes."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django_jsonform.widgets import JSONFormWidget
from unfold.widgets import TEXTAREA_CLASSES

from apps.access.admin_show import pretty
from apps.access.admin_spaces import Space, from_json, from_text
from attune.lib.errors import InvalidInput
from attune.lib.strictjson import BadJson

FORM, RAW = "form", "raw"


def state_of(space: Space, value: Any) -> dict[str, Any]:
    """A value as both sides of the field show it; the text side is open when the form could not show it whole."""
    value = space.empty() if value is None else value
    can_draw = space.can_draw(value)
    return {
        "mode": FORM if can_draw else RAW,
        "drawn": space.drawn(),
        "form": space.to_form(value) if can_draw else None,
        "raw": "" if value in ({}, []) else pretty(value),
        "blank": space.is_blank,
        "can_draw": can_draw,
    }


def value_in(space: Space, given: dict[str, Any], *, what: str) -> Any:
    """The value that the field holds: `{"mode", "form", "raw"}`. Raises InvalidInput."""
    if given.get("mode") == RAW:
        text = given.get("raw") or ""
        value = from_text(text, what=what) if text.strip() else None
        return space.empty() if value is None else value
    data = given.get("form")
    if isinstance(data, str):
        data = from_text(data, what=what) if data.strip() else None
    return space.from_form(data)


class JsonWidget(forms.Widget):
    """The drawn form (jsonform), the text, and the switch between them."""

    def __init__(self, *, source: str, watches: str = "", templates: bool = False, rows: int = 8) -> None:
        super().__init__()
        self.space: Space | None = None
        self.source, self.watches, self.templates, self.rows = source, watches, templates, rows
        self.subject = ""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> dict[str, Any]:
        return {part: data.get(f"{name}__{part}", "") for part in ("mode", "form", "raw")}

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return f"{name}__mode" not in data

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        assert self.space is not None
        state = value if isinstance(value, dict) and "drawn" in value else state_of(self.space, value)
        drawn = JSONFormWidget(schema=state["drawn"])
        data = json.dumps(state["form"] if state["form"] is not None else ([] if "items" in state["drawn"] else {}))
        context = {
            "name": name,
            "state": state,
            "widget": self,
            "templates": "1" if self.templates else "",
            "drawn": drawn.render(f"{name}__form", data, attrs={"id": f"id_{name}__form"}),
            "text_classes": " ".join(TEXTAREA_CLASSES),
        }
        return render_to_string("attune/widgets/json.html", context)

    @property
    def media(self) -> forms.Media:
        return JSONFormWidget(schema={}).media + forms.Media(js=["attune/json-field.js"])


class JsonField(forms.Field):
    """A JSON value; `space` says how it is drawn and may depend on what else the form holds."""

    widget: JsonWidget

    def __init__(self, *, widget: JsonWidget, **more: Any) -> None:
        super().__init__(widget=widget, required=False, **more)

    def use(self, space: Space, *, subject: str = "") -> None:
        """Edit in this space; `subject` is the ref of what it belongs to, e.g. of the action."""
        self.widget.space, self.widget.subject = space, subject

    def clean(self, value: Any) -> Any:
        try:
            return value_in(self.widget.space, value or {}, what=str(self.label or "The value"))  # type: ignore[arg-type]
        except InvalidInput as error:
            raise ValidationError(error.message) from None

    def bound_data(self, data: Any, initial: Any) -> Any:
        """What a form that is shown again shows: exactly what was sent."""
        space = self.widget.space
        if space is None or not isinstance(data, dict):
            return initial
        try:
            shown = state_of(space, value_in(space, {**data, "mode": FORM}, what="")) if data.get("form") else None
        except (InvalidInput, ValueError):
            shown = None
        state = shown or state_of(space, {})
        if data.get("mode") == FORM and data.get("form"):
            with suppress(BadJson):  # no form of ours sends such a thing
                state["form"] = from_json(data["form"])
        return state | {"mode": data.get("mode") or FORM, "raw": data.get("raw", "")}

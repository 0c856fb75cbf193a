"""The forms of what is made here rather than in files: ad-hoc packs and triggers, pack settings, webhook options."""

from __future__ import annotations

from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apps.access.admin_forms import JsonField, JsonWidget
from apps.access.admin_rows import SchemaRows
from apps.access.admin_spaces import Parameters
from apps.packs import webhooks
from apps.packs.models import Pack, Trigger


def text(**more: Any) -> forms.CharField:
    placeholder = more.pop("placeholder", "")
    return forms.CharField(widget=UnfoldAdminTextInputWidget(attrs={"placeholder": placeholder}), **more)


def prose(**more: Any) -> forms.CharField:
    return forms.CharField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}), required=False, **more)


def schema_field(**more: Any) -> JsonField:
    field = JsonField(widget=JsonWidget(source="rows"), **more)
    field.use(SchemaRows())
    return field


class TagsField(forms.CharField):
    """Words with commas between them; a list of texts."""

    def __init__(self, **more: Any) -> None:
        super().__init__(
            required=False, widget=UnfoldAdminTextInputWidget, help_text="Words with commas between.", **more
        )

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        return [word.strip() for word in (super().to_python(value) or "").split(",") if word.strip()]


class AdhocPackForm(forms.Form):
    """A pack without files: a name for your rules and triggers, and settings that their templates can use."""

    ref = text(
        max_length=100, placeholder="stripe-integration", help_text="Small letters, digits, - and _. It stays for ever."
    )
    label = text(max_length=200, placeholder="Stripe integration")
    description = prose(max_length=20_000)
    version = text(max_length=60, initial="0.1.0")
    tags = TagsField()
    conf_schema = schema_field(
        label="Settings", help_text="Settings of the pack; templates read them as {{ pack.config.name }}."
    )

    def __init__(self, *args: Any, pack: Pack | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if pack is not None:
            del self.fields["ref"]


class LoadForm(forms.Form):
    """Where a pack's folder is, on the server."""

    folder = text(
        max_length=1000,
        placeholder="/srv/packs/slack",
        help_text="A folder on the server with a pack.yaml, or the name of one in the packs folder.",
    )


class AdhocTriggerForm(forms.Form):
    """A type of event that is made here: by a webhook, through the API, or by hand."""

    pack = forms.ModelChoiceField(
        Pack.objects.filter(is_adhoc=True),
        widget=UnfoldAdminSelectWidget,
        to_field_name="ref",
        empty_label=None,
        help_text="Triggers are made in ad-hoc packs.",
    )
    name = text(
        max_length=190,
        placeholder="payment.succeeded",
        help_text="Small letters, digits, -, _ and dots. It stays for ever.",
    )
    label = text(
        required=False, max_length=200, placeholder="Payment succeeded", help_text="Empty: made of the trigger's name."
    )
    description = prose(max_length=20_000)
    tags = TagsField()
    payload_schema = schema_field(
        label="Payload",
        help_text="What an event brings. Events that do not meet it are refused; rules offer these fields.",
    )
    parameters_schema = schema_field(
        label="Parameters", help_text="What a rule says about when it wants events. Most triggers need none."
    )

    def __init__(self, *args: Any, trigger: Trigger | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if trigger is not None:
            del self.fields["pack"], self.fields["name"]


class ConfigForm(forms.Form):
    """A pack's settings, drawn from its schema; what is left out keeps its default."""

    config = JsonField(widget=JsonWidget(source="config"), label="Settings")

    def __init__(self, *args: Any, pack: Pack, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["config"].use(Parameters(with_defaults(pack)), subject=pack.ref)  # type: ignore[attr-defined]


def with_defaults(pack: Pack) -> dict[str, Any]:
    """The settings' schema, in which the manifest's own values stand as the defaults that they are."""
    schema = dict(pack.conf_schema or {})
    properties = schema.get("properties")
    if isinstance(properties, dict):
        given = pack.config_defaults or {}
        schema["properties"] = {
            name: {**field, "default": given[name]} if isinstance(field, dict) and name in given else field
            for name, field in properties.items()
        }
    return schema


class WebhookForm(forms.Form):
    """How a sender proves who it is, and how much it may send."""

    scheme = forms.ChoiceField(
        required=False,
        choices=[("", "Anyone with the address"), *((name, name) for name in webhooks.SCHEMES)],
        widget=UnfoldAdminSelectWidget,
        label="Signature",
        help_text="generic and github: X-Hub-Signature-256; stripe, slack and attune: their own headers.",
    )
    secret = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "type": "password"}),
        help_text="Empty keeps the present one. It is encrypted and never shown.",
    )
    no_secret = forms.BooleanField(required=False, label="Remove the present secret")
    networks = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "10.0.0.0/8, 192.0.2.7"}),
        label="Only from",
        help_text="Networks with commas between; empty: from anywhere.",
    )
    rate_limit = forms.IntegerField(
        required=False, widget=UnfoldAdminIntegerFieldWidget, label="At most", help_text="Deliveries a minute."
    )
    max_bytes = forms.IntegerField(
        required=False, widget=UnfoldAdminIntegerFieldWidget, label="Size limit", help_text="Bytes of one delivery."
    )
    tolerance = forms.IntegerField(
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Seconds that a signed time may be off (stripe, slack).",
    )
    header = text(required=False, max_length=100, label="Signature header", placeholder="X-Hub-Signature-256")
    dedup_header = text(
        required=False,
        max_length=100,
        label="Delivery id header",
        placeholder="X-GitHub-Delivery",
        help_text="A second delivery with the same id is the same event.",
    )

    def options(self) -> dict[str, Any]:
        """As `set_webhook_options` takes them: what is empty is left out."""
        given = {name: self.cleaned_data[name] for name in self.fields if name not in ("secret", "no_secret")}
        given["networks"] = [part.strip() for part in given["networks"].split(",") if part.strip()]
        return {name: value for name, value in given.items() if value not in ("", None, [])}

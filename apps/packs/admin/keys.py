"""Keys: made and replaced here, never shown."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from apps.access.admin_base import AttuneAdmin, allows, command, list_url, page_url, principal
from apps.access.admin_show import moment
from apps.access.admin_spaces import from_json
from apps.access.principals import Role
from apps.packs import grants, key_uses, keys
from apps.packs.models import Key
from apps.packs.views.keys import require_owner
from attune.lib.strictjson import BadJson


class ValueField(forms.CharField):
    """A secret: text as it is, or JSON where it begins like an object or a list."""

    widget = UnfoldAdminTextareaWidget

    def __init__(self, **more: Any) -> None:
        attrs = {"rows": 3, "autocomplete": "off", "spellcheck": "false", "class": "at-secret"}
        super().__init__(
            widget=UnfoldAdminTextareaWidget(attrs=attrs),
            strip=False,
            help_text="It is encrypted and never shown again. Text is kept as it is; tick the box below to keep JSON.",
            **more,
        )


class KeyForm(forms.Form):
    """A key's value, and on a new key its name and owner."""

    name = forms.CharField(
        max_length=63,
        widget=UnfoldAdminTextInputWidget,
        help_text="Small letters, digits, _ and -. The key's page will say how a rule writes it.",
    )
    owner_type = forms.ChoiceField(
        choices=[choice for choice in Key.Owner.choices if choice[0] != Key.Owner.IDENTITY],
        widget=UnfoldAdminSelectWidget,
        label="Owner",
        help_text="It may have the key, and so may what the key is granted to. The system: only the latter.",
    )
    owner_ref = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget,
        label="Owner's ref",
        help_text="The ref of the pack, action or sensor; empty for the system.",
    )
    is_open = forms.BooleanField(
        required=False,
        label="For all that name it",
        help_text="Of a system key: every rule and action that names it may have it, without being granted it.",
    )
    value = ValueField()
    is_json = forms.BooleanField(required=False, label="The value is JSON")

    def __init__(self, *args: Any, key: Key | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if key is not None:
            for name in ("name", "owner_type", "owner_ref", "is_open"):
                del self.fields[name]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("is_json") and "value" in cleaned:
            try:
                cleaned["value"] = from_json(cleaned["value"])
            except BadJson as error:
                self.add_error("value", f"This {error}. Its text is not shown again; enter it once more.")
        return cleaned


class GrantForm(forms.Form):
    """Whom a key is granted to."""

    grantee = forms.CharField(
        max_length=200,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "placeholder": "slack or slack.post_message"}),
        label="Pack, action or sensor",
    )


@admin.register(Key)
class KeyAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER, "add": Role.ADMIN, "change": Role.ADMIN}
    page_template = "attune/key.html"
    add_words = "New key"
    list_display = ("ref", "name", "owner", "last_read", "last_change")
    list_filter = (("owner_type", ChoicesDropdownFilter),)
    search_fields = ("ref", "name", "alias")
    deferred = ("sealed",)

    @admin.display(description="Owner", ordering="owner_type")
    def owner(self, key: Key) -> str:
        return f"{key.owner_type} {key.owner_ref}".strip()

    @admin.display(description="Last read", ordering="last_read_at")
    def last_read(self, key: Key) -> SafeString:
        return moment(key.last_read_at)

    @admin.display(description="Changed", ordering="updated")
    def last_change(self, key: Key) -> SafeString:
        return moment(key.updated)

    def page(self, request: HttpRequest, key: Key) -> dict[str, Any]:
        """The page; who uses the key is for administrators, who may see every pack."""
        shown = {"form": KeyForm(key=key), "replace_url": self.command_url(key, "replace")}
        if not allows(request, Role.ADMIN):
            return shown
        return shown | {
            "grants": key.grants.all(),
            "uses": [(named, _page_of(named)) for named in key_uses.uses_of(key)],
            "grant_form": GrantForm(),
            "grant_url": self.command_url(key, "grant"),
            "revoke_url": self.command_url(key, "revoke"),
        }

    @command("Grant", role=Role.ADMIN, when=lambda key: False)
    def grant(self, request: HttpRequest, key: Key) -> str:
        grantee = request.POST.get("grantee", "").strip()
        grants.grant(key, grantee, actor=principal(request))
        return f"{grantee} may have this key."

    @command("Take back", role=Role.ADMIN, when=lambda key: False)
    def revoke(self, request: HttpRequest, key: Key) -> str:
        grantee = request.POST.get("grantee", "").strip()
        grants.revoke(key, grantee, actor=principal(request))
        return f"{grantee} may not have this key any more."

    @command("Only for what it is granted to", role=Role.ADMIN, when=lambda key: _is_open(key))
    def close(self, request: HttpRequest, key: Key) -> str:
        keys.update(key, granted_only=True, actor=principal(request))
        return "Only what this key is granted to may have it now."

    @command("For all that name it", role=Role.ADMIN, when=lambda key: key.granted_only)
    def open(self, request: HttpRequest, key: Key) -> str:
        keys.update(key, granted_only=False, actor=principal(request))
        return "Every rule and action that names this key may have it now."

    @command("Replace the value", role=Role.ADMIN, when=lambda key: False)
    def replace(self, request: HttpRequest, key: Key) -> HttpResponse | str:
        form = KeyForm(request.POST, key=key)
        if not form.is_valid():
            context = {"original": key, "title": str(key), "buttons": self.buttons(request, key)}
            shown = {**self.page(request, key), "form": _without_value(form)}
            response = self.render(request, self.page_template, context | shown)
            response.status_code = 422
            return response
        keys.update(key, value=form.cleaned_data["value"], actor=principal(request))
        return "The value is replaced."

    @command(
        "Delete",
        role=Role.ADMIN,
        tone="danger",
        icon="delete",
        confirm="Rules and actions that use this key will fail. It cannot be brought back.",
    )
    def remove(self, request: HttpRequest, key: Key) -> HttpResponse:
        keys.delete(key, actor=principal(request))
        self.message_user(request, f"Key {key.ref} is deleted.")
        return HttpResponseRedirect(list_url("packs.key"))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.require(request, "add")
        form = KeyForm(request.POST or None)

        def save(form: KeyForm) -> HttpResponse:
            given = form.cleaned_data
            require_owner(principal(request), Key(owner_type=given["owner_type"], owner_ref=given["owner_ref"].strip()))
            key = keys.write(
                value=given["value"],
                actor=principal(request),
                owner_type=given["owner_type"],
                owner_ref=given["owner_ref"].strip(),
                local_ref=given["name"].strip(),
                granted_only=not given["is_open"],
                name=given["name"].strip(),
            )
            self.message_user(request, f"Key {key.ref} is kept.")
            return HttpResponseRedirect(page_url("packs.key", key.pk))

        response = self.form_page(request, form, save=save, context={"title": "New key", "submit": "Keep the key"})
        _without_value(form)
        return response


def _is_open(key: Key) -> bool:
    return key.owner_type == Key.Owner.SYSTEM and not key.granted_only


def _page_of(named: key_uses.Named) -> str:
    model = {"action": "packs.action", "pack": "packs.pack", "rule": "rules.rule"}[named.kind]
    return page_url(model, named.ref)


def _without_value(form: KeyForm) -> KeyForm:
    """The form as it may be shown again: what was typed as the secret is not sent back."""
    if form.is_bound:
        form.data = {**form.data.dict(), "value": ""}  # type: ignore[attr-defined]
    return form

"""Triggers: those of packs, to look at; ad-hoc ones, made here; and the webhook that any of them can be."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from apps.access.admin_base import command, list_url, page_url, principal, reachable
from apps.access.admin_show import badge
from apps.access.principals import Role
from apps.packs import services
from apps.packs.admin.base import ComponentAdmin, EnabledFilter, PackFilter, schema_rows
from apps.packs.admin.forms import AdhocTriggerForm, WebhookForm
from apps.packs.admin.samples import sample_payload
from apps.packs.models import Pack, Trigger
from attune.lib.refs import title_of

SHOWN_EVENTS = 10


@admin.register(Trigger)
class TriggerAdmin(ComponentAdmin):
    needs = {"view": Role.VIEWER, "add": Role.EDITOR}
    page_template = "attune/trigger.html"
    add_words = "New trigger"
    list_display = ("ref", "title_and_description", "type", "webhook", "of_pack", "state")
    list_filter = (PackFilter, ("type", ChoicesDropdownFilter), "webhook_enabled", EnabledFilter)

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/edit/", view(self.edit_view), name="packs_trigger_edit"),
            path("<path:object_id>/webhook/", view(self.webhook_view), name="packs_trigger_webhook"),
        ]

    @admin.display(description="When it happens")
    def title_and_description(self, trigger: Trigger) -> SafeString:
        return format_html('<b>{}</b> <span class="at-quiet">{}</span>', trigger.title, trigger.description)

    @admin.display(description="Webhook", ordering="webhook_enabled")
    def webhook(self, trigger: Trigger) -> SafeString | str:
        return badge("on", "open") if trigger.webhook_enabled else ""

    def page(self, request: HttpRequest, trigger: Trigger) -> dict[str, Any]:
        url = f"{settings.ATTUNE_API_URL}/api/v1/webhooks/{trigger.webhook_key}" if trigger.webhook_key else ""
        events = trigger.events.model.objects.filter(trigger_ref=trigger.ref)  # type: ignore[attr-defined]
        query = urlencode({"trigger": trigger.ref})
        chosen = {k: v for k, v in (trigger.webhook_config or {}).items() if v not in ("", None, [])}
        return {
            "parameters": schema_rows(trigger.parameters_schema),
            "payload": schema_rows(trigger.payload_schema),
            "rules": reachable(request, trigger.rules.order_by("ref")),  # type: ignore[attr-defined]
            "events": events.only("id", "created", "source", "processed_at").order_by("-id")[:SHOWN_EVENTS],
            "webhook_url": url,
            "curl": curl(url, trigger) if url else "",
            "webhook_options": chosen,
            "has_secret": bool(trigger.webhook_secret),
            "edit_url": reverse("admin:packs_trigger_edit", args=[trigger.pk]),
            "webhook_form_url": reverse("admin:packs_trigger_webhook", args=[trigger.pk]),
            "deliveries_panel": f"{reverse('admin:sensors_webhookdelivery_panel')}?{query}",
            "emit_url": f"{reverse('admin:rules_event_add')}?{query}",
            "rule_url": f"{reverse('admin:rules_rule_add')}?{query}",
            "do": {name: self.command_url(trigger, name) for name in ("open_webhook", "close_webhook", "rotate_key")},
        }

    # The webhook -----------------------------------------------------------------------------------------------------
    @command("Open webhook", role=Role.EDITOR, when=lambda trigger: False)
    def open_webhook(self, request: HttpRequest, trigger: Trigger) -> str:
        services.enable_webhook(trigger, actor=principal(request))
        return "The webhook is open; its address is below."

    @command("Close webhook", role=Role.EDITOR, when=lambda trigger: False)
    def close_webhook(self, request: HttpRequest, trigger: Trigger) -> str:
        services.disable_webhook(trigger, actor=principal(request))
        return "The webhook is closed; opened again, it has the same address."

    @command("New address", role=Role.EDITOR, when=lambda trigger: False)
    def rotate_key(self, request: HttpRequest, trigger: Trigger) -> str:
        services.rotate_webhook_key(trigger, actor=principal(request))
        return "The webhook has a new address; the old one is unknown from now on."

    def webhook_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.require(request, "add")
        trigger = self.found(request, object_id)
        initial = dict(trigger.webhook_config or {})
        initial["networks"] = ", ".join(initial.get("networks") or [])
        form = WebhookForm(request.POST or None, initial=initial)
        if not trigger.webhook_secret:
            del form.fields["no_secret"]

        def save(form: WebhookForm) -> HttpResponse:
            secret = "" if form.cleaned_data.get("no_secret") else form.cleaned_data["secret"] or None
            services.set_webhook_options(trigger, form.options(), actor=principal(request), secret=secret)
            self.message_user(request, "The webhook's options are saved.")
            return HttpResponseRedirect(page_url("packs.trigger", trigger.ref))

        context = {
            "title": f"Webhook of {trigger.ref}",
            "lead": "Say how senders prove who they are, and how much they may send. Every attempt is logged.",
            "submit": "Save",
            "back": page_url("packs.trigger", trigger.ref),
        }
        return self.form_page(request, form, save=save, context=context)

    # Ad-hoc triggers -------------------------------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.require(request, "add")
        if not reachable(request, Pack.objects.filter(is_adhoc=True)).exists():
            self.message_user(request, "Triggers are made in ad-hoc packs; make one first.", "warning")
            return HttpResponseRedirect(reverse("admin:packs_pack_add"))
        form = AdhocTriggerForm(request.POST or None, initial={"pack": request.GET.get("pack")})
        context = {
            "title": "New trigger",
            "lead": "A type of event of your own. Open it as a webhook afterwards, or send its events through the API.",
            "submit": "Make the trigger",
        }
        return self.form_page(request, form, save=self._saver(request), context=context)

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.require(request, "add")
        trigger = self.found(request, object_id)
        if not trigger.is_adhoc:
            self.message_user(request, f"Trigger {trigger.ref} is defined by its pack's files.", "warning")
            return HttpResponseRedirect(page_url("packs.trigger", trigger.ref))
        names = ("label", "description", "tags", "payload_schema", "parameters_schema")
        form = AdhocTriggerForm(
            request.POST or None, trigger=trigger, initial={name: getattr(trigger, name) for name in names}
        )
        context = {"title": f"Edit {trigger.ref}", "submit": "Save", "back": page_url("packs.trigger", trigger.ref)}
        return self.form_page(request, form, save=self._saver(request, trigger), context=context)

    def _saver(self, request: HttpRequest, trigger: Trigger | None = None) -> Any:
        def save(form: AdhocTriggerForm) -> HttpResponse:
            given = dict(form.cleaned_data)
            pack: Pack = trigger.pack if trigger else given.pop("pack")
            name = given.pop("name", "")
            given["label"] = given["label"] or title_of(trigger.name if trigger else name)
            saved = services.save_adhoc_trigger(
                pack=pack, name=name, trigger=trigger, actor=principal(request), **given
            )
            self.message_user(request, f"Trigger {saved.ref} is saved.")
            return HttpResponseRedirect(page_url("packs.trigger", saved.ref))

        return save

    @command(
        "Delete",
        role=Role.EDITOR,
        tone="danger",
        icon="delete",
        confirm="Its events stay.",
        when=lambda trigger: trigger.is_adhoc,
    )
    def delete_adhoc(self, request: HttpRequest, trigger: Trigger) -> HttpResponse:
        services.delete_adhoc_trigger(trigger, actor=principal(request))
        self.message_user(request, f"Trigger {trigger.ref} is deleted.")
        return HttpResponseRedirect(list_url("packs.trigger"))


def curl(url: str, trigger: Trigger) -> str:
    """A command that knocks at the webhook, ready to be pasted into a shell."""
    body = json.dumps(sample_payload(trigger), ensure_ascii=False).replace("'", "'\\''")
    return f"curl -X POST '{url}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'"

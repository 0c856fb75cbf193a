"""Policies: how many executions at a time, how often, and how many times again; and who waits for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from apps.access.admin_base import AttuneAdmin, command, list_url, page_url, permits, principal, reachable
from apps.access.admin_show import badge, enabled_badge, ref
from apps.access.principals import Role
from apps.executions import services
from apps.executions.admin.policy_forms import PolicyForm, initial_of
from apps.executions.errors import PolicyInvalid
from apps.executions.models import WAITING, Execution, Policy
from apps.executions.policies import waiting
from apps.executions.policies.words import governs, says
from apps.packs.admin.base import EnabledFilter, PackFilter
from apps.packs.models import Pack
from attune.lib.errors import AttuneError

SHOWN_WAITING = 20


@admin.register(Policy)
class PolicyAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER, "add": Role.EDITOR}
    page_template = "attune/policy.html"
    add_words = "New policy"
    list_display = ("ref", "state", "governs", "what", "waiting")
    list_filter = (PackFilter, EnabledFilter, "scope")
    search_fields = ("ref", "label", "description", "scope_ref")
    ordering = ("ref",)
    list_select_related = ("pack",)
    actions = ("switch_on", "switch_off")

    def extra_urls(self) -> list[URLPattern]:
        edit = self.admin_site.admin_view(self.edit_view)
        return [path("<path:object_id>/edit/", edit, name="executions_policy_edit")]

    # List ------------------------------------------------------------------------------------------------------------
    @admin.display(description="State", ordering="enabled")
    def state(self, policy: Policy) -> SafeString:
        if policy.enabled and not policy.pack.enabled:
            return badge("off", "pack off")
        return enabled_badge(policy.enabled)

    @admin.display(description="Governs", ordering="scope_ref")
    def governs(self, policy: Policy) -> SafeString | str:
        if policy.scope == Policy.Scope.ACTION:
            return ref(page_url("packs.action", policy.scope_ref), policy.scope_ref)
        return governs(policy)

    @admin.display(description="Says")
    def what(self, policy: Policy) -> SafeString:
        return format_html_join("", "<div>{}</div>", ((sentence,) for sentence in says(policy)))

    @admin.display(description="Wait for it")
    def waiting(self, policy: Policy) -> str:
        return str(_waiting_for(policy).count() or "–")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return permits(request, Role.OPERATOR, self.model)

    @admin.action(description="Switch on", permissions=["operate"])
    def switch_on(self, request: HttpRequest, queryset: Any) -> None:
        self._switch(request, queryset, True)

    @admin.action(description="Switch off", permissions=["operate"])
    def switch_off(self, request: HttpRequest, queryset: Any) -> None:
        self._switch(request, queryset, False)

    def _switch(self, request: HttpRequest, queryset: Any, enabled: bool) -> None:
        count = 0
        for policy in queryset:
            try:
                services.set_policy_enabled(policy, enabled, actor=principal(request))
                count += 1
            except AttuneError as error:
                self.message_user(request, error.message, "error")
        self.message_user(request, f"{count} switched {'on' if enabled else 'off'}.")

    # Page ------------------------------------------------------------------------------------------------------------
    def page(self, request: HttpRequest, policy: Policy) -> dict[str, Any]:
        rows = list(
            reachable(request, _waiting_for(policy)).only("id", "status", "action_ref", "created", "waits_key")[
                :SHOWN_WAITING
            ]
        )
        told = waiting.reasons(rows)
        return {
            "governs": governs(policy),
            "says": says(policy),
            "waiting": [{"execution": row, "why": told.get(row.pk, "")} for row in rows],
            "edit_url": reverse("admin:executions_policy_edit", args=[policy.pk]),
        }

    @command("Switch on", role=Role.OPERATOR, icon="toggle_on", tone="primary", when=lambda policy: not policy.enabled)
    def enable(self, request: HttpRequest, policy: Policy) -> str:
        services.set_policy_enabled(policy, True, actor=principal(request))
        return f"Policy {policy.ref} is on."

    @command("Switch off", role=Role.OPERATOR, icon="toggle_off", when=lambda policy: policy.enabled)
    def disable(self, request: HttpRequest, policy: Policy) -> str:
        services.set_policy_enabled(policy, False, actor=principal(request))
        return f"Policy {policy.ref} is off; what waited for it may start."

    @command(
        "Delete",
        role=Role.EDITOR,
        tone="danger",
        icon="delete",
        confirm="What waits for it may start.",
        when=lambda policy: policy.is_adhoc,
    )
    def remove(self, request: HttpRequest, policy: Policy) -> HttpResponse:
        services.delete_policy(policy, actor=principal(request))
        self.message_user(request, f"Policy {policy.ref} is deleted.")
        return HttpResponseRedirect(list_url("executions.policy"))

    # Forms -----------------------------------------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.require(request, "add")
        asked = request.GET
        adhoc = reachable(request, Pack.objects.filter(is_adhoc=True)).values_list("ref", flat=True).first()
        initial = initial_of(None) | {"pack": asked.get("pack") or adhoc or "core"}
        initial |= {"scope_action_ref": asked["action"]} if asked.get("action") else {}
        form = PolicyForm(request.POST or None, initial=initial)

        def save(form: PolicyForm) -> HttpResponse:
            pack = form.cleaned_data["pack"]
            name = form.cleaned_data["name"].strip().removeprefix(f"{pack.ref}.")
            with _at_fields():
                policy = services.create_policy(
                    ref=f"{pack.ref}.{name}", pack=pack, actor=principal(request), **form.values()
                )
            self.message_user(request, f"Policy {policy.ref} is saved{' and on' if policy.enabled else ', but off'}.")
            return HttpResponseRedirect(page_url("executions.policy", policy.ref))

        return self._form(request, form, save, {"title": "New policy", "submit": "Save the policy"})

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.require(request, "add")
        policy = self.found(request, object_id)
        back = page_url("executions.policy", policy.ref)
        if not policy.is_adhoc:
            self.message_user(request, f"Policy {policy.ref} comes with its pack's files; change it there.", "warning")
            return HttpResponseRedirect(back)
        form = PolicyForm(request.POST or None, policy=policy, initial=initial_of(policy))

        def save(form: PolicyForm) -> HttpResponse:
            with _at_fields():
                services.update_policy(policy, actor=principal(request), **form.values())
            self.message_user(request, f"Policy {policy.ref} is saved.")
            return HttpResponseRedirect(back)

        return self._form(
            request, form, save, {"title": f"Edit {policy.ref}", "submit": "Save the policy", "back": back}
        )

    def _form(self, request: HttpRequest, form: PolicyForm, save: Any, context: dict[str, Any]) -> HttpResponse:
        return self.form_page(request, form, save=save, context=context, template="attune/policy_form.html")


@contextmanager
def _at_fields() -> Iterator[None]:
    """Turns the path of each fault into the name of the form's field that it is about."""
    try:
        yield
    except PolicyInvalid as error:
        for fault in error.details["faults"]:
            fault["path"] = fault["path"].replace(".", "_")
        raise


def _waiting_for(policy: Policy) -> Any:
    rows = Execution.objects.exclude(waits_key="").filter(status__in=WAITING)
    return rows.filter(waits_key__startswith=f"{policy.pk}.").order_by("id")

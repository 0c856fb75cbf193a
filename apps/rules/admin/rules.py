"""Rules: written in a form that tests itself against real events, and explained by their verdicts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from unfold.contrib.filters.admin import DropdownFilter

from apps.access.admin_base import (
    AttuneAdmin,
    choices_within,
    command,
    list_url,
    page_url,
    permits,
    principal,
    reachable,
)
from apps.access.admin_filters import ActionFilter, TriggerFilter
from apps.access.admin_show import badge, enabled_badge, moment, pretty, ref
from apps.access.principals import Role
from apps.executions.models import Execution
from apps.packs.admin.base import PackFilter
from apps.packs.models import Pack
from apps.rules import controls, services, storm
from apps.rules.admin import pause, revisions, testing, verdicts
from apps.rules.admin.forms import RuleForm, control_values
from apps.rules.models import Event, Pause, Rule
from attune.lib.errors import AttuneError
from attune.lib.refs import name_of

SHOWN_RUNS = 10
_PARTS = ("label", "description", "trigger_params", "criteria", "action_params", "trigger_ref", "action_ref")


class StateFilter(DropdownFilter):
    """On or off, or failing."""

    title, parameter_name = "state", "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("on", "On"), ("off", "Off")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(enabled=self.value() == "on") if self.value() in ("on", "off") else queryset


@admin.register(Rule)
class RuleAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER, "add": Role.EDITOR}
    page_template = "attune/rule.html"
    add_words = "New rule"
    list_display = ("ref", "shown_label", "state", "when", "then", "last", "changed")
    list_filter = (PackFilter, TriggerFilter, ActionFilter, StateFilter)
    search_fields = ("ref", "label", "description", "trigger_ref", "action_ref")
    ordering = ("ref",)
    deferred = ("trigger_params", "criteria", "action_params")
    list_select_related = ("pack",)
    actions = ("switch_on", "switch_off")
    list_before_template = "attune/pause.html"

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("try/", view(self.try_view), name="rules_rule_try"),
            path("pause/", view(self.pause_view), name="rules_rule_pause"),
            path("resume/", view(self.resume_view), name="rules_rule_resume"),
            path("samples/", view(self.samples_view), name="rules_rule_samples"),
            path("<path:object_id>/edit/", view(self.edit_view), name="rules_rule_edit"),
        ]

    # The switch of all rules -----------------------------------------------------------------------------------------
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return super().changelist_view(request, {"pause": pause.state(request)} | (extra_context or {}))

    def pause_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request, "add", Pause)
        return pause.begin(self, request)

    def resume_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request, "add", Pause)
        return pause.end(self, request)

    # List ------------------------------------------------------------------------------------------------------------
    @admin.display(description="What it does")
    def shown_label(self, rule: Rule) -> str:
        return rule.label

    @admin.display(description="State", ordering="enabled")
    def state(self, rule: Rule) -> SafeString:
        if rule.enabled and not rule.pack.enabled:
            return badge("off", "pack off")
        if rule.enabled and rule.barred:
            return badge("error", "barred")
        return enabled_badge(rule.enabled)

    @admin.display(description="When", ordering="trigger_ref")
    def when(self, rule: Rule) -> SafeString:
        return ref(page_url("packs.trigger", rule.trigger_ref), rule.trigger_ref)

    @admin.display(description="Then", ordering="action_ref")
    def then(self, rule: Rule) -> SafeString:
        return ref(page_url("packs.action", rule.action_ref), rule.action_ref)

    @admin.display(description="Last verdict")
    def last(self, rule: Rule) -> SafeString:
        latest = rule.enforcements.only("verdict", "created").order_by("-id").first()  # type: ignore[attr-defined]
        if latest is None:
            return mark_safe('<span class="at-quiet">no match yet</span>')
        return format_html("{} {}", badge(latest.verdict), moment(latest.created))

    @admin.display(description="Changed", ordering="updated")
    def changed(self, rule: Rule) -> SafeString:
        return moment(rule.updated)

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
        for rule in queryset:
            try:
                services.set_enabled(rule, enabled, actor=principal(request))
                count += 1
            except AttuneError as error:
                self.message_user(request, error.message, "error")
        self.message_user(request, f"{count} switched {'on' if enabled else 'off'}.")

    # Page ------------------------------------------------------------------------------------------------------------
    def page(self, request: HttpRequest, rule: Rule) -> dict[str, Any]:
        runs = (
            reachable(request, Execution.objects.filter(rule_ref=rule.ref))
            .exclude(rule_ref="")
            .only("id", "status", "action_ref", "created", "duration_ms", "error")
        )
        return {
            "verdicts": verdicts.of_rule(rule),
            "silence": verdicts.silence(rule),
            "runs": runs.order_by("-id")[:SHOWN_RUNS],
            "controls": controls.words(rule),
            "suppressed": {
                "hour": storm.suppressed_since(rule, timedelta(hours=1)),
                "day": storm.suppressed_since(rule, timedelta(days=1)),
            },
            "revisions": revisions.of_rule(rule),
            "restore_url": self.command_url(rule, "restore"),
            "edit_url": reverse("admin:rules_rule_edit", args=[rule.pk]),
            "copy_url": f"{reverse('admin:rules_rule_add')}?copy={rule.pk}",
        }

    @command("Switch on", role=Role.OPERATOR, icon="toggle_on", tone="primary", when=lambda rule: not rule.enabled)
    def enable(self, request: HttpRequest, rule: Rule) -> str:
        services.set_enabled(rule, True, actor=principal(request))
        return f"Rule {rule.ref} is on."

    @command("Take over", role=Role.OPERATOR, icon="person_check", when=lambda rule: rule.enabled and rule.barred)
    def take_over(self, request: HttpRequest, rule: Rule) -> str:
        services.set_enabled(rule, True, actor=principal(request))
        return f"Rule {rule.ref} is yours, and acts again."

    @command("Switch off", role=Role.OPERATOR, icon="toggle_off", when=lambda rule: rule.enabled)
    def disable(self, request: HttpRequest, rule: Rule) -> str:
        services.set_enabled(rule, False, actor=principal(request))
        return f"Rule {rule.ref} is off."

    @command(
        "Delete",
        role=Role.EDITOR,
        tone="danger",
        icon="delete",
        confirm="Its verdicts and executions stay.",
        when=lambda rule: rule.is_adhoc,
    )
    def remove(self, request: HttpRequest, rule: Rule) -> HttpResponse:
        services.delete_rule(rule, actor=principal(request))
        self.message_user(request, f"Rule {rule.ref} is deleted.")
        return HttpResponseRedirect(list_url("rules.rule"))

    @command("Restore", role=Role.EDITOR, when=lambda rule: False)
    def restore(self, request: HttpRequest, rule: Rule) -> str:
        number = _number(request.POST.get("revision"))
        was = rule.revision
        if services.restore_rule(rule, number, actor=principal(request)).revision == was:
            return f"Rule {rule.ref} is as it was in revision {number} already."
        return f"Rule {rule.ref} is as it was in revision {number} again."

    # Forms -----------------------------------------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.require(request, "add")
        if not reachable(request, Pack.objects.all()).exists():
            self.message_user(request, "Rules live in packs; make an ad-hoc pack first.", "warning")
            return HttpResponseRedirect(reverse("admin:packs_pack_add"))
        form = RuleForm(request.POST or None, initial=self._first_values(request), who=principal(request))

        def save(form: RuleForm) -> HttpResponse:
            pack = form.cleaned_data["pack"]
            name = form.cleaned_data["name"].strip().removeprefix(f"{pack.ref}.")
            rule = services.create_rule(
                ref=f"{pack.ref}.{name}", pack=pack, actor=principal(request), user=request.user, **form.values()
            )
            self.message_user(request, f"Rule {rule.ref} is saved{' and on' if rule.enabled else ', but off'}.")
            return HttpResponseRedirect(page_url("rules.rule", rule.ref))

        return self._form(request, form, save, {"title": "New rule", "submit": "Save the rule"})

    def _first_values(self, request: HttpRequest) -> dict[str, Any]:
        """What a new rule's form begins with: a copy, an event, a trigger, an action, or the first steps."""
        asked = request.GET
        adhoc = reachable(request, Pack.objects.filter(is_adhoc=True)).values_list("ref", flat=True).first()
        values: dict[str, Any] = {"pack": asked.get("pack") or adhoc or "core", "enabled": True}
        if asked.get("copy", "").isdecimal():
            rule = reachable(request, Rule.objects.filter(pk=int(asked["copy"]))).first()
            if rule is not None:
                values |= {name: getattr(rule, name) for name in _PARTS} | {"name": f"{name_of(rule.ref)}_copy"}
                values |= control_values(rule)
                values["pack"] = asked.get("pack") or adhoc or rule.pack.ref
        for name in ("trigger", "action"):
            if asked.get(name):
                values[f"{name}_ref"] = asked[name]
        if asked.get("first") == "1":
            values |= {
                "name": "say_the_time",
                "label": "Say the time every 5 seconds",
                "trigger_ref": "core.intervaltimer",
                "trigger_params": {"unit": "seconds", "interval": 5},
                "action_ref": "core.echo",
                "action_params": {"message": "It is {{ system.timestamp }}"},
            }
        return values

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.require(request, "add")
        rule = self.found(request, object_id)
        if not rule.is_adhoc:
            self.message_user(request, f"Rule {rule.ref} comes with its pack's files; copy it to edit it.", "warning")
            return HttpResponseRedirect(page_url("rules.rule", rule.ref))
        initial = {name: getattr(rule, name) for name in _PARTS} | {"enabled": rule.enabled} | control_values(rule)
        form = RuleForm(request.POST or None, rule=rule, initial=initial, who=principal(request))

        def save(form: RuleForm) -> HttpResponse:
            services.update_rule(rule, actor=principal(request), **form.values())
            self.message_user(request, f"Rule {rule.ref} is saved.")
            return HttpResponseRedirect(page_url("rules.rule", rule.ref))

        context = {"title": f"Edit {rule.ref}", "submit": "Save the rule", "back": page_url("rules.rule", rule.ref)}
        return self._form(request, form, save, context | {"rule": rule})

    def _form(self, request: HttpRequest, form: RuleForm, save: Any, context: dict[str, Any]) -> HttpResponse:
        event = reachable(request, Event.objects.filter(pk=_number(request.GET.get("event")))).first()
        context |= {
            "try_url": reverse("admin:rules_rule_try"),
            "samples_url": reverse("admin:rules_rule_samples"),
            "event": event,
            "payload": pretty(event.payload) if event else "",
        }
        return self.form_page(request, form, save=save, context=context, template="attune/rule_form.html")

    # The form's test panel -------------------------------------------------------------------------------------------
    def try_view(self, request: HttpRequest) -> HttpResponse:
        """What the rule as it stands in the form would make of a payload. Writes nothing.

        For editors only: a template in the form can read its pack's settings.
        """
        self.require(request, "add")
        if request.method != "POST":
            return JsonResponse({"message": "Send the form by POST."}, status=405)
        rules = Rule.objects.select_related("pack").filter(pk=_number(request.POST.get("test_rule")))
        rule = reachable(request, rules).first()
        form = RuleForm(request.POST, rule=rule, who=principal(request))
        choices_within(request, form)
        outcome = testing.outcome(form, request.POST, rule=rule, who=principal(request))
        return self.render(request, "attune/rule_test.html", outcome)

    def samples_view(self, request: HttpRequest) -> JsonResponse:
        """The latest events of a trigger, and a payload made from its schema."""
        self.require(request, "view")
        return JsonResponse(testing.samples(request.GET.get("trigger", ""), principal(request)))


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 19 else 0

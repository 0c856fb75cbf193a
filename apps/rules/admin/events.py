"""Events: what happened, and what every rule made of it; replayed, or sent by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Prefetch
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from unfold.contrib.filters.admin import DropdownFilter

from apps.access.admin_base import (
    DEEPEST_PAGE_ROW,
    AttuneAdmin,
    LatestPaginator,
    command,
    page_url,
    principal,
    reachable,
)
from apps.access.admin_filters import SinceFilter, TriggerFilter
from apps.access.admin_show import badge, moment, pretty, ref
from apps.access.principals import Role
from apps.executions.models import Execution
from apps.packs.admin.samples import sample_payload
from apps.packs.models import Trigger
from apps.rules import services
from apps.rules.admin import verdicts
from apps.rules.admin.forms import EventForm
from apps.rules.events import how_it_came
from apps.rules.models import Enforcement, Event, RuleSet
from apps.rules.verdicts import WORDS


class DecidedFilter(DropdownFilter):
    """What became of it."""

    title, parameter_name = "outcome", "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("waiting", "Not decided yet"),
            ("matched", "A rule matched"),
            ("error", "A rule failed"),
            ("held", "Held by a pause"),
            ("deep", "In a chain of runs"),
            ("suppressed", "Suppressed by storm control"),
            ("passed_over", "Passed over: skipped or missed"),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if value == "waiting":
            return queryset.filter(processed_at=None)
        if value == "held":
            return queryset.filter(held_by__isnull=False)
        if value == "deep":
            return queryset.filter(depth__gt=0)
        if value == "suppressed":
            return queryset.filter(suppressed=True)
        if value == "passed_over":
            return queryset.exclude(passed_over="")
        if value == "matched":
            return queryset.filter(Exists(Enforcement.objects.filter(event=OuterRef("pk"), verdict=value)))
        if value == "error":  # they are few, and have an index
            errors = Enforcement.objects.filter(verdict=value).order_by("-id").values_list("event_id", flat=True)
            return queryset.filter(pk__in=list(errors[:DEEPEST_PAGE_ROW]))
        return queryset


@admin.register(Event)
class EventAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER, "add": Role.OPERATOR}
    page_template = "attune/event.html"
    add_words = "Send an event"
    list_display = ("number", "shown_trigger", "outcome", "source", "happened")
    list_filter = (TriggerFilter, DecidedFilter, SinceFilter)
    searched = {"refs": ("trigger_ref",), "words": ("trace_tag",), "late": ("dedup_key",)}
    search_help_text = "Number, trigger, trace tag; of late events also the deduplication key"
    ordering = ("-id",)
    sortable_by = ()
    deferred = ("payload", "config")
    paginator = LatestPaginator

    def get_queryset(self, request: HttpRequest) -> Any:
        asked_for = Enforcement.objects.only("event", "verdict")
        sets = RuleSet.objects.defer("rules")
        return (
            super()
            .get_queryset(request)
            .prefetch_related(Prefetch("enforcements", queryset=asked_for), Prefetch("rule_set", queryset=sets))
        )

    @admin.display(description="No.")
    def number(self, event: Event) -> str:
        return str(event.pk)

    @admin.display(description="Trigger")
    def shown_trigger(self, event: Event) -> SafeString:
        return ref(page_url("packs.trigger", event.trigger_ref), event.trigger_ref)

    @admin.display(description="Rules made of it")
    def outcome(self, event: Event) -> SafeString:
        if event.processed_at is None:
            return badge("undecided", "not decided yet")
        kept = list(event.enforcements.all())  # type: ignore[attr-defined]
        acted = {e.rule_id for e in kept}
        found = [e.verdict for e in kept]
        found += [miss.get("verdict", "not_matched") for miss in event.misses if miss.get("rule") not in acted]
        counts = {word: found.count(word) for word in WORDS}
        if event.rule_set:
            counts["not_matched"] += event.rule_set.size - len(found)
        shown = [verdicts.badge_of(word, count) for word, count in counts.items() if count > 0]
        if not shown:
            return mark_safe('<span class="at-quiet">no rule looked at it</span>')
        return format_html_join(" ", "{}", ((badge,) for badge in shown))

    @admin.display(description="When")
    def happened(self, event: Event) -> SafeString:
        return moment(event.created)

    def page(self, request: HttpRequest, event: Event) -> dict[str, Any]:
        return {
            **verdicts.of_event(event, principal(request)),
            "runs": reachable(request, Execution.objects.filter(enforcements__event=event)).only(
                "id", "status", "action_ref", "rule_ref", "created", "duration_ms", "error"
            )[:50],
            "replays": event.replays.only("id", "created").order_by("id")[:20],  # type: ignore[attr-defined]
            "rule_url": f"{reverse('admin:rules_rule_add')}?trigger={event.trigger_ref}&event={event.pk}",
            "payload_text": pretty(event.payload),
            "how_it_came": how_it_came(event),
            "title": f"Event {event.pk}",
        }

    @command(
        "Replay", role=Role.OPERATOR, icon="replay", confirm="Every rule, as it is now, looks at it again and acts."
    )
    def replay(self, request: HttpRequest, event: Event) -> HttpResponse:
        new = services.replay_event(event, actor=principal(request))
        self.message_user(request, f"Event {new.pk} repeats event {event.pk}.")
        return HttpResponseRedirect(page_url("rules.event", new.pk))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.require(request, "add")
        chosen = reachable(request, Trigger.objects.filter(ref=request.GET.get("trigger", ""))).first()
        initial = {
            "trigger": chosen.ref if chosen else "",
            "payload": pretty(sample_payload(chosen)) if chosen else "{}",
        }
        form = EventForm(request.POST or None, initial=initial)

        def save(form: EventForm) -> HttpResponse:
            self.require(request, "add", form.cleaned_data["trigger"])
            emitted = services.emit_event(
                form.cleaned_data["trigger"],
                payload=form.cleaned_data["payload"],
                source=f"user {request.user.get_username()}",
            )
            self.message_user(request, f"Event {emitted.event.pk} is kept; its rules decide now.")
            return HttpResponseRedirect(page_url("rules.event", emitted.event.pk))

        context = {
            "title": "Send an event",
            "lead": "As if it had happened: every rule of the trigger looks at it, and acts.",
            "submit": "Send",
        }
        return self.form_page(request, form, save=save, context=context)

"""Executions: ask for one, watch it, understand what it did, cancel it, run it again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.access import reach
from apps.access.admin_base import (
    AttuneAdmin,
    LatestPaginator,
    QuietChangeList,
    command,
    page_url,
    permits,
    principal,
    reachable,
)
from apps.access.admin_filters import ActionFilter, RuleFilter, SinceFilter, TriggerFilter
from apps.access.admin_live import grown, length_of, text_of
from apps.access.admin_show import DASH, TONES, WORDS, badge, duration, moment, ref
from apps.access.principals import Role
from apps.executions import logs, services, waiting
from apps.executions.admin.filters import OfEventFilter, StatusFilter
from apps.executions.admin.forms import RunForm
from apps.executions.admin.output import stream_of
from apps.executions.admin.story import steps, story
from apps.executions.models import FINAL, Execution, Worker
from apps.executions.secrets import shown_parameters
from apps.packs.models import Action
from attune.lib.ansi import plain
from attune.lib.errors import AttuneError

BIG = ("parameters", "sealed", "key_slots", "env_vars", "result", "stdout", "stderr", "permission_set_refs")
TAIL = 128 * 1024  # bytes of a stream that one answer of the live tail carries
SHOWN_CHILDREN = 50


class WithReasons(QuietChangeList):
    """Looks up what the rows of a page wait for in one go."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = list(self.result_list)
        told = waiting.reasons(rows)
        for row in rows:
            row.waits_for = told.get(row.pk, "")
        self.result_list = rows


@admin.register(Execution)
class ExecutionAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER, "add": Role.OPERATOR}
    page_template = "attune/execution.html"
    add_words = "Run an action"
    list_display = ("number", "shown_status", "shown_action", "asked_by", "took", "asked", "outcome")
    list_display_links = ("number",)
    list_filter = (StatusFilter, ActionFilter, RuleFilter, TriggerFilter, SinceFilter, OfEventFilter)
    searched = {"refs": ("action_ref", "rule_ref"), "words": ("trace_tag",)}
    search_help_text = "Number, action, rule or trace tag"
    ordering = ("-id",)
    sortable_by = ()
    deferred = BIG
    paginator = LatestPaginator
    list_before_template = "attune/executions_before.html"
    actions = ("cancel_many", "rerun_many")
    list_select_related = ("requested_by",)

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:object_id>/tail/", view(self.tail_view), name="executions_execution_tail"),
            path("<int:object_id>/log/<slug:stream>/", view(self.log_view), name="executions_execution_log"),
            path("<path:object_id>/again/", view(self.again_view), name="executions_execution_again"),
        ]

    # List ------------------------------------------------------------------------------------------------------------
    @admin.display(description="No.")
    def number(self, execution: Execution) -> str:
        return str(execution.pk)

    @admin.display(description="Status")
    def shown_status(self, execution: Execution) -> SafeString:
        return badge(execution.status)

    @admin.display(description="Action")
    def shown_action(self, execution: Execution) -> SafeString:
        return ref(page_url("packs.action", execution.action_ref), execution.action_ref)

    @admin.display(description="Asked for by")
    def asked_by(self, execution: Execution) -> SafeString | str:
        return origin_of(execution)

    @admin.display(description="Took")
    def took(self, execution: Execution) -> str:
        return duration(execution.duration_ms)

    @admin.display(description="When")
    def asked(self, execution: Execution) -> SafeString:
        return moment(execution.created)

    @admin.display(description="Outcome")
    def outcome(self, execution: Execution) -> SafeString:
        told = plain(execution.error) or getattr(execution, "waits_for", "")
        return format_html('<span class="at-clip" title="{0}">{0}</span>', told[:300])

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return WithReasons

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return permits(request, Role.OPERATOR, self.model)

    @admin.action(description="Cancel", permissions=["operate"])
    def cancel_many(self, request: HttpRequest, queryset: Any) -> None:
        self._each(request, queryset, lambda row: services.cancel_execution(row, actor=principal(request)), "cancelled")

    @admin.action(description="Run again", permissions=["operate"])
    def rerun_many(self, request: HttpRequest, queryset: Any) -> None:
        self._each(request, queryset, lambda row: self._again(request, row), "asked for again")

    def _each(self, request: HttpRequest, queryset: Any, work: Any, done: str) -> None:
        count = 0
        for execution in queryset.select_related("action__pack"):
            try:
                work(execution)
                count += 1
            except AttuneError as error:
                self.message_user(request, error.message, "error")
        self.message_user(request, f"{count} {done}.")

    # Page ------------------------------------------------------------------------------------------------------------
    def page(self, request: HttpRequest, execution: Execution) -> dict[str, Any]:
        enforcement = execution.enforcements.order_by("id").first()  # type: ignore[attr-defined]
        return {
            "story": story(execution),
            "parameters": shown_parameters(execution),
            "steps": steps(execution),
            "worker": Worker.objects.filter(name=execution.worker).first() if execution.worker else None,
            "over": execution.status in FINAL,
            "shows_result": not isinstance(execution.result, str),  # a text is the output again
            "enforcement": enforcement,
            "origin": origin_of(execution),
            "streams": [stream_of(execution, name) for name in logs.STREAMS],
            "children": reachable(
                request,
                execution.children.only("id", "status", "action_ref", "created", "duration_ms", "error"),
            )[  # type: ignore[attr-defined]
                :SHOWN_CHILDREN
            ],
            "reruns": reachable(request, execution.reruns.only("id", "status", "created").order_by("id"))[
                :SHOWN_CHILDREN
            ],  # type: ignore[attr-defined]
            "again_url": reverse("admin:executions_execution_again", args=[execution.pk]),
            "tail_url": reverse("admin:executions_execution_tail", args=[execution.pk]),
        }

    @command(
        "Cancel",
        role=Role.OPERATOR,
        tone="danger",
        icon="cancel",
        confirm="A running program gets TERM, and KILL ten seconds later.",
        when=lambda execution: execution.status not in FINAL,
    )
    def cancel(self, request: HttpRequest, execution: Execution) -> str:
        services.cancel_execution(execution, actor=principal(request))
        return "Asked for: the program is being ended." if execution.status not in FINAL else "It is cancelled."

    @command("Run again", role=Role.OPERATOR, icon="replay", when=lambda execution: execution.status in FINAL)
    def again(self, request: HttpRequest, execution: Execution) -> HttpResponse:
        new = self._again(request, execution)
        self.message_user(request, f"Execution {new.pk} repeats {execution.pk} with the same parameters.")
        return HttpResponseRedirect(page_url("executions.execution", new.pk))

    def _again(self, request: HttpRequest, execution: Execution, parameters: Any = None) -> Execution:
        return services.rerun_execution(execution, parameters=parameters, actor=principal(request), user=request.user)

    # Forms -----------------------------------------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Run an action: choose it first, then its parameters."""
        self.require(request, "add")
        wanted = request.GET.get("action", "")
        action = reachable(request, Action.objects.select_related("pack").filter(ref=wanted)).first()
        if action is None:
            choices = Action.objects.select_related("pack").filter(enabled=True, pack__enabled=True)
            choices = reach.narrow(principal(request), choices, role=Role.OPERATOR)
            return self.render(
                request,
                "attune/choose_action.html",
                {"title": "Run an action", "actions": choices.order_by("ref"), "unknown": wanted},
            )
        self.require(request, "add", action)
        form = RunForm(request.POST or None, action=action)

        def save(form: RunForm) -> HttpResponse:
            execution = services.request_execution(
                action,
                parameters=form.cleaned_data["parameters"],
                timeout=form.cleaned_data["timeout"],
                trace_tag=form.cleaned_data["trace_tag"],
                requested_by=request.user,
                actor=principal(request),
            )
            return HttpResponseRedirect(page_url("executions.execution", execution.pk))

        context = {
            "title": f"Run {action.ref}",
            "lead": action.description,
            "submit": "Run",
            "back": page_url("packs.action", action.ref),
            "examples": [e for e in action.examples or [] if isinstance(e, dict) and "parameters" in e],
        }
        return self.form_page(request, form, save=save, context=context)

    def again_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Run again with other parameters; a secret that stays `********` keeps its value."""
        execution = self.found(request, object_id)
        self.require(request, "add", execution)
        action = execution.action
        if action is None:
            raise Http404(f"Action {execution.action_ref} is no longer installed.")
        form = RunForm(request.POST or None, action=action, initial={"parameters": shown_parameters(execution)})
        del form.fields["timeout"], form.fields["trace_tag"]

        def save(form: RunForm) -> HttpResponse:
            new = self._again(request, execution, form.cleaned_data["parameters"])
            return HttpResponseRedirect(page_url("executions.execution", new.pk))

        context = {
            "title": f"Run {execution.pk} again",
            "lead": f"{action.ref} with other parameters; the new execution points back to this one.",
            "submit": "Run",
            "back": page_url("executions.execution", execution.pk),
        }
        return self.form_page(request, form, save=save, context=context)

    # Live ------------------------------------------------------------------------------------------------------------
    def tail_view(self, request: HttpRequest, object_id: int) -> JsonResponse:
        """What came since `?stdout=…&stderr=…` (bytes): `{status, word, tone, story, over, stdout, stderr}`."""
        execution = self.found(request, str(object_id))
        answer: dict[str, Any] = {
            "status": execution.status,
            "word": WORDS.get(execution.status, execution.status),
            "tone": TONES.get(execution.status, "mute"),
            "story": story(execution),
            "over": execution.status in FINAL,
        }
        for stream in logs.STREAMS:
            asked = request.GET.get(stream, "")
            offset = int(asked) if asked.isdecimal() and len(asked) < 19 else 0
            text = text_of(logs.read(execution.pk, stream, offset=offset, limit=TAIL))
            style = request.GET.get(f"{stream}_style", "")
            answer[stream] = grown(text, offset=offset, style=style, size=length_of)
        return JsonResponse(answer)

    def log_view(self, request: HttpRequest, object_id: int, stream: str) -> HttpResponse:
        """The whole log, as a file of plain text that no browser takes for a page."""
        execution = self.found(request, str(object_id))
        if stream not in logs.STREAMS:
            raise Http404(f"There is no log {stream}.")
        text = logs.read(execution.pk, stream, limit=64 * 1024 * 1024)
        headers = {"Content-Disposition": f'attachment; filename="execution-{execution.pk}-{stream}.txt"'}
        return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)


def origin_of(execution: Execution) -> SafeString | str:
    """Who or what asked for it, with a link."""
    if execution.rule_ref:
        return format_html("rule {}", ref(page_url("rules.rule", execution.rule_ref), execution.rule_ref))
    if execution.parent_id:
        return format_html(
            "execution {}", ref(page_url("executions.execution", execution.parent_id), execution.parent_id)
        )
    if execution.requested_by:
        return format_html("{}", execution.requested_by.get_username())
    return DASH

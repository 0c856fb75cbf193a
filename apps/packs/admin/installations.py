"""Installations: ask for one, watch it, understand what it changes and why it failed, do it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from apps.access.admin_base import AttuneAdmin, LatestPaginator, command, page_url, principal, reachable
from apps.access.admin_filters import RefFilter, SinceFilter
from apps.access.admin_live import drawn, grown
from apps.access.admin_show import TONES, badge, duration, moment, ref
from apps.access.principals import Role
from apps.packs import services
from apps.packs.admin import story
from apps.packs.admin.install_forms import EXAMPLES, OPTIONS, InstallForm
from apps.packs.admin.pack_tests import summary_of
from apps.packs.admin.plans import plan_of, with_pages
from apps.packs.errors import PackNotFound, SourceInvalid
from apps.packs.models import Installation, Pack, PackIndex

Kind, Status = Installation.Kind, Installation.Status


class KindFilter(DropdownFilter):
    """What was done."""

    title, parameter_name = "kind", "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(kind.value, kind.label) for kind in Kind]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.filter(kind=self.value()) if self.value() in Kind.values else queryset


class StatusFilter(DropdownFilter):
    """How it stands."""

    title, parameter_name = "status", "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Not over yet"), *((status.value, status.label) for status in Status)]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "open":
            return queryset.filter(status__in=[Status.REQUESTED, Status.RUNNING])
        return queryset.filter(status=self.value()) if self.value() in Status.values else queryset


class OfPackFilter(RefFilter):
    title, parameter_name = "pack", "pack_ref"


@admin.register(Installation)
class InstallationAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER, "add": Role.ADMIN}
    page_template = "attune/installation.html"
    add_words = "Install a pack"
    list_display = ("number", "shown_status", "what", "of_pack", "asked_by", "took", "asked", "outcome")
    list_display_links = ("number", "what")
    list_filter = (KindFilter, StatusFilter, OfPackFilter, SinceFilter)
    search_fields = ("pack_ref", "source")
    ordering = ("-id",)
    sortable_by = ()
    deferred = ("log", "result", "sealed_source")
    paginator = LatestPaginator

    def extra_urls(self) -> list[URLPattern]:
        tail = self.admin_site.admin_view(self.tail_view)
        return [path("<int:object_id>/tail/", tail, name="packs_installation_tail")]

    # List ------------------------------------------------------------------------------------------------------------
    @admin.display(description="No.")
    def number(self, row: Installation) -> str:
        return str(row.pk)

    @admin.display(description="Status")
    def shown_status(self, row: Installation) -> SafeString:
        return badge(row.status)

    @admin.display(description="What")
    def what(self, row: Installation) -> str:
        versions = f"{row.from_version} → {row.pack_version}" if row.from_version else row.pack_version
        named = f"{row.pack_ref} {versions}".strip() if row.pack_ref else story.source_of(row)
        return f"{row.get_kind_display()} {named}"

    @admin.display(description="Pack")
    def of_pack(self, row: Installation) -> SafeString:
        return ref(f"?{urlencode({'pack_ref': row.pack_ref})}", row.pack_ref)

    @admin.display(description="Asked for by")
    def asked_by(self, row: Installation) -> str:
        return f"{row.requested_by or '–'} ({row.trigger_reason})"

    @admin.display(description="Took")
    def took(self, row: Installation) -> str:
        return duration(_took(row))

    @admin.display(description="When")
    def asked(self, row: Installation) -> SafeString:
        return moment(row.created)

    @admin.display(description="Outcome")
    def outcome(self, row: Installation) -> SafeString:
        told = row.error or (f"{row.step}, {row.percent} %" if row.status == Status.RUNNING else "")
        return format_html('<span class="at-clip" title="{0}">{0}</span>', told[:300])

    # Page ------------------------------------------------------------------------------------------------------------
    def page(self, request: HttpRequest, row: Installation) -> dict[str, Any]:
        details, tests = story.details_of(row), story.test_result_of(row)
        pack = Pack.objects.filter(ref=row.pack_ref).first() if row.pack_ref else None
        log = grown(row.log, offset=0)
        hidden = ("pack_ref", "upload_name")
        asked_for = {name.replace("_", " "): value for name, value in row.options.items() if name not in hidden}
        return {
            "title": story.title(row),
            **_progress(row),
            "over": row.is_final,
            "log": {**log, "done": drawn(log["done"]), "open": drawn(log["open"])},
            "advice": story.advice(row) if row.status == Status.FAILED else "",
            "faults": [fault for fault in details.get("faults") or () if isinstance(fault, dict)],
            "breaks": with_pages(details.get("breaks") or ()),
            "plan": plan_of(row),
            "provenance": row.result.get("provenance") or {},
            "tests": summary_of(tests) if tests else None,
            "pack": pack,
            "source": story.source_of(row),
            "options": asked_for,
            "took": duration(_took(row)),
            "tail_url": reverse("admin:packs_installation_tail", args=[row.pk]),
            "change_url": _change_url(row),
            "change_words": "With other options" if _is_repeatable(row) else "Ask anew",
        }

    @command(
        "Install this",
        role=Role.ADMIN,
        tone="primary",
        icon="download",
        when=lambda row: row.kind == Kind.PREVIEW and row.status == Status.COMPLETED and _is_repeatable(row),
    )
    def install_this(self, request: HttpRequest, row: Installation) -> HttpResponse:
        return self._opened(self._ask_again(request, row, preview=False))

    @command(
        "Try again",
        role=Role.ADMIN,
        tone="primary",
        icon="replay",
        when=lambda row: row.status == Status.FAILED and _is_repeatable(row),
    )
    def again(self, request: HttpRequest, row: Installation) -> HttpResponse:
        return self._opened(self._ask_again(request, row, preview=row.kind == Kind.PREVIEW))

    @command(
        "Do it all the same",
        role=Role.ADMIN,
        tone="danger",
        icon="priority_high",
        confirm="What it breaks no longer works afterwards, and says so when it is needed.",
        when=lambda row: row.status == Status.FAILED and _is_in_the_way(row) and _is_repeatable(row),
    )
    def force(self, request: HttpRequest, row: Installation) -> HttpResponse:
        return self._opened(self._ask_again(request, row, preview=False, force=True))

    def _ask_again(self, request: HttpRequest, row: Installation, *, preview: bool, **more: Any) -> Installation:
        """The same once more, with the same options and these. Raises AttuneError."""
        actor, options = principal(request), row.options | more
        if row.kind in (Kind.INSTALL, Kind.PREVIEW):
            if not _is_repeatable(row):
                raise SourceInvalid("What it came from was not kept; say it again, or send the archive again.")
            return services.request_installation(
                row.source, actor=actor, preview=preview, reason=row.trigger_reason, **options
            )
        pack = Pack.objects.filter(ref=row.pack_ref).first()
        if pack is None:
            raise PackNotFound(f"There is no pack {row.pack_ref} any more.")
        if row.kind == Kind.ROLLBACK:
            return services.request_rollback(pack, actor=actor, **options)
        if row.kind == Kind.TEST:
            return services.request_tests(pack, actor=actor)
        return services.request_environment(pack, actor=actor, **options)

    def _opened(self, asked: Installation) -> HttpResponse:
        return HttpResponseRedirect(page_url("packs.installation", asked.pk))

    # Asking ----------------------------------------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Say where a pack is to come from; look first at what it would change, or install it."""
        self.require(request, "add")
        form = InstallForm(request.POST or None, request.FILES or None, initial=_initial(request))

        def save(form: InstallForm) -> HttpResponse:
            options, preview = form.options(), request.POST.get("do") == "preview"
            source, sent = form.cleaned_data["source"], form.cleaned_data["archive"]
            if sent:
                source, options["upload_name"] = str(services.keep_upload(sent)), sent.name
            asked = services.request_installation(source, actor=principal(request), preview=preview, **options)
            return self._opened(asked)

        context = {
            "title": "Install a pack",
            "examples": EXAMPLES,
            "has_indices": PackIndex.objects.filter(enabled=True).exists(),
            "local_url": reverse("admin:packs_pack_load"),
        }
        return self.form_page(request, form, save=save, context=context, template="attune/install.html")

    # Live ------------------------------------------------------------------------------------------------------------
    def tail_view(self, request: HttpRequest, object_id: int) -> JsonResponse:
        """What came since `?log=…` (characters): `{status, word, tone, story, over, log: {…}}`.

        `parts` and `texts` are pieces of the page, and plain texts in it, by their ids.
        """
        row = self.found(request, str(object_id))
        asked = request.GET.get("log", "")
        offset = int(asked) if asked.isdecimal() and len(asked) < 19 else 0
        told = _progress(row)
        return JsonResponse(
            {
                "status": row.status,
                "word": row.status,
                "tone": TONES.get(row.status, "mute"),
                "story": told["story"],
                "over": row.is_final,
                "parts": {"steps": render_to_string("attune/install_steps.html", told)},
                "texts": {"install-title": story.title(row)},
                "log": grown(row.log[offset:], offset=offset, style=request.GET.get("log_style", "")),
            }
        )


def _progress(row: Installation) -> dict[str, Any]:
    return {"story": story.story(row), "steps": story.steps(row), "percent": row.percent, "status": row.status}


def _took(row: Installation) -> int | None:
    """Milliseconds."""
    if not (row.started_at and row.finished_at):
        return None
    return int((row.finished_at - row.started_at).total_seconds() * 1000)


def _is_repeatable(row: Installation) -> bool:
    """Whether all is known that it takes: no credentials were left out, and a file that was sent is still there."""
    if row.kind not in (Kind.INSTALL, Kind.PREVIEW):
        return True
    if row.options.get("upload_name"):
        return Path(row.source).is_file()
    return "…" not in row.source


def _is_in_the_way(row: Installation) -> bool:
    """Whether something could be overlooked that made it fail."""
    details = story.details_of(row)
    return bool(details.get("breaks") or details.get("obstacles"))


def _change_url(row: Installation) -> str:
    """The form with what was asked for filled in; empty where there was no form."""
    looked_or_failed = row.status == Status.FAILED or (row.kind == Kind.PREVIEW and row.is_final)
    if row.kind not in (Kind.INSTALL, Kind.PREVIEW) or not looked_or_failed:
        return ""
    return f"{reverse('admin:packs_installation_add')}?{urlencode({'again': row.pk})}"


def _initial(request: HttpRequest) -> dict[str, Any]:
    """What the form begins with: `?source=`, or all that `?again=` asked for."""
    number = request.GET.get("again", "")
    rows = Installation.objects.filter(pk=int(number) if number.isdecimal() and len(number) < 19 else 0)
    row = reachable(request, rows).first()
    if row is None:
        return {"source": request.GET.get("source", "")[:2000]}
    source = "" if row.options.get("upload_name") else row.source
    return {"source": source} | {name: row.options[name] for name in OPTIONS if name in row.options}

"""Pack indices: where packs are looked for by name, and in which order."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.access.admin_base import AttuneAdmin, allows, command, list_url, page_url, principal
from apps.access.admin_show import enabled_badge, moment
from apps.access.principals import Role
from apps.packs.admin import catalogue
from apps.packs.admin.install_forms import IndexForm, written
from apps.packs.models import PackIndex
from apps.packs.registry import indices
from attune.lib.errors import AttuneError

UP, DOWN = -1, 1


@admin.register(PackIndex)
class PackIndexAdmin(AttuneAdmin):
    needs = {"view": Role.VIEWER, "add": Role.ADMIN}
    page_template = "attune/pack_index.html"
    add_words = "Add an index"
    list_display = ("position", "named", "state", "holds", "read", "problem_told", "move")
    list_display_links = ("named",)
    list_before_template = "attune/indices_before.html"
    ordering = ("position", "id")
    sortable_by = ()
    actions = None

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("content")

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("catalogue/", view(self.catalogue_view), name="packs_packindex_catalogue"),
            path("catalogue/<ref:ref>/", view(self.entry_view), name="packs_packindex_entry"),
            path("<int:object_id>/edit/", view(self.edit_view), name="packs_packindex_edit"),
        ]

    # List ------------------------------------------------------------------------------------------------------------
    @admin.display(description="Index")
    def named(self, index: PackIndex) -> SafeString:
        if not index.name:
            return format_html("{}", index.url)
        return format_html('<b>{}</b> <span class="at-quiet">{}</span>', index.name, index.url)

    @admin.display(description="State")
    def state(self, index: PackIndex) -> SafeString:
        return enabled_badge(index.enabled)

    @admin.display(description="Packs")
    def holds(self, index: PackIndex) -> str:
        return str(len(indices.read(index).by_ref)) if index.read_at else "–"

    @admin.display(description="Last read")
    def read(self, index: PackIndex) -> SafeString:
        return moment(index.read_at)

    @admin.display(description="Problem")
    def problem_told(self, index: PackIndex) -> SafeString:
        return format_html('<span class="at-clip" title="{0}">{0}</span>', index.problem[:300])

    @admin.display(description="")
    def move(self, index: PackIndex) -> SafeString:
        """Within the list's own form, whose token they send along."""
        button = '<button class="at-btn at-small" formaction="{}" name="next" value="{}" aria-label="{}">{}</button> '
        there = list_url("packs.packindex")
        return format_html(
            button * 2,
            *(self.command_url(index, "up"), there, f"Ask {index} earlier", "↑"),
            *(self.command_url(index, "down"), there, f"Ask {index} later", "↓"),
        )

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        shown = tuple(super().get_list_display(request))
        return shown if allows(request, Role.ADMIN) else shown[:-1]

    # Page ------------------------------------------------------------------------------------------------------------
    def page(self, request: HttpRequest, index: PackIndex) -> dict[str, Any]:
        found = indices.read(index)
        return {
            "title": str(index),
            "state": enabled_badge(index.enabled),
            "said": found,
            "packs": [
                {"entry": versions[0], "versions": len(versions)} for _, versions in sorted(found.by_ref.items())
            ],
            "headers": indices.masked_headers(index),
            "edit_url": reverse("admin:packs_packindex_edit", args=[index.pk]),
        }

    @command("Read it now", role=Role.ADMIN, tone="primary", icon="refresh")
    def refresh(self, request: HttpRequest, index: PackIndex) -> str:
        return self._read_now(request, index)

    @command("Look in it", role=Role.ADMIN, icon="toggle_on", when=lambda index: not index.enabled)
    def enable(self, request: HttpRequest, index: PackIndex) -> str:
        indices.update_index(index, enabled=True, actor=principal(request))
        return f"Packs are looked for in {index} again."

    @command("Do not look in it", role=Role.ADMIN, icon="toggle_off", when=lambda index: index.enabled)
    def disable(self, request: HttpRequest, index: PackIndex) -> str:
        indices.update_index(index, enabled=False, actor=principal(request))
        return f"No pack is looked for in {index} any more."

    @command("Remove", role=Role.ADMIN, tone="danger", icon="delete", confirm="Packs that were installed from it stay.")
    def remove(self, request: HttpRequest, index: PackIndex) -> HttpResponse:
        name = str(index)
        indices.delete_index(index, actor=principal(request))
        self.message_user(request, f"Index {name} is removed.")
        return HttpResponseRedirect(list_url("packs.packindex"))

    @command("Ask it earlier", role=Role.ADMIN, when=lambda index: False)
    def up(self, request: HttpRequest, index: PackIndex) -> str:
        return self._moved(request, index, UP)

    @command("Ask it later", role=Role.ADMIN, when=lambda index: False)
    def down(self, request: HttpRequest, index: PackIndex) -> str:
        return self._moved(request, index, DOWN)

    @transaction.atomic
    def _moved(self, request: HttpRequest, index: PackIndex, by: int) -> str:
        """Change places with its neighbour; the positions become 0, 1, 2 …"""
        rows = list(PackIndex.objects.defer("content"))
        place = next(number for number, row in enumerate(rows) if row.pk == index.pk)
        other = place + by
        if not 0 <= other < len(rows):
            return f"{index} is asked {'first' if by == UP else 'last'} already."
        rows[place], rows[other] = rows[other], rows[place]
        for number, row in enumerate(rows):
            if row.position != number:
                indices.update_index(row, position=number, actor=principal(request))
        return f"{index} is asked {'before' if by == UP else 'after'} {rows[place]}."

    def _read_now(self, request: HttpRequest, index: PackIndex) -> str:
        """Read it, and say what is wrong with it where something is."""
        read = indices.refresh(index, force=True)
        if read.problem:
            self.message_user(request, f"{index}: {read.problem}", "warning")
        count = len(indices.read(read).by_ref)
        return f"{index} has {count} pack{'s' if count != 1 else ''}." if read.read_at else ""

    # Forms -----------------------------------------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.require(request, "add")

        def save(form: IndexForm) -> HttpResponse:
            index = indices.create_index(actor=principal(request), **form.cleaned_data)
            return self._saved(request, index)

        context = {
            "title": "Add an index",
            "lead": "A JSON file that names packs and where to get them. It is asked after those that are there.",
            "submit": "Add it",
        }
        return self.form_page(request, IndexForm(request.POST or None), save=save, context=context)

    def edit_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        self.require(request, "add")
        index = self.found(request, str(object_id))
        initial = {name: getattr(index, name) for name in ("url", "name", "enabled")}
        initial["headers"] = written(indices.masked_headers(index))
        form = IndexForm(request.POST or None, initial=initial)

        def save(form: IndexForm) -> HttpResponse:
            given = dict(form.cleaned_data)
            if "headers" not in form.changed_data:
                del given["headers"]
            return self._saved(request, indices.update_index(index, actor=principal(request), **given))

        context = {"title": f"Change {index}", "submit": "Save", "back": page_url("packs.packindex", index.pk)}
        return self.form_page(request, form, save=save, context=context)

    def _saved(self, request: HttpRequest, index: PackIndex) -> HttpResponse:
        said = self._read_now(request, index) if index.enabled else f"{index} is saved."
        if said:
            self.message_user(request, said)
        return HttpResponseRedirect(page_url("packs.packindex", index.pk))

    # The catalogue ---------------------------------------------------------------------------------------------------
    def catalogue_view(self, request: HttpRequest) -> HttpResponse:
        """What can be installed by name."""
        self.require(request, "view")
        shown = catalogue.found(request.GET.get("q", ""), principal(request))
        return self.render(request, "attune/catalogue.html", shown)

    def entry_view(self, request: HttpRequest, ref: str) -> HttpResponse:
        """One pack of the indices, before anything of it is here."""
        self.require(request, "view")
        try:
            shown = catalogue.entry(ref, request.GET.get("version", "")[:60], who=principal(request))
        except AttuneError as error:
            self.message_user(request, error.message, "error")
            return HttpResponseRedirect(reverse("admin:packs_packindex_catalogue"))
        return self.render(request, "attune/catalogue_entry.html", shown)

"""Packs: what is installed, its settings, what it defines; and ad-hoc packs, made and edited here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter

from apps.access.admin_base import allows, command, list_url, page_url, principal
from apps.access.admin_show import badge, moment
from apps.access.principals import Role
from apps.packs import configs, services
from apps.packs.admin.base import EnabledFilter, schema_rows
from apps.packs.admin.drawing import drawn_anew
from apps.packs.admin.forms import AdhocPackForm, ConfigForm, LoadForm
from apps.packs.admin.pack_facts import text_of, upkeep_of
from apps.packs.admin.upkeep import UpkeepAdmin
from apps.packs.models import Pack
from attune.lib import schemas
from attune.lib.errors import AttuneError


class KindFilter(DropdownFilter):
    """Where a pack comes from."""

    title, parameter_name = "kind", "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("system", "Ships with Attune"), ("files", "Installed from files"), ("adhoc", "Ad-hoc")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        kinds = {"system": {"system": True}, "adhoc": {"is_adhoc": True}, "files": {"system": False, "is_adhoc": False}}
        return queryset.filter(**kinds.get(self.value() or "", {}))


@admin.register(Pack)
class PackAdmin(UpkeepAdmin):
    needs = {"view": Role.VIEWER, "add": Role.EDITOR}
    page_template = "attune/pack.html"
    add_words = "New ad-hoc pack"
    list_display = ("ref", "title_and_description", "version", "kind", "contents", "state", "loaded")
    list_filter = (KindFilter, EnabledFilter)
    list_select_related = ()
    list_before_template = "attune/packs_before.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        counted = {name: Count(name, distinct=True) for name in ("actions", "triggers", "sensors", "rules")}
        return super().get_queryset(request).annotate(**{f"n_{name}": count for name, count in counted.items()})

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("load/", view(self.load_view), name="packs_pack_load"),
            path("draw/", view(self.draw_view), name="packs_pack_draw"),
            path("<path:object_id>/config/", view(self.config_view), name="packs_pack_config"),
            path("<path:object_id>/edit/", view(self.edit_view), name="packs_pack_edit"),
            *super().extra_urls(),
        ]

    # Lists -----------------------------------------------------------------------------------------------------------
    @admin.display(description="What it is for")
    def title_and_description(self, pack: Pack) -> SafeString:
        return format_html('<b>{}</b> <span class="at-quiet">{}</span>', pack.label, pack.description)

    @admin.display(description="Kind")
    def kind(self, pack: Pack) -> SafeString:
        return badge("kind", "system" if pack.system else "ad-hoc" if pack.is_adhoc else "files")

    @admin.display(description="Holds")
    def contents(self, pack: Pack) -> str:
        names = ("actions", "triggers", "sensors", "rules")
        counted = [(getattr(pack, f"n_{name}"), name) for name in names]
        return ", ".join(f"{n} {name if n != 1 else name[:-1]}" for n, name in counted if n) or "nothing yet"

    @admin.display(description="Loaded", ordering="loaded_at")
    def loaded(self, pack: Pack) -> SafeString:
        return moment(pack.loaded_at)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "may_install": allows(request, Role.ADMIN)})

    # Page ------------------------------------------------------------------------------------------------------------
    def page(self, request: HttpRequest, pack: Pack) -> dict[str, Any]:
        return {
            "settings": _settings(pack),
            "extra": sorted(set(pack.effective_config) - {row["name"] for row in schema_rows(pack.conf_schema)}),
            "config_url": reverse("admin:packs_pack_config", args=[pack.pk]),
            "edit_url": reverse("admin:packs_pack_edit", args=[pack.pk]),
            "actions": pack.actions.order_by("ref"),  # type: ignore[attr-defined]
            "triggers": pack.triggers.order_by("ref"),  # type: ignore[attr-defined]
            "sensors": pack.sensors.select_related("process").order_by("ref"),  # type: ignore[attr-defined]
            "rules": pack.rules.order_by("ref"),  # type: ignore[attr-defined]
            "readme": text_of(pack, "README.md") if pack.path else "",
            "do": {name: self.command_url(pack, name) for name in ("update", "rollback", "rebuild", "test")},
            "environment_url": reverse("admin:packs_pack_environment", args=[pack.pk]),
            **upkeep_of(pack, principal(request)),
            "report": services.load_pack(pack.ref, check_only=True) if "check" in request.GET and pack.path else None,
        }

    @command(
        "Delete",
        role=Role.EDITOR,
        tone="danger",
        icon="delete",
        confirm="Its triggers go with it; events and executions stay.",
        when=lambda pack: pack.is_adhoc,
    )
    def delete_adhoc(self, request: HttpRequest, pack: Pack) -> HttpResponse:
        services.delete_adhoc_pack(pack, actor=principal(request))
        self.message_user(request, f"Pack {pack.ref} is deleted.")
        return HttpResponseRedirect(list_url("packs.pack"))

    # Forms -----------------------------------------------------------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.require(request, "add")
        context = {
            "title": "New ad-hoc pack",
            "lead": "A home for your own rules and triggers, without files or code; actions come from other packs.",
            "submit": "Make the pack",
        }
        return self.form_page(request, AdhocPackForm(request.POST or None), save=self._saver(request), context=context)

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.require(request, "add")
        pack = self.found(request, object_id)
        if not pack.is_adhoc:
            self.message_user(request, f"Pack {pack.ref} is defined by its files in {pack.path}.", "warning")
            return HttpResponseRedirect(page_url("packs.pack", pack.ref))
        shown = {name: getattr(pack, name) for name in ("label", "description", "version", "tags", "conf_schema")}
        form = AdhocPackForm(request.POST or None, pack=pack, initial=shown)
        context = {"title": f"Edit {pack.ref}", "submit": "Save", "back": page_url("packs.pack", pack.ref)}
        return self.form_page(request, form, save=self._saver(request, pack), context=context)

    def _saver(self, request: HttpRequest, pack: Pack | None = None) -> Any:
        def save(form: AdhocPackForm) -> HttpResponse:
            given = dict(form.cleaned_data)
            ref = given.pop("ref", "") or (pack.ref if pack else "")
            saved = services.save_adhoc_pack(ref=ref, pack=pack, actor=principal(request), **given)
            self.message_user(request, f"Pack {saved.ref} is saved.")
            return HttpResponseRedirect(page_url("packs.pack", saved.ref))

        return save

    def load_view(self, request: HttpRequest) -> HttpResponse:
        """Load a pack that lies on the server; what is wrong in its files is shown, and then nothing was changed."""
        if not allows(request, Role.ADMIN):
            raise PermissionDenied
        form, context = LoadForm(request.POST or None), {"title": "Load a pack from a folder", "submit": "Load"}

        def save(form: LoadForm) -> HttpResponse:
            report = services.load_pack(form.cleaned_data["folder"].strip(), actor=principal(request))
            if not report.ok:
                shown = {"form": form, "report": report, **context}
                return self.render(request, "attune/load_pack.html", shown)
            self.message_user(request, f"Pack {report.ref} is loaded.")
            return self.built_or_opened(request, Pack.objects.get(ref=report.ref))

        return self.form_page(request, form, save=save, context=context, template="attune/load_pack.html")

    def config_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        self.require(request, "add")
        pack = self.found(request, object_id)
        form = ConfigForm(
            request.POST or None, pack=pack, initial={"config": schemas.mask(pack.config, pack.conf_schema)}
        )

        def save(form: ConfigForm) -> HttpResponse:
            config = configs.unmasked(pack, form.cleaned_data["config"])
            services.set_pack_config(pack, config, actor=principal(request))
            self.message_user(request, f"The settings of {pack.ref} are saved.")
            return HttpResponseRedirect(page_url("packs.pack", pack.ref))

        context = {
            "title": f"Settings of {pack.ref}",
            "lead": "They are yours: a reload of the pack keeps them. What is not given has its default.",
            "submit": "Save",
            "back": page_url("packs.pack", pack.ref),
        }
        return self.form_page(request, form, save=save, context=context)

    def draw_view(self, request: HttpRequest) -> HttpResponse:
        """For the pages' scripts: a JSON field drawn anew, because its subject changed or the person wants the text."""
        if request.method != "POST" or not allows(request, Role.VIEWER):
            return JsonResponse({"message": "Send a POST, with the right to look."}, status=403)
        try:
            return JsonResponse(drawn_anew(request.body, principal(request)))
        except AttuneError as error:
            return JsonResponse({"message": error.message}, status=error.status_code)


def _settings(pack: Pack) -> list[dict[str, Any]]:
    """Each setting with the value that holds, and whether it is the operator's own; secrets are masked."""
    shown = schemas.mask(pack.effective_config, pack.conf_schema)
    rows = schema_rows(pack.conf_schema)
    return [
        row
        | {"value": shown.get(row["name"]), "given": row["name"] in shown, "own": row["name"] in (pack.config or {})}
        for row in rows
    ]

"""The buttons of a pack that comes from files: update, reload, go back, rebuild, test, uninstall."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path

from apps.access.admin_base import allows, command, list_url, page_url, principal
from apps.access.principals import Role
from apps.packs import services
from apps.packs.admin.base import ComponentAdmin
from apps.packs.admin.install_forms import EnvironmentForm
from apps.packs.admin.pack_facts import environment_of, installed_version
from apps.packs.errors import InUse
from apps.packs.models import Installation, Pack


def _is_updatable(pack: Pack) -> bool:
    """Whether it is known where to ask for it again."""
    version = installed_version(pack)
    return version is not None and version.source_type != "upload"


def _is_reloadable(pack: Pack) -> bool:
    """Whether there is a folder that somebody may have edited."""
    version = installed_version(pack)
    return not pack.is_adhoc and (version is None or version.source_type == "local")


class UpkeepAdmin(ComponentAdmin):
    """What a pack's page can do with its files; whatever takes time is an installation with a page of its own."""

    def extra_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.environment_view)
        return [path("<path:object_id>/environment/", view, name="packs_pack_environment")]

    @command("Update", role=Role.ADMIN, icon="upgrade", when=_is_updatable)
    def update(self, request: HttpRequest, pack: Pack) -> HttpResponse:
        """Look first what the newest version would change; its page has the button that installs it."""
        return _opened(services.request_update(pack, actor=principal(request), preview=True))

    @command("Reload", role=Role.ADMIN, icon="refresh", when=_is_reloadable)
    def reload(self, request: HttpRequest, pack: Pack) -> HttpResponse:
        """Pick up edits: at once where the pack is used from the edited folder, else as a new version."""
        asked = services.request_reload(pack, actor=principal(request))
        if asked is not None:
            return _opened(asked)
        report = services.load_pack(pack.ref, actor=principal(request))
        pack.refresh_from_db()
        if not report.ok or report.warnings or report.not_loaded:
            return self._page_with(request, pack, report=report)
        changes = [f"{len(getattr(report, what))} {what}" for what in ("added", "changed", "removed")]
        self.message_user(request, f"Pack {pack.ref} is loaded: {', '.join(changes)}.")
        return self.built_or_opened(request, pack)

    def built_or_opened(self, request: HttpRequest, pack: Pack) -> HttpResponse:
        """On to the pack's page, or first to the building of its environment where that is not there."""
        if environment_of(pack)["state"] in ("missing", "broken"):
            return _opened(services.request_environment(pack, actor=principal(request)))
        return HttpResponseRedirect(page_url("packs.pack", pack.ref))

    @command("Roll back", role=Role.ADMIN, when=lambda pack: False)
    def rollback(self, request: HttpRequest, pack: Pack) -> HttpResponse:
        named = {name: request.POST.get(name, "") for name in ("version", "digest")}
        return _opened(services.request_rollback(pack, actor=principal(request), **named))

    @command("Rebuild", role=Role.ADMIN, when=lambda pack: False)
    def rebuild(self, request: HttpRequest, pack: Pack) -> HttpResponse:
        return _opened(services.request_environment(pack, actor=principal(request), force_rebuild=True))

    @command("Run tests", role=Role.ADMIN, when=lambda pack: False)
    def test(self, request: HttpRequest, pack: Pack) -> HttpResponse:
        return _opened(services.request_tests(pack, actor=principal(request)))

    @command(
        "Uninstall",
        role=Role.ADMIN,
        tone="danger",
        icon="delete",
        confirm="All it defines goes; its history stays.",
        when=lambda pack: not pack.is_adhoc and not pack.system,
    )
    def uninstall(self, request: HttpRequest, pack: Pack) -> HttpResponse:
        try:
            services.remove_pack(pack, actor=principal(request))
        except InUse as error:
            return self._page_with(request, pack, status=409, in_use=error.details)
        self.message_user(request, f"Pack {pack.ref} is uninstalled.")
        return HttpResponseRedirect(list_url("packs.pack"))

    def environment_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What the operator wants of its environment; it holds from the next build on, which can be asked for here."""
        if not allows(request, Role.ADMIN):
            raise PermissionDenied
        pack = self.found(request, object_id)
        form = EnvironmentForm.of(pack, request.POST or None)

        def save(form: EnvironmentForm) -> HttpResponse:
            services.set_pack_environment(pack, form.cleaned_data, actor=principal(request))
            if request.POST.get("do") == "build":
                return _opened(services.request_environment(pack, actor=principal(request)))
            self.message_user(request, f"The wishes for {pack.ref} are saved; they hold from the next build on.")
            return HttpResponseRedirect(f"{page_url('packs.pack', pack.ref)}#environment")

        context = {
            "title": f"Environment of {pack.ref}",
            "lead": "What is asked for here comes on top of what the pack's own files ask for.",
            "submit": "Save",
            "back": f"{page_url('packs.pack', pack.ref)}#environment",
        }
        return self.form_page(request, form, save=save, context=context)

    def _page_with(self, request: HttpRequest, pack: Pack, *, status: int = 200, **more: Any) -> HttpResponse:
        """The pack's own page, with something to say on top."""
        context = {"original": pack, "title": str(pack), "buttons": self.buttons(request, pack)}
        answer = self.render(request, self.page_template, context | self.page(request, pack) | more)
        answer.status_code = status
        return answer


def _opened(asked: Installation) -> HttpResponse:
    return HttpResponseRedirect(page_url("packs.installation", asked.pk))

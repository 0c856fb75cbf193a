"""What every page of the admin shares: rights by role, buttons that POST, pages of our own, and cheap lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.forms import ModelChoiceField
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.admin import ModelAdmin
from unfold.views import ChangeList

from apps.access import reach
from apps.access.admin_links import list_url, page_url
from apps.access.admin_search import search
from apps.access.origin import client_address
from apps.access.principals import Principal, Role, principal_for
from attune.lib.errors import AttuneError

M = TypeVar("M", bound=Model)
_ASKED_BY = ("exact", "in", "isnull", "id__exact", "id__isnull")  # how the filters of columns ask
_NUMBER = re.compile(r"[0-9]{1,18}\Z")  # of a row
DEEPEST_PAGE_ROW = 2000  # how far back a long list can be paged; filters reach further


@dataclass(frozen=True)
class Command:
    """A button of a page: a POST that calls the admin's method of that name."""

    name: str
    label: str
    role: Role
    icon: str = ""
    tone: str = ""  # primary, danger, or plain
    confirm: str = ""
    when: Callable[[Any], bool] | None = None


def command(label: str, *, role: Role, **more: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a method `(request, obj)` a button of the page. It may return a sentence to show, or a response.

    An AttuneError that it raises is shown as a message.
    """

    def mark(method: Callable[..., Any]) -> Callable[..., Any]:
        method.command = Command(method.__name__, label, role, **more)  # type: ignore[attr-defined]
        return method

    return mark


def principal(request: HttpRequest) -> Principal:
    """Who sits at the browser, with the role they hold; asked once for each request."""
    known = getattr(request, "_attune_principal", None)
    if known is None:
        known = principal_for(request.user, origin=client_address(request))  # type: ignore[arg-type]
        request._attune_principal = known  # type: ignore[attr-defined]
    return known


def allows(request: HttpRequest, role: Role) -> bool:
    """Whether the person at the browser holds this role or a higher one."""
    return bool(request.user.is_active and request.user.is_staff and principal(request).has_role(role))


def permits(request: HttpRequest, role: Role, thing: Any) -> bool:
    """Whether the person at the browser holds this role on a thing, or for a table: on anything that is in it."""
    return bool(request.user.is_active and request.user.is_staff and reach.may(principal(request), role, thing))


def reachable(request: HttpRequest, rows: QuerySet[M]) -> QuerySet[M]:
    """The rows that the person at the browser may look at."""
    return reach.narrow(principal(request), rows)


class LatestPaginator(Paginator):
    """Pages through the latest rows of a table that may have millions, without counting them all."""

    @cached_property
    def numbers(self) -> list[Any]:
        """The primary keys of all rows, in no order; of as many as can be paged through if there are more."""
        rows: Any = self.object_list
        return list(rows.order_by().values_list("pk", flat=True)[:DEEPEST_PAGE_ROW])

    @cached_property
    def count(self) -> int:
        return len(self.numbers)


class QuietChangeList(ChangeList):
    """Speaks of results only where something narrows them; the whole is not counted a second time.

    What fits on one page was found when it was counted, and is not looked for a second time.
    """

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if isinstance(self.paginator, LatestPaginator) and not self.multi_page:
            self.result_list = self.queryset.filter(pk__in=self.paginator.numbers)
        self.full_result_count: int | None
        if self.full_result_count is None and not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count


class AttuneAdmin(ModelAdmin):
    """A model's pages. What one may do follows from one's role; what changes something goes through services.

    With `page_template` the object's page is ours, and `page()` gives what it shows. Without, it is Django's form.
    """

    needs: ClassVar[dict[str, Role]] = {"view": Role.VIEWER}
    page_template = ""
    add_words = ""  # what the button above the list says
    compressed_fields = True
    list_filter_submit = True
    list_fullwidth = True
    list_per_page = 50
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # they count whole tables
    actions_on_bottom = False
    deferred: ClassVar[tuple[str, ...]] = ()  # columns too big for a list
    searched: ClassVar[dict[str, tuple[str, ...]]] = {}  # how a table of millions is searched: see admin_search
    form_template = "attune/form.html"

    # Rights ----------------------------------------------------------------------------------------------------------
    def _allows(self, request: HttpRequest, what: str, obj: Any = None) -> bool:
        role = self.needs.get(what)
        return role is not None and permits(request, role, self.model if obj is None else obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, "view", obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._allows(request, "view")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._allows(request, "delete", obj)

    # Lists -----------------------------------------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = reach.narrow(principal(request), super().get_queryset(request), role=self.needs["view"])
        match = getattr(request, "resolver_match", None)
        if self.deferred and match and (match.url_name or "").endswith("_changelist"):
            rows = rows.defer(*self.deferred)
        return rows

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        """With `searched` its columns, so that Django shows the field."""
        return [name for names in self.searched.values() for name in names] or super().get_search_fields(request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not self.searched:
            return super().get_search_results(request, queryset, search_term)
        ways = {"refs": (), "words": (), "late": (), **self.searched}
        return search(queryset, search_term[:200], **ways, most=DEEPEST_PAGE_ROW), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return QuietChangeList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """By number, or by ref where the model has one: `/admin/packs/action/core.echo/`."""
        if not object_id.isdigit() and any(f.name == "ref" for f in self.model._meta.fields):
            return self.get_queryset(request).filter(ref=object_id).first()
        return super().get_object(request, object_id, from_field)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list's own filters ask by: Django would let anybody guess any column by its beginning."""
        for shown in self.get_list_filter(request):  # type: ignore[arg-type]
            name = getattr(shown, "parameter_name", None) or (shown if isinstance(shown, str) else shown[0])
            if lookup == name or lookup in {f"{name}__{rest}" for rest in _ASKED_BY}:
                return True
        return False

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """What is selected are numbers of rows; Django would break on anything else."""
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if not all(_NUMBER.match(text) for text in selected):
            words = "What was selected is not on this list: its rows are selected by their numbers."
            return HttpResponseBadRequest(words, content_type="text/plain; charset=utf-8")
        return super().response_action(request, queryset)

    # Pages and buttons -----------------------------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        do = self.admin_site.admin_view(self.command_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_do"
        return [path("<path:object_id>/do/<slug:command>/", do, name=name), *self.extra_urls(), *super().get_urls()]

    def extra_urls(self) -> list[URLPattern]:
        return []

    def commands(self) -> list[Command]:
        marked = (getattr(getattr(type(self), name, None), "command", None) for name in dir(type(self)))
        return [found for found in marked if isinstance(found, Command)]

    def buttons(self, request: HttpRequest, obj: Any) -> list[dict[str, Any]]:
        """The commands that make sense for this object and this person, most important first."""
        offered = [c for c in self.commands() if permits(request, c.role, obj) and (c.when is None or c.when(obj))]
        order = {"primary": 0, "": 1, "danger": 2}
        return [
            {"command": c, "url": self.command_url(obj, c.name)}
            for c in sorted(offered, key=lambda c: (order[c.tone], c.label))
        ]

    def command_url(self, obj: Model, name: str) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_do", args=[obj.pk, name])

    def require(self, request: HttpRequest, what: str, obj: Any = None) -> None:
        """Raises PermissionDenied for who may not add, change or delete here; or not this object."""
        if not self._allows(request, what, obj):
            raise PermissionDenied

    def found(self, request: HttpRequest, object_id: str) -> Any:
        if not self.has_view_permission(request):
            raise PermissionDenied
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404(f"There is no {self.opts.verbose_name} {unquote(object_id)}.")
        return obj

    def command_view(self, request: HttpRequest, object_id: str, command: str) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        obj = self.found(request, object_id)
        wanted = next((c for c in self.commands() if c.name == command), None)
        if wanted is None:
            raise Http404(f"There is no command {command}.")
        if not permits(request, wanted.role, obj):
            raise PermissionDenied
        back = self.back_to(request, page_url(self.opts.label_lower, obj.pk))
        try:
            said = getattr(self, wanted.name)(request, obj)
        except AttuneError as error:
            messages.error(request, error.message)
            return HttpResponseRedirect(back)
        if isinstance(said, HttpResponse):
            return said
        if said:
            messages.success(request, said)
        return HttpResponseRedirect(back)

    def back_to(self, request: HttpRequest, default: str) -> str:
        wanted = request.POST.get("next", "")
        safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
        return wanted if wanted and safe else default

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.page_template:
            return super().change_view(request, object_id, form_url, extra_context)
        obj = self.found(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET"])
        context = {"original": obj, "title": str(obj), "buttons": self.buttons(request, obj), **self.page(request, obj)}
        return self.render(request, self.page_template, context)

    def page(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the page's template shows."""
        return {}

    def render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
        """A page of ours within the admin's frame."""
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        subject = context.get("original", self.model)
        frame = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "model_admin": self,
            "is_fullwidth": "1",
            "may_operate": permits(request, Role.OPERATOR, subject),
            "may_edit": permits(request, Role.EDITOR, subject),
            "may_admin": permits(request, Role.ADMIN, subject),
            "list_page": list_url(self.opts.label_lower),
        }
        return TemplateResponse(request, template, frame | context)

    def form_page(
        self,
        request: HttpRequest,
        form: Any,
        *,
        save: Callable[[Any], HttpResponse],
        context: dict[str, Any],
        template: str = "",
    ) -> HttpResponse:
        """Show a form, and when it is sent and sound, `save` it; an AttuneError becomes the form's error."""
        choices_within(request, form)
        status = 200
        if request.method == "POST":
            if form.is_valid():
                try:
                    return save(form)
                except AttuneError as error:
                    add_faults(form, error)
            status = 422
        response = self.render(request, template or self.form_template, {"form": form, **context})
        response.status_code = status
        return response


def choices_within(request: HttpRequest, form: Any) -> None:
    """Let a form offer and accept only rows that the person may look at."""
    for field in form.fields.values():
        if isinstance(field, ModelChoiceField):
            field.queryset = reachable(request, field.queryset)  # type: ignore[arg-type]


def add_faults(form: Any, error: AttuneError) -> None:
    """The faults of an AttuneError, each at the field that it is about."""
    faults = error.details.get("faults") if isinstance(error.details, dict) else None
    rest = []
    for fault in faults if isinstance(faults, list) else []:
        at, _, below = str(fault.get("path", "")).partition(".")
        if at in form.fields:
            form.add_error(at, f"{below}: {fault['message']}" if below else fault["message"])
        else:
            rest.append(str(fault.get("message", "")))
    if not faults:
        rest = [error.message]
    if rest:
        form.add_error(None, rest)

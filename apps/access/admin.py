"""The admin's pages for people, their tokens, and the audit log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from unfold.admin import TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.access import audit, rights, services
from apps.access.admin_base import AttuneAdmin, LatestPaginator, allows, command, list_url, principal
from apps.access.admin_filters import SinceFilter
from apps.access.admin_show import badge, enabled_badge, moment
from apps.access.models import ApiToken, AuditEntry, PackAccess
from apps.access.principals import Role, role_of

LONGEST_NUMBER = 18  # digits of a row's number

admin.site.unregister(User)
admin.site.unregister(Group)


class LimitForm(forms.ModelForm):
    """One pack that somebody is limited to."""

    class Meta:
        model = PackAccess
        fields = ("pack", "role")
        widgets = {
            "pack": UnfoldAdminTextInputWidget(attrs={"placeholder": "slack, aws* or *"}),
            "role": UnfoldAdminSelectWidget,
        }


class LimitInline(TabularInline):
    """The packs that a person or the members of a group are limited to."""

    model = PackAccess
    form = LimitForm
    extra = 0
    verbose_name = "pack"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allows(request, Role.ADMIN)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


class Choices(forms.ModelMultipleChoiceField):
    """Some of a list of rows. A number that no database can hold is none of them: Django would ask for it."""

    def clean(self, value: Any) -> Any:
        for number in value or ():
            if len(str(number)) > LONGEST_NUMBER:
                message = self.error_messages["invalid_choice"]
                raise ValidationError(message, code="invalid_choice", params={"value": str(number)[:40]})
        return super().clean(value)


class Audited(AttuneAdmin):
    """Django's own forms, for administrators; what they change is in the audit log."""

    needs = dict.fromkeys(("view", "add", "change", "delete"), Role.ADMIN)
    noun = ""

    def said(self, thing: Any) -> dict[str, Any]:
        """The thing as the log says it."""
        return {"name": str(thing)}

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        return super().formfield_for_manytomany(db_field, request, **{"form_class": Choices, **kwargs})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        request._before = self.said(type(obj)._base_manager.get(pk=obj.pk)) if change else {}  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """The groups are saved by now, so the log can say them."""
        super().save_related(request, form, formsets, change)
        action = f"{self.noun}.{'update' if change else 'create'}"
        before = getattr(request, "_before", {})
        rights.changed(principal(request))
        audit.record(principal(request), action, form.instance, before=before, after=self.said(form.instance))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        audit.record(principal(request), f"{self.noun}.delete", obj, before=self.said(obj))
        super().delete_model(request, obj)
        rights.changed(principal(request))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self.delete_model(request, obj)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, Audited):  # type: ignore[misc]
    noun = "user"
    form, add_form, change_password_form = UserChangeForm, UserCreationForm, AdminPasswordChangeForm
    list_display = ("username", "first_name", "email", "role", "active", "enters", "last_seen")
    list_filter = ("is_active", "groups")
    filter_horizontal = ()
    inlines = (LimitInline,)
    fieldsets = (
        (None, {"fields": ("username", "password", "first_name", "last_name", "email")}),
        (
            "Rights",
            {
                "fields": ("is_active", "is_staff", "is_superuser", "groups"),
                "description": "The groups viewer, operator, editor and admin are the roles; the highest one holds. "
                "Staff may enter these pages; a superuser is an administrator. Who is limited to packs below, or by a "
                "group, reaches nothing else, and holds in each pack the role that stands beside it. Without any such "
                "row nobody is limited.",
            },
        ),
    )
    add_fieldsets = ((None, {"fields": ("username", "usable_password", "password1", "password2")}),)

    def said(self, thing: Any) -> dict[str, Any]:
        flags = {name: getattr(thing, name) for name in ("email", "is_active", "is_staff", "is_superuser")}
        return flags | {"groups": sorted(thing.groups.values_list("name", flat=True)), "packs": limits_of(thing)}

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """All in one transaction: Django's own has none here."""
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Whoever signed in with the former password is out; and our log has its line, Django's no before and after."""
        if request.resolver_match and request.resolver_match.url_name == "auth_user_password_change":
            services.end_sessions(obj)
            audit.record(principal(request), "user.set_password", obj)
        return super().log_change(request, obj, message)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return () if obj is None or obj.is_superuser else self.inlines

    @admin.display(description="Role")
    def role(self, user: User) -> SafeString:
        role = role_of(user)
        return badge("role", role.group) if role else mark_safe('<span class="at-quiet">none</span>')

    @admin.display(description="State", ordering="is_active")
    def active(self, user: User) -> SafeString:
        return enabled_badge(user.is_active)

    @admin.display(description="Enters here", boolean=True, ordering="is_staff")
    def enters(self, user: User) -> bool:
        return user.is_staff

    @admin.display(description="Last seen", ordering="last_login")
    def last_seen(self, user: User) -> SafeString:
        return moment(user.last_login)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, Audited):  # type: ignore[misc]
    noun = "group"
    list_display = ("name", "is_role", "limited_to", "members")
    fields = ("name",)
    inlines = (LimitInline,)
    filter_horizontal = ()

    @admin.display(description="Is a role", boolean=True)
    def is_role(self, group: Group) -> bool:
        return _is_role(group)

    def said(self, thing: Any) -> dict[str, Any]:
        return {"name": thing.name, "packs": limits_of(thing)}

    @admin.display(description="Limited to")
    def limited_to(self, group: Group) -> str:
        return ", ".join(limits_of(group)) or "–"

    @admin.display(description="Members")
    def members(self, group: Group) -> str:
        return ", ".join(group.user_set.values_list("username", flat=True)[:20])

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _is_role(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return not _is_role(obj) and super().has_delete_permission(request, obj)


def limits_of(thing: Any) -> list[str]:
    """The packs that a person or group is limited to, as the log says them."""
    return [str(row) for row in thing.pack_access.all()]


def _is_role(group: Any) -> bool:
    """Whether it is one of the four that rights hang on; these stay as they are."""
    return isinstance(group, Group) and group.name in {role.group for role in Role}


class TokenForm(forms.Form):
    """A personal token: for whom, what for, how much of their role, how long."""

    user = forms.ModelChoiceField(
        User.objects.filter(is_active=True), widget=UnfoldAdminSelectWidget, empty_label=None, label="For"
    )
    name = forms.CharField(
        max_length=100, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "CI pipeline"}), label="What it is for"
    )
    scope = forms.ChoiceField(
        required=False,
        choices=[("", "whatever its owner may"), *((role.group, role.group) for role in Role)],
        widget=UnfoldAdminSelectWidget,
        label="May do",
        help_text="At most what this role may, and never more than its owner.",
    )
    packs = forms.CharField(
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "slack, aws*"}),
        label="In these packs alone",
        help_text="Refs, or beginnings with *, with commas between; empty: all that its owner reaches.",
    )
    days = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=3650,
        initial=365,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Days until it ends; empty: it never does.",
    )


@admin.register(ApiToken)
class ApiTokenAdmin(AttuneAdmin):
    """One's own tokens; an administrator's page shows everybody's."""

    needs = {"view": Role.VIEWER, "add": Role.VIEWER}
    page_template = "attune/token.html"
    add_words = "New token"
    list_display = ("prefix", "name", "user", "kind", "may", "state", "ends", "last_used")
    list_filter = ("kind", "scope")
    search_fields = ("name", "prefix", "user__username")
    list_select_related = ("user",)
    deferred = ("digest",)

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        return rows if allows(request, Role.ADMIN) else rows.filter(user=request.user)

    @admin.display(description="State")
    def state(self, token: ApiToken) -> SafeString:
        over = token.expires_at is not None and token.expires_at <= timezone.now()
        return badge("ended") if over else badge("on", "valid")

    @admin.display(description="May do", ordering="scope")
    def may(self, token: ApiToken) -> SafeString | str:
        among = f" in {', '.join(token.packs)}" if token.packs else ""
        return format_html("{}{}", badge("role", token.scope) if token.scope else "as its owner", among)

    @admin.display(description="Ends", ordering="expires_at")
    def ends(self, token: ApiToken) -> SafeString | str:
        return moment(token.expires_at) if token.expires_at else "never"

    @admin.display(description="Last used", ordering="last_used_at")
    def last_used(self, token: ApiToken) -> SafeString:
        return moment(token.last_used_at)

    @command("Revoke", role=Role.VIEWER, tone="danger", icon="block", confirm="Whoever uses it is locked out at once.")
    def revoke(self, request: HttpRequest, token: ApiToken) -> HttpResponse:
        services.revoke_token(token, actor=principal(request))
        self.message_user(request, "The token is revoked.")
        return HttpResponseRedirect(list_url("access.apitoken"))

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        self.require(request, "add")
        form = TokenForm(request.POST or None, initial={"user": request.user})
        if not allows(request, Role.ADMIN):
            del form.fields["user"]

        def save(form: TokenForm) -> HttpResponse:
            days = form.cleaned_data["days"]
            text, row = services.create_personal_token(
                form.cleaned_data.get("user") or request.user,  # type: ignore[arg-type]
                name=form.cleaned_data["name"],
                scope=form.cleaned_data["scope"],
                packs=[pack.strip() for pack in form.cleaned_data["packs"].split(",") if pack.strip()],
                lifetime=timedelta(days=days) if days else None,
                actor=principal(request),
            )
            response = self.render(
                request, "attune/token_made.html", {"title": "New token", "text": text, "token": row}
            )
            response.headers["Cache-Control"] = "no-store"
            return response

        context = {
            "title": "New API token",
            "lead": "For scripts, services and the attune command. Give it no more than it needs.",
            "submit": "Make the token",
        }
        return self.form_page(request, form, save=save, context=context)


class AtFilter(SinceFilter):
    column = "at"


_BADGES = {"success": "completed", "failure": "failed", "denied": "refused"}  # words of that colour


@admin.register(AuditEntry)
class AuditEntryAdmin(AttuneAdmin):
    needs = {"view": Role.ADMIN}
    page_template = "attune/audit_entry.html"
    list_before_template = "attune/audit_before.html"
    list_display = ("number", "when", "actor", "action", "target", "how", "origin")
    list_filter = (AtFilter, "outcome")
    search_fields = ("^actor", "^action", "^target")
    search_help_text = "Who, what, or which thing"
    ordering = ("-id",)
    sortable_by = ()
    deferred = ("before", "after")
    paginator = LatestPaginator

    @admin.display(description="No.")
    def number(self, entry: AuditEntry) -> str:
        return str(entry.pk)

    @admin.display(description="When")
    def when(self, entry: AuditEntry) -> SafeString:
        return moment(entry.at)

    @admin.display(description="Outcome")
    def how(self, entry: AuditEntry) -> SafeString:
        return badge(_BADGES.get(entry.outcome, ""), entry.outcome)

    def page(self, request: HttpRequest, entry: AuditEntry) -> dict[str, Any]:
        names = sorted({*entry.before, *entry.after})
        changes = [(name, entry.before.get(name), entry.after.get(name)) for name in names]
        return {"changes": [(n, b, a, b != a) for n, b, a in changes], "title": f"Entry {entry.pk}"}

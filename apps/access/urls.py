"""What is below `/auth/`, and what this room adds below `/api/v1/`."""

from django.urls import path

from apps.access.views import audit, gate, sign_on, tokens

urlpatterns = [
    path("login", gate.Login.as_view()),
    path("ldap/login", gate.LdapLogin.as_view()),
    path("refresh", gate.Refresh.as_view()),
    path("token-login", gate.TokenLogin.as_view()),
    path("logout", gate.Logout.as_view()),
    path("me", gate.Myself.as_view()),
    path("change-password", gate.ChangePassword.as_view()),
    path("tokens", tokens.PersonalTokens.as_view()),
    path("tokens/<int:pk>", tokens.PersonalToken.as_view()),
    path("settings", gate.Settings.as_view()),
    path("oidc/login", sign_on.begin, name="sign_on_begin"),
    path("callback", sign_on.finish, name="sign_on_finish"),
]

audit_urlpatterns = [
    path("audit-events", audit.AuditEvents.as_view()),
    path("audit-events/export", audit.ExportOfAuditEvents.as_view(), name="audit_export"),
    path("audit-events/by-request/<ref:request_id>", audit.AuditEventsOfRequest.as_view()),
    path("audit-events/<int:pk>", audit.AuditEventView.as_view()),
]

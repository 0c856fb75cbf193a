"""Every address of the server: the rooms' API, the gate, health, the documents, and the admin."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from apps.access.admin_login import login_page, own_password, sign_out
from apps.access.urls import audit_urlpatterns
from apps.access.urls import urlpatterns as access_urls
from apps.executions.urls import urlpatterns as executions_urls
from apps.packs.urls import urlpatterns as packs_urls
from apps.rules.urls import urlpatterns as rules_urls
from apps.sensors.receiver import receive_webhook
from apps.sensors.urls import urlpatterns as sensors_urls
from attune import api, health, metrics, streams

# No address of the API ends in a slash, and none is redirected: clients follow no redirects.
urlpatterns = [
    path("api/v1/webhooks/<ref:key>", receive_webhook),  # the busiest comes first
    path("auth/", include(access_urls)),
    path("api/v1/executions/stream", streams.executions),
    path("api/v1/executions/<int:pk>/logs/<ref:stream>/stream", streams.log),
    path("api/v1/packs/install/<int:pk>/stream", streams.installation),
    path("api/v1/", include([*packs_urls, *executions_urls, *rules_urls, *sensors_urls, *audit_urlpatterns])),
    path("health", health.Health.as_view()),
    path("health/live", health.Live.as_view()),
    path("health/ready", health.Ready.as_view()),
    path("health/detailed", health.HealthDetailed.as_view()),
    path("metrics", metrics.metrics, name="metrics"),
    path("api-spec/openapi.json", api.Document.as_view(), name="openapi"),
    path("docs", api.docs, name="docs"),
    path("admin/login/", login_page),  # before the admin's own: it says 429 to somebody who has to wait
    path("admin/logout/", sign_out),  # before the admin's own, which does it
    path("admin/password_change/", admin.site.admin_view(own_password, cacheable=True)),  # likewise
    path("admin/", admin.site.urls),
    path("", RedirectView.as_view(url="/admin/")),  # people type the bare address; programs never do
]

handler400 = "attune.api.bad_request"
handler403 = "attune.api.forbidden"
handler404 = "attune.api.not_found"
handler500 = "attune.api.server_error"

"""What this room adds below `/api/v1/`. The live streams are the roof's: attune/streams.py."""

from django.urls import path

from apps.executions.views import executions as views
from apps.executions.views import policies, workers

urlpatterns = [
    path("executions", views.Executions.as_view()),
    path("executions/execute", views.Execute.as_view()),
    path("executions/stats", views.ExecutionStatistics.as_view()),
    path("executions/status/<ref:status>", views.ExecutionsByStatus.as_view()),
    path("executions/<int:pk>", views.ExecutionView.as_view()),
    path("executions/<int:pk>/cancel", views.Cancel.as_view()),
    path("executions/<int:pk>/reschedule", views.Reschedule.as_view()),
    path("executions/<int:pk>/rerun", views.Rerun.as_view()),
    path("executions/<int:pk>/logs/<ref:stream>", views.Logs.as_view()),
    path("enforcements/<int:enforcement_id>/executions", views.ExecutionsByEnforcement.as_view()),
    path("policies", policies.Policies.as_view()),
    path("policies/<ref:ref>", policies.PolicyView.as_view()),
    path("policies/<ref:ref>/enable", policies.EnablePolicy.as_view()),
    path("policies/<ref:ref>/disable", policies.DisablePolicy.as_view()),
    path("packs/<ref:pack_ref>/policies", policies.PoliciesOfPack.as_view()),
    path("actions/<ref:action_ref>/policies", policies.PoliciesOfAction.as_view()),
    path("actions/<ref:action_ref>/queue-stats", policies.QueueOfAction.as_view()),
    path("workers", workers.Workers.as_view()),
    path("workers/<int:pk>", workers.WorkerView.as_view()),
    path("workers/<int:pk>/drain", workers.Drain.as_view()),
    path("workers/<int:pk>/undrain", workers.Undrain.as_view()),
    path("workers/<int:pk>/cordon", workers.Cordon.as_view()),
    path("workers/<int:pk>/uncordon", workers.Uncordon.as_view()),
]

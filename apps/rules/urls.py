"""What this room adds below `/api/v1/`."""

from django.urls import path

from apps.rules.views import events, pause, rules

urlpatterns = [
    path("rules", rules.Rules.as_view()),
    path("rules/enabled", rules.EnabledRules.as_view()),
    path("rules/test", rules.TestDraft.as_view()),
    path("rules/pause", pause.PauseOfRules.as_view()),
    path("rules/<ref:ref>", rules.RuleView.as_view()),
    path("rules/<ref:ref>/enable", rules.EnableRule.as_view()),
    path("rules/<ref:ref>/disable", rules.DisableRule.as_view()),
    path("rules/<ref:ref>/history", rules.HistoryOfRule.as_view()),
    path("rules/<ref:ref>/restore", rules.RestoreRule.as_view()),
    path("rules/<ref:ref>/test", rules.TestRule.as_view()),
    path("packs/<ref:pack_ref>/rules", rules.RulesOfPack.as_view()),
    path("triggers/<ref:trigger_ref>/rules", rules.RulesOfTrigger.as_view()),
    path("actions/<ref:action_ref>/rules", rules.RulesOfAction.as_view()),
    path("events", events.Events.as_view()),
    path("events/<int:pk>", events.EventView.as_view()),
    path("events/<int:pk>/replay", events.ReplayEvent.as_view()),
    path("events/<int:pk>/verdicts", events.VerdictsOfEvent.as_view()),
    path("enforcements", events.Enforcements.as_view()),
    path("enforcements/<int:pk>", events.EnforcementView.as_view()),
]

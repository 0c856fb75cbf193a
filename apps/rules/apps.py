"""The Django application of this room; it adds `rules/` to what a pack folder may hold, and says which of its
rows belong to which pack."""

from django.apps import AppConfig


def _reseal_events() -> int:
    from apps.rules import events  # with it comes the broker, which a check of a pack does not need

    return events.reseal_all()


class RulesConfig(AppConfig):
    name = "apps.rules"

    def ready(self) -> None:
        from apps.access import rights
        from apps.access.reach import By, register
        from apps.executions import tokens
        from apps.packs import components, key_uses, sealing
        from apps.packs.installing import impact
        from apps.rules import loading, owning
        from apps.rules.impact import broken_rules
        from apps.rules.key_names import names_in_rules
        from apps.rules.models import Enforcement, Event, Rule

        register(Rule, By("pack__ref"))
        register(Event, By("trigger_ref", component=True), By("rule_ref", component=True))
        register(Enforcement, By("rule_ref", component=True))
        rights.WATCHERS.append(owning.review)
        tokens.RULE_LIMITS.append(owning.limit_of_runs)
        impact.register(broken_rules)
        key_uses.register(names_in_rules)
        sealing.register(_reseal_events)
        components.register_kind("rules", read=loading.read, register=loading.register)

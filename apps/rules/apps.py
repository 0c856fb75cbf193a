"""The Django application of this room; it adds `rules/` to what a pack folder may hold."""

from django.apps import AppConfig


class RulesConfig(AppConfig):
    name = "apps.rules"

    def ready(self) -> None:
        from apps.packs import components
        from apps.packs.installing import impact
        from apps.rules import loading
        from apps.rules.impact import broken_rules

        impact.register(broken_rules)
        components.register_kind("rules", read=loading.read, register=loading.register)

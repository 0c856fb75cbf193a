"""The Django application of this room; it says for whom an execution's token speaks, and adds `policies/` to
what a pack folder may hold."""

from django.apps import AppConfig


class ExecutionsConfig(AppConfig):
    name = "apps.executions"

    def ready(self) -> None:
        from apps.access import authentication
        from apps.executions import tokens
        from apps.executions.policies import loading
        from apps.packs import components

        components.register_kind("policies", read=loading.read, register=loading.register)
        authentication.RUN_TOKEN_READERS["execution"] = tokens.principal_of

"""The Django application of this room; it says for whom an execution's token speaks and which of its rows
belong to which pack, confines what is started, and adds `policies/` to what a pack folder may hold."""

from django.apps import AppConfig


class ExecutionsConfig(AppConfig):
    name = "apps.executions"

    def ready(self) -> None:
        from apps.access import authentication
        from apps.access.reach import By, register
        from apps.executions import isolation, tokens
        from apps.executions.models import Execution, Policy
        from apps.executions.policies import loading
        from apps.packs import components

        isolation.prepare()
        components.register_kind("policies", read=loading.read, register=loading.register)
        register(Execution, By("pack_ref"), owner="requested_by_id")
        register(Policy, By("pack__ref"))
        authentication.RUN_TOKEN_READERS["execution"] = tokens.principal_of

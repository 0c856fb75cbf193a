"""The roof as a Django application: it hangs up the doorbell before the rooms' tasks are imported."""

from importlib import import_module

from django.apps import AppConfig


class AttuneConfig(AppConfig):
    name = "attune"

    def ready(self) -> None:
        from attune import broker, checks  # noqa: F401  (the import registers the checks)

        broker.install()
        for room in ("executions", "rules", "sensors"):
            import_module(f"apps.{room}.tasks")

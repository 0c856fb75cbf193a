"""The Django application of this room; it says for whom a sensor's token speaks."""

from django.apps import AppConfig


class SensorsConfig(AppConfig):
    name = "apps.sensors"

    def ready(self) -> None:
        from apps.access import authentication
        from apps.sensors import tokens

        authentication.RUN_TOKEN_READERS["sensor"] = tokens.principal_of

"""The Django application of this room; it says for whom a sensor's token speaks, and which of its rows belong
to which pack."""

from django.apps import AppConfig


class SensorsConfig(AppConfig):
    name = "apps.sensors"

    def ready(self) -> None:
        from apps.access import authentication
        from apps.access.reach import By, register
        from apps.sensors import tokens
        from apps.sensors.models import SensorProcess, WebhookDelivery

        register(SensorProcess, By("sensor__pack__ref"))
        register(WebhookDelivery, By("trigger_ref", component=True))
        authentication.RUN_TOKEN_READERS["sensor"] = tokens.principal_of

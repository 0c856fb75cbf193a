"""The Django application of this room."""

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "apps.access"
